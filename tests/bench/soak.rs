//! Mixed load for a long time, kept at a share of the machine's time: whether memory stays flat and nothing fails.
//! What is written is taken away again, so that what grows is a leak. What fails ends it badly whatever the build is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use hyper::{Method, StatusCode};
use serde_json::{Value as Json, json};
use spacedly::platform::secret::{hex, sha256};
use support::{Client, Person, Socket, dice::Dice, postgres, process::Process, text};

use crate::{median, verdict};

/// The share of the machine that is to be busy, clients included.
const BUSY: f64 = 0.7;
/// What that share may come out at. Less is no load, and with more the clients wait for the machine.
const BUSY_ENOUGH: std::ops::RangeInclusive<f64> = 0.6..=0.8;
const CLIENTS: u64 = 16;
/// What memory may grow by, from the second tenth of the time to the last one.
const GROWTH: f64 = 1.05;

/// Seconds from which on memory and load are judged: in a few minutes caches still fill, and the load swings.
const LONG: u64 = 300;

const DASHBOARD: &str = "{ viewer { unreadNotificationCount tasks(first: 20) { nodes { id title status dueAt
    reminders(first: 3) { nodes { id scheduledAt } } attachments(first: 3) { nodes { id fileName } } } } } }";
const FIGURES: &str =
    "{ viewer { analytics { totals { tasks remindersOverdue } daily { date completed } streak { active } } } }";
const LIST: &str = "{ viewer { notifications(first: 50) { nodes { id title message readAt } } } }";
const SEARCH: &str = "{ viewer { tasks(search: \"soak\", first: 10) { nodes { title } totalCount } } }";

struct Load {
    client: Client,
    port: u16,
    done: AtomicU64,
    failed: AtomicU64,
    /// The pause of a client between two requests, in microseconds.
    pause: AtomicU64,
    stop: AtomicBool,
}

pub async fn run(seconds: u64) -> bool {
    let database = postgres::cluster().empty_database().await;
    // At once, so that they share what is to be busy.
    let (sqlite, postgres) = tokio::join!(one("SQLite", None, seconds), one("PostgreSQL", Some(database), seconds));
    let failed = sqlite.failed + postgres.failed;
    assert!(failed == 0 && sqlite.done > 0 && postgres.done > 0, "{failed} requests failed, or none was answered");
    sqlite.met && postgres.met
}

/// How it ended on one database.
struct Ended {
    done: u64,
    failed: u64,
    met: bool,
}

fn settings(folder: &tempfile::TempDir, database: Option<String>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("LOG", "off".into()),
        ("PASSWORD_MEMORY_KIB", "64".into()),
        ("PASSWORD_PASSES", "1".into()),
        ("ACCESS_TOKEN_LIFETIME", "1d".into()),
        ("SOCKETS_PER_USER", "1000".into()),
        ("SOCKETS_PER_ADDRESS", "1000".into()),
        ("REGISTER_LIMIT", "1000".into()),
        ("CODE_FAILURES", "1000".into()),
        ("UPLOAD_LIMIT", "1000000".into()),
        // Full before memory is judged, for what was never asked before comes all the time.
        ("DOCUMENT_CACHE_BYTES", "1000000".into()),
    ];
    settings.extend(database.map(|database| ("DATABASE_URL", database)));
    settings
}

async fn one(name: &str, database: Option<String>, seconds: u64) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&settings(&folder, database));
    let load = Arc::new(Load {
        client: Client::new(&process.address),
        port: process.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"),
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        pause: AtomicU64::new(20_000),
        stop: AtomicBool::new(false),
    });
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let person = load.client.register(&format!("Soak{number}")).await;
        clients.push(tokio::spawn(act(load.clone(), person, number)));
    }
    let (memory, busy) = watch(&load, &process, seconds).await;
    load.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client ends");
    }
    judged(name, seconds, &load, &memory, busy)
}

/// Tells how it ended.
fn judged(name: &str, seconds: u64, load: &Load, memory: &[f64], busy: f64) -> Ended {
    let tenth = (memory.len() / 10).max(1);
    // Of each tenth, so that one can see whether it levels off.
    let tenths: Vec<f64> = memory.chunks_exact(tenth).map(|tenth| median(tenth.to_vec())).collect();
    let (early, late) = (tenths[1.min(tenths.len() - 1)], tenths[tenths.len() - 1]);
    let (done, failed) = (load.done.load(Ordering::Relaxed), load.failed.load(Ordering::Relaxed));
    let met = seconds < LONG || (late <= early * GROWTH && BUSY_ENOUGH.contains(&busy));
    let shown: Vec<String> = tenths.iter().map(|kib| format!("{:.1}", kib / 1_024.0)).collect();
    println!("soak {name}: MB in each tenth: {}", shown.join(" "));
    println!(
        "soak {name}: n={done} requests in {seconds} s at {:.0} % of the machine (goal 60 to 80 %), failed {failed}, memory {:.1} MB in the second tenth, {:.1} MB in the last ({:+.1} %, goal at most +5 %), most {:.1} MB: {}",
        busy * 100.0,
        early / 1_024.0,
        late / 1_024.0,
        (late / early - 1.0) * 100.0,
        memory.iter().copied().fold(0.0, f64::max) / 1_024.0,
        verdict(met && failed == 0)
    );
    Ended { done, failed, met }
}

/// Holds the load, and looks at the memory each second. Gives what was seen, and the share of the machine.
async fn watch(load: &Load, process: &Process, seconds: u64) -> (Vec<f64>, f64) {
    let (began, mut memory) = (Instant::now(), Vec::new());
    let first = cpu();
    let mut before = first;
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(process.memory_kib() as f64);
        let now = cpu();
        let busy = share(before, now);
        before = now;
        let pause = load.pause.load(Ordering::Relaxed) as f64;
        // A little at a time, so that it does not swing.
        let factor = (busy / BUSY).clamp(0.8, 1.25).powf(0.5);
        load.pause.store((pause * factor).clamp(100.0, 1e6) as u64, Ordering::Relaxed);
    }
    (memory, share(first, cpu()))
}

/// The time that all cores were busy, and all their time, in ticks.
fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").expect("Linux");
    let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
    let all: f64 = ticks.iter().take(8).sum();
    (all - ticks[3] - ticks[4], all)
}

fn share(from: (f64, f64), to: (f64, f64)) -> f64 {
    (to.0 - from.0) / (to.1 - from.1).max(1.0)
}

async fn act(load: Arc<Load>, person: Person, number: u64) {
    let mut dice = Dice::new(number + 1);
    let mut tasks: Vec<String> = Vec::new();
    let mut socket: Option<Socket> = None;
    while !load.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_micros(load.pause.load(Ordering::Relaxed))).await;
        match dice.roll(100) {
            0..30 => drop(ask(&load, &person, DASHBOARD, json!({})).await),
            30..40 => drop(ask(&load, &person, FIGURES, json!({})).await),
            40..50 => drop(ask(&load, &person, LIST, json!({})).await),
            50..55 => drop(ask(&load, &person, SEARCH, json!({})).await),
            55..75 if tasks.len() < 40 => {
                let create = "mutation { taskCreate(input: { title: \"To soak\" }) { task { id } } }";
                tasks.push(text(&ask(&load, &person, create, json!({})).await, "/data/taskCreate/task/id"));
            }
            55..80 => {
                if let Some(id) = tasks.pop() {
                    let delete = "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { userErrors { code } } }";
                    ask(&load, &person, delete, json!({ "id": id })).await;
                }
            }
            80..90 => {
                if let Some(id) = tasks.last() {
                    let remind = "mutation($id: ID!, $at: DateTime!) { reminderCreate(input: { taskId: $id, scheduledAt: $at, completeOnDelivery: true }) { userErrors { code } } }";
                    let at = (Utc::now() + TimeDelta::seconds(2)).to_rfc3339();
                    ask(&load, &person, remind, json!({ "id": id, "at": at })).await;
                }
            }
            90..95 => {
                let clear = "mutation { notificationMarkAllRead { markedCount } }";
                ask(&load, &person, clear, json!({})).await;
                ask(&load, &person, "mutation { notificationClear { deletedCount } }", json!({})).await;
            }
            95 => follow_by_events(&load, &person).await,
            96 => log_in_and_out(&load, &person).await,
            97 => {
                // Judged anew each time, and kept beside others for a while.
                let query = format!(
                    "query Q{} {{ viewer {{ tasks(first: 3) {{ nodes {{ id title }} }} }} }}",
                    dice.roll(1_000_000)
                );
                ask(&load, &person, &query, json!({})).await;
            }
            98 => {
                if let Some(task) = tasks.last() {
                    upload(&load, &person, task).await;
                }
            }
            _ => {
                // The one before is dropped, as a browser tab is closed.
                let mut opened = Socket::open(load.port).await;
                let bearer = format!("Bearer {}", person.token);
                opened.send(json!({ "type": "connection_init", "payload": { "authorization": bearer } })).await;
                let acknowledged = opened.next().await["type"] == "connection_ack";
                load.failed.fetch_add(u64::from(!acknowledged), Ordering::Relaxed);
                opened.subscribe("1", "subscription { notificationEvents { cursor } }", json!({})).await;
                socket = Some(opened);
            }
        }
    }
    drop(socket);
}

/// An event stream that is left after a moment.
async fn follow_by_events(load: &Load, person: &Person) {
    let bearer = format!("Bearer {}", person.token);
    let headers =
        [("content-type", "application/json"), ("accept", "text/event-stream"), ("authorization", bearer.as_str())];
    let body = json!({ "query": "subscription { notificationEvents { cursor } }" }).to_string();
    let events = load.client.events(Method::POST, "/graphql", &headers, body).await;
    load.done.fetch_add(1, Ordering::Relaxed);
    load.failed.fetch_add(u64::from(events.status != StatusCode::OK), Ordering::Relaxed);
}

async fn log_in_and_out(load: &Load, person: &Person) {
    let log_in = "mutation($input: SessionCreateInput!) { sessionCreate(input: $input) { tokens { accessToken } userErrors { code } } }";
    let input = json!({ "email": person.email, "password": "correct horse battery", "transport": "TOKENS" });
    let opened = ask(load, person, log_in, json!({ "input": input })).await;
    let another = Person { token: text(&opened, "/data/sessionCreate/tokens/accessToken"), ..person.clone() };
    ask(load, &another, "mutation { sessionEnd { userErrors { code } } }", json!({})).await;
}

/// A file that goes with its task.
async fn upload(load: &Load, person: &Person, task: &str) {
    let bytes = b"Some notes of a soak.".as_slice();
    let announce = "mutation($input: AttachmentUploadsCreateInput!) { attachmentUploadsCreate(input: $input) {
        uploads { url headers { name value } attachment { id } } userErrors { message } } }";
    let file = json!({ "fileName": "notes.txt", "contentType": "text/plain", "sizeBytes": bytes.len(), "sha256": hex(&sha256(bytes)) });
    let made = ask(load, person, announce, json!({ "input": { "taskId": task, "files": [file] } })).await;
    let upload = &made["data"]["attachmentUploadsCreate"]["uploads"][0];
    // As many as a task may have are there: that is no failure.
    if upload.is_null() {
        return;
    }
    let put = support::uploads::put(upload, bytes).await;
    load.failed.fetch_add(u64::from(!put.status.is_success()), Ordering::Relaxed);
    let complete = "mutation($id: ID!) { attachmentUploadComplete(input: { id: $id }) { userErrors { message } } }";
    ask(load, person, complete, json!({ "id": upload["attachment"]["id"] })).await;
}

async fn ask(load: &Load, person: &Person, query: &str, variables: Json) -> Json {
    let answer = load.client.try_graphql(Some(&person.token), query, variables).await.unwrap_or_default();
    let fine = answer["data"].is_object() && answer["errors"].is_null();
    load.done.fetch_add(1, Ordering::Relaxed);
    load.failed.fetch_add(u64::from(!fine), Ordering::Relaxed);
    answer
}
