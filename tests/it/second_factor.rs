//! The second factor: codes of an authenticator app (RFC 6238, computed here once more) and of mails, recovery codes,
//! and the fresh login that changing it needs.

use std::collections::HashSet;

use aws_lc_rs::hmac;
use chrono::TimeDelta;
use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use support::{Answer, Json, Person, Server, both, code_in, json, text, until};

const CODE_MAIL: &str = "Your Spacedly code";
const PASSWORD: &str = "correct horse battery";
const ABSENT: &str = "challenge_01jd3xk5ve7h8t9w2n4m6p8q0r";

const FACTOR: &str = "{ viewer { secondFactor { method recoveryCodesLeft enabledAt } } }";
const START: &str = "mutation($method: SecondFactorMethod!) { secondFactorStart(input: { method: $method }) {
    setup { challenge { id method codeSentAt expiresAt } secret otpauthUri qrCodeSvg } userErrors { code path } } }";
const CONFIRM: &str =
    "mutation($id: ID!, $code: String!) { secondFactorConfirm(input: { challengeId: $id, code: $code }) {
    recoveryCodes user { secondFactor { method recoveryCodesLeft } } userErrors { code message path } } }";
const DISABLE: &str =
    "mutation { secondFactorDisable { disabled user { secondFactor { method } } userErrors { code path } } }";
const RENEW: &str = "mutation { recoveryCodesRenew {
    recoveryCodes user { secondFactor { recoveryCodesLeft } } userErrors { code path } } }";
const LOG_IN: &str = "mutation($email: String!, $password: String!) {
    sessionCreate(input: { email: $email, password: $password, transport: TOKENS }) {
        user { id } session { id } tokens { accessToken refreshToken }
        challenge { id method codeSentAt expiresAt } userErrors { code path } } }";
const COMPLETE: &str = "mutation($id: ID!, $code: String!) {
    sessionChallengeComplete(input: { challengeId: $id, code: $code, transport: TOKENS }) {
        user { id } session { id current authenticatedAt } tokens { accessToken refreshToken }
        userErrors { code message path } } }";
const RESEND: &str = "mutation($id: ID!) { challengeResend(input: { challengeId: $id }) {
    challenge { id method codeSentAt expiresAt } userErrors { code path } } }";
const PROVE: &str = "mutation($password: String!) { sessionReauthenticate(input: { password: $password }) {
    session { id } challenge { id method } userErrors { code path } } }";
const REFRESH: &str = "mutation($token: String!) { sessionRefresh(input: { refreshToken: $token, transport: TOKENS }) {
    tokens { accessToken refreshToken } userErrors { code } } }";
const CHANGE_EMAIL: &str = "mutation($email: String!) { emailChangeStart(input: { email: $email }) {
    challenge { id } userErrors { code path } } }";
const CONFIRM_EMAIL: &str = "mutation($id: ID!, $code: String!) {
    emailChangeConfirm(input: { challengeId: $id, code: $code }) { user { email } userErrors { code message path } } }";

/// The bytes of a secret in base 32 (RFC 4648 section 6).
fn base32(secret: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u64, 0, Vec::new());
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).expect("base 32");
        bits = bits << 5 | value as u64;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// The code of a step of time: RFC 6238 with SHA-1, six digits and steps of 30 s, which is what every app knows.
fn code_at(secret: &str, step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(secret));
    let mac = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(mac.as_ref()[19] & 15);
    let cut: [u8; 4] = mac.as_ref()[offset..offset + 4].try_into().expect("four bytes");
    format!("{:06}", (u32::from_be_bytes(cut) & 0x7fff_ffff) % 1_000_000)
}

fn step(server: &Server) -> i64 {
    server.clock.now().timestamp() / 30
}

/// Moves the clock to the beginning of a later step, so that no step ends while a case looks.
async fn steps_on(server: &Server, steps: i64) -> i64 {
    // Not while a mail is on its way, or its worker would be taken for stalled.
    server.jobs_are_done().await;
    let now = server.clock.now();
    let begin = chrono::DateTime::from_timestamp((now.timestamp() / 30 + steps) * 30, 500_000_000).expect("an instant");
    server.advance(begin - now);
    step(server)
}

fn wrong(code: &str, by: u32) -> String {
    format!("{:06}", (code.parse::<u32>().expect("digits") + by) % 1_000_000)
}

/// The mutation's payload.
fn payload(mut answer: Json) -> Json {
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].as_object_mut().and_then(|data| data.values_mut().next()).expect("a payload").take()
}

/// The code of the first mistake; nothing when there is none.
fn mistake(payload: &Json) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or_default()
}

async fn act(server: &Server, person: &Person, query: &str, variables: Json) -> Json {
    payload(server.ask(person, query, variables).await)
}

/// Somebody with a session that can be refreshed, and with that refresh token.
async fn session_of(server: &Server, person: &Person) -> (Person, String) {
    let opened = log_in(server, person).await;
    (Person { token: text(&opened, "/tokens/accessToken"), ..person.clone() }, text(&opened, "/tokens/refreshToken"))
}

async fn log_in(server: &Server, person: &Person) -> Json {
    let variables = json!({ "email": person.email, "password": PASSWORD });
    payload(server.ask_as_nobody(LOG_IN, variables).await)
}

/// The id of a new login's challenge.
async fn challenge_of(server: &Server, person: &Person) -> String {
    text(&log_in(server, person).await, "/challenge/id")
}

async fn complete(server: &Server, challenge: &str, code: &str) -> Json {
    payload(server.ask_as_nobody(COMPLETE, json!({ "id": challenge, "code": code })).await)
}

/// Turns an authenticator app on. Gives back its secret, the step whose code is used up by that, the recovery codes.
async fn turn_on_app(server: &Server, person: &Person) -> (String, i64, Vec<String>) {
    let step = steps_on(server, 1).await;
    let setup = act(server, person, START, json!({ "method": "TOTP" })).await;
    let secret = text(&setup, "/setup/secret");
    let variables = json!({ "id": setup["setup"]["challenge"]["id"], "code": code_at(&secret, step) });
    let confirmed = act(server, person, CONFIRM, variables).await;
    assert_eq!(confirmed["user"]["secondFactor"], json!({ "method": "TOTP", "recoveryCodesLeft": 10 }), "{confirmed}");
    (secret, step, codes_of(&confirmed))
}

async fn turn_on_mail(server: &Server, person: &Person) {
    let setup = act(server, person, START, json!({ "method": "EMAIL" })).await;
    let variables = json!({ "id": setup["setup"]["challenge"]["id"], "code": mailed(server, person, 2).await });
    assert_eq!(codes_of(&act(server, person, CONFIRM, variables).await).len(), 10);
}

fn codes_of(payload: &Json) -> Vec<String> {
    let codes = payload["recoveryCodes"].as_array().unwrap_or_else(|| panic!("no recovery codes: {payload}"));
    codes.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

async fn codes_left(server: &Server, person: &Person) -> i64 {
    let factor = server.data(person, FACTOR, json!({})).await;
    factor["viewer"]["secondFactor"]["recoveryCodesLeft"].as_i64().unwrap_or_else(|| panic!("{factor}"))
}

/// The code of the so many-th mail with one to somebody; registering makes the first.
async fn mailed(server: &Server, person: &Person, number: usize) -> String {
    let mail = until(&format!("code mail {number}"), || async {
        let mut mails = server.mails(&person.email).await;
        mails.retain(|mail| mail.subject == CODE_MAIL);
        assert!(mails.len() <= number, "{} mails with codes instead of {number}", mails.len());
        (mails.len() == number).then(|| mails.swap_remove(0))
    })
    .await;
    code_in(&mail.text)
}

/// Completes challenges with these codes, each at each, all at once. Gives back how many sessions that opened.
async fn storm(server: &Server, challenges: &[String], codes: &[String]) -> usize {
    let tries = challenges.iter().flat_map(|id| codes.iter().map(move |code| complete(server, id, code)));
    let answers = join_all(tries).await;
    let (opened, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["session"].is_object());
    for answer in refused {
        assert_eq!(mistake(answer), "INVALID_CODE", "{answer}");
    }
    opened.len()
}

/// The whole answer, byte for byte.
async fn bytes(server: &Server, person: &Person, query: &str, id: &str, code: &str) -> (StatusCode, String) {
    let bearer = format!("Bearer {}", person.token);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let body = json!({ "query": query, "variables": { "id": id, "code": code } }).to_string();
    let answer: Answer = server.client.send(Method::POST, "/graphql", &headers, body).await;
    (answer.status, answer.text())
}

#[test]
fn codes_are_those_of_the_rfc() {
    // RFC 6238 appendix B, cut to six digits; the secret is "12345678901234567890".
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000_i64, "353130")] {
        assert_eq!(code_at(secret, seconds / 30), code);
    }
}

both! {
    async fn an_app_is_turned_on_by_a_code_and_asked_for_at_login(server) {
        let ada = server.person("Ada").await;
        let step = steps_on(server, 1).await;
        let setup = act(server, &ada, START, json!({ "method": "TOTP" })).await["setup"].take();
        let (secret, id) = (text(&setup, "/secret"), text(&setup, "/challenge/id"));
        assert_eq!(base32(&secret).len(), 20, "160 bits: {secret}");
        let uri = text(&setup, "/otpauthUri");
        assert!(uri.starts_with("otpauth://totp/Spacedly") && uri.contains(&format!("secret={secret}")), "{uri}");
        assert!(uri.contains("issuer=Spacedly") && uri.contains("example.org"), "{uri}");
        let svg = text(&setup, "/qrCodeSvg");
        assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>") && svg.contains("<path"), "{svg:.100}");
        assert_eq!((setup["challenge"]["method"].as_str(), &setup["challenge"]["codeSentAt"]), (Some("TOTP"), &Json::Null));
        assert_eq!(server.data(&ada, FACTOR, json!({})).await["viewer"]["secondFactor"], Json::Null, "nothing is on yet");
        assert!(log_in(server, &ada).await["session"].is_object(), "and nothing is asked for");

        let refused = act(server, &ada, CONFIRM, json!({ "id": id, "code": wrong(&code_at(&secret, step), 1) })).await;
        assert_eq!((mistake(&refused), &refused["recoveryCodes"]), ("INVALID_CODE", &Json::Null));
        let code = code_at(&secret, step);
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        let codes = codes_of(&act(server, &ada, CONFIRM, json!({ "id": id, "code": spaced })).await);
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), 10, "{codes:?}");
        assert!(codes.iter().all(|code| code.len() == 11 && code.as_bytes()[5] == b'-'), "{codes:?}");
        assert_eq!(mistake(&act(server, &ada, CONFIRM, json!({ "id": id, "code": code })).await), "INVALID_CODE", "it is used up");
        let factor = server.data(&ada, FACTOR, json!({})).await["viewer"]["secondFactor"].take();
        assert_eq!((factor["method"].as_str(), factor["recoveryCodesLeft"].as_i64()), (Some("TOTP"), Some(10)));
        server.mail_to(&ada.email, "Two-step login is on").await;

        let before = server.count::<entity::session::Entity>().await;
        let asked = log_in(server, &ada).await;
        assert_eq!((asked["challenge"]["method"].as_str(), &asked["challenge"]["codeSentAt"]), (Some("TOTP"), &Json::Null));
        for nothing in ["user", "session", "tokens"] {
            assert_eq!(asked[nothing], Json::Null, "{nothing}");
        }
        let by_cookie = LOG_IN.replace("TOKENS", "COOKIES");
        let body = json!({ "query": by_cookie, "variables": { "email": ada.email, "password": PASSWORD } }).to_string();
        let answer = server.client.send(Method::POST, "/graphql", &[("content-type", "application/json")], body).await;
        assert!(answer.json()["data"]["sessionCreate"]["challenge"]["id"].is_string());
        assert_eq!(answer.header("set-cookie"), "", "half a login sets nothing");
        assert_eq!(server.count::<entity::session::Entity>().await, before, "half a login is no session");

        let id = text(&asked, "/challenge/id");
        let next = code_at(&secret, step + 1);
        assert_eq!(mistake(&complete(server, &id, &wrong(&next, 1)).await), "INVALID_CODE");
        assert_eq!(mistake(&complete(server, &id, &code).await), "INVALID_CODE", "this one turned it on");
        let opened = complete(server, &id, &next).await;
        assert_eq!(text(&opened, "/user/id"), ada.id);
        let opened = Person { token: text(&opened, "/tokens/accessToken"), ..ada.clone() };
        assert_eq!(server.data(&opened, "{ viewer { id } }", json!({})).await["viewer"]["id"], ada.id.as_str());
        assert_eq!(mistake(&complete(server, &id, &next).await), "INVALID_CODE", "the challenge is over");
    }

    async fn a_code_is_taken_one_step_early_or_late_and_each_step_once(server, "CODE_TRIES" = "20") {
        let ada = server.person("Ada").await;
        let (secret, first, _) = turn_on_app(server, &ada).await;
        let now = steps_on(server, 4).await;
        assert_eq!(now, first + 4);
        let id = challenge_of(server, &ada).await;
        for off in [-3, -2, 2, 3] {
            assert_eq!(mistake(&complete(server, &id, &code_at(&secret, now + off)).await), "INVALID_CODE", "{off}");
        }
        for off in [-1, 0, 1] {
            let (one, other) = (challenge_of(server, &ada).await, challenge_of(server, &ada).await);
            assert!(complete(server, &one, &code_at(&secret, now + off)).await["session"].is_object(), "{off}");
            for used in -1..=off {
                let again = complete(server, &other, &code_at(&secret, now + used)).await;
                assert_eq!(mistake(&again), "INVALID_CODE", "{used} after {off}, at another challenge");
            }
        }
        steps_on(server, 1).await;
        let id = challenge_of(server, &ada).await;
        assert_eq!(mistake(&complete(server, &id, &code_at(&secret, now + 1)).await), "INVALID_CODE", "used, and in time");
        assert!(complete(server, &id, &code_at(&secret, now + 2)).await["session"].is_object());
    }

    async fn one_code_fifty_times_at_once_opens_one_session(server, "CODE_TRIES" = "50", "CHALLENGE_LIMIT" = "5") {
        let ada = server.person("Ada").await;
        let (secret, _, _) = turn_on_app(server, &ada).await;
        let now = steps_on(server, 2).await;
        let challenges = join_all((0..5).map(|_| challenge_of(server, &ada))).await;
        let sixth = server.ask_as_nobody(LOG_IN, json!({ "email": ada.email, "password": PASSWORD })).await;
        assert_eq!(sixth["errors"][0]["extensions"]["code"], "RATE_LIMITED", "five logins have begun: {sixth}");
        let before = server.count::<entity::session::Entity>().await;
        let code = code_at(&secret, now);
        assert_eq!(storm(server, &challenges, &vec![code; 10]).await, 1);
        assert_eq!(server.count::<entity::session::Entity>().await, before + 1);
    }

    async fn wrong_codes_burn_a_challenge_also_when_they_come_at_once(server) {
        let ada = server.person("Ada").await;
        let (secret, _, recovery) = turn_on_app(server, &ada).await;
        let now = steps_on(server, 2).await;
        let right = code_at(&secret, now);
        let burned = challenge_of(server, &ada).await;
        let nonsense: Vec<String> = (100..130).map(|by| wrong(&right, by)).collect();
        assert_eq!(storm(server, std::slice::from_ref(&burned), &nonsense).await, 0);
        for late in [&right, &recovery[0]] {
            assert_eq!(mistake(&complete(server, &burned, late).await), "INVALID_CODE", "the right one comes too late");
        }
        let id = challenge_of(server, &ada).await;
        assert!(complete(server, &id, &right).await["session"].is_object(), "and nothing of it was used up");
        assert_eq!(codes_left(server, &ada).await, 10);
    }

    async fn a_recovery_code_works_once_however_it_is_typed(server, "CODE_TRIES" = "20") {
        let ada = server.person("Ada").await;
        let (_, _, codes) = turn_on_app(server, &ada).await;
        let typed = [
            codes[0].clone(),
            codes[1].to_lowercase(),
            codes[2].replace('-', ""),
            format!(" {} ", codes[3].to_lowercase().replace('-', " ")),
            codes[4].replace('0', "o").replace('1', "l"),
        ];
        for (used, typed) in typed.iter().enumerate() {
            let id = challenge_of(server, &ada).await;
            for old in &codes[..used] {
                assert_eq!(mistake(&complete(server, &id, old).await), "INVALID_CODE", "{old} was used");
            }
            assert!(complete(server, &id, typed).await["session"].is_object(), "{typed:?}");
            assert_eq!(codes_left(server, &ada).await, 9 - used as i64);
        }
        let challenges = join_all((0..5).map(|_| challenge_of(server, &ada))).await;
        assert_eq!(storm(server, &challenges, &vec![codes[5].clone(); 4]).await, 1, "twenty at once");
        assert_eq!(codes_left(server, &ada).await, 4);
        let one_each = challenges.iter().zip(&codes[6..]).map(|(id, code)| complete(server, id, code));
        let opened = join_all(one_each).await.iter().filter(|answer| answer["session"].is_object()).count();
        assert!(opened >= 3, "different ones at once, of which one challenge may be over: {opened}");
        assert_eq!(codes_left(server, &ada).await, 4 - opened as i64);
    }

    async fn new_recovery_codes_end_the_old_ones(server, "CODE_TRIES" = "50") {
        let ada = server.person("Ada").await;
        let refused = act(server, &ada, RENEW, json!({})).await;
        assert_eq!((mistake(&refused), &refused["recoveryCodes"], &refused["user"]), ("WRONG_STATE", &Json::Null, &Json::Null));
        let (_, _, old) = turn_on_app(server, &ada).await;
        let id = challenge_of(server, &ada).await;
        assert!(complete(server, &id, &old[0]).await["session"].is_object());
        let renewed = act(server, &ada, RENEW, json!({})).await;
        assert_eq!(renewed["user"], json!({ "secondFactor": { "recoveryCodesLeft": 10 } }));
        let new = codes_of(&renewed);
        assert_eq!(codes_left(server, &ada).await, 10);
        assert_eq!(old.iter().chain(&new).collect::<HashSet<_>>().len(), 20);
        let id = challenge_of(server, &ada).await;
        for old in &old {
            assert_eq!(mistake(&complete(server, &id, old).await), "INVALID_CODE", "{old}");
        }
        assert!(complete(server, &id, &new[0]).await["session"].is_object());
        assert_eq!(mistake(&complete(server, &challenge_of(server, &ada).await, &new[0]).await), "INVALID_CODE");
    }

    async fn a_mailed_code_opens_a_login_and_five_wrong_ones_burn_it(server) {
        let ada = server.person("Ada").await;
        let setup = act(server, &ada, START, json!({ "method": "EMAIL" })).await["setup"].take();
        for nothing in ["secret", "otpauthUri", "qrCodeSvg"] {
            assert_eq!(setup[nothing], Json::Null, "{nothing}");
        }
        assert_eq!(setup["challenge"]["method"], "EMAIL");
        assert!(setup["challenge"]["codeSentAt"].is_string());
        let code = mailed(server, &ada, 2).await;
        let id = text(&setup, "/challenge/id");
        assert_eq!(mistake(&act(server, &ada, CONFIRM, json!({ "id": id, "code": wrong(&code, 1) })).await), "INVALID_CODE");
        assert_eq!(codes_of(&act(server, &ada, CONFIRM, json!({ "id": id, "code": code })).await).len(), 10);

        let id = challenge_of(server, &ada).await;
        let code = mailed(server, &ada, 3).await;
        for by in 1..=4 {
            assert_eq!(mistake(&complete(server, &id, &wrong(&code, by)).await), "INVALID_CODE");
        }
        assert!(complete(server, &id, &code).await["session"].is_object(), "the fifth try is the last");
        let id = challenge_of(server, &ada).await;
        let code = mailed(server, &ada, 4).await;
        for by in 1..=5 {
            assert_eq!(mistake(&complete(server, &id, &wrong(&code, by)).await), "INVALID_CODE");
        }
        assert_eq!(mistake(&complete(server, &id, &code).await), "INVALID_CODE", "it is burned");
    }

    async fn a_mailed_code_is_good_for_five_minutes(server) {
        let ada = server.person("Ada").await;
        turn_on_mail(server, &ada).await;
        let id = challenge_of(server, &ada).await;
        let code = mailed(server, &ada, 3).await;
        server.jobs_are_done().await;
        server.advance(TimeDelta::seconds(290));
        assert!(complete(server, &id, &code).await["session"].is_object(), "after 4 min 50 s");
        let id = challenge_of(server, &ada).await;
        let code = mailed(server, &ada, 4).await;
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(5));
        assert_eq!(mistake(&complete(server, &id, &code).await), "INVALID_CODE", "after 5 min");
    }

    async fn a_code_is_mailed_again_once_a_minute_and_the_old_one_is_dead(server) {
        let ada = server.person("Ada").await;
        turn_on_mail(server, &ada).await;
        let id = challenge_of(server, &ada).await;
        let old = mailed(server, &ada, 3).await;
        let early = server.ask_as_nobody(RESEND, json!({ "id": id })).await;
        assert_eq!(early["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{early}");
        let wait = early["errors"][0]["extensions"]["retryAfter"].as_i64().expect("a number of seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        server.jobs_are_done().await;
        server.advance(TimeDelta::seconds(61));
        let again = payload(server.ask_as_nobody(RESEND, json!({ "id": id })).await);
        assert_eq!(text(&again, "/challenge/id"), id);
        let new = mailed(server, &ada, 4).await;
        assert_ne!(old, new);
        assert_eq!(mistake(&complete(server, &id, &old).await), "INVALID_CODE");
        assert!(complete(server, &id, &new).await["session"].is_object());
        assert_eq!(mistake(&payload(server.ask_as_nobody(RESEND, json!({ "id": id })).await)), "INVALID_CODE", "it is over");
        assert_eq!(mistake(&payload(server.ask_as_nobody(RESEND, json!({ "id": ABSENT })).await)), "INVALID_CODE");
    }

    async fn an_apps_code_is_not_mailed(server) {
        let ada = server.person("Ada").await;
        turn_on_app(server, &ada).await;
        let id = challenge_of(server, &ada).await;
        assert_eq!(mistake(&payload(server.ask_as_nobody(RESEND, json!({ "id": id })).await)), "WRONG_STATE");
    }

    async fn changing_the_second_factor_needs_a_fresh_login(server) {
        let ada = server.person("Ada").await;
        let eve = server.person("Eve").await;
        let (mut mine, refresh) = session_of(server, &ada).await;
        let (secret, _, _) = turn_on_app(server, &mine).await;
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(14));
        let refreshed = payload(server.ask_as_nobody(REFRESH, json!({ "token": refresh })).await);
        mine.token = text(&refreshed, "/tokens/accessToken");
        assert_eq!(codes_of(&act(server, &mine, RENEW, json!({})).await).len(), 10, "14 minutes are fresh");
        let setup = act(server, &mine, START, json!({ "method": "TOTP" })).await["setup"].take();
        server.advance(TimeDelta::minutes(2));
        let now = steps_on(server, 1).await;
        let late = json!({ "id": setup["challenge"]["id"], "code": code_at(&text(&setup, "/secret"), now) });
        for (query, variables) in [
            (START, json!({ "method": "TOTP" })),
            (START, json!({ "method": "EMAIL" })),
            (CONFIRM, late),
            (RENEW, json!({})),
            (DISABLE, json!({})),
        ] {
            let refused = act(server, &mine, query, variables).await;
            assert_eq!(mistake(&refused), "REAUTHENTICATION_REQUIRED", "{query}: {refused}");
            assert!(refused.as_object().expect("a payload").iter().all(|(name, value)| name == "userErrors" || value.is_null()));
        }
        assert_eq!(mistake(&act(server, &mine, PROVE, json!({ "password": "wrong password here" })).await), "INVALID_CREDENTIALS");
        let asked = act(server, &mine, PROVE, json!({ "password": PASSWORD })).await;
        assert_eq!((asked["challenge"]["method"].as_str(), &asked["session"]), (Some("TOTP"), &Json::Null));
        assert_eq!(mistake(&act(server, &mine, RENEW, json!({})).await), "REAUTHENTICATION_REQUIRED", "half is not enough");
        let id = challenge_of(server, &ada).await;
        let other = complete(server, &id, &code_at(&secret, now)).await;
        let other = Person { token: text(&other, "/tokens/accessToken"), ..ada.clone() };

        let proof = json!({ "id": asked["challenge"]["id"], "code": code_at(&secret, now + 1) });
        let (_, eves) = session_of(server, &eve).await;
        let eve = Person { token: text(&payload(server.ask_as_nobody(REFRESH, json!({ "token": eves })).await), "/tokens/accessToken"), ..eve };
        for (who, person) in [("another session", &other), ("a stranger", &eve)] {
            let refused = act(server, person, COMPLETE, proof.clone()).await;
            assert_eq!((mistake(&refused), &refused["session"], &refused["tokens"]), ("INVALID_CODE", &Json::Null, &Json::Null), "{who}");
        }
        assert_eq!(mistake(&payload(server.ask_as_nobody(COMPLETE, proof.clone()).await)), "INVALID_CODE");
        let fresh = act(server, &mine, COMPLETE, proof).await;
        assert_eq!((fresh["session"]["current"].as_bool(), &fresh["tokens"]), (Some(true), &Json::Null), "those tries burned nothing: {fresh}");
        assert_eq!(codes_of(&act(server, &mine, RENEW, json!({})).await).len(), 10);
        let off = act(server, &mine, DISABLE, json!({})).await;
        assert_eq!((&off["disabled"], &off["user"]), (&json!(true), &json!({ "secondFactor": null })));
        assert_eq!(mistake(&act(server, &mine, DISABLE, json!({})).await), "WRONG_STATE");
        server.mail_to(&ada.email, "Two-step login is off").await;
        assert!(log_in(server, &ada).await["session"].is_object(), "the password is enough again");
    }

    async fn a_strangers_challenge_is_told_like_an_absent_one(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let (elsewhere, _) = session_of(server, &ada).await;
        let setup = act(server, &ada, START, json!({ "method": "EMAIL" })).await;
        let (setup, code) = (text(&setup, "/setup/challenge/id"), mailed(server, &ada, 2).await);
        let change = text(&act(server, &ada, CHANGE_EMAIL, json!({ "email": "ada@new.example" })).await, "/challenge/id");
        let new_code = code_in(&server.mail_to("ada@new.example", CODE_MAIL).await.text);
        for (query, id, code) in [(CONFIRM, &setup, &code), (CONFIRM_EMAIL, &change, &new_code), (COMPLETE, &setup, &code), (COMPLETE, &change, &new_code)] {
            for person in [&eve, &elsewhere] {
                let absent = bytes(server, person, query, ABSENT, code).await;
                assert!(absent.1.contains("INVALID_CODE"), "{}", absent.1);
                assert_eq!(bytes(server, person, query, id, code).await, absent, "{query}");
                assert_eq!(bytes(server, person, query, id, &wrong(code, 1)).await, absent, "{query}");
            }
        }
        let mixed_up = act(server, &ada, CONFIRM, json!({ "id": change, "code": new_code })).await;
        assert_eq!(mistake(&mixed_up), "INVALID_CODE", "a code opens what it was mailed for");
        assert_eq!(codes_of(&act(server, &ada, CONFIRM, json!({ "id": setup, "code": code })).await).len(), 10, "nothing was burned");
        let changed = act(server, &ada, CONFIRM_EMAIL, json!({ "id": change, "code": new_code })).await;
        assert_eq!(changed["user"]["email"], "ada@new.example", "nothing was burned");
    }
}
