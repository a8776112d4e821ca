//! The job engine: background work that is written down in the transaction of the fact that asks for it.
//! Promise: a job that was committed is done at least once, on any number of instances, through crashes; and its
//! effect in the database exactly once, because the job leaves in the transaction of that effect, by its fence.
//!
//! A job is claimed by one statement, held by a lease that a heartbeat prolongs, taken over when the lease ends, and
//! put aside (state DEAD, with its last error) after too many tries or crashes.

mod engine;
mod queue;

use entity::{JobId, UserId};
use uuid::Uuid;

pub use self::{
    engine::{Engine, Failed},
    queue::{NewJob, cancel, enqueue, finish},
};
use super::{clock::Instant, error::Fault};

/// A job that this worker holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: JobId,
    /// The bits of the id of what it is about.
    pub subject_id: Uuid,
    /// Whose it is. None: the system's.
    pub user_id: Option<UserId>,
    /// When it was first to start.
    pub due_at: Instant,
    /// Only the holder of the newest fence may finish it.
    pub fence: i64,
    /// Tries so far that ended in an answer which counts.
    pub attempts: i32,
    /// Workers that vanished over it.
    pub crashes: i32,
    /// When it was written down.
    pub created_at: Instant,
}

/// How a try ended that did not finish the job. The texts are for the ledger, which its owner reads, and for the log:
/// no address, no cause chain.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The other side answered that it cannot now: counts as an attempt.
    Refused(String),
    /// The other side could not be reached: tried again, at no cost.
    Unreachable(String),
    /// Our own database did not do its part: tried again in a moment, at no cost and without end.
    Busy(String),
    /// Never going to work: put aside.
    Permanent(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        tracing::warn!(?fault, "a job met a fault");
        Self::Busy("The service was busy.".into())
    }
}

impl Failure {
    /// What went wrong, for the log and the ledger.
    pub fn error(&self) -> &str {
        match self {
            Self::Refused(error) | Self::Unreachable(error) | Self::Busy(error) | Self::Permanent(error) => error,
        }
    }
}
