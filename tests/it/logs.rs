//! The log of the program itself: in which form it comes, and that a request is one line with what an operator looks
//! for.

use std::{io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hyper::{Method, StatusCode};
use support::{Client, Json, code_in, json, postgres, process::Process, smtp::Sink, until};

/// The id that the request brings along.
const ID: &str = "an-id-of-the-proxy";

fn settings(folder: &Path, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let folder = ("DATA_DIR", folder.display().to_string());
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    std::iter::once(folder).chain(more).collect()
}

/// What the program logs from its start until it has answered a request.
async fn log_of(settings: &[(&str, String)]) -> String {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let process = Process::start_logging_to(settings, log.reopen().expect("a log"));
    let headers = [("content-type", "application/json"), ("x-request-id", ID)];
    let body = json!({ "query": "query Dashboard { viewer { name } }" }).to_string();
    let answer = Client::new(&process.address).send(Method::POST, "/graphql", &headers, body).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (StatusCode::OK, ID), "{}", answer.text());
    // The line is written before the answer.
    drop(process);
    let mut said = String::new();
    log.reopen().expect("a log").read_to_string(&mut said).expect("text");
    said
}

/// The one line about the request, in a log of which every line is JSON.
fn line_in(said: &str) -> Json {
    let lines = said.lines().map(|line| serde_json::from_str::<Json>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    let mut about: Vec<Json> = lines.filter(|line| line["operation"] == "Dashboard").collect();
    assert_eq!(about.len(), 1, "{said}");
    about.remove(0)
}

fn assert_tells_all(line: &Json, level: &str, message: &str) {
    let told = [
        ("level", json!(level)),
        ("message", json!(message)),
        ("method", json!("POST")),
        ("path", json!("/graphql")),
        ("status", json!(200)),
        ("kind", json!("query")),
        ("errors", json!(0)),
    ];
    for (field, value) in told {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    assert!(line["duration_ms"].as_f64().is_some_and(|took| took > 0.0), "{line}");
    assert_eq!((&line["span"]["name"], &line["span"]["id"]), (&json!("request"), &json!(ID)), "{line}");
    let at = line["timestamp"].as_str().expect("a timestamp");
    assert!(at.parse::<DateTime<Utc>>().is_ok(), "{at}");
}

#[tokio::test]
async fn a_request_is_one_line_of_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = log_of(&settings(folder.path(), &[("LOG_FORMAT", "json"), ("SLOW_REQUEST", "1h")])).await;
    assert_tells_all(&line_in(&said), "INFO", "request");
}

#[tokio::test]
async fn what_takes_longer_than_it_should_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = log_of(&settings(folder.path(), &[("LOG_FORMAT", "json"), ("SLOW_REQUEST", "0ms")])).await;
    assert_tells_all(&line_in(&said), "WARN", "slow request");
}

#[tokio::test]
async fn production_logs_json_without_being_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = postgres::cluster().database().await;
    // Nothing is there but the database: the others are waited for.
    let production = [
        ("ENVIRONMENT", "production"),
        ("DATABASE_URL", database.as_str()),
        ("SECRET_KEY", "5a1d0c9be7f34826a3d95b70c8e2f461"),
        ("SMTP_URL", "smtps://127.0.0.1:1"),
        ("MAIL_FROM", "Spacedly <hello@example.org>"),
        ("PUBLIC_URL", "https://api.example.org"),
        ("FRONTEND_URL", "https://app.example.org"),
        ("S3_ENDPOINT", "https://127.0.0.1:1"),
        ("S3_ACCESS_KEY_ID", "key"),
        ("S3_SECRET_ACCESS_KEY", "secret"),
        ("TRUSTED_PROXIES", "1"),
        ("SLOW_REQUEST", "1h"),
    ];
    assert_tells_all(&line_in(&log_of(&settings(folder.path(), &production)).await), "INFO", "request");
}

#[tokio::test]
async fn development_logs_for_eyes() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = log_of(&settings(folder.path(), &[("SLOW_REQUEST", "0ms")])).await;
    assert!(said.lines().all(|line| !line.starts_with('{')), "{said}");
    let line = said.lines().find(|line| line.contains("Dashboard")).unwrap_or_else(|| panic!("no line: {said}"));
    for word in ["WARN", "slow request", "duration_ms=", ID] {
        assert!(line.contains(word), "{word} in {line}");
    }
}

/// Whoever looks for the cause of something asks for everything; libraries would tell what they send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_however_much_is_asked_for() {
    let (folder, sink) = (tempfile::tempdir().expect("a folder"), Sink::start().await);
    let smtp = sink.url().replace("smtp://", "smtp://postmaster:hunter22hunter22@");
    let settings = settings(folder.path(), &[("LOG", "trace"), ("LOG_FORMAT", "json"), ("SMTP_URL", &smtp)]);
    let log = tempfile::NamedTempFile::new().expect("a file");
    let process = Process::start_logging_to(&settings, log.reopen().expect("a log"));
    let client = Client::new(&process.address);
    let register = "mutation { accountRegister(input: { name: \"Ada\", email: \"ada@example.org\",
        password: \"correct horse battery\" }) { registration { id } } }";
    let registration =
        client.graphql(None, register, json!({})).await["data"]["accountRegister"]["registration"]["id"].clone();
    let mail = until("the mail", || async { sink.mails(0).into_iter().next() }).await;
    let code = code_in(&mail.text);
    let verify = "mutation($input: AccountVerifyEmailInput!) { accountVerifyEmail(input: $input) { tokens { accessToken refreshToken } } }";
    let input = json!({ "registrationId": registration, "code": code, "transport": "TOKENS" });
    let verified = client.graphql(None, verify, json!({ "input": input })).await;
    let token =
        |name: &str| verified["data"]["accountVerifyEmail"]["tokens"][name].as_str().expect("a token").to_owned();
    let (access, refresh) = (token("accessToken"), token("refreshToken"));
    client.graphql(Some(&access), "{ viewer { email } }", json!({})).await;
    assert!(process.terminate());
    let mut said = String::new();
    log.reopen().expect("a log").read_to_string(&mut said).expect("text");
    let plain = STANDARD.encode("\0postmaster\0hunter22hunter22");
    // Six digits may stand within an instant or an id by chance.
    assert!(said.split(|c: char| !c.is_ascii_alphanumeric()).all(|word| word != code), "{code} is in the log: {said}");
    for secret in [&access, &refresh, &plain, "hunter22", "ada@example.org", "correct horse"] {
        assert!(!said.contains(secret), "{secret} is in the log: {said}");
    }
}
