//! The bus of several instances: Redis publish and subscribe on one channel.
//! Promise: nobody waits for Redis. A hint that cannot be sent is dropped, and after every gap everyone looks.
//!
//! A message is `<instance> <kind> <what>`; the kind `l` says that some were lost. Every instance also sends a heartbeat
//! and listens for its own: only so is it known that the way through Redis and back is open (a dead peer says nothing,
//! and TCP is slow to notice). It listens for those of the others, too: one that falls silent without a farewell may
//! still write, and its hints do not come.

use std::{
    collections::HashMap,
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
    time::{Instant as Tick, timeout},
};
use uuid::Uuid;

use super::{Hint, local::Local};
use crate::platform::{random::Random, remote};

const HEARTBEAT: Duration = Duration::from_secs(1);
/// Without its own heartbeat for so long, an instance takes itself for cut off.
const SILENCE: Duration = Duration::from_secs(3);
/// After so long an instance that fell silent is taken for dead: by then somebody has read in its readiness that it does
/// not hear Redis.
const FORGOTTEN: Duration = Duration::from_secs(3_600);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Hints that wait for Redis at most.
const QUEUE: usize = 10_000;

/// What is to be published.
enum Outgoing {
    Message(String),
    /// The last word of this instance; told when it is out.
    Farewell(oneshot::Sender<()>),
}

/// What is heard at the moment.
#[derive(Clone, Default)]
struct Heard {
    /// This instance itself, by way of Redis.
    own: Arc<AtomicBool>,
    /// Whether one of the others is missed.
    misses_one: Arc<AtomicBool>,
}

impl Heard {
    fn all(&self) -> bool {
        self.own.load(Ordering::Acquire) && !self.misses_one.load(Ordering::Acquire)
    }
}

/// The other instances, with when each was heard last.
#[derive(Default)]
struct Peers(HashMap<String, Tick>);

impl Peers {
    fn hear(&mut self, instance: &str) {
        match self.0.get_mut(instance) {
            Some(at) => *at = Tick::now(),
            None => drop(self.0.insert(instance.to_owned(), Tick::now())),
        }
    }

    fn leave(&mut self, instance: &str) {
        self.0.remove(instance);
    }

    /// Whether one fell silent.
    fn miss_one(&mut self) -> bool {
        self.0.retain(|_, at| at.elapsed() < FORGOTTEN);
        self.0.values().any(|at| at.elapsed() > SILENCE)
    }

    /// Time passed in which nobody could be heard.
    fn excuse(&mut self) {
        self.0.values_mut().for_each(|at| *at = Tick::now());
    }
}

/// The bus of several instances.
pub struct Shared {
    pub(super) local: Arc<Local>,
    instance: String,
    outgoing: mpsc::Sender<Outgoing>,
    heard: Heard,
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
        let heard = Heard::default();
        let instance = format!("{:016x}", u64::from_be_bytes(random.bytes()));
        let channel = format!("{prefix}:hints");
        let (outgoing, incoming) = mpsc::channel(QUEUE);
        let mut running = JoinSet::new();
        let lost = Arc::new(AtomicBool::new(false));
        running.spawn(speak(connection, channel.clone(), instance.clone(), incoming, lost.clone()));
        running.spawn(listen(client, channel, instance.clone(), local.clone(), heard.clone()));
        let hears = heard.clone();
        local.look_now_and_then(move || !hears.all());
        Ok(Self { local, instance, outgoing, heard, lost, _running: running })
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

    /// Whether the way through Redis and back is open.
    pub(super) fn is_healthy(&self) -> bool {
        self.heard.own.load(Ordering::Acquire)
    }

    /// Whether every other instance is heard, too.
    pub(super) fn hears_all(&self) -> bool {
        self.heard.all()
    }

    /// Publishes what still waits, and takes leave of the others. A Redis that is away is not waited for.
    pub(super) async fn close(&self) {
        let (told, out) = oneshot::channel();
        let leave = async {
            // Who publishes is there for as long as the bus is.
            if self.outgoing.send(Outgoing::Farewell(told)).await.is_ok() {
                let _ = out.await;
            }
        };
        if timeout(FAREWELL, leave).await.is_err() {
            tracing::warn!("Redis did not take the last hints: other instances look by themselves");
        }
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
        let mut leaving = None;
        for outgoing in waiting.drain(..) {
            let message = match outgoing {
                Outgoing::Message(message) => message,
                Outgoing::Farewell(told) => {
                    leaving = Some(told);
                    format!("{instance} b")
                }
            };
            pipeline.publish(&channel, message).ignore();
        }
        match pipeline.query_async::<()>(&mut connection).await {
            Ok(()) => {
                if let Some(told) = leaving {
                    let _ = told.send(());
                    return;
                }
            }
            Err(cause) => {
                tracing::warn!(cause = %cause.category(), "Redis did not take a hint");
                lost.store(true, Ordering::Release);
                if leaving.is_some() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Hears what other instances publish; after every gap everyone here looks.
async fn listen(client: Client, channel: String, instance: String, local: Arc<Local>, heard: Heard) {
    let mut peers = Peers::default();
    loop {
        if let Ok(Ok(pubsub)) = timeout(SILENCE, client.get_async_pubsub()).await {
            let (mut sink, mut messages) = pubsub.split();
            if let Ok(Ok(())) = timeout(SILENCE, sink.subscribe(&channel)).await {
                local.wake_all();
                peers.excuse();
                let mut heard_own = Tick::now();
                while heard_own.elapsed() < SILENCE {
                    let Ok(Some(message)) = timeout(SILENCE, messages.next()).await else { break };
                    let Ok(text) = message.get_payload::<String>() else { continue };
                    match text.split_once(' ') {
                        Some((from, "h")) if from == instance => {
                            heard_own = Tick::now();
                            if !heard.own.swap(true, Ordering::AcqRel) {
                                // What was published between the subscription and this beat has been heard.
                                tracing::info!("hints of other instances are heard");
                            }
                            miss(&mut peers, &heard, &local);
                        }
                        Some((from, _)) if from == instance => {}
                        Some((from, "h")) => peers.hear(from),
                        Some((from, "b")) => peers.leave(from),
                        _ => pass_on(&local, &text),
                    }
                }
            }
        }
        if heard.own.swap(false, Ordering::AcqRel) {
            tracing::warn!("Redis is away: this instance looks by itself until it is back");
            local.wake_all();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Looks whether another instance fell silent, or is no longer missed. Its hints may have got lost: everyone looks.
fn miss(peers: &mut Peers, heard: &Heard, local: &Arc<Local>) {
    let misses_one = peers.miss_one();
    if heard.misses_one.swap(misses_one, Ordering::AcqRel) == misses_one {
        return;
    }
    if misses_one {
        tracing::warn!("another instance fell silent: this one looks by itself until it is back, or given up");
    }
    local.wake_all();
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
