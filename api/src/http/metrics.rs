//! `/metrics`, and what of requests and operations is counted and traced.
//! Promise: every operation is counted once, wherever it runs; who may read them is said by a token, compared in a time
//! that tells nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant as Stopwatch},
};

use async_graphql::{Response as Executed, ServerError};
use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use secrecy::ExposeSecret;

use super::{Edge, answer, caller, edge::Operation};
use crate::{
    platform::{
        Platform,
        metrics::Answered,
        secret::{equal, sha256},
        trace::{Span, Told},
    },
    schema::Ready,
};

/// The text format of OpenMetrics, which Prometheus reads.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics`.
pub(super) async fn serve(edge: Arc<Edge>, request: Request) -> Response {
    if !may_read(&edge, request.headers()) {
        let mut refused = super::text(StatusCode::UNAUTHORIZED, "Show the METRICS_TOKEN: Authorization: Bearer …");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    let metrics = &edge.platform.metrics;
    let (kept, judged) = edge.schema.documents();
    metrics.cache("documents", kept, judged);
    metrics.cache("analytics", edge.analytics.hits(), edge.analytics.misses());
    let written = metrics.read(&edge.platform).await;
    Response::builder().header(header::CONTENT_TYPE, FORMAT).body(written)
}

fn may_read(edge: &Edge, headers: &HeaderMap) -> bool {
    let Some(token) = &edge.platform.config.watching.metrics_token else { return true };
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(caller::bearer);
    // Of digests: not even the length is told.
    shown.is_some_and(|shown| equal(&sha256(shown.as_bytes()), &sha256(token.expose_secret().as_bytes())))
}

/// A request that was answered.
pub(super) struct Served<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) status: StatusCode,
    /// None: it was no operation.
    pub(super) operation: Option<&'a Operation>,
    pub(super) took: Duration,
}

/// Counts a request, and ends its span.
pub(super) fn answered(edge: &Edge, request: &Served<'_>, span: Option<Span>) {
    let Served { path, status, operation, took, .. } = *request;
    let by_status = outcome_of(status);
    let told = match operation {
        // It is counted where it runs.
        Some(Operation { runs_elsewhere: true, .. }) => by_status,
        Some(operation) => {
            let Operation { name, kind, outcome, by_somebody, .. } = operation;
            let outcome = if outcome.is_empty() { by_status } else { *outcome };
            let kind = if kind.is_empty() { "refused" } else { *kind };
            let took = Some(took).filter(|_| kind != "subscription");
            let (operation, by_somebody) = (name.as_str(), *by_somebody);
            edge.platform.metrics.answered(Answered { kind, operation, by_somebody, outcome, took });
            outcome
        }
        None => {
            edge.platform.metrics.routed(route_of(edge, path, status), by_status, took);
            by_status
        }
    };
    if let Some(span) = span {
        let (kind, operation) = operation.map_or(("", ""), |operation| (operation.kind, operation.name.as_str()));
        span.end(Told::Request { kind, operation, status: status.as_u16(), outcome: told });
    }
}

/// Whether requests to this path are traced: not those that look after us.
pub(super) fn is_traced(path: &str) -> bool {
    !path.starts_with("/health") && path != "/metrics"
}

/// The part of the program that a path leads to.
fn route_of(edge: &Edge, path: &str, status: StatusCode) -> &'static str {
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "graphql" if status == StatusCode::SWITCHING_PROTOCOLS => "socket",
        "graphql" if path == "/graphql/export" => "export",
        "graphql" => "graphql",
        "health" => "health",
        "metrics" => "metrics",
        "auth" => "auth",
        "dev" => "mailbox",
        "" | "graphiql" => "graphiql",
        bucket if edge.platform.storage.embedded().is_some_and(|(_, ours)| ours == bucket) => "objects",
        _ => "unknown",
    }
}

fn outcome_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..=399 => "ok",
        401 => "UNAUTHENTICATED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        429 => "RATE_LIMITED",
        503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "BAD_REQUEST",
    }
}

/// What came of an operation in one word: `ok`, or the code of its gravest error. Codes that are not known here are one.
pub(super) fn outcome(errors: &[ServerError]) -> &'static str {
    const KNOWN: [&str; 13] = [
        "INTERNAL",
        "UNAVAILABLE",
        "RATE_LIMITED",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "QUERY_TOO_COMPLEX",
        "IDEMPOTENCY_MISMATCH",
        "BAD_REQUEST",
        "CURSOR_EXPIRED",
        "DOCUMENT_NOT_TRUSTED",
        "PERSISTED_QUERY_NOT_FOUND",
        "PERSISTED_QUERY_NOT_SUPPORTED",
    ];
    let gravity = |error: &ServerError| {
        let code = answer::code_of(error);
        KNOWN.iter().position(|known| *known == code).unwrap_or(KNOWN.len())
    };
    match errors.iter().map(gravity).min() {
        None => "ok",
        Some(place) => KNOWN.get(place).copied().unwrap_or("OTHER"),
    }
}

/// An operation that runs on a socket or on an event stream. It is counted when this is dropped: at its end, or when it
/// is stopped.
pub(super) struct Running {
    platform: Platform,
    name: String,
    kind: &'static str,
    by_somebody: bool,
    outcome: &'static str,
    /// None: it is a subscription, which lasts as long as its client likes.
    began: Option<Stopwatch>,
}

impl Running {
    /// It begins.
    pub(super) fn new(edge: &Edge, ready: &Ready, by_somebody: bool) -> Self {
        use async_graphql::parser::types::OperationType;
        let (kind, is_followed) = match ready.operation {
            OperationType::Query => ("query", false),
            OperationType::Mutation => ("mutation", false),
            OperationType::Subscription => ("subscription", true),
        };
        let name = ready.operation_name.clone().unwrap_or_default();
        let outcome = if is_followed { "ok" } else { "stopped" };
        let began = (!is_followed).then(Stopwatch::now);
        Self { platform: edge.platform.clone(), name, kind, by_somebody, outcome, began }
    }

    /// Hears what was answered.
    pub(super) fn hear(&mut self, answer: &Executed) {
        self.outcome = outcome(&answer.errors);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Self { kind, by_somebody, outcome, .. } = *self;
        let took = self.began.map(|began| began.elapsed());
        self.platform.metrics.answered(Answered { kind, operation: &self.name, by_somebody, outcome, took });
    }
}

/// Counts what a socket was not let begin.
pub(super) fn refused(edge: &Edge, errors: &[ServerError]) {
    let (kind, outcome) = ("refused", outcome(errors));
    edge.platform.metrics.answered(Answered { kind, operation: "", by_somebody: false, outcome, took: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::error::Fault;

    #[test]
    fn the_gravest_error_names_the_outcome() {
        let of = |faults: &[Fault]| {
            let errors: Vec<ServerError> = faults.iter().cloned().map(answer::error_of).collect();
            outcome(&errors)
        };
        assert_eq!(of(&[]), "ok");
        assert_eq!(of(&[Fault::NotFound("task"), Fault::Internal("x".into())]), "INTERNAL");
        assert_eq!(of(&[Fault::NotFound("task"), Fault::Unauthenticated]), "UNAUTHENTICATED");
        let mut made_up = ServerError::new("x", None);
        made_up.extensions.get_or_insert_default().set("code", "SOMETHING_NEW");
        assert_eq!(outcome(&[made_up]), "OTHER");
    }
}
