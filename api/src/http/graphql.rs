//! GraphQL over HTTP (the specification of the GraphQL foundation's working group).
//! Promise: POST takes JSON and nothing else, so that no other site's form can send one; GET changes nothing.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{Response as Executed, ServerError, parser::types::OperationType};
use futures_util::FutureExt;
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use super::{
    Edge,
    answer::{self, Voice},
    asked::asked,
    caller,
    edge::{BodyLength, Operation, RequestId},
    metrics,
    multipart::{self, Stopped},
    socket,
    sse::{self, Opening},
};
use crate::{
    platform::error::Fault,
    schema::{Bill, Ready, Refused},
};

/// How the answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status tells what happened.
    Response,
    /// `application/json`: a well-formed request is answered with 200, whatever came of it.
    Json,
    /// `text/event-stream`: the answer is an event, and so is what is wrong with the operation.
    Events,
}

/// What a client takes.
#[derive(Clone, Copy)]
pub(super) struct Accepts {
    /// For one answer.
    media: Media,
    /// Whether a stream of answers may come.
    pub(super) events: bool,
}

/// Why a request is answered without running anything.
pub(super) struct Stop {
    pub(super) status: StatusCode,
    pub(super) answer: Box<Executed>,
}

impl Stop {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, answer: Refused::bad_request(message).into_response().into() }
    }

    /// Tells what it cost all the same.
    pub(super) fn at(self, bill: Bill) -> Self {
        Self { answer: bill.on(*self.answer).into(), ..self }
    }
}

/// Serves `/graphql`, and hands WebSockets over.
pub(super) async fn serve(edge: Arc<Edge>, request: Request) -> Response {
    let upgrades =
        request.headers().get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if upgrades {
        return socket::accept(edge, request).await;
    }
    let id = request_id(&request);
    let Some(accepts) = negotiate(request.headers()) else {
        return super::text(
            StatusCode::NOT_ACCEPTABLE,
            "Accept application/graphql-response+json, application/json or text/event-stream.",
        );
    };
    let voice = Voice { request_id: &id, most_errors: edge.platform.config.limits.errors };
    match run(&edge, request, accepts).await {
        Ok(Outcome::Ran(executed, operation, renewed)) => finish(executed, operation, accepts.media, voice, renewed),
        Ok(Outcome::Follows(response)) => response,
        Err(stop) => stopped(stop, accepts.media, voice),
    }
}

/// The id of a request.
pub(super) fn request_id(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The answer to what did not run.
pub(super) fn stopped(stop: Stop, media: Media, voice: Voice<'_>) -> Response {
    // What is wrong with an operation is an event; what is wrong with the request is told by HTTP itself.
    let media = if media == Media::Events && stop.status != StatusCode::OK { Media::Json } else { media };
    let answer = stop.answer;
    let (errors, outcome) = (answer.errors.len(), metrics::outcome(&answer.errors));
    let operation = Operation { errors, outcome, ..Operation::default() };
    let body = answer::refused(&answer, voice);
    let mut response = write(stop.status, media, body, operation);
    response.headers_mut().extend(answer.http_headers);
    answer::retry_after(&mut response, &answer.errors);
    let headers = response.headers_mut();
    match stop.status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        _ => {}
    }
    response
}

/// What became of a request.
enum Outcome {
    /// It ran: the answer, what the log line tells, and the cookie that carries the session on.
    Ran(Executed, Operation, Option<String>),
    /// Its answers follow as events.
    Follows(Response),
}

async fn run(edge: &Arc<Edge>, request: Request, accepts: Accepts) -> Result<Outcome, Stop> {
    let by_get = match *request.method() {
        Method::GET => true,
        Method::POST => false,
        _ => return Err(Stop::new(StatusCode::METHOD_NOT_ALLOWED, "Use POST, or GET for what changes nothing.")),
    };
    if by_get && (comes_from_elsewhere(request.headers()) || !may_read(edge, &request)) {
        return Err(Stop::new(StatusCode::FORBIDDEN, "The page of another site may ask by CORS alone."));
    }
    let opening = accepts.events.then(|| Opening::of(edge, &request));
    let origin = caller::origin(edge, &request, true);
    let credential = caller::credential(edge, &request);
    // Before the body, which may take long: a refresh cookie that is looked at late could be taken for a stolen one.
    let identified = caller::identify(edge, credential).await.map_err(stop_for)?;
    let caller = caller::caller(identified.as_ref());
    let refused = |refused| refusal(refused, accepts.media);
    let limits = &edge.platform.config.limits;
    let brings_files = !by_get && multipart::is_multipart(request.headers());
    let ready = if brings_files {
        multipart::prepare(edge, request, caller, origin).await.map_err(|stopped| match stopped {
            Stopped::Request(stop) => stop,
            Stopped::Operation(stopped) => refused(stopped),
        })?
    } else {
        let asked = asked(edge, request, caller, &origin).await?;
        edge.schema.prepare(asked, caller, origin).await.map_err(refused)?
    };
    let name = ready.operation_name.clone().unwrap_or_default();
    let kind = kind_of(&ready, by_get)?;
    let bill = ready.bill();
    if ready.operation == OperationType::Subscription {
        let message = "Subscriptions need Accept: text/event-stream, or a WebSocket (graphql-transport-ws).";
        let opening = opening.ok_or_else(|| Stop::new(StatusCode::BAD_REQUEST, message).at(bill))?;
        let follow = sse::follow(edge, opening, identified, ready);
        return follow.map(Outcome::Follows).map_err(|stop| stop.at(bill));
    }
    // Files are put into storage meanwhile, which has a time of its own.
    let more = if brings_files { edge.platform.config.storage.timeout * 3 } else { Duration::ZERO };
    let executed = execute_within(edge, ready, limits.request_timeout + more).await?;
    let (errors, outcome) = (executed.errors.len(), metrics::outcome(&executed.errors));
    let by_somebody = identified.is_some();
    let renewed = identified.and_then(|identified| identified.cookie);
    let operation = Operation { name, kind, errors, outcome, by_somebody, runs_elsewhere: false };
    Ok(Outcome::Ran(executed, operation, renewed))
}

/// Whether a browser asks for another site's page, which cannot read the answer: all it could do is spend the points of
/// whose cookies or address it comes with (Fetch Metadata Request Headers, W3C).
pub(super) fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(of("sec-fetch-site"), "cross-site" | "same-site") && of("sec-fetch-mode") != "cors"
}

/// Whether a browser lets the page that asks read the answer. Else all it could do is spend the points of this address.
/// (What comes by POST as JSON was asked for before, by CORS.)
fn may_read(edge: &Edge, request: &Request) -> bool {
    !request.headers().contains_key("sec-fetch-site") || caller::origin_is_allowed(edge, request)
}

pub(super) fn refusal(refused: Refused, media: Media) -> Stop {
    let limited = refused.errors.iter().any(|error| answer::code_of(error) == "RATE_LIMITED");
    let status = match media {
        // An event stream has begun with its status.
        Media::Events => StatusCode::OK,
        _ if limited => StatusCode::TOO_MANY_REQUESTS,
        Media::Response => StatusCode::BAD_REQUEST,
        // Older clients take anything but 200 for a broken connection.
        Media::Json => StatusCode::OK,
    };
    Stop { status, answer: refused.into_response().into() }
}

/// The kind of an operation, for the log line; refused is what changes something by GET.
pub(super) fn kind_of(ready: &Ready, by_get: bool) -> Result<&'static str, Stop> {
    match ready.operation {
        OperationType::Query => Ok("query"),
        OperationType::Mutation if by_get => {
            Err(Stop::new(StatusCode::METHOD_NOT_ALLOWED, "Mutations need POST.").at(ready.bill()))
        }
        OperationType::Mutation => Ok("mutation"),
        OperationType::Subscription => Ok("subscription"),
    }
}

/// Runs an operation within its time; a panic is a defect of ours, told as such.
pub(super) async fn execute(edge: &Edge, ready: Ready) -> Result<Executed, Stop> {
    execute_within(edge, ready, edge.platform.config.limits.request_timeout).await
}

async fn execute_within(edge: &Edge, ready: Ready, patience: Duration) -> Result<Executed, Stop> {
    let bill = ready.bill();
    let running = AssertUnwindSafe(edge.schema.execute(ready)).catch_unwind();
    let stopped = |fault| Err(stop_for(fault).at(bill));
    match tokio::time::timeout(patience, running).await {
        Ok(Ok(executed)) => Ok(executed),
        Ok(Err(_)) => stopped(Fault::Internal("a resolver panicked".into())),
        Err(_) => stopped(Fault::Unavailable("an operation took longer than REQUEST_TIMEOUT".into())),
    }
}

pub(super) fn stop_for(fault: Fault) -> Stop {
    let status = answer::status_of(&fault);
    Stop { status, answer: Executed::from_errors(vec![answer::error_of(fault)]).into() }
}

/// The best media type that the client takes. Nothing, or anything: `application/json`, as older clients expect.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Accepts> {
    let accepts: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accepts.is_empty() {
        return Some(Accepts { media: Media::Json, events: false });
    }
    let mut best: Option<((f32, u8), Media)> = None;
    let mut events = false;
    for range in accepts.iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        // Of what is equally welcome: clients that name all of them can read JSON where one answer is enough.
        let (rank, media) = match name.as_str() {
            "application/graphql-response+json" => (3, Media::Response),
            "application/json" => (2, Media::Json),
            "text/event-stream" => (1, Media::Events),
            "*/*" | "application/*" => (0, Media::Json),
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        if quality > 0.0 {
            events |= media == Media::Events;
            if best.is_none_or(|(before, _)| (quality, rank) > before) {
                best = Some(((quality, rank), media));
            }
        }
    }
    best.map(|(_, media)| Accepts { media, events })
}

fn finish(
    executed: Executed,
    operation: Operation,
    media: Media,
    voice: Voice<'_>,
    renewed: Option<String>,
) -> Response {
    let limited = |error: &ServerError| answer::code_of(error) == "RATE_LIMITED";
    let refused_whole = executed.data == async_graphql::Value::Null
        && !executed.errors.is_empty()
        && executed.errors.iter().all(limited);
    let tells_status = refused_whole && media != Media::Events;
    let status = if tells_status { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    let mut response = write(status, media, answer::executed(&executed, voice), operation);
    if refused_whole {
        answer::retry_after(&mut response, &executed.errors);
    }
    // Before the cookies of the operation: logging out has the last word.
    caller::carry_on(&mut response, renewed);
    for (name, value) in &executed.http_headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

fn write(status: StatusCode, media: Media, body: Vec<u8>, operation: Operation) -> Response {
    let content_type = match media {
        Media::Response => "application/graphql-response+json; charset=utf-8",
        Media::Json => "application/json; charset=utf-8",
        Media::Events => return sse::whole(&body, operation),
    };
    let length = BodyLength(body.len());
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type).body(body);
    response.extensions_mut().insert(operation);
    response.extensions_mut().insert(length);
    response.into_response()
}
