//! Ways to come back from the OpenID provider with something that is not good. Each is tried for somebody who has an
//! account and for somebody who has none; each has an honest twin beside it that gets in.

use chrono::TimeDelta;
use support::{Answer, Json, Server, json};

use crate::oidc::{
    Browser, CLIENT, DASHBOARD, FAILED, Provider, changed, claims, param, rows, set_cookies, with_provider,
};

/// Somebody who is known (with an account), and somebody who is not.
const PEOPLE: [&str; 2] = ["ada", "mallory"];

fn of(server: &Server, sub: &str) -> Json {
    claims(server, sub, &format!("{sub}@example.org"))
}

/// Ada, with whose account the cheats begin.
async fn make_ada(server: &Server, provider: &Provider) {
    assert_eq!(Browser::new(server).go(provider, of(server, "ada")).await, DASHBOARD);
    assert_eq!(rows(server).await, (1, 1, 1));
}

/// Nothing came of it: no session, no cookie, no row.
async fn refused(server: &Server, what: &str, arrived: &Answer, before: (u64, u64, u64)) {
    assert_eq!(arrived.header("location"), FAILED, "{what}");
    assert_eq!(set_cookies(arrived), [""; 0], "{what}");
    assert_eq!(rows(server).await, before, "{what}");
}

with_provider! {
    async fn an_id_token_that_is_not_good_opens_nothing(server, provider) {
        make_ada(server, provider).await;
        let now = server.clock.now().timestamp();
        let minutes = |minutes: i64| now + 60 * minutes;
        let good = [
            ("nothing wrong", json!({}), ""),
            ("signed by hand", json!({}), "by hand"),
            ("aud a list of one", json!({ "aud": [CLIENT.0] }), ""),
            ("azp said", json!({ "azp": CLIENT.0 }), ""),
            ("a clock half a minute ahead", json!({ "iat": now + 30 }), ""),
        ];
        let bad = [
            ("another nonce", json!({ "nonce": "another" }), ""),
            ("no nonce", json!({ "nonce": null }), ""),
            ("another aud", json!({ "aud": "another-client" }), ""),
            ("no aud", json!({ "aud": null }), ""),
            ("an empty aud", json!({ "aud": [] }), ""),
            ("a foreign aud besides", json!({ "aud": [CLIENT.0, "another-client"], "azp": CLIENT.0 }), ""),
            ("another azp", json!({ "azp": "another-client" }), ""),
            ("another iss", json!({ "iss": "https://evil.example" }), ""),
            ("iss with a slash", json!({ "iss": format!("{}/", provider.issuer) }), ""),
            ("no iss", json!({ "iss": null }), ""),
            ("no sub", json!({ "sub": null }), ""),
            ("exp past", json!({ "iat": minutes(-5), "exp": now - 1 }), ""),
            ("no exp", json!({ "exp": null }), ""),
            ("iat to come", json!({ "iat": minutes(2) }), ""),
            ("iat long past", json!({ "iat": minutes(-11) }), ""),
            ("no iat", json!({ "iat": null }), ""),
            ("alg none", json!({}), "alg none"),
            ("alg none", json!({}), "alg none without kid"),
            ("alg none", json!({}), "alg none with the signature"),
            ("HS256", json!({}), "HS256 by the client secret"),
            ("HS256", json!({}), "HS256 by the client secret without kid"),
            ("HS256", json!({}), "HS256 by the public key"),
            ("a key", json!({}), "another key, same kid"),
            ("a key", json!({}), "another key, no kid"),
            ("a key", json!({}), "another key that comes along"),
            ("a key", json!({}), "an unknown kid"),
            ("the header", json!({}), "an unknown crit"),
            ("the header", json!({}), "another type"),
            ("the token", json!({}), "a tampered payload"),
            ("the token", json!({}), "a cut signature"),
            ("the token", json!({}), "no signature"),
            ("the token", json!({}), "no id token"),
            ("the token", json!({}), "an empty id token"),
            ("the token", json!({}), "the access token as id token"),
            ("the answer", json!({}), "a long answer"),
            ("the answer", json!({}), "a broken endpoint"),
            ("the answer", json!({}), "an answer that is elsewhere"),
        ];
        let before = rows(server).await;
        for ((what, change, cheat), sub) in bad.iter().flat_map(|bad| PEOPLE.map(|sub| (bad, sub))) {
            let what = format!("{what} {cheat} as {sub}");
            let mut browser = Browser::new(server);
            let claims = changed(of(server, sub), change.clone());
            let callback = provider.visit(&browser.depart().await, &json!({ "claims": claims, "cheat": cheat })).await;
            refused(server, &what, &browser.arrive(&callback).await, before).await;
            let status = match *cheat {
                "a broken endpoint" => 500,
                "an answer that is elsewhere" => 307,
                _ => 200,
            };
            assert_eq!(provider.seen(&callback).await["status"], status, "{what}: the answer came");
        }
        for (what, change, cheat) in good {
            let mut browser = Browser::new(server);
            let claims = changed(of(server, "ada"), change);
            let callback = provider.visit(&browser.depart().await, &json!({ "claims": claims, "cheat": cheat })).await;
            assert_eq!(browser.arrive(&callback).await.header("location"), DASHBOARD, "{what}");
        }
        assert_eq!(Browser::new(server).go(provider, of(server, "mallory")).await, DASHBOARD, "she may come honestly");
    }

    async fn a_callback_that_is_not_good_opens_nothing(server, provider) {
        make_ada(server, provider).await;
        type Twist = fn(&str, &str) -> String;
        let twists: [(&str, Twist); 11] = [
            ("another state", |code, _| format!("code={code}&state={}", "A".repeat(43))),
            ("no state", |code, _| format!("code={code}")),
            ("an empty state", |code, _| format!("code={code}&state=")),
            ("a longer state", |code, state| format!("code={code}&state={state}A")),
            ("a state without end", |code, state| format!("code={code}&state={}", state.repeat(3))),
            ("no code", |_, state| format!("state={state}")),
            ("an empty code", |_, state| format!("code=&state={state}")),
            ("another code", |_, state| format!("code=another&state={state}")),
            ("an error", |_, state| format!("error=access_denied&state={state}")),
            ("an error besides", |code, state| format!("code={code}&state={state}&error=access_denied")),
            ("another issuer", |code, state| format!("code={code}&state={state}&iss=https%3A%2F%2Fevil.example")),
        ];
        let before = rows(server).await;
        for ((what, twist), sub) in twists.iter().flat_map(|twist| PEOPLE.map(|sub| (twist, sub))) {
            let what = format!("{what} as {sub}");
            let mut browser = Browser::new(server);
            let orders = json!({ "claims": of(server, sub) });
            let url = browser.depart().await;
            let callback = provider.visit(&url, &orders).await;
            let (code, state) = (param(&callback, "code"), param(&callback, "state"));
            let twisted = format!("/auth/google/callback?{}", twist(code, state));
            refused(server, &what, &browser.arrive(&twisted).await, before).await;
            assert!(provider.seen(&callback).await["status"].is_null(), "{what}: the code was not shown to anybody");
            if twisted.contains(&format!("state={state}&")) || twisted.ends_with(&format!("state={state}")) {
                // The round is over, also for a good code.
                let again = provider.visit(&url, &orders).await;
                refused(server, &format!("{what}, once more"), &browser.arrive(&again).await, before).await;
            }
        }
        let mut browser = Browser::new(server);
        let callback = provider.visit(&browser.depart().await, &json!({ "claims": of(server, "mallory") })).await;
        let named = format!("{callback}&iss={}", provider.issuer.replace(':', "%3A").replace('/', "%2F"));
        assert_eq!(browser.arrive(&named).await.header("location"), DASHBOARD, "the right issuer may name itself");
    }

    async fn a_round_belongs_to_its_browser_happens_once_and_ends(server, provider) {
        make_ada(server, provider).await;
        for (ended, sub) in PEOPLE.into_iter().enumerate() {
            let before = rows(server).await;
            let orders = json!({ "claims": of(server, sub) });
            let mut browser = Browser::new(server);
            let url = browser.depart().await;
            let callback = provider.visit(&url, &orders).await;
            refused(server, "no cookie", &Browser::new(server).arrive(&callback).await, before).await;
            let mut other = Browser::new(server);
            other.depart().await;
            refused(server, "the cookie of another browser", &other.arrive(&callback).await, before).await;
            assert!(provider.seen(&callback).await["status"].is_null(), "the code was not shown to anybody");

            // Nobody but its browser can use a round up; two rounds in one browser do not disturb each other.
            let second = provider.visit(&browser.depart().await, &orders).await;
            assert_eq!(browser.arrive(&callback).await.header("location"), DASHBOARD);
            assert_eq!(browser.arrive(&second).await.header("location"), DASHBOARD);
            let after = rows(server).await;
            refused(server, "the same callback", &browser.arrive(&callback).await, after).await;
            let fresh = provider.visit(&url, &orders).await;
            refused(server, "the same state with a fresh code", &browser.arrive(&fresh).await, after).await;
            assert_eq!(after, (ended as u64 + 1, ended as u64 + 1, before.2 + 2));
        }

        let before = rows(server).await;
        let (mut late, mut in_time) = (Browser::new(server), Browser::new(server));
        let (late_url, url) = (late.depart().await, in_time.depart().await);
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(9));
        assert_eq!(in_time.arrive(&provider.visit(&url, &json!({ "claims": of(server, "ada") })).await).await.header("location"), DASHBOARD);
        server.advance(TimeDelta::seconds(61));
        let callback = provider.visit(&late_url, &json!({ "claims": of(server, "ada") })).await;
        refused(server, "too late", &late.arrive(&callback).await, (before.0, before.1, before.2 + 1)).await;
    }

    async fn a_code_of_another_round_is_not_taken(server, provider) {
        make_ada(server, provider).await;
        let before = rows(server).await;
        for sub in PEOPLE {
            // Of the same browser, or slipped in by somebody else: the nonce even fits, only the verifier does not.
            for own in [true, false] {
                let (mut browser, mut other) = (Browser::new(server), Browser::new(server));
                let here = browser.depart().await;
                let there = if own { browser.depart().await } else { other.depart().await };
                let claims = changed(of(server, sub), json!({ "nonce": param(&here, "nonce") }));
                let slipped = provider.visit(&there, &json!({ "claims": claims })).await;
                let callback = format!("/auth/google/callback?code={}&state={}", param(&slipped, "code"), param(&here, "state"));
                refused(server, "a code of another round", &browser.arrive(&callback).await, before).await;
                let seen = provider.seen(&slipped).await;
                assert_eq!(seen["status"], 400, "{seen}");
                assert!(seen["token"]["code_verifier"].is_string(), "{seen}");
            }
        }
    }
}
