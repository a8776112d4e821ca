//! GraphQL over server-sent events: the protocol of the npm package graphql-sse, in both of its modes. Distinct
//! connections: each operation has an event stream of its own, at `/graphql` and here. Single connection: one stream,
//! reserved first, carries what other requests begin and stop.
//! Promise: an event stream costs and lasts what a WebSocket does, counts as one, and ends for the same reasons.

mod flow;
mod frame;
mod single;

use std::sync::Arc;

use entity::SessionId;
use futures_util::stream;
use hyper::body::Bytes;
use poem::{
    Body, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use self::{
    flow::{Flow, Form, Held, Out},
    frame::{complete, next},
};
use super::{
    Cut, Edge,
    answer::Voice,
    caller::{self, Identified},
    edge::Operation,
    graphql::{self, Stop},
    operations::answers,
};
use crate::schema::Ready;

pub use self::single::Streams;

/// Where the single connection mode is served, and the other one too: a client has one address for both.
pub(super) const PATH: &str = "/graphql/stream";

/// What an event stream takes from the request that opens or reserves it.
pub(super) struct Opening {
    request_id: String,
    network: String,
    cut: Cut,
    ended: broadcast::Receiver<Option<SessionId>>,
    /// The request of a page that cannot read the answer, like that of an image.
    is_unreadable: bool,
}

impl Opening {
    /// Of a request whose caller was not looked up yet: first listen, then look, so that a session that ends in between
    /// is heard of.
    pub(super) fn of(edge: &Edge, request: &Request) -> Self {
        let mode = request.headers().get("sec-fetch-mode");
        Self {
            request_id: graphql::request_id(request),
            network: caller::origin(edge, request, false).network(),
            cut: request.extensions().get::<Cut>().cloned().unwrap_or_default(),
            ended: edge.platform.bus.ended_sessions(),
            is_unreadable: mode.is_some_and(|mode| mode == "no-cors"),
        }
    }
}

/// Serves `/graphql/stream`.
pub(super) async fn serve(edge: Arc<Edge>, request: Request) -> Response {
    let takes_events = graphql::negotiate(request.headers()).is_some_and(|accepts| accepts.events);
    let token = single::token_of(&request);
    let id = graphql::request_id(&request);
    let answer = match (request.method().clone(), token) {
        (Method::GET | Method::POST, None) if takes_events => return graphql::serve(edge, request).await,
        (Method::PUT, _) => single::reserve(&edge, request).await,
        (Method::GET, Some(token)) if takes_events => single::open(&edge, request, &token).await,
        (Method::GET | Method::POST, token) => single::operate(&edge, request, token.as_deref()).await,
        (Method::DELETE, token) => single::stop(&edge, request, token.as_deref()).await,
        _ => Err(Stop::new(StatusCode::METHOD_NOT_ALLOWED, "Use GET, POST, PUT or DELETE.")),
    };
    answer.unwrap_or_else(|stop| {
        let voice = Voice { request_id: &id, most_errors: edge.platform.config.limits.errors };
        let mut response = graphql::stopped(stop, graphql::Media::Json, voice);
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, PUT, DELETE"));
        }
        response
    })
}

/// Answers a subscription with its events, on a stream of its own.
pub(super) fn follow(
    edge: &Arc<Edge>,
    opening: Opening,
    identified: Option<Identified>,
    ready: Ready,
) -> Result<Response, Stop> {
    if opening.is_unreadable {
        // It would only take the places of the person whose cookies it carries.
        return Err(Stop::new(StatusCode::FORBIDDEN, "An event stream is for who can read it."));
    }
    let held = Held::take(edge, caller::caller(identified.as_ref()).0, opening.network)?;
    let (out, body) = pipe(opening.cut);
    let name = ready.operation_name.clone().unwrap_or_default();
    let operation = Operation { name, kind: "subscription", runs_elsewhere: true, ..Operation::default() };
    let (by_somebody, bill) = (identified.is_some(), ready.bill());
    let session = identified.as_ref().map(|identified| (identified.viewer, identified.until));
    let mut flow = Flow::new(edge.clone(), session, opening.request_id, Form::Distinct);
    flow.open(out);
    flow.begin(String::new(), answers(edge, ready, by_somebody));
    // Nobody gives orders to this one.
    let (_, orders) = mpsc::channel(1);
    flow.spawn(opening.ended, orders, held);
    let mut response = streaming(body);
    response.headers_mut().extend(bill.headers());
    response.extensions_mut().insert(operation);
    caller::carry_on(&mut response, identified.and_then(|identified| identified.cookie));
    Ok(response)
}

/// An answer that is there already, as the events that it is told by.
pub(super) fn whole(answer: &[u8], operation: Operation) -> Response {
    let mut events = next(None, answer);
    events.extend_from_slice(&complete(None));
    let mut response = streaming(Body::from_vec(events));
    response.extensions_mut().insert(operation);
    response
}

/// The two ends of an event stream. Only one event waits between them: nothing is made that nobody reads yet.
fn pipe(cut: Cut) -> (Out, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let taken = CancellationToken::new();
    let dropped = taken.clone().drop_guard();
    let events = stream::unfold((receiver, dropped), |(mut receiver, dropped)| async move {
        receiver.recv().await.map(|event| (Ok::<_, std::io::Error>(event), (receiver, dropped)))
    });
    (Out { pipe: sender, taken, cut }, Body::from_bytes_stream(events))
}

/// The head of an event stream. Nothing on the way may keep it, or wait for more of it.
fn streaming(body: Body) -> Response {
    Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header("x-accel-buffering", "no")
        .body(body)
}
