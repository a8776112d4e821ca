//! What a room announces for rooms that it does not know: typed facts, handled inside the announcer's transaction.
//! `app.rs` says who listens.

use entity::{TaskId, UserId};
use futures_util::future::BoxFuture;

use super::{Platform, db::Tx, error::Fault};

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskChange {
    /// Done: what reminds of it is over.
    Completed,
    /// Not done after all.
    Reopened,
    /// Hidden by its owner.
    Deleted,
}

/// A task was completed, reopened or deleted.
#[derive(Clone, Copy, Debug)]
pub struct TaskChanged {
    pub task_id: TaskId,
    pub user_id: UserId,
    pub change: TaskChange,
}

/// Handles a [`TaskChanged`] in the transaction that made it.
pub type OnTaskChanged = for<'a> fn(&'a Platform, &'a Tx, TaskChanged) -> BoxFuture<'a, Result<(), Fault>>;

/// Who listens to what.
#[derive(Default)]
pub struct Facts {
    pub on_task_changed: Vec<OnTaskChanged>,
}

impl Facts {
    /// Tells everyone who listens; the first failure undoes the transaction.
    ///
    /// # Errors
    /// What a listener failed with.
    pub async fn task_changed(&self, platform: &Platform, tx: &Tx, fact: TaskChanged) -> Result<(), Fault> {
        for listener in &self.on_task_changed {
            listener(platform, tx, fact).await?;
        }
        Ok(())
    }
}
