//! Down for an hour, a day, eight days: everything that fell due meanwhile comes once, late, and says so.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use support::smtp::Manner;

use crate::ground::{Ground, Kind};

/// So many reminders of every type, each with a moment of its own within the outage. `away`: the mail server comes back a
/// little later than the program. Whether every promise was kept.
pub(crate) async fn run(reminders: usize, away: bool) -> bool {
    let trials = [Kind::Sqlite, Kind::Three].map(|kind| {
        tokio::spawn(async move {
            let mut ok = true;
            for (name, hours) in [("1 h", 1), ("1 d", 24), ("8 d", 192)] {
                ok &= down_for(kind, name, TimeDelta::hours(hours), reminders, away).await;
            }
            ok
        })
    });
    let mut ok = true;
    for trial in trials {
        ok &= trial.await.expect("it ran to its end");
    }
    ok
}

async fn down_for(kind: Kind, name: &str, outage: TimeDelta, reminders: usize, away: bool) -> bool {
    // When the mail server is away, it is tried again soon.
    let settings: &[_] = if away { &[("JOB_RETRY_FIRST", "1s"), ("JOB_RETRY_LONGEST", "2s")] } else { &[] };
    let mut ground = Ground::new(kind, settings).await;
    let began = Instant::now();
    ground.start_all();
    // None falls due before the program is stopped.
    let (first, last) = (ground.now() + TimeDelta::minutes(10), ground.now() + outage);
    let step = (last - first) / reminders as i32;
    let types = ["EMAIL", "PUSH", "BOTH"];
    ground.remind((0..reminders).map(|place| (types[place % 3], first + step * place as i32)).collect()).await;
    while ground.schedule.has_open_questions() {
        ground.remind(Vec::new()).await;
    }
    let early = ground.sink.count();
    ground.stop_all();
    ground.move_clock(outage + TimeDelta::seconds(10));
    if away {
        ground.sink.set(Manner::Closed);
    }
    ground.start_all();
    if away {
        tokio::time::sleep(Duration::from_secs(6)).await;
        ground.sink.set(Manner::Well);
    }
    let rest = ground.settle(Duration::from_secs(60)).await;
    let verdict = ground.verdict(false).await;
    let ledger = ground.ledger().await;
    let (mut untold, mut open) = (0, 0);
    for (_, deliveries) in ledger.values() {
        for delivery in deliveries {
            // No browser is registered here: a push has nowhere to go.
            let expected = if delivery["channel"] == "PUSH" { "SKIPPED" } else { "SENT" };
            open += usize::from(delivery["state"] != expected);
            untold += usize::from(expected == "SENT" && delivery["latenessMs"].as_i64().unwrap_or(0) <= 0);
        }
    }
    let ok = verdict.ok() && early == 0 && untold == 0 && open == 0 && ledger.len() == reminders;
    println!(
        "outage of {name}{}, {}: {verdict}, early {early}, not told as late {untold}, not closed {open}, at rest {:.1} s after \
         the start, {:.0} s: {}",
        if away { " and a mail server that comes later" } else { "" },
        kind.name(),
        rest.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        if ok { "ok" } else { "FAILED" }
    );
    ground.stop_all();
    ok
}
