//! A worker that stalls in the midst of a mail: stopped for one and a half leases, while another takes over.
//! Promise asked for: whatever it does when it wakes, it writes nothing, because its fence is void.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DatabaseBackend, Statement};
use support::until;

use crate::ground::{Ground, Kind};

/// Stalls a worker so often, with every answer that the mail server may have for it. Whether every promise was kept.
pub(crate) async fn run(rounds: usize, lease_s: u64) -> bool {
    let lease = format!("{lease_s}s");
    // The stalled one must not hang up first.
    let settings = [("JOB_LEASE", lease.as_str()), ("SMTP_TIMEOUT", "10m"), ("JOB_RETRY_FIRST", "1s")];
    let mut ground = Ground::new(Kind::Three, &settings).await;
    ground.start_all();
    let (mut slowest, mut wrote) = (Duration::ZERO, 0);
    let began = Instant::now();
    for round in 0..rounds {
        let held = ground.sink.hold_next();
        let before = ground.sink.count();
        ground.wave(1, 3_000, 3_000).await;
        let held = held.await.expect("a mail comes");
        ground.process(held.pid).signal("STOP");
        let stopped = Instant::now();
        // It waits in the socket of the stopped one: taken, or to be tried later.
        let answer = if round.is_multiple_of(2) { "250 taken" } else { "451 4.3.0 later" };
        held.answer.send(answer).expect("it waits");
        let patience = Duration::from_secs(lease_s + 15);
        while ground.sink.count() < before + 2 && stopped.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let again = ground.sink.mails(before);
        slowest = slowest.max(again.get(1).map_or(patience, |mail| mail.at - stopped));
        tokio::time::sleep(Duration::from_millis(lease_s * 1_500).saturating_sub(stopped.elapsed())).await;
        let written = everything(&ground).await;
        ground.schedule.died(held.pid);
        ground.process(held.pid).signal("CONT");
        tokio::time::sleep(Duration::from_secs(4)).await;
        wrote += usize::from(everything(&ground).await != written);
    }
    ground.settle(Duration::from_secs(60)).await;
    let verdict = ground.verdict(false).await;
    let in_time = slowest <= Duration::from_secs(lease_s + 5);
    let ok = verdict.ok() && wrote == 0 && in_time && verdict.again_after.len() == rounds;
    println!(
        "stall, {}: {rounds} workers stopped for {:.0} s (lease {lease_s} s), taken over within {:.1} s, wrote on waking {wrote}, \
         {verdict}, {:.0} s: {}",
        ground.kind.name(),
        lease_s as f64 * 1.5,
        slowest.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        if ok { "ok" } else { "FAILED" }
    );
    ground.stop_all();
    ok
}

/// Every row that has to do with reminders, as the database itself writes it down.
async fn everything(ground: &Ground) -> Vec<String> {
    let url = ground.database.as_deref().expect("PostgreSQL");
    let db = until("PostgreSQL", || async { Database::connect(url).await.ok() }).await;
    let mut rows = Vec::new();
    for table in ["deliveries", "reminders", "notifications", "jobs"] {
        let sql = format!("SELECT row_to_json(row)::text AS text FROM {table} AS row ORDER BY id");
        let found = db.query_all_raw(Statement::from_string(DatabaseBackend::Postgres, sql)).await.expect("rows");
        rows.extend(found.iter().map(|row| row.try_get::<String>("", "text").expect("text")));
    }
    db.close().await.expect("closed");
    rows
}
