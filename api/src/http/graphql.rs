//! GraphQL over HTTP (the specification of the GraphQL foundation's working group).
//! Promise: POST takes JSON and nothing else, so that no other site's form can send one; GET runs queries only.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{Response as Executed, ServerError, parser::types::OperationType};
use futures_util::FutureExt;
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use serde_json::{Map, Value as Json};

use super::{
    Edge,
    answer::{self, Voice},
    caller,
    edge::{BodyLength, Operation, RequestId},
    multipart::{self, Stopped},
    socket,
};
use crate::{
    platform::error::Fault,
    schema::{Asked, Ready, Refused},
};

/// How the answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    /// `application/graphql-response+json`: the status tells what happened.
    Response,
    /// `application/json`: a well-formed request is answered with 200, whatever came of it.
    Json,
}

/// Why a request is answered without running anything.
pub(super) struct Stop {
    status: StatusCode,
    pub(super) errors: Vec<ServerError>,
}

impl Stop {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, errors: Refused::bad_request(message).errors }
    }
}

/// Serves `/graphql`, and hands WebSockets over.
pub(super) async fn serve(edge: Arc<Edge>, request: Request) -> Response {
    let upgrades =
        request.headers().get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if upgrades {
        return socket::accept(edge, request).await;
    }
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let Some(media) = negotiate(request.headers()) else {
        return super::text(
            StatusCode::NOT_ACCEPTABLE,
            "Accept application/graphql-response+json or application/json.",
        );
    };
    let voice = Voice { request_id: &id, most_errors: edge.platform.config.limits.errors };
    match run(&edge, request, media).await {
        Ok((executed, operation, renewed)) => finish(executed, operation, media, voice, renewed),
        Err(stop) => {
            let operation = Operation { errors: stop.errors.len(), ..Operation::default() };
            let body = answer::refused(&stop.errors, voice);
            let mut response = write(stop.status, media, body, operation);
            answer::retry_after(&mut response, &stop.errors);
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
    }
}

/// What ran, for the log line, and the cookie that carries the session on.
type Ran = (Executed, Operation, Option<String>);

async fn run(edge: &Arc<Edge>, request: Request, media: Media) -> Result<Ran, Stop> {
    let by_get = match *request.method() {
        Method::GET => true,
        Method::POST => false,
        _ => return Err(Stop::new(StatusCode::METHOD_NOT_ALLOWED, "Use POST, or GET for queries.")),
    };
    let origin = caller::origin(edge, &request, true);
    let credential = caller::credential(edge, &request);
    // Before the body, which may take long: a refresh cookie that is looked at late could be taken for a stolen one.
    let identified = caller::identify(edge, credential).await.map_err(stop_for)?;
    let caller = caller::caller(identified.as_ref());
    let refused = |refused: Refused| Stop {
        // Older clients take anything but 200 for a broken connection.
        status: if media == Media::Json { StatusCode::OK } else { StatusCode::BAD_REQUEST },
        errors: refused.errors,
    };
    let limits = &edge.platform.config.limits;
    let brings_files = !by_get && multipart::is_multipart(request.headers());
    let ready = if brings_files {
        multipart::prepare(edge, request, caller, origin).await.map_err(|stopped| match stopped {
            Stopped::Request(stop) => stop,
            Stopped::Operation(stopped) => refused(stopped),
        })?
    } else {
        let asked = if by_get { asked_by_get(&request)? } else { asked_by_post(edge, request).await? };
        edge.schema.prepare(asked, caller, origin).await.map_err(refused)?
    };
    let kind = match ready.operation {
        OperationType::Query => "query",
        OperationType::Mutation if by_get => {
            return Err(Stop::new(StatusCode::METHOD_NOT_ALLOWED, "Mutations need POST."));
        }
        OperationType::Mutation => "mutation",
        OperationType::Subscription => {
            let message = "Subscriptions need a WebSocket (subprotocol graphql-transport-ws).";
            return Err(Stop::new(StatusCode::BAD_REQUEST, message));
        }
    };
    let name = ready.operation_name.clone().unwrap_or_default();
    // Files are put into storage meanwhile, which has a time of its own.
    let more = if brings_files { edge.platform.config.storage.timeout * 3 } else { Duration::ZERO };
    let executed = execute_within(edge, ready, limits.request_timeout + more).await?;
    let errors = executed.errors.len();
    Ok((executed, Operation { name, kind, errors }, identified.and_then(|identified| identified.cookie)))
}

/// Runs an operation within its time; a panic is a defect of ours, told as such.
pub(super) async fn execute(edge: &Edge, ready: Ready) -> Result<Executed, Stop> {
    execute_within(edge, ready, edge.platform.config.limits.request_timeout).await
}

async fn execute_within(edge: &Edge, ready: Ready, patience: Duration) -> Result<Executed, Stop> {
    let running = AssertUnwindSafe(edge.schema.execute(ready)).catch_unwind();
    match tokio::time::timeout(patience, running).await {
        Ok(Ok(executed)) => Ok(executed),
        Ok(Err(_)) => Err(stop_for(Fault::Internal("a resolver panicked".into()))),
        Err(_) => Err(stop_for(Fault::Unavailable("an operation took longer than REQUEST_TIMEOUT".into()))),
    }
}

pub(super) fn stop_for(fault: Fault) -> Stop {
    let status = answer::status_of(&fault);
    Stop { status, errors: vec![answer::error_of(fault)] }
}

fn asked_by_get(request: &Request) -> Result<Asked, Stop> {
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    let mut asked = Asked::default();
    let mut query = None;
    for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let object = |what: &str| match serde_json::from_str::<Json>(&value) {
            Ok(Json::Object(object)) => Ok(Some(object)),
            Ok(Json::Null) => Ok(None),
            _ => Err(bad(&format!("{what} must be a JSON object."))),
        };
        match &*name {
            "query" => query = Some(value.into_owned()),
            "operationName" if !value.is_empty() => asked.operation_name = Some(value.into_owned()),
            "variables" if !value.is_empty() => asked.variables = object("variables")?,
            "extensions" if !value.is_empty() => asked.extensions = object("extensions")?,
            _ => {}
        }
    }
    asked.query = query.ok_or_else(|| bad("Give a GraphQL document as query."))?;
    Ok(asked)
}

async fn asked_by_post(edge: &Edge, request: Request) -> Result<Asked, Stop> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(Stop::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the request as application/json."));
    }
    let limits = &edge.platform.config.limits;
    let body = request.into_body().into_bytes_limit(limits.body);
    let body = match tokio::time::timeout(limits.body_timeout, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(poem::error::ReadBodyError::PayloadTooLarge)) => {
            let message = format!("A request has at most {} bytes.", limits.body);
            return Err(Stop::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Err(_)) => return Err(Stop::new(StatusCode::BAD_REQUEST, "The body broke off.")),
        Err(_) => return Err(Stop::new(StatusCode::REQUEST_TIMEOUT, "The body took too long.")),
    };
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    match serde_json::from_slice::<Json>(&body) {
        Ok(Json::Object(fields)) => asked_of(fields),
        Ok(Json::Array(_)) => Err(bad("Send one request at a time: batches are not taken.")),
        Ok(_) | Err(_) => Err(bad("The body must be a JSON object with a query.")),
    }
}

/// What the fields of a request ask for.
pub(super) fn asked_of(mut fields: Map<String, Json>) -> Result<Asked, Stop> {
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    let query = match fields.remove("query") {
        Some(Json::String(query)) => query,
        _ => return Err(bad("Give a GraphQL document as query.")),
    };
    let operation_name = match fields.remove("operationName") {
        None | Some(Json::Null) => None,
        Some(Json::String(name)) => Some(name),
        Some(_) => return Err(bad("operationName must be a string.")),
    };
    let mut object = |name: &str| -> Result<Option<Map<String, Json>>, Stop> {
        match fields.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(_) => Err(bad(&format!("{name} must be a JSON object."))),
        }
    };
    let (variables, extensions) = (object("variables")?, object("extensions")?);
    Ok(Asked { query, operation_name, variables, extensions })
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = |part: &str| {
        let charset = part.to_ascii_lowercase();
        charset.strip_prefix("charset=").is_none_or(|charset| charset.trim_matches('"') == "utf-8")
    };
    json && parts.all(utf8)
}

/// The best media type that the client takes. Nothing, or anything: `application/json`, as older clients expect.
fn negotiate(headers: &HeaderMap) -> Option<Media> {
    let accepts: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accepts.is_empty() {
        return Some(Media::Json);
    }
    let mut best: Option<(f32, bool, Media)> = None;
    for range in accepts.iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (exact, media) = match name.as_str() {
            "application/graphql-response+json" => (true, Media::Response),
            "application/json" => (true, Media::Json),
            "*/*" | "application/*" => (false, Media::Json),
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        let better = best.is_none_or(|(q, e, m)| {
            quality > q || (quality == q && ((exact && !e) || (media == Media::Response && m == Media::Json && exact)))
        });
        if quality > 0.0 && better {
            best = Some((quality, exact, media));
        }
    }
    best.map(|(_, _, media)| media)
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
    let status = if refused_whole { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    let mut response = write(status, media, answer::executed(&executed, voice), operation);
    if refused_whole {
        answer::retry_after(&mut response, &executed.errors);
    }
    // Before the cookies of the operation: logging out has the last word.
    if let Some(cookie) = renewed.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    for (name, value) in &executed.http_headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

fn write(status: StatusCode, media: Media, body: Vec<u8>, operation: Operation) -> Response {
    let content_type = match media {
        Media::Response => "application/graphql-response+json; charset=utf-8",
        Media::Json => "application/json; charset=utf-8",
    };
    let length = BodyLength(body.len());
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type).body(body);
    response.extensions_mut().insert(operation);
    response.extensions_mut().insert(length);
    response.into_response()
}
