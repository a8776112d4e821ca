//! Event streams (SSE): both modes of graphql-sse, who may read them, how long, and how many there are.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use hyper::{Method, StatusCode};
use support::{
    Answer, Event, Events, Json, Person, Server, Two, both, json,
    sessions::{PASSWORD, SOON},
    text, until,
};

use crate::ways::in_url;

const EVENTS: &str = "subscription Live($after: Cursor) { notificationEvents(after: $after) {
    cursor kind unreadNotificationCount notification { title } } }";
const STREAM: &str = "/graphql/stream";
const TOKEN: &str = "x-graphql-event-stream-token";
const JSON_TYPE: (&str, &str) = ("content-type", "application/json");
const TAKES_EVENTS: (&str, &str) = ("accept", "text/event-stream");

fn bearer(person: &Person) -> String {
    format!("Bearer {}", person.token)
}

/// An operation on a stream of its own.
async fn distinct(server: &Server, path: &str, person: Option<&Person>, query: &str, variables: Json) -> Events {
    let bearer = person.map(bearer);
    let mut headers = vec![JSON_TYPE, TAKES_EVENTS];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = json!({ "query": query, "variables": variables }).to_string();
    server.client.events(Method::POST, path, &headers, body).await
}

/// A subscription that has begun: its first comment has come.
async fn live(server: &Server, person: &Person, after: Json) -> Events {
    let mut events = distinct(server, "/graphql", Some(person), EVENTS, json!({ "after": after })).await;
    assert_eq!(events.status, StatusCode::OK);
    assert_eq!(events.block().await, Some(Event::Comment));
    events
}

/// Makes something happen that the live stream tells of.
async fn happen(server: &Server, person: &Person, title: &str) {
    let task = server.task(person, title).await;
    let complete = "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }";
    server.data(person, complete, json!({ "id": task })).await;
}

/// A cursor to follow from, so that it does not matter when a subscription looks for the first time.
async fn from_here(server: &Server, person: &Person) -> Json {
    happen(server, person, "Before").await;
    let mut events = live(server, person, json!("0")).await;
    let mut cursor = Json::Null;
    while cursor.is_null() {
        cursor = events.expect("next").await["data"]["notificationEvents"]["cursor"].take();
    }
    cursor
}

fn event_of(data: &Json) -> &Json {
    assert!(data.get("errors").is_none(), "{data}");
    &data["data"]["notificationEvents"]
}

fn code_of(answer: &Json) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

/// A request under the id of its operation.
fn with_id(id: Json, asked: &Json) -> Json {
    let mut asked = asked.clone();
    asked["extensions"]["operationId"] = id;
    asked
}

/// The single connection mode as one person uses it.
pub(crate) struct Single<'s> {
    server: &'s Server,
    bearer: String,
    token: String,
}

impl<'s> Single<'s> {
    pub(crate) async fn reserve(server: &'s Server, person: &Person) -> Self {
        let bearer = bearer(person);
        let answer = server.client.send(Method::PUT, STREAM, &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        assert!(answer.header("content-type").starts_with("text/plain"));
        Self { server, bearer, token: answer.text() }
    }

    /// The same stream as somebody else sees it.
    fn seen_by(&self, person: &Person) -> Self {
        Self { server: self.server, bearer: bearer(person), token: self.token.clone() }
    }

    async fn open(&self) -> Events {
        let headers = [TAKES_EVENTS, ("authorization", self.bearer.as_str()), (TOKEN, self.token.as_str())];
        self.server.client.events(Method::GET, STREAM, &headers, "").await
    }

    pub(crate) async fn opened(&self) -> Events {
        let mut events = self.open().await;
        assert_eq!(events.status, StatusCode::OK);
        assert_eq!(events.header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!(events.block().await, Some(Event::Comment));
        events
    }

    async fn operate(&self, id: Json, query: &str, variables: Json) -> Answer {
        self.post(id, &json!({ "query": query, "variables": variables })).await
    }

    /// Begins whatever a request asks for.
    pub(crate) async fn post(&self, id: Json, asked: &Json) -> Answer {
        let headers = [JSON_TYPE, ("authorization", self.bearer.as_str()), (TOKEN, self.token.as_str())];
        self.server.client.send(Method::POST, STREAM, &headers, with_id(id, asked).to_string()).await
    }

    /// The same by GET, for what changes nothing.
    pub(crate) async fn get(&self, id: &str, asked: &Json) -> Answer {
        let headers = [("authorization", self.bearer.as_str()), (TOKEN, self.token.as_str())];
        let asked = in_url(&with_id(json!(id), asked));
        self.server.client.send(Method::GET, &format!("{STREAM}?{asked}"), &headers, "").await
    }

    async fn run(&self, id: &str, query: &str, variables: Json) {
        let answer = self.operate(json!(id), query, variables).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::ACCEPTED, ""));
    }

    async fn stop(&self, id: &str) -> StatusCode {
        let headers = [("authorization", self.bearer.as_str()), (TOKEN, self.token.as_str())];
        self.server.client.send(Method::DELETE, &format!("{STREAM}?operationId={id}"), &headers, "").await.status
    }
}

/// Cases that need two instances run on PostgreSQL with Redis: SQLite serves one process.
mod on_two_instances {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_session_that_ends_on_one_closes_its_streams_on_the_other() {
        let two = Two::on_shared_redis(&[]).await;
        let ada = two.a.person("Ada").await;
        let other = two.a.client.log_in(&ada.email).await;
        let mut distinct = live(&two.b, &ada, Json::Null).await;
        let mut single = Single::reserve(&two.b, &ada).await.opened().await;
        let began = Instant::now();
        two.a.client.act(&other.access, "sessionRevokeOthers").await;
        distinct.ends().await;
        single.ends().await;
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_redis_an_ended_session_hears_nothing_more_on_the_other() {
        let two = Two::without_redis().await;
        let ada = two.a.person("Ada").await;
        let other = two.a.client.log_in(&ada.email).await;
        let mut events = live(&two.b, &ada, Json::Null).await;
        two.a.client.act(&other.access, "sessionRevokeOthers").await;
        let began = Instant::now();
        events.ends().await;
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        two.finish().await;
    }
}

both! {
    async fn a_subscription_tells_events_in_order_and_goes_on_from_a_cursor(server) {
        let ada = server.person("Ada").await;
        let mut events = live(server, &ada, from_here(server, &ada).await).await;
        for (header, value) in [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-store"), ("x-accel-buffering", "no"), ("content-encoding", "")] {
            assert_eq!(events.header(header), value, "{header}");
        }
        let mut cursors = Vec::new();
        for number in 0..5 {
            happen(server, &ada, &format!("Task {number}")).await;
            let data = events.expect("next").await;
            assert_eq!(event_of(&data)["unreadNotificationCount"], number + 2, "{data}");
            cursors.push(event_of(&data)["cursor"].clone());
        }
        assert!(events.is_quiet_for(Duration::from_millis(200)).await, "each once");
        drop(events);
        happen(server, &ada, "While nobody listens").await;
        for path in ["/graphql", STREAM] {
            let mut again = distinct(server, path, Some(&ada), EVENTS, json!({ "after": cursors[1] })).await;
            for cursor in &cursors[2..] {
                assert_eq!(&event_of(&again.expect("next").await)["cursor"], cursor, "{path}");
            }
            assert_eq!(event_of(&again.expect("next").await)["unreadNotificationCount"], 7, "{path}");
            assert!(again.is_quiet_for(Duration::from_millis(200)).await);
        }
    }

    async fn a_subscription_is_asked_for_by_get_as_event_source_does(server) {
        let ada = server.person("Ada").await;
        let after = from_here(server, &ada).await;
        let query: String = url_of(EVENTS, &json!({ "after": after }));
        let bearer = bearer(&ada);
        let mut events = server.client.events(Method::GET, &format!("/graphql?{query}"), &[TAKES_EVENTS, ("authorization", &bearer)], "").await;
        happen(server, &ada, "By GET").await;
        assert_eq!(event_of(&events.expect("next").await)["kind"], "ARRIVED");
        let headers = [TAKES_EVENTS, ("authorization", bearer.as_str()), ("sec-fetch-mode", "no-cors")];
        let image = server.client.events(Method::GET, &format!("/graphql?{query}"), &headers, "").await;
        assert_eq!(image.status, StatusCode::FORBIDDEN, "a page that cannot read it takes no places");
    }

    async fn queries_and_mutations_are_answered_by_one_event(server) {
        let ada = server.person("Ada").await;
        let mut query = distinct(server, "/graphql", Some(&ada), "{ viewer { id } }", json!({})).await;
        assert_eq!(query.rest().await, format!("event: next\ndata: {{\"data\":{{\"viewer\":{{\"id\":\"{}\"}}}},\"extensions\":{{\"cost\":1}}}}\n\nevent: complete\ndata:\n\n", ada.id));
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id title description } userErrors { code } } }";
        let lines = json!({ "input": { "title": "Two lines", "description": "one\n\ndata: two\r\nevent: three" } });
        let mut mutation = distinct(server, STREAM, Some(&ada), create, lines.clone()).await;
        let data = mutation.expect("next").await;
        assert_eq!(data["data"]["taskCreate"]["task"]["title"], "Two lines", "{data}");
        let kept = text(&data, "/data/taskCreate/task/description");
        assert!(kept.contains("\n\ndata: two"), "{kept:?}");
        assert_eq!(mutation.expect("complete").await, Json::Null);
        mutation.ends().await;
        let mut list = distinct(server, "/graphql", Some(&ada), "{ viewer { tasks { nodes { description } } } }", json!({})).await;
        assert_eq!(list.expect("next").await["data"]["viewer"]["tasks"]["nodes"][0]["description"], kept);
    }

    async fn an_answer_comes_in_what_the_client_likes_best(server) {
        let body = json!({ "query": "{ __typename }" }).to_string();
        for (accept, expected) in [
            ("text/event-stream", "text/event-stream; charset=utf-8"),
            ("text/event-stream, */*;q=0.1", "text/event-stream; charset=utf-8"),
            ("application/json;q=0.5, text/event-stream", "text/event-stream; charset=utf-8"),
            ("text/event-stream, application/json", "application/json; charset=utf-8"),
            ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", "application/graphql-response+json; charset=utf-8"),
            ("*/*", "application/json; charset=utf-8"),
        ] {
            let answer = server.client.send(Method::POST, "/graphql", &[JSON_TYPE, ("accept", accept)], body.clone()).await;
            assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, expected), "{accept}");
        }
        let subscription = json!({ "query": EVENTS }).to_string();
        for (accept, status) in [("text/event-stream, multipart/mixed", 200), ("application/json, text/event-stream;q=0.1", 200), ("application/json, text/event-stream;q=0", 400), ("*/*", 400), ("application/json", 400)] {
            let answer = server.client.send(Method::POST, "/graphql", &[JSON_TYPE, ("accept", accept)], subscription.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{accept}: {}", answer.text());
        }
    }

    async fn what_is_wrong_with_an_operation_is_an_event_and_with_a_request_a_status(server) {
        let ada = server.person("Ada").await;
        let bomb = format!("{{ {} }}", "a: __typename ".repeat(1_200));
        for (query, variables, code) in [
            ("{ viewer { ", json!({}), "BAD_REQUEST"),
            ("subscription { nonsense }", json!({}), "BAD_REQUEST"),
            ("subscription { a: notificationEvents { cursor } b: notificationEvents { cursor } }", json!({}), "BAD_REQUEST"),
            (EVENTS, json!({ "after": 1.5 }), "BAD_REQUEST"),
            (EVENTS, json!({ "after": "99999" }), "CURSOR_EXPIRED"),
            (bomb.as_str(), json!({}), "QUERY_TOO_COMPLEX"),
        ] {
            let mut events = distinct(server, "/graphql", Some(&ada), query, variables).await;
            assert_eq!((events.status, events.header("content-type")), (StatusCode::OK, "text/event-stream; charset=utf-8"), "{query}");
            let data = events.expect("next").await;
            assert_eq!(code_of(&data), code, "{data}");
            assert_eq!(events.expect("complete").await, Json::Null);
            events.ends().await;
        }
        let subscription = json!({ "query": EVENTS }).to_string();
        let mutation = "/graphql?query=mutation%7BsessionEnd%7BendedSessionId%7D%7D";
        for (what, method, path, headers, body, status) in [
            ("no JSON", Method::POST, "/graphql", vec![JSON_TYPE, TAKES_EVENTS], "{".to_owned(), 400),
            ("a form", Method::POST, "/graphql", vec![("content-type", "application/x-www-form-urlencoded"), TAKES_EVENTS], subscription.clone(), 415),
            ("plain text", Method::POST, STREAM, vec![("content-type", "text/plain"), TAKES_EVENTS], subscription.clone(), 415),
            ("a mutation by GET", Method::GET, mutation, vec![TAKES_EVENTS], String::new(), 405),
            ("a wrong token", Method::POST, "/graphql", vec![JSON_TYPE, TAKES_EVENTS, ("authorization", "Bearer nonsense")], subscription, 401),
            ("another method", Method::PATCH, STREAM, vec![TAKES_EVENTS], String::new(), 405),
            ("PUT where nothing is reserved", Method::PUT, "/graphql", vec![TAKES_EVENTS], String::new(), 405),
        ] {
            let answer = server.client.send(method, path, &headers, body).await;
            assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
            assert!(answer.header("content-type").starts_with("application/json"), "{what}");
            let code = if status == 401 { "UNAUTHENTICATED" } else { "BAD_REQUEST" };
            assert_eq!(code_of(&answer.json()), code, "{what}");
        }
    }

    async fn nobody_and_a_stranger_hear_nothing(server) {
        let mut nobody = distinct(server, "/graphql", None, EVENTS, json!({})).await;
        assert_eq!(code_of(&nobody.expect("next").await), "UNAUTHENTICATED");
        nobody.expect("complete").await;
        nobody.ends().await;
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let mut stranger = live(server, &eve, Json::Null).await;
        let mut own = live(server, &ada, from_here(server, &ada).await).await;
        happen(server, &ada, "Private").await;
        assert_eq!(event_of(&own.expect("next").await)["kind"], "ARRIVED");
        assert!(stranger.is_quiet_for(Duration::from_millis(300)).await);
    }

    async fn cookies_open_a_stream_for_allowed_pages_only(server) {
        let ada = server.person("Ada").await;
        let log_in = json!({ "query": format!("mutation {{ sessionCreate(input: {{ email: \"{}\", password: \"{PASSWORD}\" }}) {{ userErrors {{ code }} }} }}", ada.email) });
        let answer = server.client.send(Method::POST, "/graphql", &[JSON_TYPE], log_in.to_string()).await;
        let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
        let cookies = set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ");
        let body = json!({ "query": EVENTS }).to_string();
        let ask = async |origin: &str| server.client.events(Method::POST, "/graphql", &[JSON_TYPE, TAKES_EVENTS, ("cookie", &cookies), ("origin", origin)], body.clone()).await;
        let mut own = ask("http://localhost:8080").await;
        assert_eq!(own.header("access-control-allow-origin"), "http://localhost:8080");
        assert_eq!(own.header("access-control-allow-credentials"), "true");
        assert!(own.is_quiet_for(Duration::from_millis(200)).await);
        let mut foreign = ask("https://evil.example").await;
        assert_eq!(foreign.header("access-control-allow-origin"), "");
        assert_eq!(code_of(&foreign.expect("next").await), "UNAUTHENTICATED");
        let put = [("cookie", cookies.as_str()), ("origin", "https://evil.example")];
        assert_eq!(server.client.send(Method::PUT, STREAM, &put, "").await.status, StatusCode::UNAUTHORIZED);
        // Where the access cookie is over, the refresh cookie carries the page on.
        let refresh = cookies.split("; ").find(|pair| pair.starts_with("refreshToken=")).expect("one");
        let renewed = server.client.send(Method::PUT, STREAM, &[("cookie", refresh), ("origin", "http://localhost:8080")], "").await;
        assert_eq!(renewed.status, StatusCode::CREATED);
        assert!(renewed.header("set-cookie").starts_with("accessToken="));
        for (path, methods) in [(STREAM, "GET, POST, PUT, DELETE"), ("/graphql", "GET, POST")] {
            let headers = [("origin", "http://localhost:8080"), ("access-control-request-method", "PUT")];
            let preflight = server.client.send(Method::OPTIONS, path, &headers, "").await;
            assert_eq!(preflight.header("access-control-allow-methods"), methods, "{path}");
            assert!(preflight.header("access-control-allow-headers").contains(TOKEN));
        }
    }

    async fn sockets_and_streams_of_a_person_are_counted_together(server, "SOCKETS_PER_USER" = "3") {
        let ada = server.person("Ada").await;
        let first = live(server, &ada, Json::Null).await;
        let _socket = server.socket(Some(&ada)).await;
        let _reserved = Single::reserve(server, &ada).await;
        let mut full = distinct(server, "/graphql", Some(&ada), EVENTS, json!({})).await;
        assert_eq!((full.status, full.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
        assert!(full.rest().await.contains("RATE_LIMITED"));
        let bearer = bearer(&ada);
        assert_eq!(server.client.send(Method::PUT, STREAM, &[("authorization", &bearer)], "").await.status, StatusCode::TOO_MANY_REQUESTS);
        let mut query = distinct(server, "/graphql", Some(&ada), "{ viewer { id } }", json!({})).await;
        assert!(query.expect("next").await["data"]["viewer"].is_object(), "what takes no place goes on");
        let eve = server.person("Eve").await;
        live(server, &eve, Json::Null).await;
        drop(first);
        until("a place to be free", || async {
            let again = distinct(server, "/graphql", Some(&ada), EVENTS, json!({})).await;
            (again.status == StatusCode::OK).then_some(())
        }).await;
    }

    async fn an_instance_has_so_many_streams_and_no_more(server, "CONNECTION_LIMIT" = "6") {
        let ada = server.person("Ada").await;
        let mut reserved = Vec::new();
        for _ in 0..6 {
            reserved.push(Single::reserve(server, &ada).await);
        }
        let answer = server.client.send(Method::PUT, STREAM, &[("authorization", &bearer(&ada))], "").await;
        assert_eq!((answer.status, code_of(&answer.json())), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
        server.advance(TimeDelta::seconds(31));
        until("the places to be free", || async {
            let again = server.client.send(Method::PUT, STREAM, &[("authorization", &bearer(&ada))], "").await;
            (again.status == StatusCode::CREATED).then_some(())
        }).await;
    }

    async fn one_stream_carries_what_other_requests_begin_and_stop(server) {
        let ada = server.person("Ada").await;
        let after = from_here(server, &ada).await;
        let single = Single::reserve(server, &ada).await;
        // Begun before it is read: it waits.
        single.run("early", "query Early { viewer { id } }", json!({})).await;
        let mut events = single.opened().await;
        assert_eq!(events.expect("next").await, json!({ "id": "early", "payload": { "data": { "viewer": { "id": ada.id } }, "extensions": { "cost": 1 } } }));
        assert_eq!(events.expect("complete").await, json!({ "id": "early" }));
        single.run("live \"1\"", EVENTS, json!({ "after": after })).await;
        single.run("two", EVENTS, json!({ "after": after })).await;
        happen(server, &ada, "Told twice").await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let data = events.expect("next").await;
            assert_eq!(event_of(&data["payload"])["kind"], "ARRIVED");
            ids.push(data["id"].clone());
        }
        ids.sort_by_key(Json::to_string);
        assert_eq!(ids, [json!("live \"1\""), json!("two")]);
        assert_eq!(single.stop("two").await, StatusCode::OK);
        happen(server, &ada, "Told once").await;
        assert_eq!(events.expect("next").await["id"], "live \"1\"");
        assert!(events.is_quiet_for(Duration::from_millis(200)).await);
        assert_eq!(single.stop("early").await, StatusCode::OK, "it has ended, as is wanted");
        assert_eq!(single.stop("unknown").await, StatusCode::NOT_FOUND);
        single.run("two", "mutation { taskCreate(input: { title: \"By SSE\" }) { task { title } userErrors { code } } }", json!({})).await;
        assert_eq!(events.expect("next").await["payload"]["data"]["taskCreate"]["task"]["title"], "By SSE", "an id is free again");
    }

    async fn a_stream_is_opened_once_and_by_its_session_only(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let other = Person { token: server.client.log_in(&ada.email).await.access, ..ada.clone() };
        let single = Single::reserve(server, &ada).await;
        let mut forged = single.seen_by(&ada);
        forged.token = format!("{}0", &forged.token[..forged.token.len() - 1]);
        if forged.token == single.token {
            forged.token = format!("{}1", &forged.token[..forged.token.len() - 1]);
        }
        for (who, wrong) in [("a stranger", single.seen_by(&eve)), ("another session", single.seen_by(&other)), ("a forged token", forged)] {
            assert_eq!(wrong.open().await.status, StatusCode::NOT_FOUND, "{who}");
            assert_eq!(wrong.operate(json!("x"), "{ __typename }", json!({})).await.status, StatusCode::NOT_FOUND, "{who}");
            assert_eq!(wrong.stop("x").await, StatusCode::NOT_FOUND, "{who}");
        }
        let nobody = [TAKES_EVENTS, (TOKEN, single.token.as_str())];
        assert_eq!(server.client.send(Method::GET, STREAM, &nobody, "").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(server.client.send(Method::PUT, STREAM, &[], "").await.status, StatusCode::UNAUTHORIZED);
        let mut events = single.opened().await;
        assert_eq!(single.open().await.status, StatusCode::CONFLICT);
        single.run("1", "{ __typename }", json!({})).await;
        assert_eq!(events.expect("next").await["id"], "1", "it goes on");
        drop(events);
        until("it to be gone with its reader", || async { (single.open().await.status == StatusCode::NOT_FOUND).then_some(()) }).await;
        // The way of EventSource: the token in the URL.
        let again = Single::reserve(server, &ada).await;
        let headers = [TAKES_EVENTS, ("authorization", again.bearer.as_str())];
        let mut events = server.client.events(Method::GET, &format!("{STREAM}?token={}", again.token), &headers, "").await;
        assert_eq!(events.block().await, Some(Event::Comment));
    }

    async fn what_is_wrong_with_an_operation_on_a_stream_is_answered_at_once(server, "SOCKET_SUBSCRIPTIONS" = "2") {
        let ada = server.person("Ada").await;
        let single = Single::reserve(server, &ada).await;
        let mut events = single.opened().await;
        for (id, query, status, code) in [
            (json!("1"), "{ nonsense }", 400, "BAD_REQUEST"),
            (json!("1"), "{ viewer {", 400, "BAD_REQUEST"),
            (Json::Null, "{ __typename }", 400, "BAD_REQUEST"),
            (json!(""), "{ __typename }", 400, "BAD_REQUEST"),
            (json!("x".repeat(257)), "{ __typename }", 400, "BAD_REQUEST"),
        ] {
            let answer = single.operate(id, query, json!({})).await;
            assert_eq!((answer.status.as_u16(), code_of(&answer.json())), (status, code), "{query}");
        }
        let headers = [JSON_TYPE, ("authorization", single.bearer.as_str())];
        let without = server.client.send(Method::POST, STREAM, &headers, json!({ "query": "{ __typename }" }).to_string()).await;
        assert_eq!((without.status, code_of(&without.json())), (StatusCode::NOT_FOUND, "NOT_FOUND"));
        let headers = [("authorization", single.bearer.as_str()), (TOKEN, single.token.as_str())];
        let by_get = format!("{STREAM}?{}&extensions=%7B%22operationId%22%3A%22g%22%7D", url_of("mutation { __typename }", &json!({})));
        assert_eq!(server.client.send(Method::GET, &by_get, &headers, "").await.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(server.client.send(Method::DELETE, STREAM, &headers, "").await.status, StatusCode::BAD_REQUEST);
        single.run("1", EVENTS, json!({})).await;
        assert_eq!(single.operate(json!("1"), "{ __typename }", json!({})).await.status, StatusCode::CONFLICT);
        single.run("2", EVENTS, json!({})).await;
        assert_eq!(single.operate(json!("3"), "{ __typename }", json!({})).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(single.stop("2").await, StatusCode::OK);
        single.run("3", "{ __typename }", json!({})).await;
        assert_eq!(events.expect("next").await["id"], "3");
    }

    async fn a_reservation_that_nobody_uses_is_forgotten(server, "STREAM_RESERVATION" = "30s") {
        let ada = server.person("Ada").await;
        let single = Single::reserve(server, &ada).await;
        let used = Single::reserve(server, &ada).await;
        let mut events = used.opened().await;
        server.advance(TimeDelta::seconds(31));
        until("it to be forgotten", || async {
            (single.operate(json!("1"), "{ __typename }", json!({})).await.status == StatusCode::NOT_FOUND).then_some(())
        }).await;
        assert_eq!(single.open().await.status, StatusCode::NOT_FOUND);
        used.run("1", "{ __typename }", json!({})).await;
        assert_eq!(events.expect("next").await["id"], "1", "one that is open stays");
    }

    async fn streams_end_with_their_session(server) {
        let ada = server.person("Ada").await;
        let revoke = "mutation($id: ID!) { sessionRevoke(input: { id: $id }) { userErrors { code } } }";
        for ends_itself in [true, false] {
            let tokens = server.client.log_in(&ada.email).await;
            let me = Person { token: tokens.access.clone(), ..ada.clone() };
            let mut one = live(server, &me, Json::Null).await;
            let single = Single::reserve(server, &me).await;
            let mut many = single.opened().await;
            single.run("1", EVENTS, json!({})).await;
            let mut others = live(server, &ada, Json::Null).await;
            if ends_itself {
                server.client.act(&tokens.access, "sessionEnd").await;
            } else {
                server.data(&ada, revoke, json!({ "id": tokens.session })).await;
            }
            let began = Instant::now();
            one.ends().await;
            many.ends().await;
            assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
            let again = distinct(server, "/graphql", Some(&me), EVENTS, json!({})).await;
            assert_eq!(again.status, StatusCode::UNAUTHORIZED, "and the next try says why");
            assert!(others.is_quiet_for(Duration::from_millis(100)).await, "other sessions go on");
        }
    }

    async fn streams_end_with_the_access_token_unless_it_was_refreshed(server) {
        let ada = server.person("Ada").await;
        let tokens = server.client.log_in(&ada.email).await;
        let me = Person { token: tokens.access.clone(), ..ada.clone() };
        let mut one = live(server, &me, Json::Null).await;
        let mut many = Single::reserve(server, &me).await.opened().await;
        let mut unrefreshed = live(server, &ada, Json::Null).await;
        server.advance(TimeDelta::minutes(14));
        server.client.refresh(&tokens.refresh).await.expect("refreshed");
        server.advance(TimeDelta::minutes(2));
        unrefreshed.ends().await;
        assert!(one.is_quiet_for(Duration::from_millis(200)).await && many.is_quiet_for(Duration::from_millis(50)).await);
        server.advance(TimeDelta::minutes(15));
        one.ends().await;
        many.ends().await;
    }

    async fn a_quiet_stream_is_kept_alive_by_comments(server, "SOCKET_PING" = "50ms") {
        let ada = server.person("Ada").await;
        let began = Instant::now();
        let mut one = live(server, &ada, Json::Null).await;
        let mut many = Single::reserve(server, &ada).await.opened().await;
        for _ in 0..4 {
            assert_eq!(one.block().await, Some(Event::Comment));
            assert_eq!(many.block().await, Some(Event::Comment));
        }
        assert!(began.elapsed() >= Duration::from_millis(200), "they come in their time: {:?}", began.elapsed());
    }

    async fn a_reader_that_is_too_slow_is_cut_off(server, "SOCKET_WRITE_TIMEOUT" = "300ms") {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let ada = server.person("Ada").await;
        let single = Single::reserve(server, &ada).await;
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        // Little lies on the way then, and it does not take long to fill it.
        socket.set_recv_buffer_size(4_096).expect("set");
        let mut slow = socket.connect(([127, 0, 0, 1], server.port).into()).await.expect("connected");
        let head = format!("GET {STREAM}?token={} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: {}\r\n\r\n", single.token, single.bearer);
        slow.write_all(head.as_bytes()).await.expect("sent");
        let mut first = [0; 12];
        slow.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        let large = "query Large { __schema { types { name description fields { name description type { name kind ofType { name kind ofType { name kind } } } args { name description } } inputFields { name description } enumValues { name description } } } }";
        until("it to be cut", || async {
            let answer = single.operate(json!(format!("{:?}", Instant::now())), large, json!({})).await;
            (answer.status == StatusCode::NOT_FOUND).then_some(())
        }).await;
        let mut left = Vec::new();
        let rest = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut left)).await;
        assert!(rest.is_ok() && !left.ends_with(b"0\r\n\r\n"), "the connection is cut, too, and not ended in good order");
    }

    async fn a_server_that_stops_closes_its_streams(server) {
        let ada = server.person("Ada").await;
        let second = Server::start(server.database, &[("SHUTDOWN_TIMEOUT", "20s")]).await;
        let eve = second.person("Eve").await;
        let mut one = live(&second, &eve, Json::Null).await;
        let mut many = Single::reserve(&second, &eve).await.opened().await;
        let _reserved = Single::reserve(&second, &eve).await;
        let began = Instant::now();
        tokio::join!(second.finish(), one.ends(), many.ends());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        live(server, &ada, Json::Null).await;
    }
}

/// A query and its variables as parameters of a URL.
fn url_of(query: &str, variables: &Json) -> String {
    let quoted = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    format!("query={}&variables={}", quoted(query), quoted(&variables.to_string()))
}
