//! Runs loaders in the task of the request that asks them.
//! Promise: a batch is sent when everything that is ready has asked, and not before. (Spawned on the runtime, with no
//! delay, a batch may begin on another thread while the list is still being walked, and go out in pieces; with a
//! delay, every level of a query waits for it.)

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use async_graphql::runtime::Timer;
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered},
    task::{FutureObj, Spawn, SpawnError},
};

/// Takes the batches of one request. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Batches(Arc<Mutex<Vec<FutureObj<'static, ()>>>>);

impl Spawn for Batches {
    fn spawn_obj(&self, batch: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        Ok(())
    }
}

/// No delay: batches wait for the request's own turn instead.
pub(super) struct NoDelay;

impl Timer for NoDelay {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

/// A stream of answers, with the batches that they ask for.
pub(super) struct Driven<'a> {
    answers: BoxStream<'a, async_graphql::Response>,
    waiting: Batches,
    running: FuturesUnordered<FutureObj<'static, ()>>,
}

impl<'a> Driven<'a> {
    pub(super) fn new(answers: BoxStream<'a, async_graphql::Response>, waiting: Batches) -> Self {
        Self { answers, waiting, running: FuturesUnordered::new() }
    }
}

impl Stream for Driven<'_> {
    type Item = async_graphql::Response;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(answer) = self.answers.poll_next_unpin(context) {
                return Poll::Ready(answer);
            }
            // Everything that is ready has asked: now the batches go out.
            let asked = std::mem::take(&mut *self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner));
            let new = !asked.is_empty();
            self.running.extend(asked);
            let mut answered = false;
            while let Poll::Ready(Some(())) = self.running.poll_next_unpin(context) {
                answered = true;
            }
            if !new && !answered {
                return Poll::Pending;
            }
        }
    }
}
