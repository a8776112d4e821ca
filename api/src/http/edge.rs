//! What every answer goes through: request id, security headers, CORS, compression, and one line in the log.

use std::{sync::Arc, time::Instant as Stopwatch};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    web::{Compress, CompressionAlgo, CompressionLevel},
};
use tracing::Instrument;

use super::{
    Edge,
    metrics::{self, Served},
};

/// The id of a request: the client's own, where it is a plain one, or a new one.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) String);

/// What the log line tells of an operation, set by whoever found it out.
#[derive(Clone, Default)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) errors: usize,
    /// `ok`, or the code of its gravest error. Empty: its status tells.
    pub(super) outcome: &'static str,
    /// Whether whoever asks is logged in.
    pub(super) by_somebody: bool,
    /// It runs on an event stream, and is counted there.
    pub(super) runs_elsewhere: bool,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Answers below this many bytes are not worth compressing.
const WORTH_COMPRESSING: usize = 1_024;

pub(super) async fn around<E>(edge: Arc<Edge>, endpoint: Arc<E>, mut request: Request) -> Response
where
    E: Endpoint,
{
    let began = Stopwatch::now();
    let id = request_id(&edge, request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let encoding = request.headers().get(header::ACCEPT_ENCODING).cloned();
    let (span, version) = (tracing::info_span!("request", id = %id), request.version());
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let traced = metrics::is_traced(&path).then(|| edge.platform.tracer.request(parent)).flatten();
    let response = async {
        // The store in the process answers for itself, as an S3 does.
        if method == Method::OPTIONS && !is_object(&edge, &path) {
            return preflight(&path, request.headers());
        }
        match endpoint.call(request).await {
            Ok(response) => response.into_response(),
            Err(error) => super::text(error.status(), error.status().canonical_reason().unwrap_or_default()),
        }
    }
    .instrument(span.clone())
    .await;
    let operation = response.extensions().get::<Operation>().cloned();
    let mut response = compress(response, encoding.as_ref());
    finish(&edge, &mut response, &path, origin.as_ref(), &id);
    let ends = response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if edge.leaving.is_cancelled() && version == Version::HTTP_11 && ends {
        // Whoever keeps connections for later is to have none that ends under a request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let (status, took) = (response.status(), began.elapsed());
    let served = Served { method: &method, path: &path, status, operation: operation.as_ref(), took };
    span.in_scope(|| log(&edge, &served));
    metrics::answered(&edge, &served, traced);
    response
}

/// The one line of a request.
fn log(edge: &Edge, served: &Served<'_>) {
    let Served { method, path, status, operation, took } = *served;
    let (status, duration_ms) = (status.as_u16(), (took.as_secs_f64() * 1e6).round() / 1e3);
    let (operation, kind, errors) = match operation {
        Some(operation) => (operation.name.as_str(), operation.kind, operation.errors),
        None => ("", "", 0),
    };
    if took > edge.platform.config.limits.slow_request {
        tracing::warn!(%method, path, status, operation, kind, errors, duration_ms, "slow request");
    } else {
        tracing::info!(%method, path, status, operation, kind, errors, duration_ms, "request");
    }
}

fn is_object(edge: &Edge, path: &str) -> bool {
    let bucket = edge.platform.storage.embedded().map(|(_, bucket)| bucket);
    bucket.is_some_and(|bucket| path.split('/').nth(1) == Some(bucket))
}

fn request_id(edge: &Edge, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    given.filter(plain).map_or_else(|| edge.platform.new_uuid().simple().to_string(), str::to_owned)
}

/// The answer to a CORS preflight; [`finish`] says whether the origin may.
fn preflight(path: &str, asked: &HeaderMap) -> Response {
    let (methods, all) = if path == super::sse::PATH {
        ("GET, POST, PUT, DELETE", "GET, POST, PUT, DELETE, OPTIONS")
    } else {
        ("GET, POST", "GET, POST, OPTIONS")
    };
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(all));
    if asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        let allowed = "content-type, authorization, accept, x-request-id, graphql-require-preflight, \
                       apollo-require-preflight, x-apollo-operation-name, x-graphql-event-stream-token";
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

fn finish(edge: &Edge, response: &mut Response, path: &str, origin: Option<&HeaderValue>, id: &str) {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    if path.starts_with("/graphql")
        || path.starts_with("/health")
        || path.starts_with("/metrics")
        || path.starts_with("/dev")
        || path.starts_with("/auth")
    {
        set(header::CACHE_CONTROL, "no-store");
    }
    if edge.platform.config.is_production() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin, Accept-Encoding"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let allowed = origin.filter(|origin| edge.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-request-id, retry-after, ratelimit, ratelimit-policy"),
        );
    } else {
        for name in
            [header::ACCESS_CONTROL_ALLOW_METHODS, header::ACCESS_CONTROL_ALLOW_HEADERS, header::ACCESS_CONTROL_MAX_AGE]
        {
            headers.remove(name);
        }
    }
}

/// Says how long the body of an answer is, so that it is known whether compressing it pays.
#[derive(Clone, Copy)]
pub(super) struct BodyLength(pub(super) usize);

fn compress(response: Response, accepted: Option<&HeaderValue>) -> Response {
    let length = response.extensions().get::<BodyLength>().map_or(0, |length| length.0);
    let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A coding that is refused with q=0 is not offered (RFC 9110 section 12.5.3).
    let offers = |coding: &str| {
        accepted.split(',').any(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
            named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    };
    if length < WORTH_COMPRESSING || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let algorithm = match () {
        () if offers("br") => CompressionAlgo::BR,
        () if offers("gzip") => CompressionAlgo::GZIP,
        () => return response,
    };
    Compress::new(response, algorithm).with_quality(CompressionLevel::Fastest).into_response()
}
