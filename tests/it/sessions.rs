//! Sessions: refreshing, ending, cookies, and what happens when tokens are used twice or at the same time.

use std::time::Duration;

use chrono::TimeDelta;
use hyper::Method;
use support::{
    Answer, Json, Server, Two, both, json,
    redis::Redis,
    sessions::{PASSWORD, SOON, parallel_refreshes, races, replays},
    text, until,
};

/// Cases that need two instances run on PostgreSQL with Redis: SQLite serves one process.
mod on_two_instances {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn parallel_refreshes_get_one_successor() {
        let two = Two::on_shared_redis(&[]).await;
        parallel_refreshes(&two.servers(), 10).await;
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replay_ends_the_session_everywhere_within_a_second() {
        let two = Two::on_shared_redis(&[]).await;
        assert!(replays(&two.servers(), 5, true).await < SOON);
        two.finish().await;
        let two = Two::on_shared_redis(&[]).await;
        assert!(replays(&two.servers(), 5, false).await < SOON);
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_token_survives_a_race_with_the_end_of_its_session() {
        let two = Two::on_shared_redis(&[]).await;
        races(&two.servers(), 30).await;
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_revoked_session_loses_its_sockets_and_tokens_on_the_other_instance_at_once() {
        let two = Two::on_shared_redis(&[]).await;
        let ada = two.a.person("Ada").await;
        let other = two.a.client.log_in(&ada.email).await;
        let mut socket = two.b.socket(Some(&ada)).await;
        assert!(two.b.client.is_let_in(&ada.token).await);
        let ended = two.a.client.act(&other.access, "sessionRevokeOthers").await;
        assert!(ended["errors"].is_null(), "{ended}");
        let began = std::time::Instant::now();
        assert_eq!(socket.close_code().await, 4403);
        assert!(two.b.client.time_until_refused(&ada.token).await + began.elapsed() < SOON);
        assert!(two.b.client.is_let_in(&other.access).await, "the one that asked goes on");
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_the_bus_is_away_a_session_ends_within_five_seconds_and_hints_come_back_with_it() {
        let mut redis = Redis::start();
        let two = Two::start(&redis.url(), &[]).await;
        two.hear_each_other().await;
        let ada = two.a.person("Ada").await;
        let other = two.a.client.log_in(&ada.email).await;
        let mut socket = two.b.socket(Some(&ada)).await;
        redis.stop();
        assert!(two.b.client.is_let_in(&ada.token).await, "a bus that is away locks nobody out");
        let began = std::time::Instant::now();
        two.a.client.act(&other.access, "sessionRevokeOthers").await;
        two.b.client.time_until_refused(&ada.token).await;
        assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
        assert_eq!(socket.close_code().await, 4403);
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        redis.resume();
        two.hear_each_other().await;
        let third = two.a.client.log_in(&ada.email).await;
        assert!(two.b.client.is_let_in(&third.access).await);
        two.a.client.act(&third.access, "sessionEnd").await;
        assert!(two.b.client.time_until_refused(&third.access).await < SOON, "the bus is back");
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_redis_a_session_ends_on_the_other_instance_within_five_seconds() {
        let two = Two::without_redis().await;
        let ada = two.a.person("Ada").await;
        let other = two.a.client.log_in(&ada.email).await;
        let mut socket = two.b.socket(Some(&ada)).await;
        let mut busy = two.b.socket(Some(&ada)).await;
        assert!(two.b.client.is_let_in(&ada.token).await);
        two.a.client.act(&other.access, "sessionRevokeOthers").await;
        let began = std::time::Instant::now();
        two.b.client.time_until_refused(&ada.token).await;
        assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
        assert_eq!(socket.close_code().await, 4403);
        assert_eq!(busy.close_code().await, 4403);
        assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_redis_is_away_each_instance_counts_by_itself() {
        let mut redis = Redis::start();
        let two = Two::start(&redis.url(), &[("LOGIN_FAILURES", "3")]).await;
        two.hear_each_other().await;
        two.a.person("Ada").await;
        redis.stop();
        for server in two.servers() {
            let mut wrong = 0;
            for _ in 0..6 {
                let answer = server.client.log_in_answer("ada@example.org", "a wrong guess").await;
                wrong += usize::from(
                    answer.pointer("/data/sessionCreate/userErrors/0/code") == Some(&json!("INVALID_CREDENTIALS")),
                );
            }
            assert_eq!(wrong, 3, "limited still, each by itself");
        }
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_refresh_on_one_instance_keeps_the_socket_on_the_other_open() {
        let two = Two::on_shared_redis(&[]).await;
        let ada = two.a.person("Ada").await;
        let tokens = two.a.client.log_in(&ada.email).await;
        let me = support::Person { token: tokens.access.clone(), ..ada };
        let mut socket = two.b.socket(Some(&me)).await;
        for server in two.servers() {
            server.advance(TimeDelta::minutes(14));
        }
        let next = two.a.client.refresh(&tokens.refresh).await.expect("refreshed");
        two.b.advance(TimeDelta::minutes(2));
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(socket.next().await["type"], "next", "it is open past the first token's end");
        assert_eq!(socket.next().await["type"], "complete");
        two.b.advance(TimeDelta::minutes(15));
        assert_eq!(socket.close_code().await, 4403, "and ends with the last token");
        assert!(two.a.client.is_let_in(&next.access).await, "whose clock is not so far yet");
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn failures_are_counted_together() {
        let two = Two::on_shared_redis(&[("LOGIN_FAILURES", "5")]).await;
        two.a.person("Ada").await;
        let mut wrong = 0;
        for number in 0..20 {
            let answer = two.servers()[number % 2].client.log_in_answer("ada@example.org", "wrong password").await;
            wrong += usize::from(
                answer.pointer("/data/sessionCreate/userErrors/0/code") == Some(&json!("INVALID_CREDENTIALS")),
            );
        }
        assert_eq!(wrong, 5, "in all, not on each");
        two.finish().await;
    }
}

/// The cookies that an answer sets, as a browser would send them back.
fn cookies_of(answer: &Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
    set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}

async fn post(server: &Server, cookie: &str, query: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("cookie", cookie)];
    server.client.send(Method::POST, "/graphql", &headers, json!({ "query": query }).to_string()).await
}

async fn log_in_with_cookies(server: &Server, email: &str) -> String {
    let query = format!(
        "mutation {{ sessionCreate(input: {{ email: \"{email}\", password: \"{PASSWORD}\" }}) {{ userErrors {{ code }} }} }}"
    );
    cookies_of(&post(server, "", &query).await)
}

fn pair<'c>(cookies: &'c str, name: &str) -> &'c str {
    cookies.split("; ").find(|pair| pair.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {cookies}"))
}

both! {
    async fn parallel_refreshes_get_one_successor_and_log_nobody_out(server) {
        parallel_refreshes(&[server], 10).await;
    }

    async fn a_parent_after_the_grace_ends_the_session(server) {
        assert!(replays(&[server], 5, false).await < SOON);
    }

    async fn a_grandparent_ends_the_session_at_once(server) {
        assert!(replays(&[server], 5, true).await < SOON);
    }

    async fn no_token_survives_a_race_with_the_end_of_its_session(server) {
        races(&[server], 30).await;
    }

    async fn a_made_up_refresh_token_ends_nobodys_session(server) {
        let ada = server.person("Ada").await;
        let tokens = server.client.log_in(&ada.email).await;
        let mut forged = tokens.refresh.clone().into_bytes();
        let last = forged.len() - 2;
        forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("text");
        for token in [forged.as_str(), "", "nonsense", &tokens.access, &tokens.refresh[..70], &format!("{}A", tokens.refresh)] {
            assert_eq!(server.client.refresh(token).await.expect_err("refused"), "UNAUTHENTICATED", "{token}");
        }
        assert!(server.client.is_let_in(&tokens.access).await);
        assert!(server.client.refresh(&tokens.refresh).await.is_ok());
    }

    async fn a_session_lives_seven_days_unrefreshed_thirty_when_remembered_and_ninety_at_most(server) {
        let ada = server.person("Ada").await;
        let plain = server.client.log_in(&ada.email).await;
        let query = "mutation($input: SessionCreateInput!) { sessionCreate(input: $input) { tokens { refreshToken } } }";
        let input = json!({ "email": ada.email, "password": PASSWORD, "transport": "TOKENS", "remember": true });
        let mut token = text(&server.ask_as_nobody(query, json!({ "input": input })).await, "/data/sessionCreate/tokens/refreshToken");
        server.advance(TimeDelta::days(7));
        assert!(server.client.refresh(&plain.refresh).await.is_err());
        for _ in 0..3 {
            server.advance(TimeDelta::days(22));
            token = server.client.refresh(&token).await.expect("within thirty days of the last time").refresh;
        }
        server.advance(TimeDelta::days(18));
        assert!(server.client.refresh(&token).await.is_err(), "ninety days after the login");
    }

    async fn sessions_are_listed_and_ended_one_by_one_or_all_others(server) {
        let ada = server.person("Ada").await;
        let (one, two) = (server.client.log_in(&ada.email).await, server.client.log_in(&ada.email).await);
        let list = "{ viewer { sessions { id device ip current lastUsedAt createdAt expiresAt } } }";
        let seen = server.data(&ada, list, json!({})).await["viewer"]["sessions"].take();
        assert_eq!(seen.as_array().map(Vec::len), Some(3), "{seen}");
        assert_eq!(seen.as_array().expect("a list").iter().filter(|session| session["current"] == true).count(), 1);
        assert_eq!(seen[0]["ip"], "127.0.0.1");
        let revoke = "mutation($id: ID!) { sessionRevoke(input: { id: $id }) { revokedSessionId user { sessions { id } } userErrors { code } } }";
        let gone = server.data(&ada, revoke, json!({ "id": one.session })).await;
        assert_eq!(gone["sessionRevoke"]["revokedSessionId"], one.session.as_str());
        assert_eq!(gone["sessionRevoke"]["user"]["sessions"].as_array().map(Vec::len), Some(2), "those that are left: {gone}");
        assert!(server.client.time_until_refused(&one.access).await < SOON);
        assert!(server.client.is_let_in(&two.access).await);
        let again = server.ask(&ada, revoke, json!({ "id": one.session })).await;
        assert_eq!(again["errors"][0]["extensions"]["code"], "NOT_FOUND");
        let mut socket = server.socket(Some(&support::Person { token: two.access.clone(), ..ada.clone() })).await;
        let others = server.data(&ada, "mutation { sessionRevokeOthers { revokedSessionIds user { sessions { current } } userErrors { code } } }", json!({})).await;
        assert_eq!(others["sessionRevokeOthers"]["revokedSessionIds"], json!([two.session]));
        assert_eq!(others["sessionRevokeOthers"]["user"]["sessions"], json!([{ "current": true }]));
        assert_eq!(socket.close_code().await, 4403);
        assert!(server.client.time_until_refused(&two.access).await < SOON);
        assert!(server.client.is_let_in(&ada.token).await);
    }

    async fn the_last_use_is_kept_to_five_minutes_and_costs_one_write_in_that_time(server) {
        let ada = server.person("Ada").await;
        let used = "{ viewer { sessions { lastUsedAt } } }";
        let first = server.data(&ada, used, json!({})).await;
        server.advance(TimeDelta::minutes(6));
        let moved = until("the use to be noted", || async {
            let now = server.data(&ada, used, json!({})).await;
            (now != first).then_some(now)
        }).await;
        server.forget_statements();
        // Not so many that the housekeeping's time comes.
        for _ in 0..15 {
            server.advance(TimeDelta::seconds(6));
            assert_eq!(server.data(&ada, used, json!({})).await, moved);
        }
        assert!(server.statements().iter().all(|sql| !sql.starts_with("UPDATE")), "{:?}", server.statements());
    }

    async fn a_browser_goes_on_without_asking_as_long_as_its_refresh_cookie_lives(server) {
        let ada = server.person("Ada").await;
        let cookies = log_in_with_cookies(server, &ada.email).await;
        let (access, refresh) = (pair(&cookies, "accessToken=").to_owned(), pair(&cookies, "refreshToken=").to_owned());
        let me = "{ viewer { id sessions { current expiresAt } } }";
        let answer = post(server, &cookies, me).await;
        assert_eq!(answer.json()["data"]["viewer"]["id"], ada.id.as_str());
        assert!(answer.headers.get("set-cookie").is_none(), "nothing is renewed that is good");
        let expires = answer.json()["data"]["viewer"]["sessions"].as_array().expect("a list").iter().find(|it| it["current"] == true).expect("one")["expiresAt"].clone();
        server.advance(TimeDelta::minutes(20));
        for sent in [format!("{access}; {refresh}"), refresh.clone()] {
            let answer = post(server, &sent, me).await;
            assert_eq!(answer.json()["data"]["viewer"]["id"], ada.id.as_str(), "expired or missing");
            let set = cookies_of(&answer);
            assert!(set.starts_with("accessToken=") && !set.contains("refreshToken"), "without rotation: {set}");
            let sessions = answer.json()["data"]["viewer"]["sessions"].clone();
            let current = sessions.as_array().expect("a list").iter().find(|it| it["current"] == true).expect("one").clone();
            assert_eq!(current["expiresAt"], expires, "without prolonging");
            assert_eq!(post(server, &set, me).await.json()["data"]["viewer"]["id"], ada.id.as_str());
        }
        let foreign = [("content-type", "application/json"), ("cookie", refresh.as_str()), ("origin", "https://evil.example")];
        let answer = server.client.send(Method::POST, "/graphql", &foreign, json!({ "query": me }).to_string()).await;
        assert_eq!(answer.json()["data"]["viewer"], Json::Null, "another site's page cannot use it");
        assert!(answer.headers.get("set-cookie").is_none());
        server.advance(TimeDelta::days(7));
        assert_eq!(post(server, &refresh, me).await.json()["data"]["viewer"], Json::Null, "it has ended");
    }

    async fn a_refresh_by_cookie_rotates_it_and_logging_out_takes_it_away(server) {
        let ada = server.person("Ada").await;
        let cookies = log_in_with_cookies(server, &ada.email).await;
        let refreshed = post(server, pair(&cookies, "refreshToken="), "mutation { sessionRefresh(input: {}) { session { id } tokens { accessToken } userErrors { code } } }").await;
        assert_eq!(refreshed.json()["data"]["sessionRefresh"]["tokens"], Json::Null, "nothing that opens it is in the answer");
        let next = cookies_of(&refreshed);
        assert_ne!(pair(&next, "refreshToken="), pair(&cookies, "refreshToken="));
        let out = post(server, &next, "mutation { sessionEnd { endedSessionId userErrors { code } } }").await;
        assert!(out.json()["data"]["sessionEnd"]["endedSessionId"].is_string());
        let set: Vec<&str> = out.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text")).collect();
        for name in ["accessToken=;", "refreshToken=;"] {
            assert!(set.iter().any(|cookie| cookie.starts_with(name) && cookie.contains("Max-Age=0")), "{name} {set:?}");
        }
        let me = "{ viewer { id } }";
        until("the cookies to open nothing", || async { (post(server, &next, me).await.json()["data"]["viewer"] == Json::Null).then_some(()) }).await;
        assert_eq!(post(server, pair(&next, "refreshToken="), me).await.json()["data"]["viewer"], Json::Null);
        let again = post(server, "", "mutation { sessionEnd { endedSessionId userErrors { code } } }").await;
        assert_eq!(again.json()["data"]["sessionEnd"]["endedSessionId"], Json::Null, "fine for who is not logged in");
    }

    async fn a_cookie_that_no_script_can_read_is_not_turned_into_tokens(server) {
        let ada = server.person("Ada").await;
        let cookies = log_in_with_cookies(server, &ada.email).await;
        let ask = "mutation { sessionRefresh(input: { transport: TOKENS }) { tokens { accessToken refreshToken } userErrors { code path } } }";
        let refused = post(server, &cookies, ask).await.json();
        assert_eq!(refused["data"]["sessionRefresh"]["tokens"], Json::Null);
        assert_eq!(refused["data"]["sessionRefresh"]["userErrors"][0], json!({ "code": "INVALID_VALUE", "path": ["input", "transport"] }));
    }

    async fn a_refresh_makes_no_known_device_and_none_helps_to_guess_inside(server, "LOGIN_FAILURES" = "3") {
        let ada = server.person("Ada").await;
        let tokens = server.client.log_in(&ada.email).await;
        let next = server.client.refresh(&tokens.refresh).await.expect("refreshed");
        assert!(!tokens.device.is_empty() && next.device.is_empty(), "a refresh proves nothing");
        let cookies = log_in_with_cookies(server, &ada.email).await;
        let refreshed = post(server, pair(&cookies, "refreshToken="), "mutation { sessionRefresh(input: {}) { userErrors { code } } }").await;
        assert!(!cookies_of(&refreshed).contains("deviceToken"), "{}", cookies_of(&refreshed));
        let mut wrong = 0;
        for _ in 0..10 {
            let again = server.client.log_in(&ada.email).await;
            let bearer = format!("Bearer {}", next.access);
            let cookie = format!("deviceToken={}", again.device);
            let headers = [("content-type", "application/json"), ("authorization", bearer.as_str()), ("cookie", cookie.as_str())];
            let query = json!({ "query": "mutation { sessionReauthenticate(input: { password: \"a wrong guess\" }) { userErrors { code } } }" });
            let answer = server.client.send(Method::POST, "/graphql", &headers, query.to_string()).await.json();
            wrong += usize::from(answer.pointer("/data/sessionReauthenticate/userErrors/0/code") == Some(&json!("INVALID_CREDENTIALS")));
        }
        assert_eq!(wrong, 3, "however many devices are known");
        let prove = "mutation { sessionReauthenticate(input: { password: \"correct horse battery\" }) { session { id } userErrors { code } } }";
        let own = support::Person { token: tokens.access, ..ada };
        assert_eq!(server.ask(&own, prove, json!({})).await["errors"][0]["extensions"]["code"], "RATE_LIMITED", "the same session");
    }

    async fn who_comes_when_the_server_is_busy_has_not_failed(server, "LOGIN_FAILURES" = "5", "PASSWORD_PERMITS" = "1", "PASSWORD_QUEUE" = "0", "PASSWORD_MEMORY_KIB" = "19456") {
        let ada = server.person("Ada").await;
        let storm = futures_util::future::join_all((0..40).map(|_| server.client.log_in_answer(&ada.email, PASSWORD))).await;
        let busy = storm.iter().filter(|answer| answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED").count();
        assert!(busy > 10, "{busy}");
        server.client.log_in(&ada.email).await;
    }

    async fn a_replaced_refresh_cookie_still_speaks_within_the_grace_and_ends_the_session_after_it(server) {
        let ada = server.person("Ada").await;
        let me = "{ viewer { id } }";
        for (later, lives) in [(TimeDelta::seconds(5), true), (TimeDelta::seconds(11), false)] {
            let cookies = log_in_with_cookies(server, &ada.email).await;
            let old = pair(&cookies, "refreshToken=").to_owned();
            let next = cookies_of(&post(server, &old, "mutation { sessionRefresh(input: {}) { session { id } } }").await);
            server.advance(later);
            let answer = post(server, &old, me).await.json();
            assert_eq!(answer["data"]["viewer"]["id"] == ada.id.as_str(), lives, "{later}: {answer}");
            let successor = post(server, pair(&next, "refreshToken="), me).await.json();
            assert_eq!(successor["data"]["viewer"]["id"] == ada.id.as_str(), lives, "{later}: {successor}");
        }
        server.mail_to(&ada.email, "A Spacedly session was ended for your safety").await;
    }

    async fn a_socket_is_let_in_by_the_cookies_of_an_allowed_page_and_lasts_as_long_as_they_are_renewed(server) {
        let ada = server.person("Ada").await;
        let cookies = log_in_with_cookies(server, &ada.email).await;
        let refresh = pair(&cookies, "refreshToken=").to_owned();
        let me = "{ viewer { id } }";
        assert_eq!(support::Socket::open_with(server.port, &[("cookie", &cookies), ("origin", "https://evil.example")]).await.err(), Some(403));
        for sent in [cookies.clone(), refresh.clone()] {
            let mut socket = support::Socket::open_with(server.port, &[("cookie", &sent), ("origin", "http://localhost:8080")]).await.expect("opened");
            socket.send(json!({ "type": "connection_init" })).await;
            assert_eq!(socket.next().await["type"], "connection_ack");
            socket.subscribe("1", me, json!({})).await;
            assert_eq!(socket.next().await["payload"]["data"]["viewer"]["id"], ada.id.as_str(), "{sent}");
            assert_eq!(socket.next().await["type"], "complete");
            server.advance(TimeDelta::minutes(14));
            // A page that asks for something carries the session on, and its socket with it.
            server.advance(TimeDelta::seconds(50));
            let renewed = post(server, &refresh, me).await;
            assert_eq!(renewed.json()["data"]["viewer"]["id"], ada.id.as_str());
            server.advance(TimeDelta::minutes(5));
            socket.subscribe("2", me, json!({})).await;
            assert_eq!(socket.next().await["type"], "next", "it lasts past the first token");
            assert_eq!(socket.next().await["type"], "complete");
            server.advance(TimeDelta::minutes(16));
            assert_eq!(socket.close_code().await, 4403);
        }
    }

    async fn a_person_has_so_many_sessions_and_no_more(server, "SESSIONS_PER_USER" = "5") {
        let ada = server.person("Ada").await;
        let mut sessions = Vec::new();
        for _ in 0..7 {
            server.advance(TimeDelta::seconds(1));
            sessions.push(server.client.log_in(&ada.email).await);
        }
        for ended in &sessions[..2] {
            assert!(server.client.time_until_refused(&ended.access).await < SOON);
        }
        for live in &sessions[2..] {
            assert!(server.client.is_let_in(&live.access).await);
        }
    }
}
