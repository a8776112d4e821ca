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
    settle::{Failed, OnFailed, settle},
};
use crate::platform::{
    Platform,
    db::Tx,
    error::Fault,
    trace::{Span, Told},
};

/// Does a batch of held jobs. What it finishes it ends itself by [`queue::finish`], in the transaction of the effect;
/// it gives back the failures of the others. A job in neither is one that was lost to another worker.
type Handler = Arc<dyn Fn(Platform, Vec<Held>) -> BoxFuture<'static, Vec<(Held, Failure)>> + Send + Sync>;

/// Between two looks at least.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// How often jobs over which a worker vanished are looked for while there are others.
const SUSPECTS_EVERY: Duration = Duration::from_secs(1);

/// Says whether what a kind's jobs need is there.
type Gate = Arc<dyn Fn(&Platform) -> Pass + Send + Sync>;

/// Whether jobs of a kind may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As many as there are.
    All,
    /// One, to see whether it goes again.
    One,
    /// None for so long.
    NoneFor(Duration),
}

pub(super) struct Kind {
    pub(super) name: &'static str,
    /// How many are done together. None: each by itself.
    batch: Option<u64>,
    handler: Handler,
    pub(super) on_failed: Option<OnFailed>,
    /// Whether the room writes before the job's row is held: see [`Engine::rooms_first`].
    pub(super) rooms_first: bool,
    gate: Option<Gate>,
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
        let batch = Some(self.platform.config.jobs.batch);
        let handler: Handler = Arc::new(move |platform, jobs| Box::pin(handler(platform, jobs)));
        self.kinds.push(Kind { name, batch, handler, on_failed: None, rooms_first: false, gate: None });
        self
    }

    /// Registers a kind whose jobs are done in one transaction, which ends them; where that fails, each in its own, so
    /// that one that cannot be done holds up no other.
    pub fn transactions<F, Fut>(&mut self, name: &'static str, act: F) -> &mut Self
    where
        F: Fn(Platform, Tx, Vec<Held>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let act = Arc::new(act);
        let at_once = move |platform: Platform, held: Vec<Held>| {
            let (parts, act) = (platform.clone(), act.clone());
            async move { platform.db.write(move |tx| act(parts, tx, held)).await }
        };
        self.batches(name, move |platform, held| {
            let at_once = at_once.clone();
            async move {
                let Err(fault) = at_once(platform.clone(), held.clone()).await else { return Vec::new() };
                tracing::warn!(?fault, kind = name, jobs = held.len(), "a batch failed: its jobs are done one by one");
                let mut failed = Vec::new();
                for job in held {
                    if let Err(fault) = at_once(platform.clone(), vec![job.clone()]).await {
                        failed.push((job, fault.into()));
                    }
                }
                failed
            }
        })
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
            // So that a slow one holds up no other.
            kind.batch = None;
        }
        self
    }

    /// Says who hears of the failures of the kind registered last, in the transaction that settles them.
    pub fn when_failed<F>(&mut self, told: F) -> &mut Self
    where
        F: for<'a> Fn(&'a Platform, &'a Tx, &'a Failed) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync + 'static,
    {
        if let Some(kind) = self.kinds.last_mut() {
            kind.on_failed = Some(Arc::new(told));
        }
        self
    }

    /// Says that whoever works on what the kind registered last is about holds it before its jobs: then its room hears of
    /// failures before the job's row is held too, so that nobody waits in a circle.
    pub fn rooms_first(&mut self) -> &mut Self {
        if let Some(kind) = self.kinds.last_mut() {
            kind.rooms_first = true;
        }
        self
    }

    /// Says what must be there for the kind registered last: while it is not, its jobs wait where they are, at no cost,
    /// and go on the moment that it is back.
    pub fn while_there(&mut self, gate: impl Fn(&Platform) -> Pass + Send + Sync + 'static) -> &mut Self {
        if let Some(kind) = self.kinds.last_mut() {
            kind.gate = Some(Arc::new(gate));
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

/// Whose turn it is.
struct Turns {
    /// When jobs over which a worker vanished were last looked for.
    suspects_at: tokio::time::Instant,
    /// Whether there are likely more due jobs than were taken.
    more: bool,
    /// Whether the last look passed over those who fill the queue.
    passed_over: bool,
}

impl Default for Turns {
    fn default() -> Self {
        Self { suspects_at: tokio::time::Instant::now(), more: false, passed_over: false }
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
        let mut turns = Turns::default();
        while let Some(Ok(permit)) = stop.run_until_cancelled(permits.clone().acquire_owned()).await {
            let pass = self.kind.gate.as_ref().map_or(Pass::All, |gate| gate(&self.platform));
            if let Pass::NoneFor(wait) = pass {
                drop(permit);
                let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                continue;
            }
            let mut places = vec![permit];
            while self.kind.batch.is_none() && pass == Pass::All && places.len() < config.concurrency {
                let Ok(permit) = permits.clone().try_acquire_owned() else { break };
                places.push(permit);
            }
            let limit = if pass == Pass::One { 1 } else { self.kind.batch.unwrap_or(places.len() as u64) };
            let (held, failed) = match self.claim(&mut turns, limit).await {
                Ok(held) => (held, None),
                Err(cause) => (Vec::new(), Some(cause.to_string())),
            };
            if held.is_empty() {
                drop(places);
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
            let groups = if self.kind.batch.is_none() { held.chunks(1) } else { held.chunks(held.len()) };
            for (group, permit) in groups.zip(places) {
                let (platform, kind, too_late) = (self.platform.clone(), self.kind.clone(), too_late.clone());
                let held = group.to_vec();
                batches.spawn(async move {
                    let work = work(&platform, &kind, held.clone());
                    if too_late.run_until_cancelled(work).await.is_none() {
                        platform.metrics.jobs(kind.name, "handed_back", held.len());
                        hand_back(&platform, &held).await;
                    }
                    drop(permit);
                });
            }
            while batches.try_join_next().is_some() {}
        }
        let patience = self.platform.config.operations.shutdown_timeout;
        if tokio::time::timeout(patience, async { while batches.join_next().await.is_some() {} }).await.is_err() {
            too_late.cancel();
            batches.join_all().await;
        }
    }

    /// Up to so many of what is due; and when there is none, or a second has passed, one job over which a worker
    /// vanished.
    async fn claim(&self, turns: &mut Turns, limit: u64) -> Result<Vec<Held>, DbErr> {
        let (db, lease) = (&self.platform.db, self.platform.config.jobs.lease);
        let suspects_first = turns.suspects_at.elapsed() >= SUSPECTS_EVERY;
        if !suspects_first {
            let fresh = self.fresh(turns, limit).await?;
            if !fresh.is_empty() {
                return Ok(fresh);
            }
        }
        let suspect = queue::claim(db, self.kind.name, lease, Claim::Suspect).await?;
        if !suspect.is_empty() {
            return Ok(suspect);
        }
        turns.suspects_at = tokio::time::Instant::now();
        // Looked for above already, unless suspects came first.
        if suspects_first { self.fresh(turns, limit).await } else { Ok(Vec::new()) }
    }

    /// Jobs over which no worker has vanished. While there are more than are taken, every second look passes over the
    /// people who fill the queue, so that nobody waits until they are through.
    async fn fresh(&self, turns: &mut Turns, limit: u64) -> Result<Vec<Held>, DbErr> {
        let (db, lease, name) = (&self.platform.db, self.platform.config.jobs.lease, self.kind.name);
        if turns.more && !turns.passed_over {
            turns.passed_over = true;
            let greedy = queue::greedy(db, name).await?;
            if !greedy.is_empty() {
                let others = queue::claim(db, name, lease, Claim::Fresh { limit, except: greedy }).await?;
                if !others.is_empty() {
                    return Ok(others);
                }
            }
        }
        let held = queue::claim(db, name, lease, Claim::Fresh { limit, except: Vec::new() }).await?;
        turns.more = held.len() as u64 == limit;
        turns.passed_over = false;
        Ok(held)
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
    let span = platform.tracer.jobs();
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
    tell(platform, kind, held.len(), outcome.as_ref().ok().map(Vec::len), span);
    match outcome {
        Ok(failures) => {
            for (job, failure) in failures {
                settle(platform, kind, &job, failure).await;
            }
        }
        Err(died) => tracing::error!(%died, kind = kind.name, jobs = held.len(), "a job handler panicked"),
    }
}

/// Counts a batch of which so many failed. None: its handler panicked.
fn tell(platform: &Platform, kind: &Kind, number: usize, failed: Option<usize>, span: Option<Span>) {
    let outcome = match failed {
        None => "panicked",
        Some(0) => "ok",
        Some(_) => "failed",
    };
    match failed {
        None => platform.metrics.jobs(kind.name, outcome, number),
        // How each of the others failed is counted where it is settled.
        Some(failed) => platform.metrics.jobs(kind.name, "done", number.saturating_sub(failed)),
    }
    if let Some(span) = span {
        span.end(Told::Jobs { kind: kind.name, number, outcome });
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
