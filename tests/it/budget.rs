//! What requests cost, and the budgets that they are paid from.

use chrono::TimeDelta;
use hyper::{Method, StatusCode};
use spacedly::platform::clock::Instant;
use support::{Answer, Json, Person, Server, Two, both, json, redis::Redis, text, until};

async fn post(server: &Server, person: Option<&Person>, query: &str, variables: Json) -> Answer {
    let bearer = person.map(|person| format!("Bearer {}", person.token));
    let bearer = bearer.as_deref().map(|bearer| ("authorization", bearer));
    post_with(server, bearer, query, variables).await
}

/// Posts as somebody who shows this header: an authorization, or where they are.
async fn post_with(server: &Server, header: Option<(&str, &str)>, query: &str, variables: Json) -> Answer {
    let mut headers = vec![("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    headers.extend(header);
    let body = json!({ "query": query, "variables": variables }).to_string();
    server.client.send(Method::POST, "/graphql", &headers, body).await
}

async fn cost(server: &Server, person: Option<&Person>, query: &str, variables: Json) -> u64 {
    let answer = post(server, person, query, variables).await.json();
    answer["extensions"]["cost"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

/// What is left, by the header.
fn remaining(answer: &Answer) -> u64 {
    let header = answer.header("ratelimit");
    let left = header.strip_prefix("\"points\";r=").and_then(|rest| rest.split(';').next());
    left.and_then(|left| left.parse().ok()).unwrap_or_else(|| panic!("{header}"))
}

/// After how many seconds all points are there again, by the header.
fn resets_in(answer: &Answer) -> i64 {
    let header = answer.header("ratelimit");
    let seconds = header.strip_prefix("\"points\";r=").and_then(|rest| rest.split_once(";t="));
    seconds.and_then(|(_, seconds)| seconds.parse().ok()).unwrap_or_else(|| panic!("{header}"))
}

/// A moment and another: something happened between them.
type Between = [Instant; 2];

/// Posts something, and says when.
async fn post_and_look(server: &Server, person: &Person, query: &str) -> (Answer, Between) {
    let before = server.clock.now();
    let answer = post(server, Some(person), query, json!({})).await;
    (answer, [before, server.clock.now()])
}

/// Whether an answer tells the end of the window that was opened by a request, to the second that headers have.
fn tells_the_end(answer: &Answer, [asked, answered]: Between, [opened, or_by]: Between, window: TimeDelta) {
    let (ends, or_at) = (opened + window, or_by + window);
    // A header has whole seconds: whoever waits for so long is never too early.
    let (least, most) = (ends - answered, or_at - asked + TimeDelta::seconds(1));
    let told = TimeDelta::seconds(resets_in(answer));
    assert!(least < told && told <= most, "{least} < {told} <= {most}");
    if answer.status == StatusCode::OK {
        let resets_at = text(&answer.json(), "/data/rateLimit/resetsAt");
        let resets_at: Instant = resets_at.parse().expect("an instant");
        // Redis counts milliseconds, and the clock goes on between paying and telling.
        let a_bit = TimeDelta::milliseconds(1);
        let (least, most) = (ends - a_bit, or_at + (answered - asked) + a_bit);
        assert!(least <= resets_at && resets_at <= most, "{least} <= {resets_at} <= {most}");
    }
}

both! {
    async fn the_end_of_the_window_is_told_by_the_clock(server, "COST_BUDGET" = "3", "COST_WINDOW" = "90s") {
        let ada = server.person("Ada").await;
        let (query, window) = ("{ rateLimit { remaining resetsAt } }", TimeDelta::seconds(90));
        let (first, opened) = post_and_look(server, &ada, query).await;
        assert_eq!((remaining(&first), first.header("ratelimit-policy")), (2, "\"points\";q=3;w=90"));
        tells_the_end(&first, opened, opened, window);
        for left in [1, 0] {
            server.advance(TimeDelta::seconds(30));
            let (answer, when) = post_and_look(server, &ada, query).await;
            assert_eq!(remaining(&answer), left);
            tells_the_end(&answer, when, opened, window);
        }
        let (refused, when) = post_and_look(server, &ada, query).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        tells_the_end(&refused, when, opened, window);
        let wait = resets_in(&refused);
        assert_eq!((refused.header("retry-after"), &refused.json()["errors"][0]["extensions"]["retryAfter"]), (wait.to_string().as_str(), &json!(wait)));
        server.advance(TimeDelta::seconds(wait - 15));
        let (refused, when) = post_and_look(server, &ada, query).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "not before its end");
        tells_the_end(&refused, when, opened, window);
        server.advance(TimeDelta::seconds(15));
        let (again, reopened) = post_and_look(server, &ada, query).await;
        assert_eq!((again.status, remaining(&again)), (StatusCode::OK, 2), "who waited for as long as was said is let in");
        tells_the_end(&again, reopened, reopened, window);
    }

    async fn a_request_costs_what_its_pages_may_hold(server) {
        let ada = server.person("Ada").await;
        let some = Some(&ada);
        assert_eq!(cost(server, None, "{ __typename }", json!({})).await, 1);
        assert_eq!(cost(server, some, "{ viewer { name email } }", json!({})).await, 1);
        let page = "query($n: Int) { viewer { tasks(first: $n) { nodes { id title status } } } }";
        let default = cost(server, some, page, json!({})).await;
        assert_eq!(default, 1, "20 tasks of 3 fields, and what is around them");
        assert_eq!(cost(server, some, page, json!({ "n": 100 })).await, 5, "100 × 4 and what is around them");
        assert_eq!(cost(server, some, "query($n: Int = 100) { viewer { tasks(first: $n) { nodes { id title status } } } }", json!({})).await, 5);
        assert_eq!(cost(server, some, "{ viewer { tasks(first: 100) { nodes { id title status } } } }", json!({})).await, 5);
        assert_eq!(cost(server, some, "{ viewer { tasks(last: 100) { nodes { ...F } } } } fragment F on Task { id title status }", json!({})).await, 5);
        let nested = "query($n: Int) { viewer { tasks(first: $n) { nodes { reminders(first: $n) { nodes { id } } } } } }";
        assert_eq!(cost(server, some, nested, json!({ "n": 10 })).await, 1 + 2);
        assert_eq!(cost(server, some, nested, json!({ "n": 50 })).await, 1 + 51);
        let create = "mutation { a: taskCreate(input: { title: \"One\" }) { task { id } } }";
        assert_eq!(cost(server, some, create, json!({})).await, 10);
        let two = "mutation { a: taskCreate(input: { title: \"One\" }) { task { id } } b: taskCreate(input: { title: \"Two\" }) { task { id } } }";
        assert_eq!(cost(server, some, two, json!({})).await, 19);
        assert_eq!(cost(server, None, "{ __schema { queryType { name } } }", json!({})).await, 10);
    }

    async fn a_person_spends_their_budget_and_no_more(server, "COST_BUDGET" = "30", "COST_BUDGET_ANONYMOUS" = "1000") {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let query = "{ rateLimit { cost limit remaining resetsAt } }";
        for left in (0..30).rev() {
            let answer = post(server, Some(&ada), query, json!({})).await;
            assert_eq!((answer.status, remaining(&answer)), (StatusCode::OK, left));
            assert_eq!(answer.header("ratelimit-policy"), "\"points\";q=30;w=60");
            let told = answer.json()["data"]["rateLimit"].clone();
            assert_eq!((&told["cost"], &told["limit"], &told["remaining"]), (&json!(1), &json!(30), &json!(left)));
        }
        let answer = post(server, Some(&ada), query, json!({})).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((50..=61).contains(&wait), "{wait}");
        let error = &answer.json()["errors"][0];
        assert_eq!((&error["extensions"]["code"], &error["extensions"]["retryAfter"]), (&json!("RATE_LIMITED"), &json!(wait)));
        assert!(error["message"].as_str().expect("words").contains("This costs 1 points, and 0 are left."), "{error}");
        assert_eq!(post(server, Some(&eve), query, json!({})).await.status, StatusCode::OK, "it is nobody else's");
        assert_eq!(post(server, None, query, json!({})).await.status, StatusCode::OK);
        // By a socket and by an event stream it is the same budget.
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("one", query, json!({})).await;
        let refused = socket.next().await;
        assert_eq!(refused["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{refused}");
        socket.subscribe("two", "subscription { notificationEvents { cursor } }", json!({})).await;
        assert_eq!(socket.next().await["payload"][0]["extensions"]["code"], "RATE_LIMITED");
        let bearer = format!("Bearer {}", ada.token);
        let headers = [("content-type", "application/json"), ("accept", "text/event-stream"), ("authorization", bearer.as_str())];
        let mut events = server.client.events(Method::POST, "/graphql", &headers, json!({ "query": query }).to_string()).await;
        assert_eq!(events.event().await.expect("an event").1["errors"][0]["extensions"]["code"], "RATE_LIMITED");
        server.advance(TimeDelta::seconds(61));
        assert_eq!(remaining(&post(server, Some(&ada), query, json!({})).await), 29, "a window later");
    }

    async fn what_is_refused_costs_a_point_and_what_does_not_fit_nothing(server, "COST_BUDGET" = "60") {
        let ada = server.person("Ada").await;
        let query = "{ rateLimit { remaining } }";
        assert_eq!(remaining(&post(server, Some(&ada), query, json!({})).await), 59);
        for (index, broken) in ["{ nonsense }", "{", "query($n: Int!) { viewer { tasks(first: $n) { totalCount } } }"].into_iter().enumerate() {
            let refused = post(server, Some(&ada), broken, json!({})).await;
            assert_eq!((refused.status, refused.json()["extensions"]["cost"].as_u64()), (StatusCode::BAD_REQUEST, Some(1)), "{broken}");
            assert_eq!(remaining(&refused), 58 - index as u64, "what is refused tells what is left, too");
        }
        assert_eq!(remaining(&post(server, Some(&ada), query, json!({})).await), 55);
        let page = "query($n: Int) { viewer { tasks(first: $n) { nodes { reminders(first: $n) { nodes { id } } } } } }";
        assert_eq!(cost(server, Some(&ada), page, json!({ "n": 50 })).await, 52);
        let again = post(server, Some(&ada), page, json!({ "n": 50 })).await;
        assert_eq!((again.status, again.json()["extensions"]["cost"].as_u64()), (StatusCode::TOO_MANY_REQUESTS, Some(52)));
        assert_eq!((remaining(&again), again.header("ratelimit-policy")), (3, "\"points\";q=60;w=60"), "what it would cost, and what there is");
        assert_eq!(remaining(&post(server, Some(&ada), query, json!({})).await), 2, "what does not fit costs nothing");
        let never = post(server, Some(&ada), page, json!({ "n": 100 })).await.json();
        assert_eq!(never["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{never}");
    }

    async fn every_way_to_be_refused_tells_the_cost(server, "COST_BUDGET" = "100") {
        let ada = server.person("Ada").await;
        let bearer = format!("Bearer {}", ada.token);
        let mut left = remaining(&post(server, Some(&ada), "{ __typename }", json!({})).await);
        let mut spent = |answer: &Answer| std::mem::replace(&mut left, remaining(answer)) - remaining(answer);
        let by_get = format!("/graphql?query={}", "mutation%20%7B%20sessionEnd%20%7B%20userErrors%20%7B%20code%20%7D%20%7D%20%7D");
        let get = server.client.send(Method::GET, &by_get, &[("authorization", bearer.as_str()), ("accept", "application/json")], "").await;
        assert_eq!((get.status, get.json()["extensions"]["cost"].as_u64()), (StatusCode::METHOD_NOT_ALLOWED, Some(spent(&get))));
        let follow = post(server, Some(&ada), "subscription { notificationEvents { cursor } }", json!({})).await;
        assert_eq!((follow.status, spent(&follow)), (StatusCode::BAD_REQUEST, 1), "one that needs an event stream");
        let hash = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let unknown = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } } }).to_string();
        let unknown = server.client.send(Method::POST, "/graphql", &hash, unknown).await;
        assert_eq!((unknown.json()["extensions"]["cost"].as_u64(), spent(&unknown)), (Some(1), 1), "{}", unknown.text());
        // What is no request at all was read all the same.
        let too_much = format!("{{\"query\": \"{}\"}}", "x".repeat(1_000_000));
        for (body, status) in [
            ("{", StatusCode::BAD_REQUEST),
            ("[]", StatusCode::BAD_REQUEST),
            ("{}", StatusCode::BAD_REQUEST),
            (&too_much, StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let none = server.client.send(Method::POST, "/graphql", &hash, body.to_owned()).await;
            assert_eq!((none.status, none.json()["extensions"]["cost"].as_u64(), spent(&none)), (status, Some(1), 1), "{}", none.text());
        }
        // Any page may send this one.
        let form = server.client.send(Method::POST, "/graphql", &hash[1..], "query=x").await;
        assert_eq!((form.status, form.header("ratelimit")), (StatusCode::UNSUPPORTED_MEDIA_TYPE, ""));
        let nothing = server.client.send(Method::GET, "/graphql", &hash[1..], "").await;
        assert_eq!((nothing.status, spent(&nothing)), (StatusCode::BAD_REQUEST, 1));
        let headers = [("content-type", "application/json"), ("accept", "text/event-stream"), ("authorization", bearer.as_str())];
        let mut events = server.client.events(Method::POST, "/graphql", &headers, json!({ "query": "{ nonsense }" }).to_string()).await;
        assert_eq!(events.event().await.expect("an event").1["extensions"]["cost"], 1);
    }

    async fn a_subscription_pays_for_each_of_its_events(server, "COST_BUDGET" = "75") {
        let ada = server.person("Ada").await;
        for title in ["One", "Two", "Three"] {
            let id = server.task(&ada, title).await;
            let complete = "mutation($id: ID!) { taskComplete(input: { id: $id }) { userErrors { code } } }";
            server.data(&ada, complete, json!({ "id": id })).await;
        }
        let left = || async { remaining(&post(server, Some(&ada), "{ __typename }", json!({})).await) };
        let cheap = "subscription { notificationEvents(after: \"0\") { cursor } }";
        let dear = "subscription { notificationEvents(after: \"0\") { notification { task { reminders(first: 60) { nodes { id } } } } } }";
        for (query, points) in [(cheap, 1), (dear, 2 + 2 + 2)] {
            let before = left().await;
            let mut socket = server.socket(Some(&ada)).await;
            socket.subscribe("one", query, json!({})).await;
            for _ in 0..3 {
                assert!(socket.next().await["payload"]["data"]["notificationEvents"].is_object());
            }
            assert_eq!(before - left().await, points + 1, "{query}, and this look");
        }
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("one", dear, json!({})).await;
        for _ in 0..2 {
            assert!(socket.next().await["payload"]["data"]["notificationEvents"].is_object());
        }
        let last = socket.next().await;
        assert_eq!(last["payload"]["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{last}");
        assert_eq!(socket.next().await["type"], "complete");
    }

    async fn an_address_has_a_budget_of_its_own(server, "COST_BUDGET_ANONYMOUS" = "5", "TRUSTED_PROXIES" = "1") {
        let ask = |ip: &'static str| async move {
            let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
            server.client.send(Method::POST, "/graphql", &headers, r#"{"query":"{ __typename }"}"#).await.status
        };
        for _ in 0..5 {
            assert_eq!(ask("198.51.100.7").await, StatusCode::OK);
        }
        assert_eq!(ask("198.51.100.7").await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(ask("198.51.100.8").await, StatusCode::OK);
        for last in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3::", "2001:db8:1:2::4", "2001:db8:1:2::5"] {
            assert_eq!(ask(last).await, StatusCode::OK);
        }
        assert_eq!(ask("2001:db8:1:2:ffff::").await, StatusCode::TOO_MANY_REQUESTS, "a network is one customer");
        assert_eq!(ask("2001:db8:1:3::1").await, StatusCode::OK);
    }
}

#[test]
fn two_instances_count_together() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let two = Two::on_shared_redis(&[("COST_BUDGET", "20")]).await;
        let [a, b] = two.servers();
        let ada = a.person("Budget").await;
        let query = "{ rateLimit { remaining } }";
        let mut left = Vec::new();
        for turn in 0..20 {
            left.push(remaining(&post(if turn % 2 == 0 { a } else { b }, Some(&ada), query, json!({})).await));
        }
        assert_eq!(left, (0..20).rev().collect::<Vec<u64>>());
        for server in [a, b] {
            assert_eq!(post(server, Some(&ada), query, json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
        }
        two.finish().await;
    });
}

/// Cases that need two instances run on PostgreSQL with Redis: SQLite serves one process.
mod on_two_instances {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_window_that_one_opened_ends_on_the_other() {
        let two = Two::on_shared_redis(&[("COST_WINDOW", "90s")]).await;
        let ada = two.a.person("Ada").await;
        let (query, window) = ("{ rateLimit { remaining resetsAt } }", TimeDelta::seconds(90));
        let (first, opened) = post_and_look(&two.a, &ada, query).await;
        tells_the_end(&first, opened, opened, window);
        for server in two.servers() {
            server.advance(TimeDelta::seconds(30));
            let (answer, when) = post_and_look(server, &ada, query).await;
            tells_the_end(&answer, when, opened, window);
        }
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_address_is_counted_on_both() {
        let two = Two::on_shared_redis(&[("COST_BUDGET_ANONYMOUS", "5"), ("TRUSTED_PROXIES", "1")]).await;
        let ask = async |server: &Server, address: &str| {
            post_with(server, Some(("x-forwarded-for", address)), "{ rateLimit { cost } }", json!({})).await
        };
        // The second are five of one network.
        for addresses in [
            ["198.51.100.7"; 5],
            ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3::", "2001:db8:1:2::4", "2001:db8:1:2::5"],
        ] {
            let mut left = Vec::new();
            for (address, server) in addresses.iter().zip(two.servers().into_iter().cycle()) {
                left.push(remaining(&ask(server, address).await));
            }
            assert_eq!(left, [4, 3, 2, 1, 0]);
            for server in two.servers() {
                assert_eq!(ask(server, addresses[0]).await.status, StatusCode::TOO_MANY_REQUESTS, "{}", addresses[0]);
            }
        }
        for (server, address) in two.servers().into_iter().zip(["198.51.100.8", "2001:db8:1:3::1"]) {
            assert_eq!(remaining(&ask(server, address).await), 4, "{address} is another");
        }
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_redis_is_away_each_counts_what_a_person_spends_by_itself() {
        let mut redis = Redis::start();
        let two = Two::start(&redis.url(), &[("COST_BUDGET", "6"), ("COST_WINDOW", "10m")]).await;
        two.hear_each_other().await;
        let ada = two.a.person("Ada").await;
        let spend = async |server: &Server| post(server, Some(&ada), "{ rateLimit { cost } }", json!({})).await;
        for left in [5, 4] {
            assert_eq!(remaining(&spend(&two.a).await), left);
        }
        tokio::task::block_in_place(|| redis.stop());
        for server in two.servers() {
            for left in (0..6).rev() {
                let answer = spend(server).await;
                assert_eq!((answer.status, remaining(&answer)), (StatusCode::OK, left), "nobody waits for Redis");
            }
            assert_eq!(spend(server).await.status, StatusCode::TOO_MANY_REQUESTS, "limited still, each by itself");
        }
        tokio::task::block_in_place(|| redis.resume());
        // It is empty now. Each asks it again after a while, and what one spends counts on the other.
        for (server, left) in two.servers().into_iter().zip([5, 4]) {
            let counted = until("Redis to be asked again", || async {
                let left = remaining(&spend(server).await);
                (left > 0).then_some(left)
            });
            assert_eq!(counted.await, left);
        }
        two.finish().await;
    }
}
