//! kill -9 at random over three processes on one PostgreSQL with Redis, while reminders are made and fall due.

use std::time::{Duration, Instant};

use crate::ground::{Ground, Kind};

/// Kills so often. Whether every promise was kept.
pub(crate) async fn run(kills: u64) -> bool {
    // A job that a killed process held is taken over when its lease ends: short, so that it happens often.
    let settings = [("JOB_LEASE", "2s"), ("JOB_RETRY_FIRST", "1s"), ("JOB_RETRY_LONGEST", "2s"), ("JOB_CRASHES", "50")];
    let mut ground = Ground::new(Kind::Three, &settings).await;
    let began = Instant::now();
    ground.start_all();
    for _ in 0..kills {
        let life = Duration::from_millis(100 + ground.dice.roll(600));
        let from = 1_500 + ground.dice.roll(1_500) as i64;
        // Every other one is cut off in the midst: what was not answered is asked again, under the same key.
        let patience = if ground.dice.roll(2) == 0 { life } else { Duration::from_secs(30) };
        let _ = tokio::time::timeout(patience, ground.wave(12, from, from + 1_000)).await;
        let victim = ground.dice.roll(3) as usize;
        ground.kill(victim);
        ground.start(victim, &[]);
    }
    ground.settle(Duration::from_secs(120)).await;
    let verdict = ground.verdict(false).await;
    let ok = verdict.ok();
    println!(
        "kill -9, {}: {kills} kills, {verdict}, {:.0} s: {}",
        ground.kind.name(),
        began.elapsed().as_secs_f64(),
        if ok { "ok" } else { "FAILED" }
    );
    ground.stop_all();
    ok
}
