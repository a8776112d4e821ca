//! What becomes of a job that failed: tried again later, or put aside.
//! Promise: an unreachable server costs no attempt, who names a time is not asked before, and the room that made the job
//! writes it down in the same transaction.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::{Failure, Held, engine::Kind, queue};
use crate::platform::{Platform, clock::Instant, db::Tx, error::Fault};

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

/// Hears of a try that failed, in the transaction that puts the job back or aside: the room's ledger and the queue never
/// tell two stories.
pub(super) type OnFailed =
    Arc<dyn for<'a> Fn(&'a Platform, &'a Tx, &'a Failed) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync>;

/// Puts a failed job back or aside.
pub(super) async fn settle(platform: &Platform, kind: &Kind, job: &Held, failure: Failure) {
    let counted = matches!(failure, Failure::Refused(..));
    let attempts = job.attempts + i32::from(counted);
    let wait = until_again(platform, job, attempts, &failure);
    platform.metrics.jobs(kind.name, if wait.is_none() { "put_aside" } else { "retried" }, 1);
    let error = failure.error().to_owned();
    let next_attempt_at = wait.map(|wait| platform.clock.now() + wait);
    let failed = Arc::new(Failed { job: job.clone(), error, attempts, next_attempt_at });
    let (on_failed, rooms_first) = (kind.on_failed.clone(), kind.rooms_first);
    let settled = super::conclude(platform, move |parts, tx| {
        let (failed, on_failed) = (failed.clone(), on_failed.clone());
        async move {
            let Failed { job, error, .. } = &*failed;
            if let Some(told) = on_failed.as_ref().filter(|_| rooms_first) {
                told(&parts, &tx, &failed).await?;
            }
            let ours = match wait {
                None => queue::bury(&tx, job, error).await?,
                Some(wait) => queue::retry(&parts.db, &tx, job, wait, counted, error).await?,
            };
            match on_failed.filter(|_| !rooms_first) {
                Some(told) if ours > 0 => told(&parts, &tx, &failed).await,
                // What the room wrote is taken back.
                None if ours == 0 && rooms_first => Err(Fault::NotFound("job any more")),
                _ => Ok(()),
            }
        }
    });
    let error = failure.error();
    match (settled.await, wait) {
        (Ok(()), None) => tracing::error!(job = %job.id, kind = kind.name, error, "a job is put aside"),
        (Ok(()), Some(wait)) => {
            tracing::warn!(job = %job.id, kind = kind.name, error, attempts, wait_s = wait.as_secs(), "a job failed");
        }
        (Err(_), _) => tracing::warn!(job = %job.id, "a job cannot be settled: its lease will end by itself"),
    }
}

/// How long until the job is tried again. None: never, it is put aside.
fn until_again(platform: &Platform, job: &Held, attempts: i32, failure: &Failure) -> Option<Duration> {
    let config = &platform.config.jobs;
    // Not from its moment on: after an outage of ours that was longer than the patience, it is tried as any other.
    let now = platform.clock.now();
    let age = (now - job.first_failed_at.unwrap_or(now)).to_std().unwrap_or_default();
    let over = attempts >= config.attempts || age >= config.give_up_after;
    let (wait, asked) = match failure {
        Failure::Permanent(_) => return None,
        Failure::Busy(_) => (BUSY_WAIT, None),
        Failure::Refused(..) | Failure::Unreachable(_) | Failure::Broken(_) if over => return None,
        // Waiting as long as it has been waited doubles the time with each try.
        Failure::Unreachable(_) | Failure::Broken(_) => (age.max(config.retry_first).min(config.retry_longest), None),
        Failure::Refused(_, asked) => {
            let doublings = u32::try_from(attempts.max(1) - 1).unwrap_or(0).min(20);
            let wait = (config.retry_first * 2u32.pow(doublings)).min(config.retry_longest);
            // Who answers may know better than we do when to come again (RFC 9110 section 10.2.3), within reason.
            (asked.unwrap_or_default().clamp(wait, config.give_up_after.max(wait)), *asked)
        }
    };
    let spread = wait.mul_f64(platform.random.jitter(0.1));
    // Never before the time that was asked for.
    Some(if asked.is_some() { spread.max(wait) } else { spread })
}
