//! Passwords: how they are stored, changed, forgotten and reset; and changes of address.

use chrono::TimeDelta;
use sea_orm::EntityTrait;
use support::{
    Json, Person, Server, both, code_in, json,
    sessions::{PASSWORD, SOON},
    text,
};

const FORGOT: &str =
    "mutation($input: PasswordForgotInput!) { passwordForgot(input: $input) { expiresAt userErrors { code path } } }";
const RESET: &str =
    "mutation($input: PasswordResetInput!) { passwordReset(input: $input) { reset userErrors { code path } } }";
const NEW: &str = "another horse battery";

async fn forgot(server: &Server, email: &str) -> Json {
    server.ask_as_nobody(FORGOT, json!({ "input": { "email": email } })).await
}

async fn reset(server: &Server, token: &str, password: &str) -> Json {
    server.ask_as_nobody(RESET, json!({ "input": { "token": token, "newPassword": password } })).await["data"]["passwordReset"].take()
}

/// The token of the link in a mail.
fn token_in(mail: &str) -> String {
    let rest = mail.split("token=").nth(1).unwrap_or_else(|| panic!("no link in {mail}"));
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

async fn stored_hash(server: &Server) -> String {
    let person = entity::user::Entity::find().one(server.app.platform.db.read()).await.expect("read");
    person.expect("somebody").password_hash.expect("a password")
}

fn code(answer: &Json, mutation: &str) -> Json {
    answer["data"][mutation]["userErrors"][0]["code"].clone()
}

async fn start_change(server: &Server, person: &Person, email: &str) -> Json {
    let query = "mutation($input: EmailChangeStartInput!) { emailChangeStart(input: $input) { challenge { id codeSentAt expiresAt method } userErrors { code path } } }";
    server.ask(person, query, json!({ "input": { "email": email } })).await
}

async fn confirm_change(server: &Server, person: &Person, challenge: &str, code: &str) -> Json {
    let query = "mutation($input: EmailChangeConfirmInput!) { emailChangeConfirm(input: $input) { user { email } userErrors { code path } } }";
    server.ask(person, query, json!({ "input": { "challengeId": challenge, "code": code } })).await
}

async fn change_email(server: &Server, person: &Person, email: &str) {
    let begun = start_change(server, person, email).await;
    let challenge = text(&begun, "/data/emailChangeStart/challenge/id");
    let mailed = code_in(&server.mail_to(email, "Your Spacedly code").await.text);
    let changed = confirm_change(server, person, &challenge, &mailed).await;
    assert_eq!(changed["data"]["emailChangeConfirm"]["user"]["email"], email, "{changed}");
}

both! {
    async fn a_hash_made_with_older_parameters_is_made_anew_at_the_next_login(server) {
        server.person("Ada").await;
        let today = stored_hash(server).await;
        assert!(today.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "the settings of the tests: {today}");
        let salt = argon2_hash(PASSWORD);
        set_hash(server, &salt).await;
        server.client.log_in("ada@example.org").await;
        let renewed = stored_hash(server).await;
        assert!(renewed.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{renewed}");
        server.client.log_in("ada@example.org").await;
        assert_eq!(stored_hash(server).await, renewed, "once is enough");
    }

    async fn a_changed_password_ends_every_other_session_and_is_told_by_mail(server) {
        let ada = server.person("Ada").await;
        let other = server.client.log_in(&ada.email).await;
        let mut socket = server.socket(Some(&Person { token: other.access.clone(), ..ada.clone() })).await;
        let weak = server.client.change_password(&ada.token, "ada@example.org").await;
        assert_eq!(weak["data"]["passwordChange"]["userErrors"][0], json!({ "code": "WEAK_PASSWORD", "path": ["input", "newPassword"] }));
        let changed = server.client.change_password(&ada.token, NEW).await;
        assert_eq!(changed["data"]["passwordChange"]["user"]["id"], ada.id.as_str(), "{changed}");
        assert!(server.client.time_until_refused(&other.access).await < SOON);
        assert!(server.client.refresh(&other.refresh).await.is_err());
        assert_eq!(socket.close_code().await, 4403);
        assert!(server.client.is_let_in(&ada.token).await, "the one that asked goes on");
        assert_eq!(code(&server.client.log_in_answer(&ada.email, PASSWORD).await, "sessionCreate"), "INVALID_CREDENTIALS");
        assert!(server.client.log_in_answer(&ada.email, NEW).await["data"]["sessionCreate"]["session"].is_object());
        server.mail_to(&ada.email, "Your Spacedly password was changed").await;
    }

    async fn what_changes_the_ways_in_needs_a_fresh_login(server) {
        let ada = server.person("Ada").await;
        let mut tokens = server.client.log_in(&ada.email).await;
        for _ in 0..2 {
            server.advance(TimeDelta::minutes(8));
            tokens = server.client.refresh(&tokens.refresh).await.expect("refreshed");
        }
        let me = Person { token: tokens.access.clone(), ..ada.clone() };
        let stale = json!("REAUTHENTICATION_REQUIRED");
        assert_eq!(code(&server.client.change_password(&me.token, NEW).await, "passwordChange"), stale);
        assert_eq!(code(&start_change(server, &me, "new@example.org").await, "emailChangeStart"), stale);
        assert_eq!(server.client.act(&me.token, "accountDelete").await["data"]["accountDelete"]["userErrors"][0]["code"], stale);
        let prove = "mutation($p: String!) { sessionReauthenticate(input: { password: $p }) { session { current } challenge { id } userErrors { code path } } }";
        let wrong = server.ask(&me, prove, json!({ "p": "wrong" })).await;
        assert_eq!(code(&wrong, "sessionReauthenticate"), "INVALID_CREDENTIALS");
        let right = server.data(&me, prove, json!({ "p": PASSWORD })).await;
        assert_eq!(right["sessionReauthenticate"]["session"]["current"], true, "{right}");
        assert_eq!(server.client.change_password(&me.token, NEW).await["data"]["passwordChange"]["user"]["id"], ada.id.as_str());
    }

    async fn a_forgotten_password_is_reset_by_a_link_that_works_once_for_an_hour(server) {
        let ada = server.person("Ada").await;
        let session = server.client.log_in(&ada.email).await;
        forgot(server, "ADA@example.org").await;
        let token = token_in(&server.mail_to(&ada.email, "Reset your Spacedly password").await.text);
        assert_eq!(reset(server, &token, "password").await["userErrors"][0]["code"], "WEAK_PASSWORD");
        let tries = (0..10).map(|number| { let token = &token; async move { reset(server, token, &format!("{NEW} {number}")).await } });
        let outcomes = futures_util::future::join_all(tries).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome["reset"] == true).count(), 1, "once: {outcomes:?}");
        let number = outcomes.iter().position(|outcome| outcome["reset"] == true).expect("one");
        assert!(server.client.log_in_answer(&ada.email, &format!("{NEW} {number}")).await["data"]["sessionCreate"]["session"].is_object());
        for access in [&session.access, &ada.token] {
            assert!(server.client.time_until_refused(access).await < SOON, "every session ends");
        }
        assert_eq!(reset(server, &token, NEW).await["userErrors"][0]["code"], "INVALID_CODE");
        for wrong in ["", "nonsense", &token[..20], &"A".repeat(43)] {
            assert_eq!(reset(server, wrong, NEW).await["userErrors"][0]["code"], "INVALID_CODE");
        }
        server.advance(TimeDelta::hours(2));
        forgot(server, &ada.email).await;
        server.jobs_are_done().await;
        let late = token_in(&server.mail_to(&ada.email, "Reset your Spacedly password").await.text);
        assert_ne!(late, token);
        server.advance(TimeDelta::minutes(61));
        assert_eq!(reset(server, &late, NEW).await["userErrors"][0]["code"], "INVALID_CODE", "after an hour");
    }

    async fn a_link_dies_with_a_new_password_and_with_a_new_address(server) {
        let ada = server.person("Ada").await;
        forgot(server, &ada.email).await;
        let token = token_in(&server.mail_to(&ada.email, "Reset your Spacedly password").await.text);
        server.client.change_password(&ada.token, NEW).await;
        assert_eq!(reset(server, &token, PASSWORD).await["userErrors"][0]["code"], "INVALID_CODE");
        server.advance(TimeDelta::seconds(1));
        forgot(server, &ada.email).await;
        server.jobs_are_done().await;
        let second = token_in(&server.mail_to(&ada.email, "Reset your Spacedly password").await.text);
        assert_ne!(second, token);
        change_email(server, &ada, "new@example.org").await;
        assert_eq!(reset(server, &second, PASSWORD).await["userErrors"][0]["code"], "INVALID_CODE");
    }

    async fn who_forgets_is_answered_alike_and_mailed_only_if_there_is_an_account(server) {
        server.person("Ada").await;
        let shape = |mut answer: Json| { answer["data"]["passwordForgot"]["expiresAt"].take(); answer.to_string() };
        let (known, unknown) = (forgot(server, "ada@example.org").await, forgot(server, "nobody@example.org").await);
        assert_eq!(shape(known), shape(unknown));
        server.jobs_are_done().await;
        assert_eq!(server.mails("nobody@example.org").await.len(), 0);
        assert!(server.mails("ada@example.org").await.iter().any(|mail| mail.subject == "Reset your Spacedly password"));
        assert_eq!(forgot(server, "no address").await["data"]["passwordForgot"]["userErrors"][0]["code"], "INVALID_EMAIL");
    }

    async fn a_login_with_the_old_password_does_not_survive_its_change(server) {
        let ada = server.person("Ada").await;
        let mut password = PASSWORD.to_owned();
        for number in 0..15 {
            let next = format!("{NEW} {number}");
            let (changed, raced) = tokio::join!(
                server.client.change_password(&ada.token, &next),
                server.client.log_in_answer(&ada.email, &password)
            );
            assert!(changed["data"]["passwordChange"]["user"].is_object(), "{changed}");
            if let Some(access) = raced["data"]["sessionCreate"]["tokens"]["accessToken"].as_str() {
                assert!(server.client.time_until_refused(access).await < SOON, "round {number}");
            }
            password = next;
        }
    }

    async fn an_address_is_changed_by_a_code_to_the_new_and_undone_from_the_old(server) {
        let ada = server.person("Ada").await;
        change_email(server, &ada, "New@example.org").await;
        assert!(server.client.log_in_answer("new@example.org", PASSWORD).await["data"]["sessionCreate"]["session"].is_object());
        assert_eq!(code(&server.client.log_in_answer(&ada.email, PASSWORD).await, "sessionCreate"), "INVALID_CREDENTIALS");
        let token = token_in(&server.mail_to(&ada.email, "Your Spacedly address was changed").await.text);
        let undo = "mutation($t: String!) { emailChangeUndo(input: { token: $t }) { email userErrors { code } } }";
        let undone = server.ask_as_nobody(undo, json!({ "t": token })).await;
        assert_eq!(undone["data"]["emailChangeUndo"]["email"], ada.email.as_str(), "{undone}");
        assert!(server.client.time_until_refused(&ada.token).await < SOON, "every session ends");
        assert!(server.client.log_in_answer(&ada.email, PASSWORD).await["data"]["sessionCreate"]["session"].is_object());
        assert_eq!(code(&server.ask_as_nobody(undo, json!({ "t": token })).await, "emailChangeUndo"), "INVALID_CODE", "once");
        let again = Person { token: server.client.log_in(&ada.email).await.access, ..ada.clone() };
        server.advance(TimeDelta::seconds(61));
        change_email(server, &again, "third@example.org").await;
        server.jobs_are_done().await;
        let late = server.mails(&ada.email).await.into_iter().find(|mail| mail.subject == "Your Spacedly address was changed").expect("the newest");
        server.advance(TimeDelta::hours(25));
        assert_eq!(code(&server.ask_as_nobody(undo, json!({ "t": token_in(&late.text) })).await, "emailChangeUndo"), "INVALID_CODE", "for a day");
    }

    async fn undoing_takes_away_what_a_thief_made_just_before(server) {
        let ada = server.person("Ada").await;
        let start = "mutation { secondFactorStart(input: { method: EMAIL }) { setup { challenge { id } } userErrors { code } } }";
        let challenge = text(&server.ask(&ada, start, json!({})).await, "/data/secondFactorStart/setup/challenge/id");
        let mailed = support::until("the second code", || async {
            let codes: Vec<_> = server.mails(&ada.email).await.into_iter().filter(|mail| mail.subject == "Your Spacedly code").collect();
            (codes.len() == 2).then(|| code_in(&codes[0].text))
        }).await;
        let confirm = "mutation($id: ID!, $code: String!) { secondFactorConfirm(input: { challengeId: $id, code: $code }) { recoveryCodes userErrors { code } } }";
        text(&server.ask(&ada, confirm, json!({ "id": challenge, "code": mailed })).await, "/data/secondFactorConfirm/recoveryCodes/0");
        change_email(server, &ada, "thief@example.org").await;
        let token = token_in(&server.mail_to(&ada.email, "Your Spacedly address was changed").await.text);
        let undo = "mutation($t: String!) { emailChangeUndo(input: { token: $t }) { email userErrors { code } } }";
        server.ask_as_nobody(undo, json!({ "t": token })).await;
        let back = server.client.log_in_answer(&ada.email, PASSWORD).await;
        assert!(back["data"]["sessionCreate"]["session"].is_object(), "{back}");
    }

    async fn undoing_takes_away_what_a_thief_made_since(server) {
        let ada = server.person("Ada").await;
        change_email(server, &ada, "thief@example.org").await;
        let token = token_in(&server.mail_to(&ada.email, "Your Spacedly address was changed").await.text);
        let start = "mutation { secondFactorStart(input: { method: EMAIL }) { setup { challenge { id } } userErrors { code } } }";
        let challenge = text(&server.ask(&ada, start, json!({})).await, "/data/secondFactorStart/setup/challenge/id");
        let mailed = support::until("the second code", || async {
            let codes: Vec<_> = server.mails("thief@example.org").await.into_iter().filter(|mail| mail.subject == "Your Spacedly code").collect();
            (codes.len() == 2).then(|| code_in(&codes[0].text))
        }).await;
        let confirm = "mutation($id: ID!, $code: String!) { secondFactorConfirm(input: { challengeId: $id, code: $code }) { recoveryCodes userErrors { code } } }";
        text(&server.ask(&ada, confirm, json!({ "id": challenge, "code": mailed })).await, "/data/secondFactorConfirm/recoveryCodes/0");
        let undo = "mutation($t: String!) { emailChangeUndo(input: { token: $t }) { email userErrors { code } } }";
        server.ask_as_nobody(undo, json!({ "t": token })).await;
        let back = server.client.log_in_answer(&ada.email, PASSWORD).await;
        assert!(back["data"]["sessionCreate"]["session"].is_object(), "no code goes to the thief: {back}");
    }

    async fn a_taken_address_is_answered_alike_and_cannot_be_had(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let free = start_change(server, &eve, "free@example.org").await;
        server.advance(TimeDelta::seconds(61));
        let taken = start_change(server, &eve, "ADA@example.org").await;
        let keys = |answer: &Json| answer["data"]["emailChangeStart"]["challenge"].as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
        assert_eq!(keys(&free), keys(&taken));
        assert_eq!(free["data"]["emailChangeStart"]["userErrors"], taken["data"]["emailChangeStart"]["userErrors"]);
        let mail = server.mail_to("ADA@example.org", "This address has a Spacedly account already").await;
        assert!(!mail.text.chars().filter(char::is_ascii_digit).collect::<String>().contains("000000"), "no code: {}", mail.text);
        let again = "mutation($id: ID!) { challengeResend(input: { challengeId: $id }) { challenge { id } userErrors { code } } }";
        server.jobs_are_done().await;
        server.advance(TimeDelta::seconds(61));
        server.data(&eve, again, json!({ "id": text(&taken, "/data/emailChangeStart/challenge/id") })).await;
        server.jobs_are_done().await;
        assert!(server.mails("ADA@example.org").await.iter().all(|mail| mail.subject != "Your Spacedly code" || mail.to == ada.email), "nor when it is sent again");
        let stranger = confirm_change(server, &ada, &text(&free, "/data/emailChangeStart/challenge/id"), "123456").await;
        let absent = confirm_change(server, &ada, "challenge_01jd3xk5ve7h8t9w2n4m6p8q0r", "123456").await;
        assert_eq!(stranger.to_string(), absent.to_string());
        let own = start_change(server, &eve, "no address").await;
        assert_eq!(code(&own, "emailChangeStart"), "INVALID_EMAIL");
    }
}

/// A hash of older parameters (m=32 KiB, t=1), as an earlier version of the settings would have made it.
fn argon2_hash(password: &str) -> String {
    use argon2::{
        Algorithm, Argon2, Params, Version,
        password_hash::{PasswordHasher, phc::PasswordHash},
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(32, 1, 1, None).expect("parameters"));
    let hash: PasswordHash = argon2.hash_password_with_salt(password.as_bytes(), b"a salt of sixteen").expect("hashed");
    hash.to_string()
}

async fn set_hash(server: &Server, hash: &str) {
    use sea_orm::sea_query::Expr;
    let update = entity::user::Entity::update_many().col_expr(entity::user::Column::PasswordHash, Expr::value(hash));
    let db = server.app.platform.db.for_migrations();
    update.exec(db).await.expect("set");
}
