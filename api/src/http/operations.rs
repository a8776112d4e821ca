//! The operations that run at once on one connection, each by an id that its client gave it.
//! Promise: nothing comes of an operation after it was stopped, even when its id is used again; nothing runs ahead of
//! who asks for the next answer.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Response as Executed, parser::types::OperationType};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Edge, graphql, metrics::Running};
use crate::schema::Ready;

/// What comes of an operation.
pub(super) enum Step {
    /// One answer.
    Answer(String, Box<Executed>),
    /// Its end.
    End(String),
}

/// Those of one connection.
#[derive(Default)]
pub(super) struct Operations {
    running: SelectAll<BoxStream<'static, (u64, Step)>>,
    /// The run that an id stands for now; what comes of an earlier run under the same id is dropped.
    ids: HashMap<String, Run>,
    next_run: u64,
}

struct Run {
    number: u64,
    /// Dropped with the entry, which ends the operation's stream.
    _stop: DropGuard,
}

impl Operations {
    /// Whether one runs under this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// How many run.
    pub(super) fn count(&self) -> usize {
        self.ids.len()
    }

    /// Begins one under an id that is free.
    pub(super) fn start(&mut self, id: String, answers: BoxStream<'static, Executed>) {
        self.next_run += 1;
        let run = self.next_run;
        let stop = CancellationToken::new();
        let (step_id, end_id) = (id.clone(), id.clone());
        let steps = answers
            .map(move |answer| (run, Step::Answer(step_id.clone(), Box::new(answer))))
            .chain(stream::once(async move { (run, Step::End(end_id)) }))
            .take_until(stop.clone().cancelled_owned());
        self.running.push(steps.boxed());
        self.ids.insert(id, Run { number: run, _stop: stop.drop_guard() });
    }

    /// Ends one. False: there is none.
    pub(super) fn stop(&mut self, id: &str) -> bool {
        self.ids.remove(id).is_some()
    }

    /// Ends all.
    pub(super) fn clear(&mut self) {
        self.running.clear();
        self.ids.clear();
    }

    /// What comes next of any; waits for ever while none runs. Nothing is lost when the waiting is given up.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            let Some((run, step)) = self.running.next().await else { return std::future::pending().await };
            let (Step::Answer(id, _) | Step::End(id)) = &step;
            if self.ids.get(id).is_none_or(|current| current.number != run) {
                continue;
            }
            if let Step::End(id) = &step {
                self.ids.remove(id);
            }
            return step;
        }
    }
}

/// The answers of an operation: those of a subscription as they come, the one of anything else within its time. It is
/// counted here.
pub(super) fn answers(edge: &Arc<Edge>, ready: Ready, by_somebody: bool) -> BoxStream<'static, Executed> {
    let mut running = Running::new(edge, &ready, by_somebody);
    if ready.operation == OperationType::Subscription {
        let open = edge.platform.metrics.subscribed();
        let followed = edge.schema.execute_stream(ready).inspect(move |answer| {
            let _open_with_it = &open;
            running.hear(answer);
        });
        return followed.boxed();
    }
    let edge = edge.clone();
    let once = async move {
        let executed = graphql::execute(&edge, ready).await;
        let executed = executed.unwrap_or_else(|stop| *stop.answer);
        running.hear(&executed);
        executed
    };
    stream::once(once).boxed()
}
