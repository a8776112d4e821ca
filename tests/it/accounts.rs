//! Accounts: registering, verifying, logging in, and tokens.

use chrono::TimeDelta;
use support::{Json, Server, both, code_in, json, text};

const REGISTER: &str = "mutation($input: AccountRegisterInput!) {
    accountRegister(input: $input) { registration { id codeSentAt codeExpiresAt } userErrors { code path } } }";
const VERIFY: &str = "mutation($input: AccountVerifyEmailInput!) {
    accountVerifyEmail(input: $input) { user { id email } tokens { accessToken } userErrors { code path } } }";
const LOG_IN: &str = "mutation($input: SessionCreateInput!) {
    sessionCreate(input: $input) { user { id } tokens { accessToken } userErrors { code message path } } }";

async fn register(server: &Server, email: &str) -> String {
    let input = json!({ "name": "Ada", "email": email, "password": "correct horse battery" });
    text(&server.ask_as_nobody(REGISTER, json!({ "input": input })).await, "/data/accountRegister/registration/id")
}

async fn verify(server: &Server, registration: &str, code: &str) -> Json {
    let input = json!({ "registrationId": registration, "code": code, "transport": "TOKENS" });
    server.ask_as_nobody(VERIFY, json!({ "input": input })).await["data"]["accountVerifyEmail"].take()
}

async fn log_in(server: &Server, email: &str, password: &str) -> Json {
    let input = json!({ "email": email, "password": password, "transport": "TOKENS" });
    server.ask_as_nobody(LOG_IN, json!({ "input": input })).await
}

both! {
    async fn five_wrong_codes_burn_a_code_also_when_fifty_come_at_once(server) {
        let registration = register(server, "ada@example.org").await;
        let code = code_in(&server.mail_to("ada@example.org", "Your Spacedly code").await.text);
        let wrong = |number: u32| format!("{:06}", (code.parse::<u32>().expect("digits") + 1 + number) % 1_000_000);
        let tries = (0..50).map(|number| { let code = wrong(number); let registration = &registration; async move { verify(server, registration, &code).await } });
        for answer in futures_util::future::join_all(tries).await {
            assert_eq!(answer["userErrors"][0]["code"], "INVALID_CODE");
        }
        let burned = verify(server, &registration, &code).await;
        assert_eq!(burned["userErrors"][0]["code"], "INVALID_CODE", "the right one comes too late");
        assert_eq!(server.count::<entity::user::Entity>().await, 0);
    }

    async fn a_code_expires_and_works_once(server) {
        let late = register(server, "late@example.org").await;
        let code = code_in(&server.mail_to("late@example.org", "Your Spacedly code").await.text);
        server.advance(TimeDelta::minutes(5));
        assert_eq!(verify(server, &late, &code).await["userErrors"][0]["code"], "INVALID_CODE");
        let registration = register(server, "ada@example.org").await;
        let code = code_in(&server.mail_to("ada@example.org", "Your Spacedly code").await.text);
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        assert_eq!(verify(server, &registration, &spaced).await["user"]["email"], "ada@example.org");
        assert_eq!(verify(server, &registration, &code).await["userErrors"][0]["code"], "INVALID_CODE");
    }

    async fn a_taken_address_is_answered_alike_and_its_owner_is_told(server) {
        let ada = server.person("Ada").await;
        let fresh = server.ask_as_nobody(REGISTER, json!({ "input": { "name": "Eve", "email": "new@example.org", "password": "correct horse battery" } })).await;
        server.advance(TimeDelta::minutes(2));
        let taken = server.ask_as_nobody(REGISTER, json!({ "input": { "name": "Eve", "email": "ADA@example.org", "password": "correct horse battery" } })).await;
        let shape = |answer: &Json| {
            let registration = &answer["data"]["accountRegister"]["registration"];
            (answer["data"]["accountRegister"]["userErrors"].clone(), registration.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>()))
        };
        assert_eq!(shape(&fresh), shape(&taken));
        let mail = server.mail_to("ADA@example.org", "You already have a Spacedly account").await;
        let digits = mail.text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
        assert!(digits < Some(6), "no code opens it: {}", mail.text);
        assert_eq!(server.count::<entity::user::Entity>().await, 1);
        assert_eq!(server.data(&ada, "{ viewer { id } }", json!({})).await["viewer"]["id"], ada.id.as_str());
    }

    async fn an_address_gets_one_mail_a_minute(server) {
        register(server, "ada@example.org").await;
        server.mail_to("ada@example.org", "Your Spacedly code").await;
        let second = register(server, "ada@example.org").await;
        // Half a minute is a lease, too.
        server.jobs_are_done().await;
        server.advance(TimeDelta::seconds(30));
        assert_eq!(server.mails("ada@example.org").await.len(), 1);
        server.advance(TimeDelta::seconds(31));
        let mail = support::until("the second mail", || async {
            let mails = server.mails("ada@example.org").await;
            (mails.len() == 2).then(|| mails[0].clone())
        }).await;
        let made = verify(server, &second, &code_in(&mail.text)).await;
        assert_eq!(made["user"]["email"], "ada@example.org", "each registration has a code of its own");
    }

    async fn nobody_learns_whether_an_account_exists(server) {
        server.person("Ada").await;
        let wrong = log_in(server, "ada@example.org", "wrong password here").await;
        let unknown = log_in(server, "nobody@example.org", "wrong password here").await;
        let malformed = log_in(server, "no address", "wrong password here").await;
        assert_eq!(wrong["data"]["sessionCreate"]["userErrors"][0]["code"], "INVALID_CREDENTIALS");
        assert_eq!(wrong.to_string(), unknown.to_string());
        assert_eq!(wrong.to_string(), malformed.to_string());
    }

    async fn a_token_ends_with_its_time_and_a_forged_one_never_begins(server) {
        let ada = server.person("Ada").await;
        let viewer = "{ viewer { id } }";
        let codes = |answer: Json| answer["errors"][0]["extensions"]["code"].clone();
        server.advance(TimeDelta::minutes(15) - TimeDelta::seconds(5));
        assert_eq!(server.ask(&ada, viewer, json!({})).await["data"]["viewer"]["id"], ada.id.as_str());
        let mut forged = ada.clone();
        let tampered = if ada.token.ends_with('A') { 'B' } else { 'A' };
        for (what, token) in [
            ("a changed payload", { let mut t = ada.token.clone(); let at = t.find('.').expect("a dot") + 12; t.replace_range(at..=at, if &t[at..=at] == "x" { "y" } else { "x" }); t }),
            ("a cut signature", { let mut t = ada.token.clone(); t.truncate(t.len() - 10); t.push(tampered); t }),
            ("no algorithm", format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", ada.token.split('.').nth(1).expect("a payload"))),
            ("nonsense", "nonsense".to_owned()),
        ] {
            forged.token = token;
            assert_eq!(codes(server.ask(&forged, viewer, json!({})).await), "UNAUTHENTICATED", "{what}");
        }
        server.advance(TimeDelta::seconds(12));
        assert_eq!(codes(server.ask(&ada, viewer, json!({})).await), "UNAUTHENTICATED", "it has expired");
    }

    async fn a_socket_ends_with_its_token(server) {
        let ada = server.person("Ada").await;
        let mut socket = server.socket(Some(&ada)).await;
        server.advance(TimeDelta::minutes(16));
        assert_eq!(socket.close_code().await, 4403);
    }

    async fn two_verifications_of_one_address_make_one_account(server) {
        let mut registrations = Vec::new();
        for number in 0..4 {
            let registration = register(server, "ada@example.org").await;
            let mail = support::until("the mail", || async {
                let mails = server.mails("ada@example.org").await;
                (mails.len() == number + 1).then(|| mails[0].clone())
            }).await;
            // Past the cooldown; not before the mail is out, or its worker would be taken for stalled.
            server.jobs_are_done().await;
            server.advance(TimeDelta::seconds(61));
            registrations.push((registration, code_in(&mail.text)));
        }
        let answers = futures_util::future::join_all(registrations.iter().map(|(id, code)| verify(server, id, code))).await;
        let made = answers.iter().filter(|answer| answer["user"].is_object()).count();
        assert_eq!(made, 1, "{answers:?}");
        assert_eq!(server.count::<entity::user::Entity>().await, 1);
    }

    async fn a_new_code_may_be_asked_for_once_a_minute_and_ends_the_one_before(server) {
        const RESEND: &str = "mutation($id: ID!) { accountRegisterResend(input: { registrationId: $id }) { registration { id codeSentAt } userErrors { code path } } }";
        let registration = register(server, "ada@example.org").await;
        let first = code_in(&server.mail_to("ada@example.org", "Your Spacedly code").await.text);
        let early = server.ask_as_nobody(RESEND, json!({ "id": registration })).await;
        assert_eq!(early["errors"][0]["extensions"]["code"], "RATE_LIMITED");
        assert!((50..=60).contains(&early["errors"][0]["extensions"]["retryAfter"].as_u64().expect("seconds")), "{early}");
        server.jobs_are_done().await;
        server.advance(TimeDelta::seconds(61));
        let again = server.ask_as_nobody(RESEND, json!({ "id": registration })).await;
        assert_eq!(again["data"]["accountRegisterResend"]["registration"]["id"], registration.as_str(), "{again}");
        let second = support::until("the second mail", || async {
            let mails = server.mails("ada@example.org").await;
            (mails.len() == 2).then(|| code_in(&mails[0].text))
        }).await;
        assert_eq!(verify(server, &registration, &first).await["userErrors"][0]["code"], "INVALID_CODE", "{first} {second}");
        assert_eq!(verify(server, &registration, &second).await["user"]["email"], "ada@example.org");
        let gone = server.ask_as_nobody(RESEND, json!({ "id": registration })).await;
        let absent = server.ask_as_nobody(RESEND, json!({ "id": "registration_01jd3xk5ve7h8t9w2n4m6p8q0r" })).await;
        assert_eq!((gone["data"]["accountRegisterResend"]["userErrors"][0]["code"].as_str(), gone.to_string()), (Some("INVALID_CODE"), absent.to_string()));
    }

    async fn what_is_past_its_time_is_swept_and_nothing_else(server) {
        let ada = server.person("Ada").await;
        register(server, "bob@example.org").await;
        let forgot = "mutation { passwordForgot(input: { email: \"ada@example.org\" }) { userErrors { code } } }";
        server.ask_as_nobody(forgot, json!({})).await;
        let start = "mutation { secondFactorStart(input: { method: EMAIL }) { setup { challenge { id } } userErrors { code } } }";
        server.data(&ada, start, json!({})).await;
        server.jobs_are_done().await;
        let counts = async || (
            server.count::<entity::pending_registration::Entity>().await, server.count::<entity::password_reset::Entity>().await,
            server.count::<entity::challenge::Entity>().await, server.count::<entity::session::Entity>().await,
        );
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        assert_eq!(counts().await, (1, 1, 1, 1), "all of it is good still");
        server.advance(TimeDelta::hours(26));
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        assert_eq!(counts().await, (0, 0, 0, 1), "the session lives");
        server.advance(TimeDelta::days(8));
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        assert_eq!(counts().await, (0, 0, 0, 0));
        assert_eq!(server.count::<entity::user::Entity>().await, 1);
    }
}
