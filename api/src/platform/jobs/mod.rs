//! The job engine: background work that is written down in the transaction of the fact that asks for it.
//! Promise: a job that was committed is done at least once, on any number of instances, through crashes; and its
//! effect in the database exactly once, because the job leaves in the transaction of that effect, by its fence.
//!
//! A job is claimed by one statement, held by a lease that a heartbeat prolongs, taken over when the lease ends, and
//! put aside (state DEAD, with its last error) after too many tries or crashes.

mod by_hand;
mod depth;
mod engine;
mod queue;
mod settle;

use std::time::Duration;

use entity::{JobId, UserId};
use uuid::Uuid;

pub use self::{
    by_hand::ByHand,
    depth::{Depth, depth},
    engine::{Engine, Pass},
    queue::{NewJob, cancel, enqueue, finish, finish_one},
    settle::Failed,
};
use super::{Platform, clock::Instant, db::Tx, error::Fault};

/// Writes down what came of a job that had an effect outside the database: what was handed over cannot be taken back, so
/// a database that is busy is asked again for a while. Otherwise the job would be done once more, and a mail go out twice.
///
/// # Errors
/// When it cannot be written down: then the job is done again.
pub async fn conclude<F, Fut>(platform: &Platform, write: F) -> Result<(), Failure>
where
    F: Fn(Platform, Tx) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let mut wait = Duration::from_millis(50);
    loop {
        let (parts, write) = (platform.clone(), write.clone());
        match platform.db.write(move |tx| write(parts, tx)).await {
            Ok(()) => return Ok(()),
            Err(Fault::Unavailable(cause)) if wait < CONCLUDE_PATIENCE => {
                tracing::warn!(cause, "the end of a job cannot be written down yet");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
}

/// The longest wait for a database that is to take down what came of a job.
const CONCLUDE_PATIENCE: Duration = Duration::from_secs(20);

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
    /// When a try first failed. None: none did yet.
    pub first_failed_at: Option<Instant>,
}

/// How a try ended that did not finish the job. The texts are for the ledger, which its owner reads, and for the log:
/// no address, no cause chain.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The other side answered that it cannot now, and perhaps for how long: counts as an attempt.
    Refused(String, Option<Duration>),
    /// The other side could not be reached: tried again, at no cost.
    Unreachable(String),
    /// Our own database did not do its part: tried again in a moment, at no cost and without end.
    Busy(String),
    /// A defect of ours, which may stay: tried again as an unreachable server is, later and later, and not for ever.
    Broken(String),
    /// Never going to work: put aside.
    Permanent(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Internal(_) => {
                tracing::error!(?fault, "a job met a defect");
                Self::Broken("Something went wrong on our side.".into())
            }
            _ => {
                tracing::warn!(?fault, "a job met a fault");
                Self::Busy("The service was busy.".into())
            }
        }
    }
}

impl Failure {
    /// What went wrong, for the log and the ledger.
    pub fn error(&self) -> &str {
        match self {
            Self::Refused(error, _)
            | Self::Unreachable(error)
            | Self::Busy(error)
            | Self::Broken(error)
            | Self::Permanent(error) => error,
        }
    }
}
