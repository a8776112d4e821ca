//! What followers of the live stream cost: the memory of idle ones, and how soon a thousand people hear of something.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use support::{Client, Json, Person, Socket, process::Process, until};
use tokio::sync::Mutex;

use crate::{percentile, verdict};

/// Bytes that an idle follower may take.
const IDLE_GOAL: f64 = 20_000.0;
/// Within how many milliseconds 99 of 100 people must hear.
const FAN_OUT_GOAL_MS: f64 = 250.0;

const FOLLOW: &str =
    "subscription { notificationEvents { cursor occurredAt unreadNotificationCount notification { title } } }";

fn start(folder: &std::path::Path) -> Process {
    Process::start(&[
        ("DATA_DIR", folder.display().to_string()),
        ("LOG", "off".into()),
        ("PASSWORD_MEMORY_KIB", "64".into()),
        ("PASSWORD_PASSES", "1".into()),
        ("ACCESS_TOKEN_LIFETIME", "1d".into()),
        ("SOCKETS_PER_USER", "100000".into()),
        ("SOCKETS_PER_ADDRESS", "100000".into()),
        ("CONNECTION_LIMIT", "30000".into()),
        ("REGISTER_LIMIT", "100000".into()),
        ("CODE_FAILURES", "100000".into()),
    ])
}

async fn follow(process: &Process, person: &Person) -> Socket {
    let port = process.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut socket = Socket::open(port).await;
    let bearer = format!("Bearer {}", person.token);
    socket.send(json!({ "type": "connection_init", "payload": { "authorization": bearer } })).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
    socket.subscribe("1", FOLLOW, json!({})).await;
    socket
}

/// So many idle followers, of a hundred people.
pub async fn idle(count: u64) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let process = start(folder.path());
    let client = Client::new(&process.address);
    let mut people = Vec::new();
    for number in 0..100.min(count) {
        people.push(client.register(&format!("Person{number}")).await);
    }
    // Whatever the first ones make once.
    let mut sockets = Vec::new();
    for person in people.iter().cycle().take(200) {
        sockets.push(follow(&process, person).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = process.memory_kib();
    for person in people.iter().cycle().take(count as usize) {
        sockets.push(follow(&process, person).await);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let each = (process.memory_kib() as f64 - before as f64) * 1_024.0 / count as f64;
    let met = each <= IDLE_GOAL;
    println!(
        "subscribers: {count} more idle ones (after 200) take {:.1} kB each, goal {:.0} kB: {}",
        each / 1_000.0,
        IDLE_GOAL / 1_000.0,
        verdict(met)
    );
    met
}

/// A reminder of each of so many people at one moment: from the event's commit to the follower.
pub async fn fan_out(count: u64) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let process = start(folder.path());
    let client = Client::new(&process.address);
    let heard: Arc<Mutex<Vec<f64>>> = Arc::default();
    let mut people = Vec::new();
    for number in 0..count {
        people.push(client.register(&format!("Person{number}")).await);
    }
    for person in &people {
        let mut socket = follow(&process, person).await;
        let heard = heard.clone();
        tokio::spawn(async move {
            let event = socket.next_or_close().await.unwrap_or_default();
            let at = Utc::now();
            heard.lock().await.push(latency(&event, at));
        });
    }
    let moment = Utc::now() + TimeDelta::seconds(10 + i64::try_from(count / 50).unwrap_or(0));
    let remind = "mutation($at: DateTime!) { reminderCreate(input: { message: \"Now\", scheduledAt: $at, type: PUSH }) { reminder { id } } }";
    for person in &people {
        let made = client.graphql(Some(&person.token), remind, json!({ "at": moment.to_rfc3339() })).await;
        assert!(made["data"]["reminderCreate"]["reminder"]["id"].is_string(), "{made}");
    }
    assert!(Utc::now() < moment, "the reminders were not written down in time");
    tokio::time::sleep((moment - Utc::now()).to_std().unwrap_or_default()).await;
    until("everybody to hear", || async { (heard.lock().await.len() as u64 == count).then_some(()) }).await;
    let mut latencies = heard.lock().await.clone();
    latencies.sort_by(f64::total_cmp);
    let p99 = percentile(&latencies, 0.99);
    let met = p99 <= FAN_OUT_GOAL_MS;
    println!(
        "subscribers: {count} people hear of an event of theirs at one moment: from commit p50 {:.0} ms, p99 {p99:.0} ms, most {:.0} ms, goal p99 {FAN_OUT_GOAL_MS} ms: {}",
        percentile(&latencies, 0.5),
        percentile(&latencies, 1.0),
        verdict(met)
    );
    met
}

fn latency(event: &Json, at: DateTime<Utc>) -> f64 {
    let occurred = event["payload"]["data"]["notificationEvents"]["occurredAt"].as_str().unwrap_or_default();
    let occurred: DateTime<Utc> = occurred.parse().unwrap_or_else(|_| panic!("no event: {event}"));
    (at - occurred).num_microseconds().unwrap_or_default() as f64 / 1_000.0
}
