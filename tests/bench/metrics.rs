//! What it costs to count a request, and to read the metrics while a million jobs wait for another day.
//! Goal: they are read in less than 50 ms.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use spacedly::platform::metrics::{Answered, Metrics};
use support::{Database, Server};

use crate::{claims::wait_for_another_day, median, percentile, verdict};

const GOAL_MS: f64 = 50.0;

/// Threads that count at the same time.
const THREADS: usize = 2;
/// How often each does.
const COUNTED: u32 = 1_000_000;

pub async fn run(pending: u64, reads: u64) -> bool {
    counting();
    let mut met = true;
    for database in [Database::Sqlite, Database::Postgres] {
        let server = Server::start_plain(database, &[("LOG", "off"), ("METRICS_QUEUE_EVERY", "0s")]).await;
        let (without, _) = reading(&server, reads).await;
        wait_for_another_day(&server, pending).await;
        let (with, longest) = reading(&server, reads).await;
        println!(
            "metrics {database:?}: read in {without:.2} ms, beside {pending} jobs that wait for another day in {with:.2} ms \
             (medians of {reads}, 99 % below {longest:.2} ms), goal {GOAL_MS} ms: {}",
            verdict(with < GOAL_MS)
        );
        met &= with < GOAL_MS;
        server.finish().await;
    }
    met
}

/// The milliseconds of a look at everything: the median, and what nearly all are below.
async fn reading(server: &Server, reads: u64) -> (f64, f64) {
    let mut took = Vec::new();
    for _ in 0..reads {
        let began = Instant::now();
        let answer = server.client.get("/metrics").await;
        took.push(began.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text().contains("spacedly_queue_known 1"), "{}", answer.text());
    }
    took.sort_by(f64::total_cmp);
    (median(took.clone()), percentile(&took, 0.99))
}

/// What one request costs that is counted, while others are.
fn counting() {
    let metrics = Metrics::new(100);
    let count = |metrics: &Metrics| {
        let began = Instant::now();
        for number in 0..COUNTED {
            let took = Some(Duration::from_micros(u64::from(number % 5_000)));
            let operation = if number % 2 == 0 { "Dashboard" } else { "AddTask" };
            metrics.answered(Answered { kind: "query", operation, by_somebody: true, outcome: "ok", took });
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(COUNTED)
    };
    let alone = count(&metrics);
    let together: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| count(&metrics))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    println!(
        "metrics: a request is counted in {alone:.0} ns, by {THREADS} threads at once in {:.0} ns each (n={COUNTED})",
        median(together)
    );
}
