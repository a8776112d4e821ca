//! Deleted tasks: brought back, or purged for good.

use entity::{TaskId, task as row};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, sea_query::LockType,
};

use super::{completion_log, due};
use crate::platform::{
    Platform,
    bus::Hint,
    change::Changed,
    clock::{Instant, span},
    db::Tx,
    error::{Fault, Refusal},
    facts::{TaskChange, TaskChanged},
    viewer::Viewer,
};

/// Tasks that a sweep purges in one transaction. One: each holds what is its person's, and two sweeps that held several
/// people would wait for each other.
const BATCH: u64 = 1;

/// Since when a task may have been deleted to be brought back still.
pub(super) fn kept_since(platform: &Platform) -> Instant {
    platform.clock.now() - span(platform.config.limits.trash_lifetime)
}

/// Brings a deleted task back, with the reminders that still lie ahead.
pub(super) async fn restore(platform: &Platform, viewer: Viewer, id: TaskId) -> Result<row::Model, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let task = lock(&tx, viewer, id).await?;
            match task.deleted_at {
                // It is there: asking twice does no harm.
                None => return Ok(task),
                Some(deleted_at) if deleted_at < kept_since(&parts) => return Err(Fault::NotFound("task").into()),
                Some(_) => {}
            }
            let now = parts.clock.now();
            let (version, open) = (task.version + 1, task.status != row::Status::Completed);
            let mut back = task.into_active_model();
            back.deleted_at = Set(None);
            back.version = Set(version);
            back.updated_at = Set(now);
            tx.hint_after_commit(Hint::Figures(viewer.user_id));
            let back = back.update(&*tx).await?;
            due::plan(&parts, &tx, &back).await?;
            // What completing it ended stays ended.
            if open {
                let fact = TaskChanged { task_id: id, user_id: viewer.user_id, change: TaskChange::Restored };
                parts.facts.task_changed(&parts, &tx, fact).await?;
            }
            Ok(back)
        })
        .await
}

/// Purges a task, deleted or not: with its reminders and files, for good.
pub(super) async fn purge(
    platform: &Platform,
    viewer: Viewer,
    id: TaskId,
    expected_version: Option<i32>,
) -> Result<Changed<row::Model>, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let task = lock(&tx, viewer, id).await?;
            if expected_version.is_some_and(|version| version != task.version) {
                return Ok(Changed::Conflict(task));
            }
            purge_in(&parts, &tx, &task).await?;
            Ok(Changed::Done(task))
        })
        .await
}

/// The row, deleted or not, held until the end of the transaction.
async fn lock(tx: &Tx, viewer: Viewer, id: TaskId) -> Result<row::Model, Fault> {
    let mine = row::Entity::with_deleted_visible_to(viewer.user_id).filter(row::Column::Id.eq(id));
    mine.lock(LockType::NoKeyUpdate).one(&**tx).await?.ok_or(Fault::NotFound("task"))
}

async fn purge_in(platform: &Platform, tx: &Tx, task: &row::Model) -> Result<(), Fault> {
    // What works for it is cancelled; the rows go by their foreign keys.
    for change in [TaskChange::Deleted, TaskChange::Purged] {
        let fact = TaskChanged { task_id: task.id, user_id: task.user_id, change };
        platform.facts.task_changed(platform, tx, fact).await?;
    }
    tx.hint_after_commit(Hint::Figures(task.user_id));
    row::Entity::delete_by_id(task.id).exec(&**tx).await?;
    Ok(())
}

/// Purges what was deleted longer ago than it is kept. May run on several instances at once.
///
/// # Errors
/// When the database fails.
pub async fn sweep(platform: &Platform) -> Result<(), Fault> {
    completion_log::catch_up(platform).await?;
    loop {
        let parts = platform.clone();
        let purged = platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                let over = row::Entity::find()
                    .filter(row::Column::DeletedAt.lt(kept_since(&parts)))
                    .order_by_asc(row::Column::DeletedAt)
                    .limit(BATCH)
                    .lock_with_behavior(LockType::Update, sea_orm::sea_query::LockBehavior::SkipLocked)
                    .all(&*tx)
                    .await?;
                for task in &over {
                    purge_in(&parts, &tx, task).await?;
                }
                Ok(over.len() as u64)
            })
            .await?;
        if purged < BATCH {
            return Ok(());
        }
    }
}
