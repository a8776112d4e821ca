//! What the queue holds.
//! Promise: one statement, which reads only what is due, what is held and what was put aside, and of each kind no more
//! than a limit: a million jobs that wait for another day cost it nothing.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::{DatabaseBackend, DbErr, FromQueryResult, Statement, Value};

use super::queue::lease_value;
use crate::platform::{Platform, clock::Instant};

/// What there is of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// They could begin now.
    pub due: i64,
    /// A worker holds them.
    pub running: i64,
    /// They were put aside.
    pub dead: i64,
    /// For how long the one that waits longest could have begun.
    pub oldest: Duration,
}

#[derive(FromQueryResult)]
struct Line {
    kind: String,
    state: String,
    number: i64,
    since: Option<Instant>,
    now: Instant,
}

/// What the queue holds of each kind that it has, counted up to `METRICS_QUEUE_LIMIT` rows.
///
/// # Errors
/// When the database fails.
pub async fn depth(platform: &Platform) -> Result<BTreeMap<String, Depth>, DbErr> {
    let db = &platform.db;
    let (now, now_value) = match db.backend() {
        DatabaseBackend::Postgres => db.now(),
        _ => ("$1", Value::from(platform.clock.now())),
    };
    let lease_end = match db.backend() {
        DatabaseBackend::Postgres => format!("{now} + $3 * interval '1 millisecond'"),
        _ => "$3".to_owned(),
    };
    let limit = i64::try_from(platform.config.watching.queue_limit).unwrap_or(i64::MAX);
    let values = [now_value, limit.into(), lease_value(db, platform.config.jobs.lease)];
    let statement = Statement::from_sql_and_values(db.backend(), sql(now, &lease_end), values);
    let mut found: BTreeMap<String, Depth> = BTreeMap::new();
    for Line { kind, state, number, since, now } in Line::find_by_statement(statement).all(db.read()).await? {
        let depth = found.entry(kind).or_default();
        match state.as_str() {
            "due" => {
                depth.due = number;
                // One that is not due yet has waited for less than nothing.
                depth.oldest = since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default();
            }
            "running" => depth.running = number,
            _ => depth.dead = number,
        }
    }
    Ok(found)
}

/// The kinds are found by jumping from one to the next in the index. Due is also what a worker held whose lease is over.
/// Who runs holds a lease that ends ahead, most of them late: these are read first.
fn sql(now: &str, lease_end: &str) -> String {
    let alive = "jobs.kind = kinds.kind AND jobs.state <> 'DEAD'";
    format!(
        "WITH RECURSIVE kinds(kind) AS (\
           SELECT min(jobs.kind) FROM jobs WHERE jobs.state <> 'DEAD' \
           UNION ALL SELECT (SELECT min(jobs.kind) FROM jobs WHERE jobs.state <> 'DEAD' AND jobs.kind > kinds.kind) \
             FROM kinds WHERE kinds.kind IS NOT NULL) \
         SELECT kinds.kind AS kind, 'due' AS state, \
           (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {alive} AND jobs.available_at <= {now} LIMIT $2) AS front) AS number, \
           (SELECT min(jobs.available_at) FROM jobs WHERE {alive}) AS since, {now} AS now \
           FROM kinds WHERE kinds.kind IS NOT NULL \
         UNION ALL SELECT kinds.kind, 'running', \
           (SELECT count(*) FROM (SELECT jobs.state AS held_as FROM jobs \
             WHERE {alive} AND jobs.available_at > {now} AND jobs.available_at <= {lease_end} \
             ORDER BY jobs.available_at DESC LIMIT $2) AS held WHERE held.held_as = 'RUNNING'), NULL, {now} \
           FROM kinds WHERE kinds.kind IS NOT NULL \
         UNION ALL SELECT dead.kind, 'dead', count(*), NULL, {now} \
           FROM (SELECT jobs.kind AS kind FROM jobs WHERE jobs.state = 'DEAD' LIMIT $2) AS dead GROUP BY dead.kind"
    )
}
