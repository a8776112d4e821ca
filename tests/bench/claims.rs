//! What a claim costs when a million jobs wait for another day: the time in which a worker drains what is due, with and
//! without them. Goal: at most a fifth more.

use std::time::Instant;

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, QueryFilter, sea_query::Expr};
use spacedly::platform::{
    error::Fault,
    jobs::{self, Engine, NewJob},
};
use support::{Database, Server, until};
use tokio_util::sync::CancellationToken;

use crate::{median, verdict};

const KIND: &str = "bench.claims";
/// How many are due in one round.
const DUE: usize = 2_000;
const GOAL: f64 = 1.2;

pub async fn run(pending: u64, rounds: u64) -> bool {
    let mut met = true;
    for database in [Database::Sqlite, Database::Postgres] {
        let server = Server::start_plain(database, &[("LOG", "off")]).await;
        let (mut without, mut with) = (Vec::new(), Vec::new());
        drain(&server).await;
        for _ in 0..rounds {
            without.push(drain(&server).await);
        }
        wait_for_another_day(&server, pending).await;
        for _ in 0..rounds {
            with.push(drain(&server).await);
        }
        let (without, with) = (median(without), median(with));
        let ratio = with / without;
        println!(
            "claims {database:?}: {DUE} due jobs of {KIND} drained in {without:.0} ms, beside {pending} that wait for another day in {with:.0} ms \
             (medians of {rounds}): {:+.0} %, goal {:+.0} %: {}",
            (ratio - 1.0) * 100.0,
            (GOAL - 1.0) * 100.0,
            verdict(ratio <= GOAL)
        );
        met &= ratio <= GOAL;
        server.finish().await;
    }
    met
}

/// Writes down so many jobs of the kind that are due tomorrow.
pub(crate) async fn wait_for_another_day(server: &Server, pending: u64) {
    let db = server.app.platform.db.for_migrations();
    let tomorrow = server.at(TimeDelta::days(1)).replace('Z', "+00:00");
    let insert = match db.get_database_backend() {
        DatabaseBackend::Postgres => format!(
            "INSERT INTO jobs (id, kind, subject_id, state, available_at, due_at, fence, attempts, crashes, created_at) \
             SELECT gen_random_uuid(), '{KIND}', gen_random_uuid(), 'READY', at, at, 0, 0, 0, at FROM (SELECT \
             '{tomorrow}'::timestamptz + n * interval '1 second' AS at FROM generate_series(1, {pending}) AS n) AS ahead"
        ),
        _ => format!(
            "INSERT INTO jobs (id, kind, subject_id, state, available_at, due_at, fence, attempts, crashes, created_at) \
             WITH RECURSIVE ahead(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ahead WHERE n < {pending}) \
             SELECT randomblob(16), '{KIND}', randomblob(16), 'READY', '{tomorrow}', '{tomorrow}', 0, 0, 0, '{tomorrow}' FROM ahead"
        ),
    };
    let patient =
        if db.get_database_backend() == DatabaseBackend::Postgres { "SET LOCAL statement_timeout = 0;" } else { "" };
    db.execute_unprepared(&format!("{patient} {insert}")).await.expect("inserted");
    if db.get_database_backend() == DatabaseBackend::Postgres {
        db.execute_unprepared("VACUUM ANALYZE jobs").await.expect("analysed");
    }
}

/// The milliseconds in which a worker ends what is due.
async fn drain(server: &Server) -> f64 {
    let platform = server.app.platform.clone();
    let parts = platform.clone();
    let written = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        for _ in 0..(DUE / 500) {
            let due_at = parts.clock.now();
            let jobs = (0..500).map(|_| NewJob { kind: KIND, subject_id: parts.new_uuid(), user_id: None, due_at });
            jobs::enqueue(&parts, &tx, &jobs.collect::<Vec<_>>()).await?;
        }
        Ok(())
    });
    written.await.expect("written");
    let began = Instant::now();
    let stop = CancellationToken::new();
    let mut engine = Engine::new(platform.clone());
    engine.transactions(KIND, |_, tx, held| async move { Ok(jobs::finish(&tx, &held).await.map(drop)?) });
    let running = tokio::spawn(engine.run(stop.clone()));
    until("the due jobs to be done", || async {
        let soon = server.clock.now() + TimeDelta::hours(1);
        let due = entity::job::Entity::find()
            .filter(entity::job::Column::Kind.eq(KIND))
            // As the index has it.
            .filter(Expr::cust("state <> 'DEAD'"))
            .filter(entity::job::Column::DueAt.lt(soon))
            .filter(entity::job::Column::AvailableAt.lt(soon));
        due.one(platform.db.read()).await.expect("read").is_none().then_some(())
    })
    .await;
    let took = began.elapsed().as_secs_f64() * 1_000.0;
    stop.cancel();
    running.await.expect("the engine stops");
    took
}
