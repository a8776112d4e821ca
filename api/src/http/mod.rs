//! The edge: GraphQL over HTTP, WebSocket and server-sent events, to the letter of their specifications; health;
//! metrics; GraphiQL; the development mailbox. Ours, because the ready-made one takes any content type, batches without limit, mutations by
//! GET, and sockets without limits (README, design notes).
//! Promise: whatever comes in, something with a stable `extensions.code` goes out, and every limit stands before work.

mod answer;
mod asked;
mod caller;
mod edge;
mod export;
mod graphiql;
mod graphql;
mod health;
mod mailbox;
mod metrics;
mod multipart;
mod objects;
mod oidc;
mod operations;
mod pace;
mod parts;
mod places;
mod protocol;
mod socket;
mod sse;
mod unread;
mod watch;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, get, http::StatusCode};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{health::Health, places::Places, sse::Streams, unread::Impatient};
use crate::{accounts::Accounts, analytics::Figures, platform::Platform, schema::Schema};

/// What the edge works with.
pub struct Edge {
    pub platform: Platform,
    pub accounts: Arc<Accounts>,
    pub schema: Schema,
    pub analytics: Arc<Figures>,
    pub health: Health,
    /// The sockets and event streams that each person has open, and each address that nobody is logged in from.
    pub sockets: Places,
    /// The event streams that were reserved (the single connection mode of graphql-sse).
    pub streams: Streams,
    /// The uploads that each person has coming.
    pub uploads: Places,
    /// Where browsers may come from: the front ends, and the API itself.
    pub origins: Vec<String>,
    /// Ends when the server is told to stop: it is not ready any more, and still takes connections for a while.
    pub leaving: CancellationToken,
    /// Ends when the server stops.
    pub stop: CancellationToken,
    /// The sockets and event streams that are open: a connection that became a socket is no longer the accept loop's.
    pub open_sockets: TaskTracker,
    /// A place for each upload that may come at the same time.
    pub upload_slots: Arc<Semaphore>,
    /// A place for each socket or event stream that may be open.
    pub socket_slots: Arc<Semaphore>,
}

/// Cuts the connection that a request came by, whose client does not read what is sent.
#[derive(Clone, Default)]
pub struct Cut(pub CancellationToken);

/// What a worker answers: how it is.
pub fn watch_routes(edge: Arc<Edge>) -> impl Endpoint<Output = Response> + 'static {
    around(health_routes(&edge), edge)
}

/// The routes.
pub fn routes(edge: Arc<Edge>) -> impl Endpoint<Output = Response> + 'static {
    let at = |handler: Handler| Handle { edge: edge.clone(), handler };
    let mut route = health_routes(&edge)
        .at("/graphql", at(|edge, request| Box::pin(graphql::serve(edge, request))))
        .at(sse::PATH, at(|edge, request| Box::pin(sse::serve(edge, request))))
        .at("/graphql/export", get(at(|edge, request| Box::pin(export::serve(edge, request)))));
    if let Some((_, bucket)) = edge.platform.storage.embedded() {
        let store = || at(|edge, request| Box::pin(objects::serve(edge, request)));
        route = route.at(format!("/{bucket}"), store()).at(format!("/{bucket}/*key"), store());
    }
    if edge.accounts.has_provider() {
        route = route
            .at("/auth/google", get(at(|edge, request| Box::pin(oidc::depart(edge, request)))))
            .at("/auth/google/callback", get(at(|edge, request| Box::pin(oidc::arrive(edge, request)))));
    }
    if edge.platform.mailer.mailbox().is_some() {
        route = route
            .at("/dev/mailbox", get(at(|edge, request| Box::pin(mailbox::list(edge, request)))))
            .at("/dev/mailbox/:id", get(at(|edge, request| Box::pin(mailbox::show(edge, request)))));
    }
    if edge.platform.config.graphiql() {
        route = route.at("/", get(at(|edge, _| Box::pin(async move { graphiql::page(&edge.platform.config) })))).at(
            "/graphiql/*path",
            get(at(|_, request| Box::pin(async move { graphiql::asset(request.uri().path()) }))),
        );
    }
    around(route, edge)
}

fn health_routes(edge: &Arc<Edge>) -> Route {
    let at = |handler: Handler| Handle { edge: edge.clone(), handler };
    let route = Route::new()
        .at("/health/live", get(at(|_, _| Box::pin(async { Response::builder().body("ok") }))))
        .at("/health/ready", get(at(|edge, _| Box::pin(health::ready(edge)))));
    if !edge.platform.config.metrics() {
        return route;
    }
    route.at("/metrics", get(at(|edge, request| Box::pin(metrics::serve(edge, request)))))
}

fn around(route: Route, edge: Arc<Edge>) -> impl Endpoint<Output = Response> + 'static {
    route.around(move |endpoint, request| {
        let edge = edge.clone();
        async move { Ok(edge::around(edge, endpoint, request).await) }
    })
}

type Handler = fn(Arc<Edge>, Request) -> futures_util::future::BoxFuture<'static, Response>;

/// A handler with the edge that it works on.
struct Handle {
    edge: Arc<Edge>,
    handler: Handler,
}

impl Endpoint for Handle {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        Ok((self.handler)(self.edge.clone(), request).await)
    }
}

/// A short text answer.
fn text(status: StatusCode, body: impl Into<String>) -> Response {
    body.into().with_status(status).with_content_type("text/plain; charset=utf-8").into_response()
}
