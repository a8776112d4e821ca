//! What becomes of reminders when their task is completed, reopened or deleted.

use entity::{
    ReminderId,
    reminder::{self as row, Status},
};
use futures_util::future::BoxFuture;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::ledger;
use crate::{
    accounts,
    platform::{
        Platform,
        bus::Hint,
        clock::Instant,
        db::Tx,
        error::Fault,
        facts::{TaskChange, TaskChanged},
    },
    tasks::completion_log,
};

/// Follows a task, in the transaction that changes it.
pub fn on_task_changed<'a>(platform: &'a Platform, tx: &'a Tx, fact: TaskChanged) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        tx.hint_after_commit(Hint::Figures(fact.user_id));
        match fact.change {
            TaskChange::Completed => end(platform, tx, fact, true).await,
            TaskChange::Deleted => end(platform, tx, fact, false).await,
            TaskChange::Reopened => revive(platform, tx, fact, true).await,
            TaskChange::Restored => revive(platform, tx, fact, false).await,
            // Its reminders are cancelled by then, and go with it.
            TaskChange::Purged => Ok(()),
        }
    })
}

/// Ends what is pending: what is overdue was done with the task, what lies ahead is cancelled.
async fn end(platform: &Platform, tx: &Tx, fact: TaskChanged, done: bool) -> Result<(), Fault> {
    let now = platform.clock.now();
    let of_task = || row::Entity::visible_to(fact.user_id).filter(row::Column::TaskId.eq(fact.task_id));
    let all: Vec<ReminderId> = of_task().all(&**tx).await?.iter().map(|reminder| reminder.id).collect();
    // First the jobs: what is being delivered right now is waited for, and what it did is seen below.
    ledger::cancel(tx, &all, now).await?;
    let pending = of_task()
        .filter(row::Column::Status.eq(Status::Pending))
        .order_by_asc(row::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(&**tx)
        .await?;
    let (overdue, ahead): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|reminder| done && reminder.scheduled_at <= now);
    for reminder in &overdue {
        let subject = entity::completion::Subject::Reminder;
        completion_log::done(platform, tx, fact.user_id, subject, reminder.id.uuid(), now).await?;
    }
    set(tx, &overdue, Status::Completed, row::Column::CompletedAt, now).await?;
    set(tx, &ahead, Status::Cancelled, row::Column::CancelledAt, now).await
}

async fn set(
    tx: &Tx,
    reminders: &[row::Model],
    status: Status,
    moment: row::Column,
    now: Instant,
) -> Result<(), Fault> {
    if reminders.is_empty() {
        return Ok(());
    }
    row::Entity::update_many()
        .col_expr(row::Column::Status, Expr::value(status))
        .col_expr(moment, Expr::value(now))
        .col_expr(row::Column::EndedByTask, Expr::value(true))
        .col_expr(row::Column::UpdatedAt, Expr::value(now))
        .col_expr(row::Column::Version, Expr::col(row::Column::Version).add(1))
        .filter(row::Column::Id.is_in(reminders.iter().map(|reminder| reminder.id)))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Revives exactly what the task ended: what still lies ahead gets a new round of deliveries, what was completed with
/// the task is open again (if the task is reopened; one that is only brought back was not done). What was cancelled and has passed meanwhile stays cancelled: a reminder that comes at once
/// because a task was reopened would surprise.
async fn revive(platform: &Platform, tx: &Tx, fact: TaskChanged, reopened: bool) -> Result<(), Fault> {
    let now = platform.clock.now();
    let ended = row::Entity::visible_to(fact.user_id)
        .filter(row::Column::TaskId.eq(fact.task_id))
        .filter(row::Column::EndedByTask.eq(true))
        .all(&**tx)
        .await?;
    let lead_minutes = accounts::person(&**tx, fact.user_id).await?.email_lead_minutes;
    for mut reminder in ended {
        let ahead = reminder.scheduled_at > now;
        match reminder.status {
            Status::Completed if reopened => completion_log::undone(platform, tx, reminder.id.uuid()).await?,
            Status::Cancelled if ahead => {}
            Status::Completed | Status::Cancelled | Status::Pending => continue,
        }
        reminder.round += 1;
        row::Entity::update_many()
            .col_expr(row::Column::Status, Expr::value(Status::Pending))
            .col_expr(row::Column::CompletedAt, Expr::value(Option::<Instant>::None))
            .col_expr(row::Column::CancelledAt, Expr::value(Option::<Instant>::None))
            .col_expr(row::Column::EndedByTask, Expr::value(false))
            .col_expr(row::Column::Round, Expr::value(reminder.round))
            .col_expr(row::Column::UpdatedAt, Expr::value(now))
            .col_expr(row::Column::Version, Expr::value(reminder.version + 1))
            .filter(row::Column::Id.eq(reminder.id))
            .exec(&**tx)
            .await?;
        if ahead {
            ledger::open_round(platform, tx, &reminder, lead_minutes, now).await?;
        }
    }
    Ok(())
}
