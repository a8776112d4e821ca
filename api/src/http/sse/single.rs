//! The single connection mode: PUT reserves a stream, GET opens it, POST begins an operation on it, DELETE ends one.
//! Promise: a token is good for one stream, once, and only together with the session that reserved it; whoever else
//! shows it learns nothing, not even that it is one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use poem::{
    IntoResponse, Request, Response,
    http::{Method, StatusCode},
};
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{
        Edge,
        asked::{asked, charged},
        caller::{self, Identified},
        edge::Operation,
        graphql::{Media, Stop, kind_of, refusal, stop_for},
        operations::answers,
    },
    Opening,
    flow::{Flow, Form, Held, Order, Started},
    pipe, streaming,
};
use crate::{
    platform::{
        error::Fault,
        secret::{equal, hex},
        viewer::{Caller, Origin, Viewer},
    },
    schema::Asked,
};

const TOKEN: &str = "x-graphql-event-stream-token";
/// Characters of a token by which its stream is found; the rest is compared.
const NAME: usize = 32;
/// Orders that wait for a stream; who comes then waits with them.
const ORDERS: usize = 16;

/// The streams that are reserved or open, by the names in their tokens.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<String, Reserved>>>);

struct Reserved {
    secret: String,
    viewer: Viewer,
    orders: mpsc::Sender<Order>,
}

/// Takes a stream off the list when it ends.
struct Listed {
    streams: Streams,
    name: String,
}

impl Streams {
    fn list(&self, name: String, reserved: Reserved) -> Listed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), reserved);
        Listed { streams: self.clone(), name }
    }

    /// The stream of a token, for who reserved it.
    fn find(&self, token: &str, viewer: Viewer) -> Option<mpsc::Sender<Order>> {
        let (name, secret) = token.split_at_checked(NAME)?;
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = streams.get(name)?;
        let is_theirs = equal(reserved.secret.as_bytes(), secret.as_bytes()) & (reserved.viewer == viewer);
        is_theirs.then(|| reserved.orders.clone())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.streams.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// The token that a request shows, in its header or, as EventSource must, in its URL.
pub(super) fn token_of(request: &Request) -> Option<String> {
    let header = request.headers().get(TOKEN).and_then(|value| value.to_str().ok()).map(str::to_owned);
    header.or_else(|| parameter(request, "token")).filter(|token| !token.is_empty())
}

/// PUT: takes a place, and gives the token for it.
pub(super) async fn reserve(edge: &Arc<Edge>, request: Request) -> Result<Response, Stop> {
    let opening = Opening::of(edge, &request);
    let identified = known(edge, &request).await?;
    let viewer = identified.viewer;
    let held = Held::take(edge, Some(viewer), opening.network.clone())?;
    let (name, secret) = (hex(&edge.platform.random.bytes::<16>()), hex(&edge.platform.random.bytes::<32>()));
    let token = format!("{name}{secret}");
    let (orders, taken) = mpsc::channel(ORDERS);
    let listed = edge.streams.list(name, Reserved { secret, viewer, orders });
    let session = Some((viewer, identified.until));
    let flow = Flow::new(edge.clone(), session, opening.request_id, Form::Single);
    flow.spawn(opening.ended, taken, (listed, held));
    let mut response = super::super::text(StatusCode::CREATED, token);
    caller::carry_on(&mut response, identified.cookie);
    Ok(response)
}

/// GET: opens what was reserved, once.
pub(super) async fn open(edge: &Arc<Edge>, request: Request, token: &str) -> Result<Response, Stop> {
    let identified = known(edge, &request).await?;
    let orders = edge.streams.find(token, identified.viewer).ok_or_else(no_stream)?;
    let (out, body) = pipe(Opening::of(edge, &request).cut);
    let (answer, answered) = oneshot::channel();
    if !order(&orders, Order::Open(out, answer), answered).await? {
        return Err(Stop::new(StatusCode::CONFLICT, "This event stream is open already."));
    }
    let mut response = streaming(body);
    caller::carry_on(&mut response, identified.cookie);
    Ok(response)
}

/// POST, or GET for what changes nothing: begins an operation whose answers come on the stream.
pub(super) async fn operate(edge: &Arc<Edge>, request: Request, token: Option<&str>) -> Result<Response, Stop> {
    let Some(token) = token else { return Err(no_stream()) };
    let identified = known(edge, &request).await?;
    let orders = edge.streams.find(token, identified.viewer).ok_or_else(no_stream)?;
    let by_get = *request.method() == Method::GET;
    // Its answer cannot set cookies, and a refresh cookie that is used late could be taken for a stolen one.
    let origin = Origin { refresh_cookie: None, ..caller::origin(edge, &request, false) };
    let caller = Caller(Some(identified.viewer));
    let asked = asked(edge, request, caller, &origin).await?;
    let id = match id_of(&asked) {
        Ok(id) => id,
        Err(stop) => return Err(charged(edge, stop, caller, &origin).await),
    };
    // The answers come on the stream, so that the status of this one can tell.
    let refused = |refused| refusal(refused, Media::Response);
    let ready = edge.schema.prepare(asked, caller, origin).await.map_err(refused)?;
    let kind = kind_of(&ready, by_get)?;
    let bill = ready.bill();
    let name = ready.operation_name.clone().unwrap_or_default();
    let operation = Operation { name, kind, runs_elsewhere: true, ..Operation::default() };
    let (answer, answered) = oneshot::channel();
    match order(&orders, Order::Start(id, answers(edge, ready, true), answer), answered)
        .await
        .map_err(|stop| stop.at(bill))?
    {
        Started::Yes => {}
        Started::Exists => {
            return Err(Stop::new(StatusCode::CONFLICT, "An operation with this operationId runs already.").at(bill));
        }
        Started::TooMany => {
            let limit = edge.platform.config.sockets.subscriptions;
            let message = format!("An event stream runs at most {limit} operations at once.");
            return Err(Stop::new(StatusCode::BAD_REQUEST, message).at(bill));
        }
    }
    let mut response = StatusCode::ACCEPTED.into_response();
    response.headers_mut().extend(bill.headers());
    response.extensions_mut().insert(operation);
    caller::carry_on(&mut response, identified.cookie);
    Ok(response)
}

/// DELETE: ends an operation.
pub(super) async fn stop(edge: &Arc<Edge>, request: Request, token: Option<&str>) -> Result<Response, Stop> {
    let Some(token) = token else { return Err(no_stream()) };
    let identified = known(edge, &request).await?;
    let orders = edge.streams.find(token, identified.viewer).ok_or_else(no_stream)?;
    let id = parameter(&request, "operationId").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Stop::new(StatusCode::BAD_REQUEST, "Name the operation as operationId."))?;
    let (answer, answered) = oneshot::channel();
    if !order(&orders, Order::Stop(id, answer), answered).await? {
        return Err(stop_for(Fault::NotFound("operation")));
    }
    let mut response = StatusCode::OK.into_response();
    caller::carry_on(&mut response, identified.cookie);
    Ok(response)
}

/// Who asks: a stream belongs to a session.
async fn known(edge: &Edge, request: &Request) -> Result<Identified, Stop> {
    let identified = caller::identify(edge, caller::credential(edge, request)).await.map_err(stop_for)?;
    identified.ok_or_else(|| stop_for(Fault::Unauthenticated))
}

/// Gives an order, and waits for the answer. A stream that has ended answers no more.
async fn order<T>(orders: &mpsc::Sender<Order>, order: Order, answered: oneshot::Receiver<T>) -> Result<T, Stop> {
    orders.send(order).await.map_err(|_| no_stream())?;
    answered.await.map_err(|_| no_stream())
}

/// The same for one that never was, has ended, or is somebody else's.
fn no_stream() -> Stop {
    stop_for(Fault::NotFound("event stream"))
}

fn id_of(asked: &Asked) -> Result<String, Stop> {
    match asked.extensions.as_ref().and_then(|extensions| extensions.get("operationId")) {
        Some(Json::String(id)) if !id.is_empty() && id.len() <= 256 => Ok(id.clone()),
        _ => Err(Stop::new(StatusCode::BAD_REQUEST, "Give an operationId in extensions, of at most 256 bytes.")),
    }
}

/// A parameter of a request's URL.
fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).find_map(|(found, value)| (found == name).then(|| value.into_owned()))
}
