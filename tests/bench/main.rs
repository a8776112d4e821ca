//! Benchmarks: ratios in one run, because machines are noisy. `tests/bench/run` runs them all; see there.
//! Promise: a figure comes with its n and the way it was measured, and a goal that is missed says so.

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).and_then(|n| n.parse().ok()).unwrap_or(default);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match arguments.first().map(String::as_str) {
        Some("dashboard") => runtime.block_on(dashboard::run(number(1, 5), number(2, 4))),
        Some("claims") => runtime.block_on(claims::run(number(1, 1_000_000), number(2, 3))),
        Some("metrics") => runtime.block_on(metrics::run(number(1, 1_000_000), number(2, 50))),
        Some("lateness") => runtime.block_on(lateness::run(number(1, 1_000), number(2, 20))),
        Some("guard") => runtime.block_on(guard::run(number(1, 2_000))),
        Some("logins") => runtime.block_on(logins::run(number(1, 5))),
        Some("tasks") => runtime.block_on(tasks::run(number(1, 100_000), number(2, 40))),
        Some("analytics") => runtime.block_on(analytics::run(number(1, 100_000), number(2, 40))),
        Some("timing") => runtime.block_on(timing::run(number(1, 300))),
        Some("uploads") => runtime.block_on(uploads::memory(number(1, 30))),
        Some("files") => runtime.block_on(uploads::table()),
        Some("hostile") => runtime.block_on(uploads::hostile()),
        Some("idle") => runtime.block_on(subscribers::idle(number(1, 5_000))),
        Some("fanout") => runtime.block_on(subscribers::fan_out(number(1, 1_000))),
        Some("soak") => {
            if !runtime.block_on(soak::run(number(1, 1_800))) {
                std::process::exit(1);
            }
        }
        Some("startup") => startup::run(number(1, 20)),
        _ => {
            eprintln!(
                "bench dashboard [rounds] [seconds] | claims [pending] [rounds] | metrics [pending] [reads] | lateness [reminders] [seconds] | guard [documents] | startup [starts] | logins [storms] | timing [pairs] | tasks [many] [rounds] | uploads [seconds] | files | hostile | analytics [many] [rounds] | idle [followers] | fanout [people] | soak [seconds]"
            );
            std::process::exit(2);
        }
    }
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
