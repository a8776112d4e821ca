//! Rolling upgrades: two instances behind a proxy that honours readiness are replaced again and again under load.

/// Replaces both so many times. Whether no request failed.
pub(crate) async fn run(rounds: usize) -> bool {
    let rolled = support::rolling::rolling(rounds).await;
    for failure in rolled.failed.iter().take(10) {
        println!("  {failure}");
    }
    println!("{rolled}: {}", if rolled.ok() { "ok" } else { "FAILED" });
    rolled.ok()
}
