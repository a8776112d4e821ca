//! How often something may be tried, with the limits of the product: guessing is slow whatever way it takes, and nobody
//! is locked out by it. And what people write that no program expects.

use std::net::Ipv6Addr;

use chrono::TimeDelta;
use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use support::{Answer, Json, Person, Server, both, code_in, json, text};

const PASSWORD: &str = "correct horse battery";
const LOG_IN: &str = "mutation($input: SessionCreateInput!) { sessionCreate(input: $input) {
    user { id } session { id } tokens { accessToken deviceToken } userErrors { code message path } } }";
const REGISTER: &str = "mutation($input: AccountRegisterInput!) { accountRegister(input: $input) {
    registration { id codeSentAt codeExpiresAt } userErrors { code path } } }";
const VERIFY: &str = "mutation($input: AccountVerifyEmailInput!) { accountVerifyEmail(input: $input) {
    user { id email } tokens { accessToken } userErrors { code path } } }";
const FORGOT: &str = "mutation($email: String!) { passwordForgot(input: { email: $email }) {
    expiresAt userErrors { code path } } }";

/// Where a request says that it comes from; nothing: from here.
#[derive(Clone, Copy, Default)]
struct From<'a> {
    address: &'a str,
    cookie: &'a str,
}

fn at(address: &str) -> From<'_> {
    From { address, ..From::default() }
}

async fn post(server: &Server, from: From<'_>, query: &str, variables: Json) -> Answer {
    let mut headers = vec![("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    if !from.address.is_empty() {
        headers.push(("x-forwarded-for", from.address));
    }
    if !from.cookie.is_empty() {
        headers.push(("cookie", from.cookie));
    }
    let body = json!({ "query": query, "variables": variables }).to_string();
    server.client.send(Method::POST, "/graphql", &headers, body).await
}

async fn log_in(server: &Server, from: From<'_>, email: &str, password: &str) -> Answer {
    let input = json!({ "email": email, "password": password, "transport": "TOKENS" });
    post(server, from, LOG_IN, json!({ "input": input })).await
}

async fn log_in_with(server: &Server, email: &str, password: &str, device: &str) -> Answer {
    let input = json!({ "email": email, "password": password, "transport": "TOKENS", "deviceToken": device });
    post(server, From::default(), LOG_IN, json!({ "input": input })).await
}

/// A document that guesses so many times, each time something else.
fn guesses(email: &str, from: usize, count: usize) -> String {
    let guess = |number| {
        format!(
            "g{number}: sessionCreate(input: {{ email: \"{email}\", password: \"wrong guess {number}\", transport: TOKENS }}) {{ session {{ id }} userErrors {{ code }} }}"
        )
    };
    let all: Vec<String> = (from..from + count).map(guess).collect();
    format!("mutation {{ {} }}", all.join(" "))
}

/// How many guesses an answer says were looked at.
fn looked_at(answer: &Json) -> usize {
    answer.to_string().matches("INVALID_CREDENTIALS").count()
}

/// Whether a whole request was refused as one too many, with everything that belongs to it.
fn is_limited(answer: &Answer, window: u64) -> bool {
    if answer.status != StatusCode::TOO_MANY_REQUESTS {
        return false;
    }
    let body = answer.json();
    let error = &body["errors"][0];
    assert_eq!(error["extensions"]["code"], "RATE_LIMITED", "{body}");
    assert_eq!(body["data"], Json::Null, "{body}");
    let wait = error["extensions"]["retryAfter"].as_u64().unwrap_or_else(|| panic!("no retryAfter: {body}"));
    assert!((1..=window).contains(&wait), "{wait} s of {window}");
    assert_eq!(answer.header("retry-after"), wait.to_string());
    true
}

#[track_caller]
fn assert_limited(answer: &Answer, what: &str) {
    assert!(is_limited(answer, 900), "{what}: {} {}", answer.status, answer.text());
}

#[track_caller]
fn assert_open(answer: &Answer, what: &str) {
    let body = answer.json();
    assert!(body["data"]["sessionCreate"]["session"].is_object(), "{what}: {} {body}", answer.status);
}

#[track_caller]
fn assert_wrong(answer: &Answer, what: &str) {
    let body = answer.json();
    assert_eq!(body["data"]["sessionCreate"]["userErrors"][0]["code"], "INVALID_CREDENTIALS", "{what}: {body}");
}

/// Fails to log in until the limit is reached.
async fn use_up(server: &Server, from: From<'_>, email: &str) {
    for number in 0..5 {
        assert_wrong(&log_in(server, from, email, "wrong password here").await, &format!("failure {number}"));
    }
    assert_limited(&log_in(server, from, email, "wrong password here").await, "one more");
}

async fn register(server: &Server, from: From<'_>, email: &str) -> Answer {
    let input = json!({ "name": "Ada", "email": email, "password": PASSWORD });
    post(server, from, REGISTER, json!({ "input": input })).await
}

async fn verify(server: &Server, from: From<'_>, registration: &str, code: &str) -> Answer {
    let input = json!({ "registrationId": registration, "code": code, "transport": "TOKENS" });
    post(server, from, VERIFY, json!({ "input": input })).await
}

/// Registers somebody with this name and password, and gives back who it is.
async fn registered(server: &Server, name: &str, email: &str, password: &str) -> Person {
    let input = json!({ "name": name, "email": email, "password": password });
    let answer = post(server, From::default(), REGISTER, json!({ "input": input })).await.json();
    let id = text(&answer, "/data/accountRegister/registration/id");
    let code = code_in(&server.mail_to(email, "Your Spacedly code").await.text);
    let answer = verify(server, From::default(), &id, &code).await.json();
    let token = text(&answer, "/data/accountVerifyEmail/tokens/accessToken");
    Person { id: text(&answer, "/data/accountVerifyEmail/user/id"), email: email.to_owned(), token }
}

/// An answer without its instants and ids: what somebody who compares answers can see.
fn shape(answer: &Answer) -> Json {
    fn blank(value: &mut Json) {
        match value {
            Json::Object(fields) => fields.values_mut().for_each(blank),
            Json::Array(items) => items.iter_mut().for_each(blank),
            Json::String(text) if text.starts_with("20") || text.starts_with("registration_") => *text = "…".into(),
            _ => {}
        }
    }
    let mut body = answer.json();
    blank(&mut body);
    json!([answer.status.as_u16(), body])
}

both! {
    async fn five_guesses_reach_an_account_however_they_come(server, "LOGIN_FAILURES" = "5", "TRUSTED_PROXIES" = "1") {
        let ada = server.person("Ada").await;
        let before = server.count::<entity::session::Entity>().await;
        let fifteen = post(server, at("198.51.100.9"), &guesses(&ada.email, 0, 15), json!({})).await;
        assert_eq!(fifteen.json()["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "fifteen mutations at once");
        let one = json!({ "query": guesses(&ada.email, 0, 1) });
        let batch = json!([one, one, one]).to_string();
        let batch = server.client.send(Method::POST, "/graphql", &[("content-type", "application/json")], batch).await;
        assert_eq!((batch.status, looked_at(&batch.json())), (StatusCode::BAD_REQUEST, 0), "a batch");

        let mut seen = 0;
        let two = post(server, at("198.51.100.1"), &guesses(&ada.email, 0, 2), json!({})).await.json();
        seen += looked_at(&two);
        let mut socket = server.socket(None).await;
        socket.subscribe("1", &guesses(&ada.email, 2, 2), json!({})).await;
        seen += looked_at(&socket.next().await);
        assert_eq!(seen, 4, "two aliases and two over a socket");
        assert_eq!(socket.next().await["type"], "complete");
        assert_wrong(&log_in(server, at("198.51.100.2"), &ada.email, "wrong guess 4").await, "the fifth, from another address");
        for address in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
            for query in [guesses(&ada.email, 5, 5), guesses(&ada.email, 10, 1)] {
                assert_limited(&post(server, at(address), &query, json!({})).await, address);
            }
            assert_limited(&log_in(server, at(address), &ada.email.to_uppercase(), PASSWORD).await, "the right one, in capitals");
        }
        socket.subscribe("2", &guesses(&ada.email, 15, 5), json!({})).await;
        let refused = socket.next().await;
        assert_eq!(looked_at(&refused), 0);
        let error = &refused["payload"]["errors"][0]["extensions"];
        assert_eq!(error["code"], "RATE_LIMITED", "{refused}");
        assert!((1..=900).contains(&error["retryAfter"].as_u64().expect("seconds")));
        assert_eq!(server.count::<entity::session::Entity>().await, before, "no session came of it");

        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(15));
        assert_open(&log_in(server, at("198.51.100.1"), &ada.email, PASSWORD).await, "after 15 minutes");
    }

    async fn aliases_are_counted_one_by_one(server, "LOGIN_FAILURES" = "5") {
        let ada = server.person("Ada").await;
        let mut seen = 0;
        for document in 0..3 {
            let answer = post(server, From::default(), &guesses(&ada.email, document * 5, 5), json!({})).await;
            seen += looked_at(&answer.json());
            assert_eq!(is_limited(&answer, 900), document > 0, "document {document}: {}", answer.text());
        }
        assert_eq!(seen, 5);
        let hidden = guesses(&ada.email, 0, 4).replace("wrong guess 3", PASSWORD);
        assert_limited(&post(server, From::default(), &hidden, json!({})).await, "the right one among the aliases");
    }

    async fn fifty_guesses_at_once_are_five(server, "LOGIN_FAILURES" = "5", "PASSWORD_QUEUE" = "100") {
        let ada = server.person("Ada").await;
        let all: Vec<String> = (0..50).map(|number| format!("wrong guess {number}")).collect();
        let answers = join_all(all.iter().map(|guess| log_in(server, From::default(), &ada.email, guess))).await;
        let limited = answers.iter().filter(|answer| is_limited(answer, 900)).count();
        let seen: usize = answers.iter().map(|answer| looked_at(&answer.json())).sum();
        assert_eq!((seen, limited), (5, 45));
        assert_limited(&log_in(server, From::default(), &ada.email, PASSWORD).await, "the right one, from nowhere known");
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(14));
        assert_limited(&log_in(server, From::default(), &ada.email, PASSWORD).await, "after 14 minutes");
        server.advance(TimeDelta::minutes(1));
        assert_open(&log_in(server, From::default(), &ada.email, PASSWORD).await, "after 15 minutes");
        use_up(server, From::default(), &ada.email).await;
    }

    async fn only_failures_count(server, "LOGIN_FAILURES" = "5") {
        let ada = server.person("Ada").await;
        for number in 0..20 {
            assert_open(&log_in(server, From::default(), &ada.email, PASSWORD).await, &format!("login {number}"));
        }
        for number in 0..4 {
            assert_wrong(&log_in(server, From::default(), &ada.email, "wrong password here").await, &format!("failure {number}"));
            assert_open(&log_in(server, From::default(), &ada.email, PASSWORD).await, "between failures");
        }
        assert_wrong(&log_in(server, From::default(), &ada.email, "wrong password here").await, "the fifth");
        assert_limited(&log_in(server, From::default(), &ada.email, PASSWORD).await, "logging in wiped nothing out");
    }

    async fn an_unknown_address_is_limited_like_a_known_one(server, "LOGIN_FAILURES" = "5", "TRUSTED_PROXIES" = "1") {
        let ada = server.person("Ada").await;
        let mut seen = Vec::new();
        for (address, email) in [("198.51.100.1", ada.email.as_str()), ("198.51.100.2", "nobody@example.org")] {
            let mut shapes = Vec::new();
            for _ in 0..7 {
                let answer = log_in(server, at(address), email, "wrong password here").await;
                shapes.push((answer.status, looked_at(&answer.json())));
            }
            seen.push(shapes);
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].iter().filter(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS).count(), 2);
        assert_limited(&log_in(server, at("198.51.100.3"), "nobody@example.org", "wrong password here").await, "from elsewhere");
    }

    async fn nobody_is_locked_out_of_a_device_that_is_known(server, "LOGIN_FAILURES" = "5") {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let device = |answer: &Answer| text(&answer.json(), "/data/sessionCreate/tokens/deviceToken");
        let (hers, eves) = (
            device(&log_in(server, From::default(), &ada.email, PASSWORD).await),
            device(&log_in(server, From::default(), &eve.email, PASSWORD).await),
        );
        let other = device(&log_in(server, From::default(), &ada.email, PASSWORD).await);
        use_up(server, From::default(), &ada.email).await;
        assert_limited(&log_in(server, From::default(), &ada.email, PASSWORD).await, "without the device");
        let forged = [
            ("another person's", eves.clone()),
            ("a changed one", { let mut t = hers.clone(); let last = if t.pop() == Some('A') { 'B' } else { 'A' }; t.push(last); t }),
            ("another nonce under the same seal", format!("{}{}", if hers.starts_with('A') { "B" } else { "A" }, &hers[1..])),
            ("half of one", hers[..32].to_owned()),
            ("one with more to it", format!("{hers}AAAA")),
            ("nonsense", "nonsense".to_owned()),
            ("nothing", String::new()),
            ("a NUL", "\u{0}".to_owned()),
        ];
        for (what, forged) in &forged {
            assert_limited(&log_in_with(server, &ada.email, PASSWORD, forged).await, what);
        }
        assert_open(&log_in_with(server, &ada.email, PASSWORD, &hers).await, "with the device");
        let cookie = format!("deviceToken={hers}");
        let known = From { cookie: &cookie, ..From::default() };
        assert_open(&log_in(server, known, &ada.email, PASSWORD).await, "with its cookie");
        let theirs = format!("deviceToken={eves}");
        assert_limited(&log_in(server, From { cookie: &theirs, ..From::default() }, &ada.email, PASSWORD).await, "another's cookie");
        use_up(server, known, &ada.email).await;
        assert_limited(&log_in_with(server, &ada.email, PASSWORD, &hers).await, "a known device is limited by itself");
        assert_open(&log_in_with(server, &ada.email, PASSWORD, &other).await, "and by nobody else's failures");
        assert_open(&log_in_with(server, &eve.email, PASSWORD, &eves).await, "Eve's own is as it was");
    }

    async fn an_address_is_its_network_and_is_believed_from_a_proxy(server, "LOGIN_FAILURES" = "5", "TRUSTED_PROXIES" = "1") {
        let network: Vec<String> = (1..=6_u16).map(|n| Ipv6Addr::new(0x2001, 0xdb8, 1, 1, n, n, n, n).to_string()).collect();
        for (number, address) in network[..5].iter().enumerate() {
            assert_wrong(&log_in(server, at(address), &format!("six{number}@example.org"), PASSWORD).await, address);
        }
        assert_limited(&log_in(server, at(&network[5]), "six5@example.org", PASSWORD).await, "the same /64");
        assert_limited(&log_in(server, at("2001:0DB8:0001:0001:ffff::1"), "six6@example.org", PASSWORD).await, "the same /64, in full");
        assert_wrong(&log_in(server, at("2001:db8:1:2::1"), "six7@example.org", PASSWORD).await, "another /64");
        for number in 0..5 {
            let made_up = format!("203.0.113.{number}, 10.0.0.{number}, 198.51.100.7");
            assert_wrong(&log_in(server, at(&made_up), &format!("four{number}@example.org"), PASSWORD).await, &made_up);
        }
        assert_limited(&log_in(server, at("203.0.113.77, 198.51.100.7"), "four5@example.org", PASSWORD).await, "what stands before is made up");
        assert_limited(&log_in(server, at("::ffff:198.51.100.7"), "four6@example.org", PASSWORD).await, "IPv4 within IPv6");
        assert_wrong(&log_in(server, at("198.51.100.7, 198.51.100.8"), "four7@example.org", PASSWORD).await, "another address");
        // The bystander: somebody else's failures are not theirs.
        let ada = server.person("Ada").await;
        assert_open(&log_in(server, at("198.51.100.9"), &ada.email, PASSWORD).await, "another address and account");
    }

    async fn without_a_proxy_nobody_says_where_they_are(server, "LOGIN_FAILURES" = "5") {
        for number in 0..5 {
            let email = format!("nobody{number}@example.org");
            assert_wrong(&log_in(server, at(&format!("203.0.113.{number}")), &email, PASSWORD).await, &email);
        }
        assert_limited(&log_in(server, at("203.0.113.99"), "nobody5@example.org", PASSWORD).await, "a sixth made-up address");
        assert_limited(&log_in(server, From::default(), "nobody6@example.org", PASSWORD).await, "none");
    }

    async fn five_registrations_in_a_quarter_of_an_hour(server, "REGISTER_LIMIT" = "5", "TRUSTED_PROXIES" = "1") {
        let ada = server.person("Ada").await;
        for number in 0..5 {
            let answer = register(server, at("198.51.100.1"), &format!("new{number}@example.org")).await;
            assert_eq!(answer.status, StatusCode::OK, "{number}: {}", answer.text());
        }
        assert_limited(&register(server, at("198.51.100.1"), "new5@example.org").await, "from one address");
        // One email from everywhere, known or not: alike.
        let mut seen = Vec::new();
        for (subnet, email) in [("192.0.2", ada.email.as_str()), ("203.0.113", "nobody@example.org")] {
            // Registering took one place of Ada's.
            let first = usize::from(email != ada.email);
            let mut answers = Vec::new();
            for number in 0..4 + first {
                answers.push(shape(&register(server, at(&format!("{subnet}.{number}")), email).await));
            }
            let one_more = register(server, at(&format!("{subnet}.77")), email).await;
            assert_limited(&one_more, email);
            seen.push((answers[0].clone(), answers.pop(), one_more.status));
        }
        assert_eq!(seen[0], seen[1]);
        server.advance(TimeDelta::minutes(15));
        assert_eq!(register(server, at("198.51.100.1"), "new5@example.org").await.status, StatusCode::OK, "after 15 minutes");
    }

    async fn three_forgotten_passwords_an_hour(server, "FORGOT_LIMIT" = "3", "TRUSTED_PROXIES" = "1") {
        let ada = server.person("Ada").await;
        let mut seen = Vec::new();
        for (subnet, email) in [("192.0.2", ada.email.as_str()), ("203.0.113", "nobody@example.org")] {
            let mut answers = Vec::new();
            for number in 0..3 {
                let answer = post(server, at(&format!("{subnet}.{number}")), FORGOT, json!({ "email": email })).await;
                assert!(answer.json()["data"]["passwordForgot"]["expiresAt"].is_string(), "{}", answer.text());
                answers.push(shape(&answer));
            }
            let one_more = post(server, at(&format!("{subnet}.77")), FORGOT, json!({ "email": email.to_uppercase() })).await;
            assert!(is_limited(&one_more, 3_600), "{email}: {}", one_more.text());
            seen.push((answers, one_more.status));
        }
        assert_eq!(seen[0], seen[1], "known and unknown addresses are told alike");
        for number in 0..3 {
            post(server, at("198.51.100.1"), FORGOT, json!({ "email": format!("somebody{number}@example.org") })).await;
        }
        let one_more = post(server, at("198.51.100.1"), FORGOT, json!({ "email": "somebody3@example.org" })).await;
        assert!(is_limited(&one_more, 3_600), "from one address");
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(59));
        assert!(is_limited(&post(server, at("192.0.2.9"), FORGOT, json!({ "email": ada.email })).await, 60), "after 59 minutes");
        server.advance(TimeDelta::minutes(1));
        assert_eq!(post(server, at("192.0.2.9"), FORGOT, json!({ "email": ada.email })).await.status, StatusCode::OK, "after an hour");
    }

    async fn five_wrong_codes_whatever_they_are_for(server, "CODE_FAILURES" = "5", "TRUSTED_PROXIES" = "1") {
        let mut waiting = Vec::new();
        for number in 0..8 {
            let email = format!("new{number}@example.org");
            let id = text(&register(server, From::default(), &email).await.json(), "/data/accountRegister/registration/id");
            let code = code_in(&server.mail_to(&email, "Your Spacedly code").await.text);
            waiting.push((id, code));
        }
        let wrong = |code: &str| format!("{:06}", (code.parse::<u32>().expect("digits") + 1) % 1_000_000);
        let guesser = at("198.51.100.1");
        for (id, code) in &waiting[..2] {
            assert!(verify(server, guesser, id, code).await.json()["data"]["accountVerifyEmail"]["user"].is_object(), "right ones do not count");
        }
        for (id, code) in &waiting[2..7] {
            let answer = verify(server, guesser, id, &wrong(code)).await.json();
            assert_eq!(answer["data"]["accountVerifyEmail"]["userErrors"][0]["code"], "INVALID_CODE", "{answer}");
        }
        let (id, code) = &waiting[7];
        assert_limited(&verify(server, guesser, id, &wrong(code)).await, "the sixth");
        assert_limited(&verify(server, guesser, id, code).await, "the right one");
        assert!(verify(server, at("198.51.100.2"), id, code).await.json()["data"]["accountVerifyEmail"]["user"].is_object(), "others go on");
    }

    async fn what_nobody_expects_is_taken_or_told(server) {
        let ada = server.person("Ada").await;
        let update = "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) { user { name timeZone } userErrors { code path } } }";
        let prove = "mutation($input: SessionReauthenticateInput!) { sessionReauthenticate(input: $input) { session { id } userErrors { code path } } }";
        let change = "mutation($input: PasswordChangeInput!) { passwordChange(input: $input) { user { id } userErrors { code path } } }";
        let start = "mutation($input: EmailChangeStartInput!) { emailChangeStart(input: $input) { challenge { id } userErrors { code path } } }";
        let forgot = "mutation($input: PasswordForgotInput!) { passwordForgot(input: $input) { expiresAt userErrors { code path } } }";
        let complete = "mutation($input: SessionChallengeCompleteInput!) { sessionChallengeComplete(input: $input) { session { id } userErrors { code path } } }";
        let (long, split) = ("x".repeat(900_000), "ada@example.org\r\nBcc: eve@example.org");
        // The mail of her registration may have arrived before its job was put away.
        // And the housekeeping of the start plans a job of its own.
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        server.jobs_are_done().await;
        let before = (server.count::<entity::job::Entity>().await, server.mails(&ada.email).await.len());
        for (mutation, input, code) in [
            (REGISTER, json!({ "name": "Ada", "email": split, "password": PASSWORD }), "INVALID_EMAIL"),
            (REGISTER, json!({ "name": "Ada", "email": "nul\u{0}@example.org", "password": PASSWORD }), "INVALID_EMAIL"),
            (REGISTER, json!({ "name": "A\u{0}da", "email": "new@example.org", "password": PASSWORD }), "INVALID_VALUE"),
            (REGISTER, json!({ "name": "Ada", "email": "new@example.org", "password": long }), "TOO_LONG"),
            (LOG_IN, json!({ "email": split, "password": PASSWORD }), "INVALID_CREDENTIALS"),
            (LOG_IN, json!({ "email": "ada\u{0}@example.org", "password": PASSWORD }), "INVALID_CREDENTIALS"),
            (LOG_IN, json!({ "email": ada.email, "password": long }), "INVALID_CREDENTIALS"),
            (LOG_IN, json!({ "email": ada.email, "password": format!("{PASSWORD}\u{0}") }), "INVALID_CREDENTIALS"),
            (LOG_IN, json!({ "email": long, "password": PASSWORD }), "INVALID_CREDENTIALS"),
            (LOG_IN, json!({ "email": ada.email, "password": "" }), "INVALID_CREDENTIALS"),
            (VERIFY, json!({ "registrationId": "registration_\u{0}", "code": "000000" }), "INVALID_ID"),
            (VERIFY, json!({ "registrationId": "registration_01jd3xk5ve7h8t9w2n4m6p8q0r", "code": long }), "INVALID_CODE"),
            (complete, json!({ "challengeId": "challenge_01jd3xk5ve7h8t9w2n4m6p8q0r", "code": "\u{0}🎲\u{301}" }), "INVALID_CODE"),
            (prove, json!({ "password": long }), "INVALID_CREDENTIALS"),
            (prove, json!({ "password": "\u{0}" }), "INVALID_CREDENTIALS"),
            (change, json!({ "newPassword": long }), "TOO_LONG"),
            (start, json!({ "email": split }), "INVALID_EMAIL"),
            (start, json!({ "email": "ada@example.org\u{0}" }), "INVALID_EMAIL"),
            (forgot, json!({ "email": split }), "INVALID_EMAIL"),
            (update, json!({ "name": "A\u{0}da" }), "INVALID_VALUE"),
        ] {
            let answer = server.ask(&ada, mutation, json!({ "input": input })).await;
            let payload = answer["data"].as_object().and_then(|data| data.values().next()).unwrap_or_else(|| panic!("{answer:.300}"));
            assert_eq!(payload["userErrors"][0]["code"], code, "{mutation}: {answer:.300}");
        }
        let body = json!({ "query": LOG_IN, "variables": { "input": { "email": ada.email, "password": "x".repeat(1_000_000) } } });
        let big = server.client.send(Method::POST, "/graphql", &[("content-type", "application/json")], body.to_string()).await;
        assert_eq!(big.status, StatusCode::PAYLOAD_TOO_LARGE);
        for zone in ["Mars/Olympus", "../../etc/passwd", "", "Europe/Berlin\u{0}", "UTC+25"] {
            let answer = server.ask(&ada, update, json!({ "input": { "timeZone": zone } })).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{zone:?}: {answer}");
        }
        server.jobs_are_done().await;
        let after = (server.count::<entity::job::Entity>().await, server.mails(&ada.email).await.len());
        assert_eq!(after, before, "none of it sent a mail");
        assert!(server.mails("eve@example.org").await.is_empty(), "a second line of an address is nobody's address");
        let name = "Zoë Faëlle 👩‍👩‍👧‍👦 नमस्ते e\u{301}\u{323}";
        let named = server.data(&ada, update, json!({ "input": { "name": name, "timeZone": "Europe/Berlin" } })).await;
        assert_eq!(named["profileUpdate"]["user"], json!({ "name": name, "timeZone": "Europe/Berlin" }));
    }

    async fn every_character_of_a_password_counts(server) {
        let long = "correct horse battery staple, purple monkey dishwasher and a teapot more"; // 72 bytes
        assert_eq!(long.len(), 72);
        let pairs = [
            (format!("{long}1"), format!("{long}2")),
            ("teapot\u{0}horse battery".to_owned(), "teapot\u{0}purple monkey".to_owned()),
            ("🐎🔋📎 teapot purple".to_owned(), "🐎🔋📌 teapot purple".to_owned()),
            ("ze\u{301}bre battery staple".to_owned(), "ze\u{300}bre battery staple".to_owned()),
            (" teapot purple monkey ".to_owned(), "teapot purple monkey".to_owned()),
        ];
        for (number, (right, wrong)) in pairs.iter().enumerate() {
            let name = "Ze\u{301}lie 🫖";
            let person = registered(server, name, &format!("person{number}@example.org"), right).await;
            assert_eq!(server.data(&person, "{ viewer { name } }", json!({})).await["viewer"]["name"], name);
            assert_wrong(&log_in(server, From::default(), &person.email, wrong).await, &format!("{wrong:?}"));
            assert_wrong(&log_in(server, From::default(), &person.email, &right.chars().take(8).collect::<String>()).await, &format!("the beginning of {right:?}"));
            assert_open(&log_in(server, From::default(), &person.email, right).await, &format!("{right:?}"));
        }
    }
}
