//! Fault runs: the real program as a process, killed again and again while it works.
//! Promise: what is compared with is computed here, from what was acknowledged, and not asked of the program.

mod burst;
mod digest;
mod documents;
mod files;
mod ground;
mod outage;
mod points;
mod rolling;
mod sessions;
mod smtp;
mod stall;
mod subscribers;
mod verdict;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use serde_json::{Value as Json, json};
use support::{
    Client, Database, Server,
    analytics::{FOR_YEARS, fuzz},
    dice::Dice,
    postgres,
    process::Process,
};

fn main() {
    support::limits::tell();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).and_then(|n| n.parse().ok()).unwrap_or(default);
    let size = |index: usize, default: usize| number(index, default as u64) as usize;
    let word = |index: usize| arguments.get(index).map(String::as_str);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    let ok = runtime.block_on(async {
        match word(0) {
            Some("kill") => {
                let sqlite = kill(number(1, 100), None).await;
                kill(number(1, 100), Some(postgres::cluster().database().await)).await && sqlite
            }
            Some("workers") => workers::run(number(1, 200)).await,
            Some("points") => points::run(size(1, 50), word(2)).await,
            Some("stall") => stall::run(size(1, 2), number(2, 30)).await,
            Some("smtp") => smtp::run(size(1, 60), word(2)).await,
            Some("digest") => digest::run(u32::try_from(size(1, 50)).unwrap_or(50)).await,
            Some("outage") => outage::run(size(1, 51), word(2) == Some("away")).await,
            Some("subscribers") => subscribers::run(number(1, 600)).await,
            Some("rolling") => rolling::run(size(1, 20)).await,
            Some("burst") => burst::run(size(1, 10_000)).await,
            Some("files") => {
                let sqlite = files::kill(number(1, 200), None).await;
                files::kill(number(1, 200), Some(postgres::cluster().database().await)).await && sqlite
            }
            Some("sessions") => {
                let counts = sessions::Counts { rounds: size(1, 200), replays: size(2, 100), races: size(3, 500) };
                sessions::run(counts).await;
                true
            }
            Some("analytics") => {
                for database in [Database::Sqlite, Database::Postgres] {
                    let began = Instant::now();
                    let server = Server::start_plain(database, &FOR_YEARS).await;
                    let fuzzed = fuzz(&server, size(1, 10_000), 0xF1675).await;
                    println!(
                        "analytics {database:?}: no answer differed in {} s: {fuzzed:?}",
                        began.elapsed().as_secs()
                    );
                    server.finish().await;
                }
                true
            }
            Some("documents") => documents::run(size(1, 20_000), number(2, 7)).await,
            _ => {
                eprintln!("{USAGE}");
                false
            }
        }
    });
    if !ok {
        std::process::exit(1);
    }
}

const USAGE: &str = "faults kill [kills] | workers [kills] | points [times] [point] | stall [rounds] [lease in s]
    | smtp [reminders] [manner] | digest [days] | outage [reminders] [away] | burst [reminders] | subscribers [seconds]
    | files [kills] | rolling [rounds] | sessions [rounds] [replays] [races] | analytics [writes]
    | documents [count] [seed]";

/// Kills the program so often during a stream of due reminders. Whether none was lost and none came twice.
async fn kill(kills: u64, database: Option<String>) -> bool {
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("LOG", "off".into()),
        ("ACCESS_TOKEN_LIFETIME", "1d".into()),
        ("REMINDERS_PER_TASK", "1000000".into()),
        // A job that a killed process held is taken over when its lease ends: short, so that it happens often.
        ("JOB_LEASE", "2s".into()),
    ];
    settings.extend(database.map(|url| ("DATABASE_URL", url)));
    let began = Instant::now();
    let mut random = Dice::new(0x5EED ^ kills);
    let first = Process::start(&settings);
    let client = Client::new(&first.address);
    let (token, task) = client.register_with_task("Ada").await;
    first.kill();
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    let mut unanswered: BTreeMap<u64, String> = BTreeMap::new();
    let mut next = 0;
    for _ in 0..kills {
        let process = Process::start(&settings);
        let client = Client::new(&process.address);
        let life = Duration::from_millis(100 + random.roll(600));
        let killed = Instant::now() + life;
        while Instant::now() < killed {
            // What was not answered is asked again, under the same key, so that it cannot be made twice.
            let (number, at) = match unanswered.pop_first() {
                Some(asked) => asked,
                None => {
                    next += 1;
                    (next, (Utc::now() + TimeDelta::milliseconds(300 + random.roll(2_000) as i64)).to_rfc3339())
                }
            };
            let left = killed.saturating_duration_since(Instant::now());
            let asked = remind(&client, &token, &task, number, &at);
            match tokio::time::timeout(left, asked).await {
                Ok(Ok(answer)) if answer["data"]["reminderCreate"]["reminder"]["id"].is_string() => {
                    acknowledged.insert(number);
                }
                // Its moment passed before it could be made at all: it was never acknowledged.
                Ok(Ok(answer)) => {
                    assert_eq!(answer["data"]["reminderCreate"]["userErrors"][0]["code"], "IN_THE_PAST", "{answer}")
                }
                Ok(Err(_)) | Err(_) => {
                    unanswered.insert(number, at);
                }
            }
            if acknowledged.len().is_multiple_of(7) {
                tokio::time::sleep(Duration::from_millis(random.roll(20))).await;
            }
        }
        process.kill();
    }
    let last = Process::start(&settings);
    let client = Client::new(&last.address);
    let settled = settle(&client, &token).await;
    let app = in_app(&client, &token).await;
    let mails = by_mail(folder.path());
    let lost = acknowledged.iter().filter(|number| !app.contains_key(number)).count();
    let twice = app.values().filter(|count| **count > 1).count();
    let unmailed = acknowledged.iter().filter(|number| !mails.contains_key(number)).count();
    let repeated = mails.values().filter(|ids| ids.len() > 1).count();
    let other_ids = mails.values().filter(|ids| ids.iter().collect::<BTreeSet<_>>().len() > 1).count();
    let drift = settled != app.values().sum::<usize>() as i64;
    assert!(last.terminate(), "it ends well");
    let ok = lost == 0 && twice == 0 && unmailed == 0 && other_ids == 0 && !drift;
    println!(
        "kill -9 {name}: {kills} kills, {} reminders acknowledged: lost {lost}, twice in the app {twice}, not mailed {unmailed}, \
         mailed again {repeated} (with another Message-ID {other_ids}), unread count {}, {:.0} s: {}",
        acknowledged.len(),
        if drift { "DRIFTED" } else { "right" },
        began.elapsed().as_secs_f64(),
        if ok { "ok" } else { "FAILED" }
    );
    ok
}

async fn remind(client: &Client, token: &str, task: &str, number: u64, at: &str) -> Result<Json, String> {
    let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code } } }";
    let input = json!({ "taskId": task, "message": format!("R-{number}."), "scheduledAt": at, "idempotencyKey": format!("key-{number}") });
    client.try_graphql(Some(token), create, json!({ "input": input })).await
}

/// Waits until nothing is left to deliver; gives back the unread count.
async fn settle(client: &Client, token: &str) -> i64 {
    let (mut before, mut since) = (-1, Instant::now());
    let began = Instant::now();
    loop {
        let answer = client.graphql(Some(token), "{ viewer { unreadNotificationCount } }", json!({})).await;
        let unread = answer["data"]["viewer"]["unreadNotificationCount"].as_i64().unwrap_or(-1);
        if unread != before {
            (before, since) = (unread, Instant::now());
        }
        // The last lease and the last moment lie at most 3 s ahead; mail goes out one by one.
        if since.elapsed() > Duration::from_secs(8) {
            return unread;
        }
        assert!(began.elapsed() < Duration::from_secs(300), "it does not come to rest");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How often each reminder stands in the list of the app.
async fn in_app(client: &Client, token: &str) -> BTreeMap<u64, usize> {
    let query = "query($after: Cursor) { viewer { notifications(first: 100, after: $after) { nodes { message } pageInfo { hasNextPage endCursor } } } }";
    let mut found = BTreeMap::new();
    let mut after = Json::Null;
    loop {
        let page =
            client.graphql(Some(token), query, json!({ "after": after })).await["data"]["viewer"]["notifications"]
                .take();
        for node in page["nodes"].as_array().expect("a list") {
            *found.entry(number_in(node["message"].as_str().unwrap_or_default()).expect("a number")).or_default() += 1;
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// The Message-IDs of the mails of each reminder.
fn by_mail(folder: &Path) -> BTreeMap<u64, Vec<String>> {
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("mailbox")).expect("a mailbox").flatten() {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        let Ok(mail) = serde_json::from_slice::<Json>(&bytes) else { continue };
        if let Some(number) = number_in(mail["text"].as_str().unwrap_or_default()) {
            found.entry(number).or_default().push(mail["messageId"].as_str().unwrap_or_default().to_owned());
        }
    }
    found
}

fn number_in(text: &str) -> Option<u64> {
    text.split("R-").nth(1)?.split('.').next()?.parse().ok()
}
