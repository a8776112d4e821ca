//! Answers as bytes: written once, straight from the executor's values.
//! Promise: what the short way has written as JSON already is copied as it is (see `platform::walk`).

use async_graphql::{PathSegment, Response, ServerError, Value};
use poem::http::{HeaderValue, StatusCode, header};

use super::edge::RequestId;
use crate::platform::{error::Fault, walk::json_string};

/// Who asked, for errors that name the request.
#[derive(Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) request_id: &'a str,
    /// Errors in one answer.
    pub(super) most_errors: usize,
}

/// The answer to an operation that ran: data, and errors if there were any.
pub(super) fn executed(response: &Response, voice: Voice<'_>) -> Vec<u8> {
    let mut json = Vec::with_capacity(1024);
    json.push(b'{');
    if !response.errors.is_empty() {
        errors(&response.errors, voice, &mut json);
        json.push(b',');
    }
    json.extend_from_slice(b"\"data\":");
    value(&response.data, &mut json);
    extensions(response, &mut json);
    json.push(b'}');
    json
}

/// The answer to a request that did not run: errors and no data.
pub(super) fn refused(response: &Response, voice: Voice<'_>) -> Vec<u8> {
    let mut json = vec![b'{'];
    errors(&response.errors, voice, &mut json);
    extensions(response, &mut json);
    json.push(b'}');
    json
}

fn extensions(response: &Response, json: &mut Vec<u8>) {
    if !response.extensions.is_empty() {
        json.extend_from_slice(b",\"extensions\":");
        object(response.extensions.iter().map(|(name, field)| (name.as_str(), field)), json);
    }
}

/// A list of errors alone, as the `error` message of a socket carries it.
pub(super) fn error_list(list: &[ServerError], voice: Voice<'_>) -> Vec<u8> {
    let mut json = Vec::new();
    items(list, voice, &mut json);
    json
}

/// The code of an error. One without is from the executor: an argument that a scalar did not take.
pub(super) fn code_of(error: &ServerError) -> &str {
    match error.extensions.as_ref().and_then(|extensions| extensions.get("code")) {
        Some(Value::String(code)) => code,
        _ => "BAD_REQUEST",
    }
}

/// The status of a request that a fault stopped before anything ran.
pub(super) fn status_of(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Unauthenticated => StatusCode::UNAUTHORIZED,
        Fault::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        Fault::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Forbidden(_) => StatusCode::FORBIDDEN,
        Fault::NotFound(_) => StatusCode::NOT_FOUND,
        Fault::BadRequest(_) | Fault::CursorExpired(_) | Fault::IdempotencyMismatch => StatusCode::BAD_REQUEST,
        Fault::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer of a plain endpoint to a fault: the same JSON as GraphQL's.
pub(super) fn fault(fault: Fault, request: &poem::Request) -> poem::Response {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let status = status_of(&fault);
    let answer = Response::from_errors(vec![error_of(fault)]);
    let body = refused(&answer, Voice { request_id: &request_id, most_errors: 1 });
    let mut response = poem::Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body);
    retry_after(&mut response, &answer.errors);
    response
}

/// A fault as an error of the whole request, which stands nowhere in a document.
pub(super) fn error_of(fault: Fault) -> ServerError {
    let error = async_graphql::Error::from(fault).into_server_error(Default::default());
    ServerError { locations: Vec::new(), ..error }
}

/// Says when to come back (RFC 9110 section 10.2.3): the longest of the waits.
pub(super) fn retry_after(response: &mut poem::Response, errors: &[ServerError]) {
    let wait = |error: &ServerError| match error.extensions.as_ref()?.get("retryAfter")? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    };
    if let Some(seconds) = errors.iter().filter_map(wait).max() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        // draft-ietf-httpapi-ratelimit-headers-10, section 4: nothing remains for so many seconds. A budget tells its own.
        let of_budget = |error: &ServerError| error.extensions.as_ref().is_some_and(|it| it.get("ofBudget").is_some());
        let state = HeaderValue::from_str(&format!("\"attempts\";r=0;t={seconds}"));
        if let (Ok(state), false) = (state, errors.iter().any(of_budget)) {
            response.headers_mut().append("ratelimit", state);
        }
    }
}

fn errors(list: &[ServerError], voice: Voice<'_>, json: &mut Vec<u8>) {
    json.extend_from_slice(b"\"errors\":");
    items(list, voice, json);
}

fn items(list: &[ServerError], voice: Voice<'_>, json: &mut Vec<u8>) {
    json.push(b'[');
    for (index, error) in list.iter().take(voice.most_errors).enumerate() {
        if index > 0 {
            json.push(b',');
        }
        item(error, voice, json);
    }
    json.push(b']');
}

fn item(error: &ServerError, voice: Voice<'_>, json: &mut Vec<u8>) {
    json.extend_from_slice(b"{\"message\":");
    json_string(&error.message, json);
    if !error.locations.is_empty() {
        json.extend_from_slice(b",\"locations\":[");
        for (index, at) in error.locations.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            json.extend_from_slice(format!("{comma}{{\"line\":{},\"column\":{}}}", at.line, at.column).as_bytes());
        }
        json.push(b']');
    }
    if !error.path.is_empty() {
        json.extend_from_slice(b",\"path\":[");
        for (index, segment) in error.path.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            match segment {
                PathSegment::Field(name) => json_string(name, json),
                PathSegment::Index(index) => json.extend_from_slice(index.to_string().as_bytes()),
            }
        }
        json.push(b']');
    }
    let code = code_of(error);
    json.extend_from_slice(b",\"extensions\":{\"code\":");
    json_string(code, json);
    if let Some(after) = error.extensions.as_ref().and_then(|extensions| extensions.get("retryAfter")) {
        json.extend_from_slice(b",\"retryAfter\":");
        value(after, json);
    }
    if matches!(code, "INTERNAL" | "UNAVAILABLE") {
        json.extend_from_slice(b",\"requestId\":");
        json_string(voice.request_id, json);
    }
    json.extend_from_slice(b"}}");
}

fn value(value: &Value, json: &mut Vec<u8>) {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Boolean(true) => json.extend_from_slice(b"true"),
        Value::Boolean(false) => json.extend_from_slice(b"false"),
        Value::Number(number) => json.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => json_string(text, json),
        Value::Enum(name) => json_string(name, json),
        // Written by the short way: JSON already.
        Value::Binary(written) => json.extend_from_slice(written),
        Value::List(items) => {
            json.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                self::value(item, json);
            }
            json.push(b']');
        }
        Value::Object(fields) => object(fields.iter().map(|(name, field)| (name.as_str(), field)), json),
    }
}

fn object<'v>(fields: impl Iterator<Item = (&'v str, &'v Value)>, json: &mut Vec<u8>) {
    json.push(b'{');
    for (index, (name, field)) in fields.enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json_string(name, json);
        json.push(b':');
        value(field, json);
    }
    json.push(b'}');
}
