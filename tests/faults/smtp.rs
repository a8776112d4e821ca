//! A mail server that misbehaves in every way, and is well again: nothing is lost, and meanwhile the app is on time.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use support::smtp::Manner;

use crate::ground::{Ground, Kind};

const MANNERS: [Manner; 7] = [
    Manner::Closed,
    Manner::Hang,
    Manner::Greet421,
    Manner::Later451,
    Manner::Never550,
    Manner::DropAfterDot,
    Manner::Slow,
];

/// For how long it misbehaves.
const ILL: Duration = Duration::from_secs(8);

/// How late the app may be meanwhile, in milliseconds. A debug build, beside others on this machine, is given more.
const LATE_MS: f64 = if cfg!(debug_assertions) { 5_000.0 } else { 1_000.0 };

/// How many trials run beside each other in the short form.
const BESIDE: usize = 3;

/// So many reminders for each manner, or for the one that is named; `short`: some beside each other, on SQLite alone.
/// Whether every promise was kept.
pub(crate) async fn run(reminders: usize, only: Option<&str>) -> bool {
    let mut trials: Vec<(Kind, Vec<Manner>)> = Vec::new();
    if only == Some("short") {
        trials.extend(MANNERS.into_iter().map(|manner| (Kind::Sqlite, vec![manner])));
    } else {
        let wanted = |manner: &Manner| only.is_none_or(|only| format!("{manner:?}") == only);
        let manners: Vec<Manner> = MANNERS.into_iter().filter(wanted).collect();
        trials.extend([Kind::Sqlite, Kind::Three].map(|kind| (kind, manners.clone())));
    }
    let mut ok = true;
    for few in trials.chunks(BESIDE) {
        let few = few.iter().cloned().map(|(kind, manners)| tokio::spawn(on(kind, manners, reminders)));
        for trial in few.collect::<Vec<_>>() {
            ok &= trial.await.expect("it ran to its end");
        }
    }
    ok
}

async fn on(kind: Kind, manners: Vec<Manner>, reminders: usize) -> bool {
    let settings =
        [("SMTP_TIMEOUT", "2s"), ("JOB_RETRY_FIRST", "500ms"), ("JOB_RETRY_LONGEST", "1s"), ("JOB_ATTEMPTS", "1000")];
    let mut ground = Ground::new(kind, &settings).await;
    ground.start_all();
    let mut ok = true;
    for manner in manners {
        ok &= with(&mut ground, manner, reminders).await;
    }
    ground.stop_all();
    ok
}

async fn with(ground: &mut Ground, manner: Manner, reminders: usize) -> bool {
    let first = ground.schedule.acknowledged.last_key_value().map_or(1, |(number, _)| number + 1);
    let began = Instant::now();
    ground.sink.set(manner);
    // They fall due while it misbehaves.
    ground.wave(reminders, 4_000, 7_000).await;
    tokio::time::sleep(ILL.saturating_sub(began.elapsed())).await;
    ground.sink.set(Manner::Well);
    let retried = if manner == Manner::Never550 { retry_what_was_given_up(ground, first).await } else { 0 };
    let rest = ground.settle(Duration::from_secs(60)).await;
    // A client that gave up on a slow answer cannot know that its mail was taken.
    let verdict = ground.verdict(matches!(manner, Manner::DropAfterDot | Manner::Slow | Manner::Hang)).await;
    let mut late: Vec<f64> = Vec::new();
    for (_, deliveries) in ground.ledger().await.range(first..).map(|(_, entry)| entry) {
        let in_app = deliveries.iter().filter(|delivery| delivery["channel"] == "IN_APP");
        late.extend(in_app.filter_map(|delivery| delivery["latenessMs"].as_f64()));
    }
    late.sort_by(f64::total_cmp);
    let p99 = late.get((late.len() * 99 / 100).min(late.len().saturating_sub(1))).copied().unwrap_or(f64::INFINITY);
    let ok = verdict.ok() && p99 < LATE_MS && late.len() == verdict.acknowledged;
    println!(
        "smtp {manner:?}, {}: {verdict}, tried again by hand {retried}, at rest {:.1} s after, in the app p99 {p99:.0} ms late, {:.0} s: {}",
        ground.kind.name(),
        rest.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        if ok { "ok" } else { "FAILED" }
    );
    ok
}

/// What the mail server refused for good is given up, and says so: the person sends it again.
async fn retry_what_was_given_up(ground: &Ground, first: u64) -> usize {
    let retry = "mutation($id: ID!) { deliveryRetry(input: { id: $id }) { reminder { id } userErrors { code } } }";
    let mut retried = 0;
    for (id, deliveries) in ground.ledger().await.range(first..).map(|(_, entry)| entry) {
        if deliveries.iter().any(|delivery| delivery["state"] == "FAILED") {
            let client = ground.client(retried).expect("an instance runs");
            let answer = client.graphql(Some(&ground.token), retry, json!({ "id": id })).await;
            retried += usize::from(answer.pointer("/data/deliveryRetry/reminder/id").is_some_and(Json::is_string));
        }
    }
    retried
}
