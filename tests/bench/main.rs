//! Benchmarks: ratios in one run, because machines are noisy. `tests/bench/run` runs them all; see there.
//! Promise: a figure comes with its n and the way it was measured; a goal that is missed says so, and fails the run of a
//! release build.

mod analytics;
mod baseline;
mod claims;
mod dashboard;
mod guard;
mod lateness;
mod logins;
mod metrics;
mod soak;
mod startup;
mod subscribers;
mod tasks;
mod timing;
mod uploads;

/// The allocator of the program itself, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    support::limits::tell();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let Some(met) = runtime.block_on(run(&arguments)) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    // A debug build is no measure.
    if !met && !cfg!(debug_assertions) {
        println!("bench {}: a goal was missed", arguments.join(" "));
        std::process::exit(1);
    }
}

const USAGE: &str = "bench dashboard [rounds] [seconds] | claims [pending] [rounds] | metrics [pending] [reads]
    | lateness [reminders] [seconds] | guard [documents] | startup [starts] | logins [storms] | timing [pairs]
    | tasks [many] [rounds] | uploads [seconds] | files | hostile | analytics [many] [rounds] | idle [followers]
    | fanout [people] | soak [seconds]";

/// Runs one. Whether its goals were met; those that only show something have none. None: there is no such benchmark.
async fn run(arguments: &[String]) -> Option<bool> {
    let number = |index: usize, default: u64| arguments.get(index).and_then(|n| n.parse().ok()).unwrap_or(default);
    let met = match arguments.first()?.as_str() {
        "dashboard" => dashboard::run(number(1, 5), number(2, 4)).await,
        "claims" => claims::run(number(1, 1_000_000), number(2, 3)).await,
        "metrics" => metrics::run(number(1, 1_000_000), number(2, 50)).await,
        "lateness" => lateness::run(number(1, 1_000), number(2, 20)).await,
        "guard" => guard::run(number(1, 2_000)).await,
        "logins" => logins::run(number(1, 5)).await,
        "tasks" => tasks::run(number(1, 100_000), number(2, 40)).await,
        "analytics" => analytics::run(number(1, 100_000), number(2, 40)).await,
        "timing" => timing::run(number(1, 300)).await,
        "uploads" => uploads::memory(number(1, 30)).await,
        "hostile" => uploads::hostile().await,
        "idle" => subscribers::idle(number(1, 5_000)).await,
        "fanout" => subscribers::fan_out(number(1, 1_000)).await,
        "soak" => soak::run(number(1, 1_800)).await,
        "startup" => {
            startup::run(number(1, 20));
            true
        }
        "files" => {
            uploads::table().await;
            true
        }
        _ => return None,
    };
    Some(met)
}

/// How a goal is told of.
fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The middle of some values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}
