//! The process dies while it settles the day of a morning digest, day after day: each day's digest still comes once.

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use support::{Client, postgres, process::Process, until};

use crate::ground::ABORTED;

/// Lets it die so often, on each database. Whether every day had its own.
pub(crate) async fn run(days: u32) -> bool {
    let sqlite = on(None, days).await;
    let postgres = on(Some(postgres::cluster().database().await), days).await;
    sqlite && postgres
}

async fn on(database: Option<String>, days: u32) -> bool {
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let began = Instant::now();
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    let mut settings = vec![
        ("DATA_DIR", folder.path().join("data").display().to_string()),
        ("CLOCK_OFFSET_FILE", clock.display().to_string()),
        ("LOG", "off".into()),
        ("ACCESS_TOKEN_LIFETIME", "400d".into()),
        ("SESSION_IDLE_LIFETIME", "400d".into()),
        ("SESSION_TOTAL_LIFETIME", "400d".into()),
        ("JOB_LEASE", "2s".into()),
    ];
    settings.extend(database.map(|url| ("DATABASE_URL", url)));
    std::fs::write(&clock, "0").expect("written");
    let first = Utc::now().date_naive() + TimeDelta::days(1);
    let process = Process::start(&settings);
    let client = Client::new(&process.address);
    let ada = client.register("Ada").await;
    for day in first.iter_days().take(days as usize) {
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } } }";
        let input = json!({ "title": format!("Due on {day}"), "due": { "at": format!("{day}T12:00:00Z") } });
        let made = client.graphql(Some(&ada.token), create, json!({ "input": input })).await;
        assert!(made["data"]["taskCreate"]["task"]["id"].is_string(), "{made}");
    }
    assert!(process.terminate(), "it ends well");
    let mut deaths = 0;
    for day in first.iter_days().take(days as usize) {
        deaths += u32::from(die_on(&settings, &clock, day).await);
    }
    let process = Process::start(&settings);
    let told = digests(&Client::new(&process.address)).await;
    let (missed, twice) = (days as usize - told.len(), told.values().filter(|count| **count > 1).count());
    let ok = deaths == days && missed == 0 && twice == 0;
    println!(
        "point digest, {name}: {deaths} of {days} deaths, days without a digest {missed}, with two {twice}, {:.0} s: {}",
        began.elapsed().as_secs_f64(),
        if ok { "ok" } else { "FAILED" }
    );
    ok
}

/// Starts it a second before the digest of a day, lets it die there, and waits for the mail of its successor.
async fn die_on(settings: &[(&'static str, String)], clock: &Path, day: NaiveDate) -> bool {
    let moment: DateTime<Utc> = day.and_hms_opt(5, 0, 0).expect("a time").and_utc();
    let offset = (moment - Utc::now()).num_seconds() - 1;
    std::fs::write(clock, offset.to_string()).expect("written");
    let mut doomed = settings.to_vec();
    doomed.push(("CRASH_AT", "digest:1".into()));
    let mut process = Process::start(&doomed);
    let waited = Instant::now();
    let ended = loop {
        match process.ended() {
            None if waited.elapsed() < Duration::from_secs(20) => tokio::time::sleep(Duration::from_millis(20)).await,
            ended => break ended,
        }
    };
    let process = Process::start(settings);
    let client = Client::new(&process.address);
    until("the digest of a day", || async { digests(&client).await.contains_key(&day.to_string()).then_some(()) })
        .await;
    assert!(process.terminate(), "it ends well");
    ended.is_some_and(|status| status.signal() == ABORTED)
}

/// How many digests told of the task of each day.
async fn digests(client: &Client) -> BTreeMap<String, usize> {
    let mails = client.get("/dev/mailbox?to=ada@example.org").await.json();
    let mut by_day = BTreeMap::new();
    for mail in mails.as_array().expect("a list") {
        let text = mail["text"].as_str().unwrap_or_default();
        if let Some(day) = text.split("Due on ").nth(1).and_then(|rest| rest.get(..10)) {
            *by_day.entry(day.to_owned()).or_default() += 1;
        }
    }
    by_day
}
