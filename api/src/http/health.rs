//! Health: alive says that the process runs; ready says whether its parts answer, and names what does not, by a class of
//! reason that tells nobody an address.
//! Promise: however often somebody asks, a part is asked once in `HEALTH_CACHE`; and a part that can be done without for
//! a while never keeps the answer waiting for long.

use std::{borrow::Cow, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use poem::{
    Response,
    http::{StatusCode, header},
};
use tokio::{
    sync::watch,
    time::{Instant as Tick, timeout},
};

use super::Edge;
use crate::platform::{mail::NoPing, storage::StorageError};

/// What the parts answered when they were asked last.
#[derive(Default)]
pub struct Health {
    database: Part,
    storage: Part,
    mail: Part,
}

/// One of them.
#[derive(Default)]
struct Part(watch::Sender<Known>);

#[derive(Clone, Default)]
struct Known {
    /// None: it was not asked yet.
    state: Option<State>,
    /// When it answered last.
    at: Option<Tick>,
    is_being_asked: bool,
}

/// Whether a part answers; else, the class of the reason.
type State = Result<(), Cow<'static, str>>;

pub(super) async fn ready(edge: Arc<Edge>) -> Response {
    let health = &edge.health;
    health.database.ask(&edge, ask_database);
    health.storage.ask(&edge, ask_storage);
    health.mail.ask(&edge, ask_mail);
    let (database, storage, mail) = tokio::join!(
        health.database.wait(&edge, true),
        health.storage.wait(&edge, false),
        health.mail.wait(&edge, false)
    );
    let bus = if edge.platform.bus.is_healthy() { Ok(()) } else { Err("not heard".into()) };
    let server = if edge.leaving.is_cancelled() { Err("stopping".into()) } else { Ok(()) };
    // A mail server or a storage that is away is waited for: what is for it is tried again. While the bus is away every
    // instance looks by itself. Everything else works.
    let is_ready = database.is_ok() && server.is_ok();
    let (mut report, mut reasons) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, state) in
        [("database", database), ("storage", storage), ("bus", bus), ("mail", mail), ("server", server)]
    {
        report.insert(name.to_owned(), if state.is_ok() { "ok" } else { "failing" }.into());
        if let Err(reason) = state {
            reasons.insert(name.to_owned(), reason.into_owned().into());
        }
    }
    if !reasons.is_empty() {
        report.insert("reasons".to_owned(), reasons.into());
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(serde_json::Value::Object(report).to_string())
}

impl Part {
    /// Has it asked, unless it is being asked or was a moment ago.
    fn ask(&self, edge: &Arc<Edge>, ask: fn(Arc<Edge>) -> BoxFuture<'static, State>) {
        let settings = &edge.platform.config.operations;
        let begins = self.0.send_if_modified(|known| {
            let is_fresh = known.at.is_some_and(|at| at.elapsed() < settings.health_cache);
            let begins = !is_fresh && !known.is_being_asked;
            known.is_being_asked |= begins;
            begins
        });
        if !begins {
            return;
        }
        let (part, patience, edge) = (self.0.clone(), settings.health_timeout, edge.clone());
        // In a task of its own: whoever asked may leave, and others wait for the answer.
        tokio::spawn(async move {
            let silent = || Err(format!("no answer within {} s", patience.as_secs_f64()).into());
            let state = timeout(patience, ask(edge)).await.unwrap_or_else(|_| silent());
            part.send_replace(Known { state: Some(state), at: Some(Tick::now()), is_being_asked: false });
        });
    }

    /// What it answers. Of one that can be done without, what it answered last, when it takes its time.
    async fn wait(&self, edge: &Edge, is_needed: bool) -> State {
        let patience = edge.platform.config.operations.health_timeout;
        let mut known = self.0.subscribe();
        let before = known.borrow().state.clone();
        // A little longer than the question itself may take, which ends in any case.
        let patience = if is_needed || before.is_none() { patience * 2 } else { patience / 8 };
        let answered = timeout(patience, known.wait_for(|known| !known.is_being_asked)).await;
        let state = match answered {
            Ok(Ok(known)) => known.state.clone(),
            Ok(Err(_)) | Err(_) => before,
        };
        state.unwrap_or_else(|| Err("not asked yet".into()))
    }
}

fn ask_database(edge: Arc<Edge>) -> BoxFuture<'static, State> {
    let ask = async move {
        edge.platform.db.ping().await.map_err(|cause| {
            tracing::warn!(%cause, part = "database", "a part is not ready");
            "refused".into()
        })
    };
    ask.boxed()
}

fn ask_storage(edge: Arc<Edge>) -> BoxFuture<'static, State> {
    let ask = async move {
        edge.platform.storage.ping().await.map_err(|cause| {
            tracing::warn!(?cause, part = "storage", "a part is not ready");
            match cause {
                StorageError::Missing => "the bucket is missing".into(),
                StorageError::Broken | StorageError::Unavailable(_) => "refused".into(),
            }
        })
    };
    ask.boxed()
}

fn ask_mail(edge: Arc<Edge>) -> BoxFuture<'static, State> {
    let patience = edge.platform.config.operations.health_timeout;
    let ask = async move {
        edge.platform.mailer.ping(patience).await.map_err(|cause| {
            tracing::warn!(?cause, part = "mail", "a part is not ready");
            match cause {
                NoPing::Silent => format!("no answer within {} s", patience.as_secs_f64()).into(),
                NoPing::Refused(_) => "refused".into(),
            }
        })
    };
    ask.boxed()
}
