//! Mail over a real SMTP server (npm `smtp-server`), started here.

use entity::user;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use spacedly::platform::{error::Fault, jobs::Failure, mail::Mail};
use support::{Database, Json, Person, Server, json, process::Script, text, until};

struct Smtp {
    script: Script,
    port: u64,
}

impl Smtp {
    fn start() -> Self {
        let (script, first) = Script::start(&["smtp.mjs"]);
        Self { script, port: first["port"].as_u64().expect("a port") }
    }

    fn next(&mut self) -> Json {
        self.script.next_line()
    }
}

fn mail(to: &str) -> Mail {
    Mail {
        id: "delivery_01jd3xk5ve7h8t9w2n4m6p8q0r".into(),
        to: to.into(),
        to_name: "Ada \"the first\" Lovelace, née Byron".into(),
        subject: "Reminder: grüße 🦀 is due soon".into(),
        html: "<p>Grüße</p>".into(),
        text: "Grüße".into(),
    }
}

async fn over_smtp(database: Database) {
    let mut smtp = Smtp::start();
    let url = format!("smtp://127.0.0.1:{}", smtp.port);
    let server =
        Server::start(database, &[("SMTP_URL", &url), ("MAIL_FROM", "Spacedly <hello@spacedly.example>")]).await;
    let mailer = &server.app.platform.mailer;
    assert!(mailer.mailbox().is_none(), "nothing is caught");
    assert!(mailer.ping(std::time::Duration::from_secs(5)).await.is_ok());
    for _ in 0..2 {
        mailer.send(mail("ada@example.org")).await.expect("taken");
        let taken = smtp.next();
        let raw = taken["raw"].as_str().expect("a mail");
        assert_eq!(taken["to"][0], "ada@example.org");
        assert!(raw.contains("Message-ID: <delivery_01jd3xk5ve7h8t9w2n4m6p8q0r@spacedly.example>"), "{raw}");
        assert!(raw.contains("text/plain") && raw.contains("text/html"), "{raw}");
    }
    assert!(matches!(mailer.send(mail("refuse@example.org")).await, Err(Failure::Permanent(_))));
    assert!(matches!(mailer.send(mail("later@example.org")).await, Err(Failure::Refused(..))));
    assert!(matches!(mailer.send(mail("no address")).await, Err(Failure::Permanent(_))));
    reminders_tell_what_the_server_said(&server, &mut smtp).await;
    drop(smtp);
    assert!(matches!(mailer.send(mail("ada@example.org")).await, Err(Failure::Unreachable(_))));
    assert!(mailer.ping(std::time::Duration::from_secs(5)).await.is_err());
    let ready = server.client.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), ready.json()["mail"].as_str()), (200, Some("failing")), "mail is waited for");
    server.expect_dead_jobs();
    server.finish().await;
}

/// A refused address is FAILED in the ledger, a postponed one PENDING with its next attempt, both with the reason.
async fn reminders_tell_what_the_server_said(server: &Server, smtp: &mut Smtp) {
    let ada = register_over_smtp(server, smtp).await;
    let task = server.task(&ada, "Call Bob").await;
    for (address, state) in [("refuse@example.org", "FAILED"), ("later@example.org", "PENDING")] {
        move_to(server, &ada, address).await;
        let reminder = server.reminder(&ada, &task, chrono::TimeDelta::minutes(5)).await;
        let look = "query($id: ID!) { reminder(id: $id) { status deliveries { channel state attempts nextAttemptAt error } } }";
        let mail = until("the ledger", || async {
            let found = server.data(&ada, look, json!({ "id": reminder })).await["reminder"].take();
            let ledger = found["deliveries"].as_array().cloned().unwrap_or_default();
            ledger.into_iter().find(|delivery| delivery["channel"] == "EMAIL" && delivery["error"].is_string())
        })
        .await;
        assert_eq!(
            (mail["state"].as_str(), mail["nextAttemptAt"].is_null()),
            (Some(state), state == "FAILED"),
            "{mail}"
        );
        assert!(mail["error"].as_str().is_some_and(|e| e.contains("(550)") || e.contains("(451)")), "{mail}");
        assert!(!mail["error"].to_string().contains('@'), "the reason names no address: {mail}");
    }
}

async fn register_over_smtp(server: &Server, smtp: &mut Smtp) -> Person {
    let register = "mutation { accountRegister(input: { name: \"Ada\", email: \"ada@example.org\", password: \"correct horse battery\" }) { registration { id } } }";
    let registration = text(&server.ask_as_nobody(register, json!({})).await, "/data/accountRegister/registration/id");
    let taken = smtp.next();
    let code = taken["raw"].as_str().and_then(|raw| raw.split("code is ").nth(1)).map(|rest| rest[..6].to_owned());
    let verify = "mutation($id: ID!, $code: String!) { accountVerifyEmail(input: { registrationId: $id, code: $code, transport: TOKENS }) { user { id } tokens { accessToken } } }";
    let answer = server.ask_as_nobody(verify, json!({ "id": registration, "code": code })).await;
    let token = text(&answer, "/data/accountVerifyEmail/tokens/accessToken");
    Person { id: text(&answer, "/data/accountVerifyEmail/user/id"), token, email: "ada@example.org".into() }
}

/// Gives a person another address, behind the back of the API, which cannot do that yet.
async fn move_to(server: &Server, person: &Person, address: &'static str) {
    let id: entity::UserId = person.id.parse().expect("an id");
    let moved = server.app.platform.db.write::<_, Fault, _, _>(move |tx| async move {
        user::Entity::update_many()
            .col_expr(user::Column::Email, Expr::value(address))
            .filter(user::Column::Id.eq(id))
            .exec(&*tx)
            .await?;
        Ok(())
    });
    moved.await.expect("moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_out_over_smtp_on_sqlite() {
    over_smtp(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_out_over_smtp_on_postgres() {
    over_smtp(Database::Postgres).await;
}
