//! Readiness: it names what is wrong, hammers nothing, and waits for nothing that can be done without.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use hyper::StatusCode;
use support::{
    Answer, Database, Json, Server, both, json, postgres,
    process::{Process, binary},
    redis::Redis,
    relay::Relay,
    s3::S3,
    smtp::{Manner, Sink},
    until,
};

/// Asks again and again, as a part's answer is kept for a moment, until a part is as it should be.
async fn until_it_says(server: &Server, part: &str, state: &str) -> (Answer, Json) {
    until(&format!("{part} to be {state}"), || async {
        let answer = server.client.get("/health/ready").await;
        let json = answer.json();
        (json[part] == state).then_some((answer, json))
    })
    .await
}

both! {
    async fn a_part_is_asked_once_however_many_ask(server, "HEALTH_CACHE" = "1h") {
        server.forget_statements();
        let asks = (0..50).map(|_| server.client.get("/health/ready"));
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
        }
        let asked = server.statements().iter().filter(|sql| sql.trim() == "SELECT 1").count();
        assert!(asked <= 1, "{asked} times");
    }

    async fn mail_that_is_away_is_named_and_waited_for(server) {
        // A server of its own: this one catches its mail.
        let sink = Sink::start().await;
        let settings = [
            ("SMTP_URL", sink.url()), ("SMTP_TIMEOUT", "3s".into()), ("HEALTH_TIMEOUT", "3s".into()), ("HEALTH_CACHE", "10ms".into()),
        ];
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let other = Server::start(server.database, &settings).await;
        let (answer, json) = until_it_says(&other, "mail", "ok").await;
        assert_eq!((answer.status, json.get("reasons")), (StatusCode::OK, None));
        sink.set(Manner::Hang);
        let (answer, json) = until_it_says(&other, "mail", "failing").await;
        assert_eq!((answer.status, &json["reasons"]["mail"]), (StatusCode::OK, &json!("no answer within 3 s")));
        let began = Instant::now();
        other.client.get("/health/ready").await;
        assert!(began.elapsed() < Duration::from_millis(2_500), "what can be done without keeps nobody waiting");
        sink.set(Manner::Closed);
        until("it to be refused", || async {
            let json = other.client.get("/health/ready").await.json();
            (json["reasons"]["mail"] == "refused").then_some(())
        }).await;
        let told = other.client.get("/health/ready").await.text();
        assert!(!told.contains("127.0.0.1"), "no address: {told}");
        sink.set(Manner::Well);
        until_it_says(&other, "mail", "ok").await;
        other.finish().await;
    }
}

async fn storage_is_away(database: Database) {
    let s3 = S3::start().await;
    let settings = [
        ("S3_ENDPOINT", s3.endpoint.as_str()),
        ("S3_BUCKET", s3.bucket.as_str()),
        ("S3_ACCESS_KEY_ID", "key"),
        ("S3_SECRET_ACCESS_KEY", "secret"),
        ("HEALTH_CACHE", "10ms"),
    ];
    let server = Server::start(database, &settings).await;
    until_it_says(&server, "storage", "ok").await;
    s3.set_away(true);
    let (answer, json) = until_it_says(&server, "storage", "failing").await;
    let reason = json["reasons"]["storage"].as_str().expect("a reason");
    assert_eq!(answer.status, StatusCode::OK, "what is for it is tried again");
    assert!(["refused", "no answer within 2 s"].contains(&reason), "{reason}");
    s3.set_away(false);
    until_it_says(&server, "storage", "ok").await;
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_is_away_is_named_and_waited_for_on_sqlite() {
    storage_is_away(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_is_away_is_named_and_waited_for_on_postgres() {
    storage_is_away(Database::Postgres).await;
}

/// A new PostgreSQL, and the relay that leads to it.
pub(crate) async fn database_behind_a_relay() -> (String, Relay) {
    let url = postgres::cluster().database().await;
    let (head, name) = url.rsplit_once('/').expect("a name");
    let port = head.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let relay = Relay::to(port).await;
    (format!("postgres://postgres@127.0.0.1:{}/{name}", relay.port), relay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_named_and_makes_an_instance_unready() {
    let (url, relay) = database_behind_a_relay().await;
    let settings = [("DATABASE_URL", url.as_str()), ("HEALTH_TIMEOUT", "3s"), ("HEALTH_CACHE", "10ms")];
    let server = Server::start(Database::Postgres, &settings).await;
    until_it_says(&server, "database", "ok").await;
    relay.set_silent(true);
    let (answer, json) = until_it_says(&server, "database", "failing").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json["reasons"], json!({ "database": "no answer within 3 s" }));
    assert_eq!(server.client.get("/health/live").await.status, StatusCode::OK, "the process runs");
    relay.set_silent(false);
    let (answer, _) = until_it_says(&server, "database", "ok").await;
    assert_eq!(answer.status, StatusCode::OK);
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_away_is_named_and_done_without() {
    let mut redis = Redis::start();
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("SECRET_KEY", "0123456789abcdef0123456789abcdef")];
    let server = Server::start(Database::Postgres, &settings).await;
    until_it_says(&server, "bus", "ok").await;
    tokio::task::block_in_place(|| redis.stop());
    let (answer, json) = until_it_says(&server, "bus", "failing").await;
    assert_eq!((answer.status, &json["reasons"]), (StatusCode::OK, &json!({ "bus": "not heard" })));
    tokio::task::block_in_place(|| redis.resume());
    until_it_says(&server, "bus", "ok").await;
    server.finish().await;
}

/// What `spacedly healthcheck` says of what these settings lead to. None: it is well.
fn healthcheck(settings: &[(&str, &str)], arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(binary());
    command.env_clear().envs(settings.iter().copied()).arg("healthcheck").args(arguments);
    let output = tokio::task::block_in_place(|| command.output()).expect("it runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_check_finds_a_worker_which_lives_while_its_database_is_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, relay) = database_behind_a_relay().await;
    let settings = [
        ("DATA_DIR", folder.path().display().to_string()),
        ("DATABASE_URL", url),
        ("WORKER_PORT", "0".into()),
        ("HEALTH_TIMEOUT", "1s".into()),
        ("HEALTH_CACHE", "10ms".into()),
    ];
    let says = "Spacedly works, and says how it is at ";
    let worker = tokio::task::block_in_place(|| Process::start_as(&["worker"], says, &settings));
    let port = worker.address.rsplit(':').next().expect("a port");
    // Where the image looks for a server nobody is.
    let here = [("PORT", "1"), ("WORKER_PORT", port)];
    let asks: [&[&str]; 2] = [&[], &["--live"]];
    for arguments in asks {
        until("it to be well", || async { healthcheck(&here, arguments).is_none().then_some(()) }).await;
    }
    let said = healthcheck(&[("PORT", "1")], &[]).expect("nobody is there");
    assert!(said.contains("nobody listens at PORT 1 of 127.0.0.1: "), "{said}");
    let said = healthcheck(&[("PORT", "1"), ("WORKER_PORT", "2")], &["--live"]).expect("nobody is there");
    assert!(said.contains("nobody listens at PORT 1 or WORKER_PORT 2 of 127.0.0.1: "), "{said}");
    relay.set_silent(true);
    until("it to be unready", || async {
        healthcheck(&here, &[]).filter(|said| said.contains("is not ready")).map(drop)
    })
    .await;
    assert_eq!(healthcheck(&here, &["--live"]), None, "nothing is to start it anew");
    relay.set_silent(false);
    until("it to be well again", || async { healthcheck(&here, &[]).is_none().then_some(()) }).await;
    assert!(tokio::task::block_in_place(|| worker.terminate()), "SIGTERM ends it well");
}

#[test]
fn a_development_server_that_others_reach_warns_that_they_can_read_everybodys_codes() {
    for (host, warns) in [("127.0.0.1", false), ("0.0.0.0", true)] {
        let (folder, log) = (tempfile::tempdir().expect("a folder"), tempfile::NamedTempFile::new().expect("a file"));
        let settings = [("DATA_DIR", folder.path().display().to_string()), ("HOST", host.to_owned())];
        let server = Process::start_logging_to(&settings, log.reopen().expect("a log"));
        let said = std::fs::read_to_string(log.path()).expect("text");
        assert_eq!(said.contains("/dev/mailbox"), warns, "{host}: {said}");
        assert!(server.terminate());
    }
}
