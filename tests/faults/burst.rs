//! Thousands of reminders due in one second, for three workers: each comes once, and the API answers meanwhile.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, Statement};
use serde_json::json;
use support::Client;
use tokio::task::JoinSet;

use crate::ground::{Ground, Kind};

/// Within how long it must be over, and the API's p99 meanwhile. Of a release build: a debug build is only told.
const GOALS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_millis(300));

/// Questions that may wait for their answer at the same time.
const WAITING: usize = 50;

/// Reminders that are made in one request.
const AT_ONCE: usize = 5;

/// Lets so many fall due in one second. Whether every promise was kept.
pub(crate) async fn run(reminders: usize) -> bool {
    let people = (reminders / 100).clamp(10, 100);
    let mut ground = Ground::with_people(Kind::Three, &[], people).await;
    ground.start_all();
    let began = Instant::now();
    let due = Utc::now() + TimeDelta::seconds(5) + pace(&ground).await * (reminders / AT_ONCE) as i32 * 2;
    write_down(&ground, reminders, due).await;
    let written = began.elapsed();
    assert!(Utc::now() < due, "the reminders were not written down in time: raise the head start");
    tokio::time::sleep((due - Utc::now()).to_std().unwrap_or_default()).await;
    let (drain, (mut answers, unanswered)) = tokio::join!(drained(&ground), asked_meanwhile(&ground));
    answers.sort();
    let p99 = answers.get(answers.len() * 99 / 100).copied().unwrap_or(Duration::MAX);
    let mut app: BTreeMap<u64, usize> = BTreeMap::new();
    for (token, _) in &ground.people {
        for (number, count) in crate::in_app(&ground.client(0).expect("it runs"), token).await {
            *app.entry(number).or_default() += count;
        }
    }
    let mut mails: BTreeMap<u64, usize> = BTreeMap::new();
    for mail in ground.sink.mails(0) {
        *mails.entry(crate::number_in(&mail.text).expect("a number")).or_default() += 1;
    }
    let numbers = 1..=reminders as u64;
    let lost = numbers.clone().filter(|number| !app.contains_key(number)).count();
    let unmailed = numbers.filter(|number| !mails.contains_key(number)).count();
    let twice = app.values().filter(|count| **count > 1).count();
    let again = mails.values().filter(|count| **count > 1).count();
    let in_time = cfg!(debug_assertions) || (drain <= GOALS.0 && p99 <= GOALS.1 && unanswered == 0);
    let ok = lost + unmailed + twice + again == 0 && in_time;
    println!(
        "burst, {}: {reminders} reminders of {people} people due in one second (written down in {:.0} s): lost {lost}, twice in \
         the app {twice}, not mailed {unmailed}, mailed again {again}, over after {:.1} s, API meanwhile n={} p99 {} ms, not asked or not answered {unanswered}: {}",
        ground.kind.name(),
        written.as_secs_f64(),
        drain.as_secs_f64(),
        answers.len(),
        p99.as_millis(),
        if ok { "ok" } else { "FAILED" }
    );
    ground.stop_all();
    ok
}

/// How long a request that writes takes here, while everybody sends one.
async fn pace(ground: &Ground) -> TimeDelta {
    let began = Instant::now();
    let fields: String = (0..AT_ONCE)
        .map(|place| format!("t{place}: taskCreate(input: {{ title: \"Try\" }}) {{ task {{ id }} }} "))
        .collect();
    let query = format!("mutation {{ {fields}}}");
    let sent = ground.people.iter().enumerate().map(|(place, (token, _))| {
        let (client, query) = (ground.client(place).expect("it runs"), query.clone());
        async move { client.graphql(Some(token), &query, json!({})).await }
    });
    let answers = join_all(sent).await.len();
    TimeDelta::from_std(began.elapsed()).unwrap_or_default() / answers as i32
}

/// Makes the reminders of everybody at the same time, at every instance.
async fn write_down(ground: &Ground, reminders: usize, due: chrono::DateTime<Utc>) {
    let share = reminders.div_ceil(ground.people.len());
    let everybody = ground.people.iter().enumerate().map(|(place, (token, task))| async move {
        let client = ground.client(place).expect("it runs");
        let mine: Vec<usize> = (place * share..((place + 1) * share).min(reminders)).collect();
        for few in mine.chunks(AT_ONCE) {
            let mut variables = json!({});
            let (mut declared, mut fields) = (String::new(), String::new());
            for number in few {
                declared += &format!("$i{number}: ReminderCreateInput!, ");
                fields += &format!("r{number}: reminderCreate(input: $i{number}) {{ reminder {{ id }} }} ");
                variables[format!("i{number}")] = json!({ "taskId": task, "message": format!("R-{}.", number + 1),
                    "scheduledAt": (due + TimeDelta::milliseconds((number % 1_000) as i64)).to_rfc3339() });
            }
            let query = format!("mutation({declared}) {{ {fields}}}");
            let answer = client.graphql(Some(token), &query, variables).await;
            let made = few.iter().all(|number| answer["data"][format!("r{number}")]["reminder"]["id"].is_string());
            assert!(made, "{answer}");
        }
    });
    join_all(everybody).await;
}

/// Waits until no reminder is to be delivered any more; for how long.
async fn drained(ground: &Ground) -> Duration {
    let began = Instant::now();
    let db = Database::connect(ground.database.as_deref().expect("PostgreSQL")).await.expect("it answers");
    // All of them are due when a second has passed.
    while began.elapsed() < Duration::from_secs(1) || open(&db).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(900), "it does not come to an end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

async fn open(db: &DatabaseConnection) -> i64 {
    let sql = "SELECT count(*) AS n FROM jobs WHERE kind LIKE 'reminders.%' AND kind <> 'reminders.digest'";
    let row = db.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, sql)).await.expect("counted");
    row.and_then(|row| row.try_get("", "n").ok()).unwrap_or(-1)
}

/// Asks something small every 20 ms, at every instance in turn, until the burst is over; how long the answers took, and
/// how often there was none, or it was not asked because too many were waiting.
async fn asked_meanwhile(ground: &Ground) -> (Vec<Duration>, usize) {
    let db = Database::connect(ground.database.as_deref().expect("PostgreSQL")).await.expect("it answers");
    let clients: Vec<Client> = (0..ground.size()).filter_map(|slot| ground.client(slot)).collect();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut asked = JoinSet::new();
    let (mut took, mut unanswered) = (Vec::new(), 0);
    for turn in 0_usize.. {
        ticks.tick().await;
        while let Some(Ok(answer)) = asked.try_join_next() {
            keep(answer, &mut took, &mut unanswered);
        }
        if asked.len() >= WAITING {
            unanswered += 1;
            if open(&db).await == 0 {
                break;
            }
            continue;
        }
        let (client, token) = (clients[turn % clients.len()].clone(), ground.token.clone());
        asked.spawn(async move {
            let began = Instant::now();
            let answer = client.try_graphql(Some(&token), "{ viewer { unreadNotificationCount } }", json!({})).await;
            let count = answer.ok()?["data"]["viewer"]["unreadNotificationCount"].as_i64();
            count.map(|_| began.elapsed())
        });
        if turn % 25 == 24 && turn > 50 && open(&db).await == 0 {
            break;
        }
    }
    for answer in asked.join_all().await {
        keep(answer, &mut took, &mut unanswered);
    }
    (took, unanswered)
}

fn keep(answer: Option<Duration>, took: &mut Vec<Duration>, unanswered: &mut usize) {
    match answer {
        Some(answer) => took.push(answer),
        None => *unanswered += 1,
    }
}
