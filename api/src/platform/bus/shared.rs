//! The bus of several instances: Redis publish and subscribe on one channel.
//! Promise: nobody waits for Redis. A hint that cannot be sent is dropped, and after every gap everyone looks.
//!
//! A message is `<instance> <kind> <what>`; the kind `l` says that some were lost. Every instance also sends a heartbeat
//! and listens for its own: only so is it known that the way through Redis and back is open (a dead peer says nothing,
//! and TCP is slow to notice).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use entity::{SessionId, UserId};
use futures_util::StreamExt;
use redis::{Client, aio::ConnectionManager};
use secrecy::SecretString;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use super::{Hint, local::Local};
use crate::platform::{random::Random, remote};

const HEARTBEAT: Duration = Duration::from_secs(1);
/// Without its own heartbeat for so long, an instance takes itself for cut off.
const SILENCE: Duration = Duration::from_secs(3);
/// Hints that wait for Redis at most.
const QUEUE: usize = 10_000;

/// How long the hints that wait may take when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

/// What waits for Redis.
enum Outgoing {
    Message(String),
    /// Told when everything before it is published.
    Flush(oneshot::Sender<()>),
}

/// The bus of several instances.
pub struct Shared {
    pub(super) local: Arc<Local>,
    instance: String,
    outgoing: mpsc::Sender<Outgoing>,
    healthy: Arc<AtomicBool>,
    /// Whether a hint was dropped that the other instances must be told of.
    lost: Arc<AtomicBool>,
    /// Ends with the bus.
    _running: JoinSet<()>,
}

impl Shared {
    pub(super) fn new(url: &SecretString, prefix: &str, random: &Random) -> Result<Self, String> {
        let client = remote::client(url)?;
        let connection = remote::connect(client.clone(), Duration::from_secs(2))?;
        let local = Arc::new(Local::default());
        let healthy = Arc::new(AtomicBool::new(false));
        let instance = format!("{:016x}", u64::from_be_bytes(random.bytes()));
        let channel = format!("{prefix}:hints");
        let (outgoing, incoming) = mpsc::channel(QUEUE);
        let mut running = JoinSet::new();
        let lost = Arc::new(AtomicBool::new(false));
        running.spawn(speak(connection, channel.clone(), instance.clone(), incoming, lost.clone()));
        running.spawn(listen(client, channel, instance.clone(), local.clone(), healthy.clone()));
        let heard = healthy.clone();
        local.look_now_and_then(move || !heard.load(Ordering::Acquire));
        Ok(Self { local, instance, outgoing, healthy, lost, _running: running })
    }

    pub(super) fn send(&self, hint: Hint) {
        let message = match hint {
            Hint::Person(user) => format!("{} n {}", self.instance, user.uuid().simple()),
            Hint::Jobs(kind) => format!("{} j {kind}", self.instance),
            Hint::SessionEnded(session) => format!("{} s {}", self.instance, session.uuid().simple()),
            Hint::Figures(user) => format!("{} f {}", self.instance, user.uuid().simple()),
        };
        if let Err(TrySendError::Full(_)) = self.outgoing.try_send(Outgoing::Message(message)) {
            self.lost.store(true, Ordering::Release);
            tracing::warn!("the bus is behind and drops a hint; who waits for it looks by itself");
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    /// Waits until what was sent is published; whether it was. A Redis that is away is not waited for.
    pub(super) async fn flush(&self) -> bool {
        let (told, published) = oneshot::channel();
        let flush = async { self.outgoing.send(Outgoing::Flush(told)).await.is_ok() && published.await.is_ok() };
        let published = matches!(timeout(FLUSH, flush).await, Ok(true));
        if !published {
            tracing::warn!("Redis did not take the last hints: who waits for them looks by itself");
        }
        published
    }
}

/// Publishes what comes, and a heartbeat now and then.
async fn speak(
    mut connection: ConnectionManager,
    channel: String,
    instance: String,
    mut incoming: mpsc::Receiver<Outgoing>,
    lost: Arc<AtomicBool>,
) {
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            count = incoming.recv_many(&mut waiting, 500) => if count == 0 { return },
            _ = beat.tick() => waiting.push(Outgoing::Message(format!("{instance} h"))),
        }
        let mut pipeline = redis::pipe();
        // What was dropped nobody knows: whoever hears of a gap looks.
        if lost.swap(false, Ordering::AcqRel) {
            pipeline.publish(&channel, format!("{instance} l")).ignore();
        }
        let mut flushed = Vec::new();
        for outgoing in waiting.drain(..) {
            match outgoing {
                Outgoing::Message(message) => drop(pipeline.publish(&channel, message).ignore()),
                Outgoing::Flush(told) => flushed.push(told),
            }
        }
        if !pipeline.is_empty()
            && let Err(cause) = pipeline.query_async::<()>(&mut connection).await
        {
            tracing::warn!(cause = %cause.category(), "Redis did not take a hint");
            lost.store(true, Ordering::Release);
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        for told in flushed {
            // Who waited may be gone.
            let _ = told.send(());
        }
    }
}

/// Hears what other instances publish; after every gap everyone here looks.
async fn listen(client: Client, channel: String, instance: String, local: Arc<Local>, healthy: Arc<AtomicBool>) {
    loop {
        if let Ok(Ok(pubsub)) = timeout(SILENCE, client.get_async_pubsub()).await {
            let (mut sink, mut messages) = pubsub.split();
            if let Ok(Ok(())) = timeout(SILENCE, sink.subscribe(&channel)).await {
                local.wake_all();
                let mut heard_own = tokio::time::Instant::now();
                while heard_own.elapsed() < SILENCE {
                    let Ok(Some(message)) = timeout(SILENCE, messages.next()).await else { break };
                    let Ok(text) = message.get_payload::<String>() else { continue };
                    if text.strip_prefix(&instance) == Some(" h") {
                        heard_own = tokio::time::Instant::now();
                        if !healthy.swap(true, Ordering::AcqRel) {
                            // What was published between the subscription and this beat has been heard.
                            tracing::info!("hints of other instances are heard");
                        }
                    } else if !text.starts_with(&instance) {
                        pass_on(&local, &text);
                    }
                }
            }
        }
        if healthy.swap(false, Ordering::AcqRel) {
            tracing::warn!("Redis is away: this instance looks by itself until it is back");
            local.wake_all();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn pass_on(local: &Arc<Local>, message: &str) {
    let mut parts = message.splitn(3, ' ').skip(1);
    let (kind, what) = (parts.next(), parts.next().unwrap_or_default());
    if kind == Some("l") {
        return local.wake_all();
    }
    match (kind, Uuid::parse_str(what)) {
        (Some("n"), Ok(user)) => local.pass(Hint::Person(UserId::from_uuid(user))),
        (Some("s"), Ok(session)) => local.pass(Hint::SessionEnded(SessionId::from_uuid(session))),
        (Some("f"), Ok(user)) => local.pass(Hint::Figures(UserId::from_uuid(user))),
        (Some("j"), _) => local.pass_jobs(what),
        // A heartbeat, or a message of a newer version.
        _ => {}
    }
}
