//! What a room announces for rooms that it does not know: typed facts, handled inside the announcer's transaction.
//! `app.rs` says who listens.

use entity::{DeliveryId, SessionId, TaskId, UserId};
use futures_util::{future::BoxFuture, stream::BoxStream};

use super::{Platform, clock::Instant, db::Tx, error::Fault};

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskChange {
    /// Done: what reminds of it is over.
    Completed,
    /// Not done after all.
    Reopened,
    /// Hidden by its owner.
    Deleted,
    /// Brought back, and not done.
    Restored,
    /// About to be gone for good.
    Purged,
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

/// An account is about to be gone, with every row that is its person's.
#[derive(Clone, Copy, Debug)]
pub struct AccountDeleted {
    pub user_id: UserId,
}

/// Handles an [`AccountDeleted`] in the transaction that deletes it.
pub type OnAccountDeleted = for<'a> fn(&'a Platform, &'a Tx, AccountDeleted) -> BoxFuture<'a, Result<(), Fault>>;

/// A person's day is another one: they are new here, or live in another zone, or wish for other hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayChanged {
    pub user_id: UserId,
    /// Whether the account was made just now, or wants again what it did not want before: nothing is made up for.
    pub anew: bool,
}

/// Handles a [`DayChanged`] in the transaction that made it.
pub type OnDayChanged = for<'a> fn(&'a Platform, &'a Tx, DayChanged) -> BoxFuture<'a, Result<(), Fault>>;

/// What became of messages of reminders that quiet hours held.
#[derive(Clone, Debug)]
pub struct HeldMessages {
    /// What was held.
    pub deliveries: Vec<DeliveryId>,
    pub outcome: HeldOutcome,
}

/// What became of what was held.
#[derive(Clone, Debug)]
pub enum HeldOutcome {
    /// It went out with the others.
    Sent,
    /// It has nowhere to go, for this reason.
    Skipped(String),
    /// It did not go out yet.
    Tried { error: String, attempts: i32, next_attempt_at: Instant },
    /// It will not go out.
    Failed { error: String, attempts: i32 },
    /// It is held until another time.
    Until(Instant),
}

/// Handles [`HeldMessages`] in the transaction that settles them.
pub type OnHeldMessages = for<'a> fn(&'a Platform, &'a Tx, &'a HeldMessages) -> BoxFuture<'a, Result<(), Fault>>;

/// A refresh token came again after it was replaced: somebody else has a copy, and the session was ended.
#[derive(Clone, Copy, Debug)]
pub struct SessionStolen {
    pub user_id: UserId,
    pub session_id: SessionId,
}

/// Handles a [`SessionStolen`] in the transaction that ended the session.
pub type OnSessionStolen = for<'a> fn(&'a Platform, &'a Tx, SessionStolen) -> BoxFuture<'a, Result<(), Fault>>;

/// What a room knows of a person, for the export of their account: JSON values, one after the other, fetched as they
/// are taken.
pub type Export = fn(Platform, UserId) -> BoxStream<'static, Result<serde_json::Value, Fault>>;

/// Who listens to what, and who has what of a person.
#[derive(Default)]
pub struct Facts {
    pub on_task_changed: Vec<OnTaskChanged>,
    pub on_session_stolen: Vec<OnSessionStolen>,
    pub on_account_deleted: Vec<OnAccountDeleted>,
    pub on_day_changed: Vec<OnDayChanged>,
    pub on_held_messages: Vec<OnHeldMessages>,
    /// Each with the name of its list in the export.
    pub exports: Vec<(&'static str, Export)>,
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

    /// Tells everyone who listens; the first failure undoes the transaction.
    ///
    /// # Errors
    /// What a listener failed with.
    pub async fn session_stolen(&self, platform: &Platform, tx: &Tx, fact: SessionStolen) -> Result<(), Fault> {
        for listener in &self.on_session_stolen {
            listener(platform, tx, fact).await?;
        }
        Ok(())
    }

    /// Tells everyone who listens; the first failure undoes the transaction.
    ///
    /// # Errors
    /// What a listener failed with.
    pub async fn day_changed(&self, platform: &Platform, tx: &Tx, fact: DayChanged) -> Result<(), Fault> {
        for listener in &self.on_day_changed {
            listener(platform, tx, fact).await?;
        }
        Ok(())
    }

    /// Tells everyone who listens; the first failure undoes the transaction.
    ///
    /// # Errors
    /// What a listener failed with.
    pub async fn held_messages(&self, platform: &Platform, tx: &Tx, fact: &HeldMessages) -> Result<(), Fault> {
        for listener in &self.on_held_messages {
            listener(platform, tx, fact).await?;
        }
        Ok(())
    }

    /// Tells everyone who listens; the first failure undoes the transaction.
    ///
    /// # Errors
    /// What a listener failed with.
    pub async fn account_deleted(&self, platform: &Platform, tx: &Tx, fact: AccountDeleted) -> Result<(), Fault> {
        for listener in &self.on_account_deleted {
            listener(platform, tx, fact).await?;
        }
        Ok(())
    }
}
