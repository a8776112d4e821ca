//! What goes on behind one event stream, from its first moment to its end.
//! Promise: it looks for the next event only when the last one was taken; a reader that is too slow loses the
//! connection, not its place: every event carries the cursor to go on from.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_graphql::Response as Executed;
use entity::SessionId;
use futures_util::stream::BoxStream;
use hyper::body::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot},
    time::{Instant as Tick, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};
use tracing::Instrument;

use super::{
    super::{
        Cut, Edge,
        answer::{self, Voice},
        graphql::{Stop, stop_for},
        operations::{Operations, Step},
        places::{Holder, Place},
        watch,
    },
    frame::{COMMENT, complete, next},
};
use crate::platform::{clock::Instant, error::Fault, metrics::Open, viewer::Viewer};

/// How many ids of operations that have ended are remembered, so that stopping one a moment too late is no mistake.
const REMEMBERED: usize = 100;

/// Which of the two modes a stream is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One operation, which ends the stream with it.
    Distinct,
    /// Many, told apart by their ids.
    Single,
}

/// What a stream holds for as long as it lasts.
pub(super) struct Held {
    _slot: OwnedSemaphorePermit,
    _place: Place,
    _open: TaskTrackerToken,
    _counted: Open,
}

impl Held {
    /// Takes what a WebSocket would take.
    ///
    /// # Errors
    /// RATE_LIMITED when the person, or the network that nobody is logged in from, has too many; UNAVAILABLE when all
    /// together have.
    pub(super) fn take(edge: &Edge, viewer: Option<Viewer>, network: String) -> Result<Self, Stop> {
        let full = |_| stop_for(Fault::Unavailable("too many sockets and event streams are open".into()));
        let slot = edge.socket_slots.clone().try_acquire_owned().map_err(full)?;
        let limits = &edge.platform.config.sockets;
        let (holder, most) = match viewer {
            Some(viewer) => (Holder::Person(viewer.user_id), limits.per_user),
            None => (Holder::Network(network), limits.per_address),
        };
        let too_many = || stop_for(Fault::RateLimited(Duration::from_secs(1)));
        let place = edge.sockets.take(holder, most).ok_or_else(too_many)?;
        let counted = edge.platform.metrics.open("event_stream");
        Ok(Self { _slot: slot, _place: place, _open: edge.open_sockets.token(), _counted: counted })
    }
}

/// The writing end of a stream.
pub(super) struct Out {
    pub(super) pipe: mpsc::Sender<Bytes>,
    /// Cancelled when nothing more is to be read, or nobody reads any more.
    pub(super) taken: CancellationToken,
    pub(super) cut: Cut,
}

/// What other requests want of a reserved stream.
pub(super) enum Order {
    /// To read it. The answer: whether nobody did before.
    Open(Out, oneshot::Sender<bool>),
    /// To begin an operation.
    Start(String, BoxStream<'static, Executed>, oneshot::Sender<Started>),
    /// To end one. The answer: whether it was there.
    Stop(String, oneshot::Sender<bool>),
}

/// What became of an operation that was to begin.
pub(super) enum Started {
    Yes,
    /// Another one runs under this id.
    Exists,
    TooMany,
}

/// Why a stream is over.
enum End {
    /// Everything is told, the session or the server ends, or nobody reads any more.
    Over,
    /// The reader did not take an event within its time.
    TooSlow,
}

/// One event stream.
pub(super) struct Flow {
    edge: Arc<Edge>,
    session: Option<(Viewer, Instant)>,
    request_id: String,
    form: Form,
    operations: Operations,
    past: VecDeque<String>,
    /// None: reserved and not opened yet.
    out: Option<Out>,
    /// What is written next. While it waits, no operation is asked for more.
    waiting: Option<Bytes>,
    /// When the reader has been too slow; while nothing waits, when the next comment is due.
    tick: Tick,
}

impl Flow {
    /// A stream that nobody reads yet.
    pub(super) fn new(edge: Arc<Edge>, session: Option<(Viewer, Instant)>, request_id: String, form: Form) -> Self {
        let (operations, past) = Default::default();
        Self { edge, session, request_id, form, operations, past, out: None, waiting: None, tick: Tick::now() }
    }

    /// Lets it be read. The first bytes are a comment: some browsers wait for any before they call it open.
    pub(super) fn open(&mut self, out: Out) {
        self.out = Some(out);
        self.write(COMMENT);
    }

    /// Begins an operation.
    pub(super) fn begin(&mut self, id: String, answers: BoxStream<'static, Executed>) {
        self.operations.start(id, answers);
    }

    /// Serves it in a task of its own.
    pub(super) fn spawn(
        mut self,
        ended: broadcast::Receiver<Option<SessionId>>,
        mut orders: mpsc::Receiver<Order>,
        held: impl Send + 'static,
    ) {
        let serve = async move {
            let why = self.serve(ended, &mut orders).await;
            // Who ordered something is told that it is gone.
            drop(orders);
            self.end(why).await;
            drop(held);
        };
        tokio::spawn(serve.instrument(tracing::Span::current()));
    }

    async fn serve(
        &mut self,
        ended: broadcast::Receiver<Option<SessionId>>,
        orders: &mut mpsc::Receiver<Order>,
    ) -> End {
        let edge = self.edge.clone();
        let over = watch::over(&edge, self.session, ended);
        let unused = edge.platform.clock.sleep(edge.platform.config.sockets.reservation);
        tokio::pin!(over, unused);
        while !self.is_done() {
            let idle = self.out.is_some() && self.waiting.is_none();
            tokio::select! {
                biased;
                _ = &mut over => return End::Over,
                () = gone(self.out.as_ref()), if self.out.is_some() => return End::Over,
                () = &mut unused, if self.out.is_none() => return End::Over,
                Some(order) = orders.recv() => self.obey(order),
                sent = send(self.out.as_ref(), &mut self.waiting), if !idle && self.out.is_some() => {
                    if !sent {
                        return End::Over;
                    }
                    self.tick = Tick::now() + edge.platform.config.sockets.ping;
                }
                () = sleep_until(self.tick), if self.out.is_some() => {
                    if !idle {
                        return End::TooSlow;
                    }
                    self.write(COMMENT);
                }
                step = self.operations.next(), if idle => {
                    if watch::has_ended_unheard(&edge, self.session.map(|(viewer, _)| viewer)).await {
                        return End::Over;
                    }
                    self.tell(step);
                }
            }
        }
        End::Over
    }

    /// Whether everything was told. One with many operations is never done by itself.
    fn is_done(&self) -> bool {
        self.form == Form::Distinct && self.operations.count() == 0 && self.waiting.is_none()
    }

    fn obey(&mut self, order: Order) {
        // Who gave the order may be gone meanwhile, and need not hear of it.
        match order {
            Order::Open(out, answer) => {
                let is_first = self.out.is_none();
                if is_first {
                    self.open(out);
                }
                let _ = answer.send(is_first);
            }
            Order::Start(id, answers, answer) => {
                let started = if self.operations.has(&id) {
                    Started::Exists
                } else if self.operations.count() >= self.edge.platform.config.sockets.subscriptions {
                    Started::TooMany
                } else {
                    self.begin(id, answers);
                    Started::Yes
                };
                let _ = answer.send(started);
            }
            Order::Stop(id, answer) => {
                let was_there = self.operations.stop(&id) || self.past.contains(&id);
                let _ = answer.send(was_there);
            }
        }
    }

    fn tell(&mut self, step: Step) {
        let voice = Voice { request_id: &self.request_id, most_errors: self.edge.platform.config.limits.errors };
        let named = |id| (self.form == Form::Single).then_some(id);
        match step {
            Step::Answer(id, answered) => {
                let event = next(named(id.as_str()), &answer::executed(&answered, voice));
                self.write(event);
            }
            Step::End(id) => {
                let event = complete(named(id.as_str()));
                self.past.truncate(REMEMBERED - 1);
                self.past.push_front(id);
                self.write(event);
            }
        }
    }

    /// Has this written next.
    fn write(&mut self, bytes: impl Into<Bytes>) {
        self.waiting = Some(bytes.into());
        self.tick = Tick::now() + self.edge.platform.config.sockets.write_timeout;
    }

    /// Ends it. A reader that does not take what is left within the time of one write is cut off, too.
    async fn end(&mut self, why: End) {
        self.operations.clear();
        let Some(Out { pipe, taken, cut }) = self.out.take() else { return };
        drop(pipe);
        let patience = self.edge.platform.config.sockets.write_timeout;
        let is_stuck = match why {
            End::TooSlow => true,
            End::Over => timeout(patience, taken.cancelled()).await.is_err(),
        };
        if is_stuck {
            tracing::info!("an event stream's reader is too slow and is cut off");
            cut.0.cancel();
        }
    }
}

/// Waits until nobody reads any more.
async fn gone(out: Option<&Out>) {
    match out {
        Some(out) => out.pipe.closed().await,
        None => std::future::pending().await,
    }
}

/// Sends what waits, as soon as there is room for it. False: nobody reads any more.
async fn send(out: Option<&Out>, waiting: &mut Option<Bytes>) -> bool {
    let Some(out) = out else { return std::future::pending().await };
    let Ok(room) = out.pipe.reserve().await else { return false };
    if let Some(bytes) = waiting.take() {
        room.send(bytes);
    }
    true
}
