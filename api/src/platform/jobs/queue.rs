//! The jobs as rows: writing down, claiming, prolonging, finishing, putting back.
//! Promise: each is one statement, and every change of a held job is guarded by its fence.

use std::time::Duration;

use entity::{JobId, UserId, job as row};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    Statement, Value,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::Held;
use crate::platform::{
    Platform,
    bus::Hint,
    clock::{Instant, span},
    crash,
    db::{Db, Tx},
};

/// Work to be written down.
#[derive(Clone, Copy, Debug)]
pub struct NewJob {
    /// The constant name of what is to be done.
    pub kind: &'static str,
    /// The bits of the id of what it is about: there is one job per kind and subject.
    pub subject_id: Uuid,
    /// Whose it is; it goes when the account goes.
    pub user_id: Option<UserId>,
    /// When it is to start.
    pub due_at: Instant,
}

/// Writes jobs down. One that exists for the same kind and subject starts anew, and whoever holds it has lost it.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(platform: &Platform, tx: &Tx, jobs: &[NewJob]) -> Result<(), DbErr> {
    if jobs.is_empty() {
        return Ok(());
    }
    let now = platform.clock.now();
    let rows = jobs.iter().map(|job| row::ActiveModel {
        id: Set(JobId::from_uuid(platform.new_uuid())),
        kind: Set(job.kind.to_owned()),
        subject_id: Set(job.subject_id),
        user_id: Set(job.user_id),
        state: Set(row::State::Ready),
        available_at: Set(job.due_at),
        due_at: Set(job.due_at),
        fence: Set(0),
        attempts: Set(0),
        crashes: Set(0),
        last_error: Set(None),
        first_failed_at: Set(None),
        created_at: Set(now),
    });
    let anew = OnConflict::columns([row::Column::SubjectId, row::Column::Kind])
        .update_columns([
            row::Column::State,
            row::Column::AvailableAt,
            row::Column::DueAt,
            row::Column::Attempts,
            row::Column::Crashes,
            row::Column::LastError,
            row::Column::FirstFailedAt,
            row::Column::CreatedAt,
        ])
        .value(row::Column::Fence, Expr::col((row::Entity, row::Column::Fence)).add(1))
        .to_owned();
    row::Entity::insert_many(rows).on_conflict(anew).exec_without_returning(&**tx).await?;
    for job in jobs {
        tx.hint_after_commit(Hint::Jobs(job.kind));
    }
    Ok(())
}

/// Drops the jobs of these kinds about these subjects, held or not.
///
/// # Errors
/// When the database fails.
pub async fn cancel(tx: &Tx, kinds: &[&'static str], subjects: &[Uuid]) -> Result<(), DbErr> {
    if subjects.is_empty() {
        return Ok(());
    }
    row::Entity::delete_many()
        .filter(row::Column::SubjectId.is_in(subjects.iter().copied()))
        .filter(row::Column::Kind.is_in(kinds.iter().copied()))
        .exec(&**tx)
        .await
        .map(drop)
}

/// Ends held jobs in the transaction of their effect. Gives back the ones that were still ours: only for these may
/// the effect be written.
///
/// # Errors
/// When the database fails.
pub async fn finish(tx: &Tx, jobs: &[Held]) -> Result<Vec<JobId>, DbErr> {
    #[derive(FromQueryResult)]
    struct Ended {
        id: JobId,
    }
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    tx.ends_jobs();
    let backend = tx.get_database_backend();
    let mut delete = sea_orm::sea_query::Query::delete();
    delete.from_table(row::Entity).cond_where(ours(jobs)).returning_col(row::Column::Id);
    let ended = Ended::find_by_statement(backend.build(&delete)).all(&**tx).await?;
    Ok(ended.into_iter().map(|ended| ended.id).collect())
}

/// Ends a held job in the transaction of its effect. Whether it was still ours: only then may the effect be written.
///
/// # Errors
/// When the database fails.
pub async fn finish_one(tx: &Tx, job: &Held) -> Result<bool, DbErr> {
    Ok(!finish(tx, std::slice::from_ref(job)).await?.is_empty())
}

fn ours(jobs: &[Held]) -> Condition {
    jobs.iter().fold(Condition::any(), |any, job| {
        any.add(Condition::all().add(row::Column::Id.eq(job.id)).add(row::Column::Fence.eq(job.fence)))
    })
}

/// Which jobs are claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Up to so many over which no worker has vanished, people taking turns; none of these people's.
    Fresh { limit: u64, except: Vec<UserId> },
    /// One over which a worker has vanished: alone, so that a crash counts for it and for no other.
    Suspect,
}

/// How many due jobs are looked at to give everybody a turn. Whoever has more than a quarter of them fills the queue.
const WINDOW: u64 = 1_000;

/// What is due and fresh.
const FRESH: &str = "state = 'READY' AND crashes = 0";
/// What is due and was held by a worker that vanished.
const SUSPECT: &str = "(state = 'RUNNING' OR crashes > 0)";

/// Claims due jobs of a kind: everybody's first, then everybody's second, each person's in order of their due time.
pub(super) async fn claim(db: &Db, kind: &'static str, lease: Duration, claim: Claim) -> Result<Vec<Held>, DbErr> {
    let (now, now_value) = db.now();
    let lease_end = match db.backend() {
        DatabaseBackend::Postgres => format!("{now} + $4 * interval '1 millisecond'"),
        _ => "$4".to_owned(),
    };
    let (limit, which, except) = match claim {
        Claim::Fresh { limit, except } => (limit, FRESH, except),
        Claim::Suspect => (1, SUSPECT, Vec::new()),
    };
    let passed_over: String =
        (0..except.len()).map(|at| format!(" AND user_id IS DISTINCT FROM ${}", at + 5)).collect();
    let due = format!("kind = $2 AND state <> 'DEAD' AND {which} AND available_at <= {now}");
    let queue = format!(
        "SELECT id AS queued, available_at AS since, row_number() OVER (PARTITION BY user_id ORDER BY available_at, id) AS turn \
         FROM (SELECT id, user_id, available_at FROM jobs WHERE {due}{passed_over} ORDER BY available_at LIMIT {WINDOW}) AS first"
    );
    let chosen = match db.backend() {
        // The condition stands twice: between looking and locking another worker may have taken a row. An array and a
        // lateral join are computed once and in this order; a plain one PostgreSQL may turn round, and rank the queue
        // again for every row of the table.
        DatabaseBackend::Postgres => format!(
            "= ANY(ARRAY(SELECT locked.id FROM (SELECT queued FROM ({queue}) AS ranked ORDER BY turn, since) AS queue \
             CROSS JOIN LATERAL (SELECT id FROM jobs WHERE jobs.id = queue.queued AND {due} FOR UPDATE SKIP LOCKED) AS locked \
             LIMIT $3))"
        ),
        _ => format!("IN (SELECT queued FROM ({queue}) ORDER BY turn, since LIMIT $3)"),
    };
    let sql = format!(
        "UPDATE jobs SET state = 'RUNNING', fence = fence + 1, available_at = {lease_end}, \
         crashes = crashes + CASE WHEN state = 'RUNNING' THEN 1 ELSE 0 END WHERE id {chosen} RETURNING *"
    );
    let mut values = vec![now_value, kind.into(), (limit as i64).into(), lease_value(db, lease)];
    values.extend(except.into_iter().map(Value::from));
    let statement = Statement::from_sql_and_values(db.backend(), sql, values);
    let mut held: Vec<Held> = db
        .write::<_, crate::platform::error::Fault, _, _>(move |tx| async move {
            let rows = row::Model::find_by_statement(statement).all(&*tx).await?;
            if rows.iter().any(|row| row.crashes > 0) {
                crash::point("reclaim");
            }
            Ok(rows.into_iter().map(Held::from).collect())
        })
        .await
        .map_err(|fault| DbErr::Custom(format!("{fault:?}")))?;
    if !held.is_empty() {
        crash::point("claim.after");
    }
    // RETURNING gives no order.
    held.sort_by_key(|job| (job.due_at, job.id));
    Ok(held)
}

/// The people who fill the queue: more than a quarter of its front is theirs.
pub(super) async fn greedy(db: &Db, kind: &'static str) -> Result<Vec<UserId>, DbErr> {
    #[derive(FromQueryResult)]
    struct Greedy {
        user_id: UserId,
    }
    let (now, now_value) = db.now();
    let sql = format!(
        "SELECT user_id FROM (SELECT user_id FROM jobs WHERE kind = $2 AND state <> 'DEAD' AND {FRESH} \
         AND available_at <= {now} ORDER BY available_at LIMIT {WINDOW}) AS first \
         WHERE user_id IS NOT NULL GROUP BY user_id HAVING count(*) > {}",
        WINDOW / 4
    );
    let statement = Statement::from_sql_and_values(db.backend(), sql, [now_value, kind.into()]);
    Ok(Greedy::find_by_statement(statement).all(db.read()).await?.into_iter().map(|greedy| greedy.user_id).collect())
}

/// Prolongs the leases of these jobs, as far as they are still ours.
pub(super) async fn prolong(db: &Db, jobs: &[Held], lease: Duration) -> Result<u64, DbErr> {
    let (now, now_value) = db.now();
    let lease_end = match db.backend() {
        DatabaseBackend::Postgres => format!("{now} + $2 * interval '1 millisecond'"),
        _ => "$2".to_owned(),
    };
    update_held(db, jobs, format!("available_at = {lease_end}"), vec![now_value, lease_value(db, lease)]).await
}

/// Puts jobs back that this worker will not get to.
pub(super) async fn give_back(db: &Db, jobs: &[Held]) -> Result<u64, DbErr> {
    let (now, now_value) = db.now();
    update_held(db, jobs, format!("state = 'READY', available_at = {now}"), vec![now_value]).await
}

/// Puts a job back to be tried again after `wait`; `counted` says whether the try counts.
pub(super) async fn retry(
    db: &Db,
    tx: &Tx,
    job: &Held,
    wait: Duration,
    counted: bool,
    error: &str,
) -> Result<u64, DbErr> {
    let (now, now_value) = db.now();
    let wait_end = match db.backend() {
        DatabaseBackend::Postgres => format!("{now} + $2 * interval '1 millisecond'"),
        _ => "$2".to_owned(),
    };
    let set = format!(
        "state = 'READY', available_at = {wait_end}, attempts = attempts + $3, last_error = $4, \
         first_failed_at = COALESCE(first_failed_at, {now})"
    );
    let values = vec![now_value, lease_value(db, wait), i32::from(counted).into(), error.into()];
    update_held_in(tx, std::slice::from_ref(job), set, values).await
}

/// Puts a job aside for good.
pub(super) async fn bury(tx: &Tx, job: &Held, error: &str) -> Result<u64, DbErr> {
    let set = "state = 'DEAD', last_error = $1".to_owned();
    update_held_in(tx, std::slice::from_ref(job), set, vec![error.into()]).await
}

/// How long until the next job of this kind is due. None: there is none.
pub(super) async fn next_due_in(db: &Db, clock_now: Instant, kind: &'static str) -> Result<Option<Duration>, DbErr> {
    #[derive(FromQueryResult)]
    struct Next {
        at: Option<Instant>,
        now: Instant,
    }
    let (now, now_value) = match db.backend() {
        DatabaseBackend::Postgres => db.now(),
        _ => ("$1", Value::from(clock_now)),
    };
    let sql = format!("SELECT min(available_at) AS at, {now} AS now FROM jobs WHERE kind = $2 AND state <> 'DEAD'");
    let statement = Statement::from_sql_and_values(db.backend(), sql, [now_value, kind.into()]);
    let next = Next::find_by_statement(statement).one(db.read()).await?;
    Ok(next.and_then(|next| Some((next.at? - next.now).to_std().unwrap_or(Duration::ZERO))))
}

/// A span from now on: on PostgreSQL milliseconds to be added to its clock, on SQLite the instant itself.
pub(super) fn lease_value(db: &Db, wait: Duration) -> Value {
    match db.backend() {
        DatabaseBackend::Postgres => (wait.as_millis() as i64).into(),
        _ => match db.now().1 {
            Value::ChronoDateTimeUtc(Some(now)) => (now + span(wait)).into(),
            other => other,
        },
    }
}

async fn update_held(db: &Db, jobs: &[Held], set: String, values: Vec<Value>) -> Result<u64, DbErr> {
    let jobs = jobs.to_vec();
    let update = move |tx: Tx| async move { Ok(update_held_in(&tx, &jobs, set, values).await?) };
    let updated = db.write::<_, crate::platform::error::Fault, _, _>(update);
    updated.await.map_err(|fault| DbErr::Custom(format!("{fault:?}")))
}

async fn update_held_in(tx: &Tx, jobs: &[Held], set: String, mut values: Vec<Value>) -> Result<u64, DbErr> {
    let mut pairs = Vec::with_capacity(jobs.len());
    for job in jobs {
        pairs.push(format!("(id = ${} AND fence = ${})", values.len() + 1, values.len() + 2));
        values.push(job.id.uuid().into());
        values.push(job.fence.into());
    }
    if pairs.is_empty() {
        return Ok(0);
    }
    let sql = format!("UPDATE jobs SET {set} WHERE state = 'RUNNING' AND ({})", pairs.join(" OR "));
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(statement).await?.rows_affected())
}

impl From<row::Model> for Held {
    fn from(row: row::Model) -> Self {
        let row::Model { id, subject_id, user_id, due_at, fence, attempts, crashes, first_failed_at, .. } = row;
        Self { id, subject_id, user_id, due_at, fence, attempts, crashes, first_failed_at }
    }
}
