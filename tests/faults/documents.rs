//! Documents made by chance, on both databases: what they are answered with is judged in `support::documents`.
//! Promise: the panics that are told of were counted, in whichever task they happened.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use support::{Database, Server, analytics::FOR_YEARS, documents::fuzz};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Asks for so many. Whether nothing panicked; an answer that is the server's fault ends the run at once.
pub(crate) async fn run(count: usize, seed: u64) -> bool {
    count_panics();
    let mut ok = true;
    for database in [Database::Sqlite, Database::Postgres] {
        let (began, before) = (Instant::now(), PANICS.load(Ordering::Relaxed));
        let server = Server::start_plain(database, &FOR_YEARS).await;
        server.expect_dead_jobs();
        let codes = fuzz(&server, count, seed).await;
        server.finish().await;
        let panics = PANICS.load(Ordering::Relaxed) - before;
        ok &= panics == 0;
        println!(
            "documents {database:?}: n={count}, panics {panics}, in {} s: {codes:?}: {}",
            began.elapsed().as_secs(),
            if panics == 0 { "ok" } else { "FAILED" }
        );
    }
    ok
}

/// Counts every panic of this process from now on; each is told of as before.
fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
}
