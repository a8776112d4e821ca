//! The workers: one loop a kind, so that one kind's trouble never holds up another.
//! Promise: a job is looked for at its due moment, on a hint, and now and then in any case; a worker that stops hands
//! back what it holds.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use sea_orm::DbErr;

use super::{
    Failure, Held,
    queue::{self, Claim},
};
use crate::platform::{Platform, clock::Instant};

/// Does a batch of held jobs. What it finishes it ends itself by [`queue::finish`], in the transaction of the effect;
/// it gives back the failures of the others. A job in neither is one that was lost to another worker.
type Handler = Arc<dyn Fn(Platform, Vec<Held>) -> BoxFuture<'static, Vec<(Held, Failure)>> + Send + Sync>;

/// Hears of a try that failed, so that the room can write it into its ledger.
type OnFailed = Arc<dyn Fn(Platform, Failed) -> BoxFuture<'static, ()> + Send + Sync>;

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

/// Between two looks at least.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// How often jobs over which a worker vanished are looked for while there are others.
const SUSPECTS_EVERY: Duration = Duration::from_secs(1);
/// Until a job is tried again that our own database held up.
const BUSY_WAIT: Duration = Duration::from_secs(1);

struct Kind {
    name: &'static str,
    batch: u64,
    handler: Handler,
    on_failed: Option<OnFailed>,
}

/// Runs the kinds of jobs that were registered.
pub struct Engine {
    platform: Platform,
    kinds: Vec<Kind>,
}

impl Engine {
    /// An engine that knows no kind yet.
    pub fn new(platform: Platform) -> Self {
        Self { platform, kinds: Vec::new() }
    }

    /// Registers a kind whose jobs are done together, up to `JOB_BATCH` of them.
    pub fn batches<F, Fut>(&mut self, name: &'static str, handler: F) -> &mut Self
    where
        F: Fn(Platform, Vec<Held>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<(Held, Failure)>> + Send + 'static,
    {
        let batch = self.platform.config.jobs.batch;
        let handler: Handler = Arc::new(move |platform, jobs| Box::pin(handler(platform, jobs)));
        self.kinds.push(Kind { name, batch, handler, on_failed: None });
        self
    }

    /// Registers a kind whose jobs are done one by one.
    pub fn singles<F, Fut>(&mut self, name: &'static str, handler: F) -> &mut Self
    where
        F: Fn(Platform, Held) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.batches(name, move |platform, jobs| {
            let handler = handler.clone();
            async move {
                let mut failed = Vec::new();
                for job in jobs {
                    if let Err(failure) = handler(platform.clone(), job.clone()).await {
                        failed.push((job, failure));
                    }
                }
                failed
            }
        });
        if let Some(kind) = self.kinds.last_mut() {
            // One at a time each, so that a slow one holds up no other.
            kind.batch = 1;
        }
        self
    }

    /// Says who hears of the failures of the kind registered last.
    pub fn when_failed<F, Fut>(&mut self, told: F) -> &mut Self
    where
        F: Fn(Platform, Failed) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if let Some(kind) = self.kinds.last_mut() {
            kind.on_failed = Some(Arc::new(move |platform, failed| Box::pin(told(platform, failed))));
        }
        self
    }

    /// Works until `stop`, then lets what runs finish, for `SHUTDOWN_TIMEOUT` at most.
    pub async fn run(self, stop: CancellationToken) {
        let mut loops = JoinSet::new();
        for kind in self.kinds {
            let worker = Worker { platform: self.platform.clone(), kind: Arc::new(kind) };
            loops.spawn(worker.run(stop.clone()));
        }
        loops.join_all().await;
    }
}

struct Worker {
    platform: Platform,
    kind: Arc<Kind>,
}

impl Worker {
    async fn run(self, stop: CancellationToken) {
        let config = &self.platform.config.jobs;
        let hints = self.platform.bus.jobs(self.kind.name);
        let permits = Arc::new(Semaphore::new(config.concurrency));
        let mut batches = JoinSet::new();
        let too_late = CancellationToken::new();
        let mut suspects_at = tokio::time::Instant::now();
        while let Some(Ok(permit)) = stop.run_until_cancelled(permits.clone().acquire_owned()).await {
            let (held, failed) = match self.claim(&mut suspects_at).await {
                Ok(held) => (held, None),
                Err(cause) => (Vec::new(), Some(cause.to_string())),
            };
            if held.is_empty() {
                drop(permit);
                let wait = match failed {
                    None => self.wait().await,
                    Some(cause) => {
                        tracing::warn!(cause, kind = self.kind.name, "jobs cannot be claimed");
                        config.poll
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = hints.notified() => {}
                    () = self.platform.clock.sleep(wait) => {}
                }
                continue;
            }
            let (platform, kind, too_late) = (self.platform.clone(), self.kind.clone(), too_late.clone());
            batches.spawn(async move {
                let work = work(&platform, &kind, held.clone());
                if too_late.run_until_cancelled(work).await.is_none() {
                    hand_back(&platform, &held).await;
                }
                drop(permit);
            });
            while batches.try_join_next().is_some() {}
        }
        let patience = self.platform.config.operations.shutdown_timeout;
        if tokio::time::timeout(patience, async { while batches.join_next().await.is_some() {} }).await.is_err() {
            too_late.cancel();
            batches.join_all().await;
        }
    }

    /// A batch of what is due; and when there is none, or a second has passed, one job over which a worker vanished.
    async fn claim(&self, suspects_at: &mut tokio::time::Instant) -> Result<Vec<Held>, DbErr> {
        let (db, lease) = (&self.platform.db, self.platform.config.jobs.lease);
        let fresh = || queue::claim(db, self.kind.name, lease, Claim::Fresh(self.kind.batch));
        let suspects_first = suspects_at.elapsed() >= SUSPECTS_EVERY;
        if !suspects_first {
            let fresh = fresh().await?;
            if !fresh.is_empty() {
                return Ok(fresh);
            }
        }
        let suspect = queue::claim(db, self.kind.name, lease, Claim::Suspect).await?;
        if !suspect.is_empty() {
            return Ok(suspect);
        }
        *suspects_at = tokio::time::Instant::now();
        // Looked for above already, unless suspects came first.
        if suspects_first { fresh().await } else { Ok(Vec::new()) }
    }

    /// Until the next due moment, but no longer than the poll, which is spread so that instances do not keep step.
    async fn wait(&self) -> Duration {
        let poll = self.platform.config.jobs.poll.mul_f64(self.platform.random.jitter(0.2));
        match queue::next_due_in(&self.platform.db, self.platform.clock.now(), self.kind.name).await {
            // Not at once: what is due and could not be claimed is being claimed by somebody else.
            Ok(Some(due)) => due.max(LEAST_WAIT).min(poll),
            Ok(None) => poll,
            Err(cause) => {
                tracing::warn!(%cause, kind = self.kind.name, "the next due job cannot be looked up");
                poll
            }
        }
    }
}

async fn work(platform: &Platform, kind: &Kind, held: Vec<Held>) {
    let (poisoned, held): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|job| job.crashes >= platform.config.jobs.crashes);
    for job in poisoned {
        let error = format!("{} workers vanished over it", job.crashes);
        settle(platform, kind, &job, Failure::Permanent(error)).await;
    }
    if held.is_empty() {
        return;
    }
    // A handler that panics must not take the worker with it, and its jobs must be seen as crashed: they keep their
    // lease and are taken over.
    let running = AbortOnDrop(tokio::spawn((kind.handler)(platform.clone(), held.clone())));
    let lease = platform.config.jobs.lease;
    let heartbeat = async {
        loop {
            tokio::time::sleep(lease / 3).await;
            match queue::prolong(&platform.db, &held, lease).await {
                // All finished, or taken over after a stall: whatever the handler still does, its fence is void.
                Ok(0) => std::future::pending().await,
                Ok(_) => {}
                Err(cause) => tracing::warn!(%cause, kind = kind.name, "a lease cannot be prolonged"),
            }
        }
    };
    let outcome = tokio::select! {
        outcome = running => outcome,
        never = heartbeat => never,
    };
    match outcome {
        Ok(failures) => {
            for (job, failure) in failures {
                settle(platform, kind, &job, failure).await;
            }
        }
        Err(died) => tracing::error!(%died, kind = kind.name, jobs = held.len(), "a job handler panicked"),
    }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hands back what was not finished in time, so that another instance begins at once.
async fn hand_back(platform: &Platform, held: &[Held]) {
    if let Err(cause) = queue::give_back(&platform.db, held).await {
        tracing::warn!(%cause, "jobs cannot be handed back; their leases will end by themselves");
    }
}

/// Puts a failed job back or aside.
async fn settle(platform: &Platform, kind: &Kind, job: &Held, failure: Failure) {
    let config = &platform.config.jobs;
    let counted = matches!(failure, Failure::Refused(_));
    let attempts = job.attempts + i32::from(counted);
    let age = (platform.clock.now() - job.created_at.max(job.due_at)).to_std().unwrap_or_default();
    let over = match failure {
        Failure::Permanent(_) => true,
        Failure::Busy(_) => false,
        Failure::Refused(_) | Failure::Unreachable(_) => attempts >= config.attempts || age >= config.give_up_after,
    };
    let error = failure.error();
    let doublings = u32::try_from(attempts.max(1) - 1).unwrap_or(0).min(20);
    let wait = match failure {
        Failure::Busy(_) => BUSY_WAIT,
        // Waiting as long as it has been waited doubles the time with each try.
        Failure::Unreachable(_) => age.max(config.retry_first).min(config.retry_longest),
        Failure::Refused(_) | Failure::Permanent(_) => {
            (config.retry_first * 2u32.pow(doublings)).min(config.retry_longest)
        }
    };
    let wait = (!over).then(|| wait.mul_f64(platform.random.jitter(0.1)));
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
