//! Requests a second of the dashboard document against the endpoint by hand, with 32 connections, in one run.

use std::{path::Path, process::Command};

use chrono::TimeDelta;
use entity::{reminder, task};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseBackend};
use serde_json::json;
use spacedly::platform::error::Fault;
use support::{Database, Person, Server};

use crate::{
    baseline::{ByHand, Pool},
    median, verdict,
};

/// The document of the goal: 20 tasks with attachments, reminders and the unread count.
const DOCUMENT: &str = "query Dashboard { viewer { unreadNotificationCount tasks { edges { node {
    id title status priority dueAt attachments { nodes { id fileName sizeBytes } } reminders { nodes { id scheduledAt status } } } }
    pageInfo { hasNextPage } } } }";

const GOAL: f64 = 0.6;

pub async fn run(rounds: u64, seconds: u64) -> bool {
    println!(
        "dashboard: {rounds} rounds of {seconds} s each side, 32 connections, wrk with 1 thread, same process, same pools"
    );
    let mut met = true;
    for database in [Database::Sqlite, Database::Postgres] {
        let settings = [("LOG", "off"), ("ACCESS_TOKEN_LIFETIME", "1d")];
        let server = Server::start_plain(database, &settings).await;
        let ada = server.person("Ada").await;
        fill(&server, &ada).await;
        let by_hand = serve_by_hand(&server).await;
        let graphql = format!("http://127.0.0.1:{}/graphql", server.port);
        same_data(&server, &ada, by_hand.trim_end_matches('/')).await;
        let script = write_script(&ada);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        wrk(&graphql, &script, 1);
        wrk(&by_hand, &script, 1);
        for _ in 0..rounds {
            theirs.push(wrk(&by_hand, &script, seconds));
            ours.push(wrk(&graphql, &script, seconds));
        }
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        let (least, most) = ratios.iter().fold((f64::MAX, f64::MIN), |(a, b), r| (a.min(*r), b.max(*r)));
        let ratio = median(ratios);
        println!(
            "dashboard {database:?}: GraphQL {:.0} req/s, by hand {:.0} req/s (medians of {rounds}), ratio {ratio:.2} ({least:.2}–{most:.2}), goal {GOAL}: {}",
            median(ours),
            median(theirs),
            verdict(ratio >= GOAL)
        );
        met &= ratio >= GOAL;
        server.finish().await;
    }
    met
}

async fn fill(server: &Server, ada: &Person) {
    let platform = server.app.platform.clone();
    let user: entity::UserId = ada.id.parse().expect("an id");
    let now = server.clock.now();
    let write = async move |platform: spacedly::platform::Platform| {
        let parts = platform.clone();
        platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                for number in 0..30i64 {
                    let created_at = now - TimeDelta::minutes(number);
                    let task_id = entity::TaskId::from_uuid(parts.new_uuid());
                    let title = format!("Task number {number} of the dashboard");
                    task::ActiveModel {
                        id: Set(task_id),
                        user_id: Set(user),
                        title_key: Set(title.to_lowercase()),
                        title: Set(title),
                        description: Set(Some("What is to be done, in a few words.".into())),
                        link: Set(None),
                        due_at: Set(Some(now + TimeDelta::days(number))),
                        due_on: Set(None),
                        due_key: Set(now + TimeDelta::days(number)),
                        priority: Set(task::Priority::Medium),
                        category: Set(Some("work".into())),
                        status: Set(task::Status::Todo),
                        completed_at: Set(None),
                        first_completed_at: Set(None),
                        version: Set(1),
                        created_at: Set(created_at),
                        updated_at: Set(created_at),
                        deleted_at: Set(None),
                    }
                    .insert(&*tx)
                    .await?;
                    for piece in 0..2i64 {
                        let at = created_at + TimeDelta::seconds(piece);
                        support::files_of::attachment(parts.new_uuid(), user, task_id, at).insert(&*tx).await?;
                        reminder::ActiveModel {
                            id: Set(entity::ReminderId::from_uuid(parts.new_uuid())),
                            user_id: Set(user),
                            task_id: Set(Some(task_id)),
                            message: Set(None),
                            scheduled_at: Set(now + TimeDelta::days(number + piece)),
                            kind: Set(reminder::Kind::Email),
                            status: Set(reminder::Status::Pending),
                            completes_on_delivery: Set(false),
                            round: Set(1),
                            completed_at: Set(None),
                            cancelled_at: Set(None),
                            ended_by_task: Set(false),
                            version: Set(1),
                            created_at: Set(now),
                            updated_at: Set(now),
                        }
                        .insert(&*tx)
                        .await?;
                    }
                }
                Ok(())
            })
            .await
            .expect("filled");
    };
    write(platform).await;
}

async fn serve_by_hand(server: &Server) -> String {
    let read = server.app.platform.db.read();
    let pool = match server.app.platform.db.backend() {
        DatabaseBackend::Postgres => Pool::Postgres(read.get_postgres_connection_pool().clone()),
        _ => Pool::Sqlite(read.get_sqlite_connection_pool().clone()),
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let endpoint = ByHand { app: server.app.clone(), pool };
    // The same accept loop: what differs is what the endpoint does.
    let config = server.app.platform.config.clone();
    tokio::spawn(spacedly::server::accept(endpoint, listener, config, Default::default()));
    format!("http://{address}/")
}

/// Both sides must tell the same.
async fn same_data(server: &Server, ada: &Person, by_hand: &str) {
    let graphql = server.ask(ada, DOCUMENT, json!({})).await;
    let client = support::Client::new(by_hand);
    let bearer = format!("Bearer {}", ada.token);
    let answer = client.send(hyper::Method::POST, "/", &[("authorization", &bearer)], "{}").await;
    assert_eq!(graphql["data"], answer.json()["data"], "the two sides differ");
    assert_eq!(graphql["data"]["viewer"]["tasks"]["edges"].as_array().map(Vec::len), Some(20));
}

fn write_script(ada: &Person) -> tempfile::NamedTempFile {
    let body = json!({ "query": DOCUMENT }).to_string();
    let script = format!(
        "wrk.method = \"POST\"\nwrk.body = [==[{body}]==]\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.headers[\"Authorization\"] = \"Bearer {}\"\n",
        ada.token
    );
    let file = tempfile::Builder::new().suffix(".lua").tempfile().expect("a file");
    std::fs::write(file.path(), script).expect("written");
    file
}

/// Requests a second.
fn wrk(url: &str, script: &tempfile::NamedTempFile, seconds: u64) -> f64 {
    let script: &Path = script.path();
    let output = Command::new("wrk")
        .args(["-t1", "-c32", &format!("-d{seconds}s"), "-s"])
        .arg(script)
        .arg(url)
        .output()
        .expect("wrk is installed: apt-get install wrk (tests/bench/run does it)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("Non-2xx"), "{said}");
    let line = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")).unwrap_or_else(|| panic!("{said}"));
    line.trim().parse().expect("a number")
}
