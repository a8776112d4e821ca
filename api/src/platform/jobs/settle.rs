//! What becomes of a job that failed: tried again later, or put aside.
//! Promise: an unreachable server costs no attempt, who names a time is not asked before, and the room that made the job
//! hears of it.

use std::time::Duration;

use super::{Failure, Held, engine::Kind, queue};
use crate::platform::{Platform, clock::Instant};

/// Until a job is tried again that our own database held up.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// A try that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    pub job: Held,
    pub error: String,
    /// Tries that counted, with this one.
    pub attempts: i32,
    /// When it is tried again. None: it is put aside.
    pub next_attempt_at: Option<Instant>,
}

/// Puts a failed job back or aside.
pub(super) async fn settle(platform: &Platform, kind: &Kind, job: &Held, failure: Failure) {
    let config = &platform.config.jobs;
    let counted = matches!(failure, Failure::Refused(..));
    let attempts = job.attempts + i32::from(counted);
    // Not from its moment on: after an outage of ours that was longer than the patience, it is tried as any other.
    let now = platform.clock.now();
    let age = (now - job.first_failed_at.unwrap_or(now)).to_std().unwrap_or_default();
    let over = match failure {
        Failure::Permanent(_) => true,
        Failure::Busy(_) => false,
        Failure::Refused(..) | Failure::Unreachable(_) => attempts >= config.attempts || age >= config.give_up_after,
    };
    let error = failure.error();
    let doublings = u32::try_from(attempts.max(1) - 1).unwrap_or(0).min(20);
    let wait = match failure {
        Failure::Busy(_) => BUSY_WAIT,
        // Waiting as long as it has been waited doubles the time with each try.
        Failure::Unreachable(_) => age.max(config.retry_first).min(config.retry_longest),
        Failure::Refused(_, asked) => {
            // Who answers may know better than we do when to come again (RFC 9110 section 10.2.3), within reason.
            let wait = (config.retry_first * 2u32.pow(doublings)).min(config.retry_longest);
            asked.unwrap_or_default().clamp(wait, config.give_up_after.max(wait))
        }
        Failure::Permanent(_) => Duration::ZERO,
    };
    let spread = wait.mul_f64(platform.random.jitter(0.1));
    // Never before the time that was asked for.
    let wait = (!over).then(|| if let Failure::Refused(_, Some(_)) = failure { spread.max(wait) } else { spread });
    platform.metrics.jobs(kind.name, if over { "put_aside" } else { "retried" }, 1);
    let settled = match wait {
        None => queue::bury(&platform.db, job, error).await,
        Some(wait) => queue::retry(&platform.db, job, wait, counted, error).await,
    };
    match (&settled, wait) {
        (Ok(_), None) => tracing::error!(job = %job.id, kind = kind.name, error, "a job is put aside"),
        (Ok(_), Some(wait)) => {
            tracing::warn!(job = %job.id, kind = kind.name, error, attempts, wait_s = wait.as_secs(), "a job failed");
        }
        (Err(cause), _) => {
            tracing::warn!(%cause, job = %job.id, "a job cannot be settled: its lease will end by itself")
        }
    }
    if let (Ok(1..), Some(told)) = (&settled, &kind.on_failed) {
        let next_attempt_at = wait.map(|wait| platform.clock.now() + wait);
        let failed = Failed { job: job.clone(), error: error.to_owned(), attempts, next_attempt_at };
        told(platform.clone(), failed).await;
    }
}
