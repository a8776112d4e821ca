//! What is asked of a request from outside before anything else looks at it.
//! Promise: nothing of a body is read for a stranger, nor more of it than the store takes; a signature covers
//! everything that gives a request its meaning.

use std::collections::HashSet;

use hyper::{
    HeaderMap, Method,
    header::{self, HeaderName},
    http::request::Parts,
};
use s3s::{S3Result, s3_error};

use super::{Limits, put};

/// The longest body that is not an object: a thousand long keys to delete, escaped.
pub(super) const MOST_XML: u64 = 4 * 1024 * 1024;

/// The digest of the body. Without a signature it still only ever refuses, unless it says that there are pieces.
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const STREAMING: &str = "STREAMING-";

/// Lets a request through, or says why not.
///
/// # Errors
/// AccessDenied, MissingContentLength, EntityTooLarge, NotImplemented.
pub(super) fn check(request: &Parts, limits: Limits) -> S3Result {
    let signed = signed_headers(request)?;
    // Signatures name the headers that they cover. A copy is a PUT with one header more: whoever holds the URL of an
    // upload must not be able to add it, and with it read what others stored.
    let streams = text(&request.headers, CONTENT_SHA256).starts_with(STREAMING);
    let meaningful = |name: &&str| name.starts_with("x-amz-") && (*name != CONTENT_SHA256 || streams);
    let mut names = request.headers.keys().map(HeaderName::as_str).filter(meaningful);
    if let Some(name) = names.find(|name| !signed.contains(*name)) {
        return Err(s3_error!(AccessDenied, "the header {name} is not signed"));
    }
    match request.method {
        Method::GET | Method::HEAD | Method::DELETE => Ok(()),
        Method::PUT => check_length(&request.headers, limits.object),
        // s3s would read a form into memory before it looks at who sends it.
        Method::POST if text(&request.headers, header::CONTENT_TYPE.as_str()).starts_with("multipart/") => {
            Err(s3_error!(NotImplemented, "forms are not taken"))
        }
        Method::POST => check_length(&request.headers, MOST_XML),
        _ => Err(s3_error!(MethodNotAllowed)),
    }
}

/// The names of the headers that the signature covers; the signature itself is looked at later.
fn signed_headers(request: &Parts) -> S3Result<HashSet<String>> {
    let (mut by_query, mut names) = (false, Vec::new());
    for (name, value) in url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "X-Amz-Signature" => by_query = true,
            "X-Amz-SignedHeaders" => names.push(value.into_owned()),
            // Signatures of the old version cover less.
            "Signature" | "AWSAccessKeyId" => return Err(s3_error!(AccessDenied)),
            _ => {}
        }
    }
    let mut headers = request.headers.get_all(header::AUTHORIZATION).iter();
    let names = match (by_query, headers.next(), headers.next()) {
        (true, None, None) => match names.as_slice() {
            [names] => names.clone(),
            _ => return Err(s3_error!(AuthorizationQueryParametersError)),
        },
        (false, Some(value), None) => {
            let value = value.to_str().ok().and_then(|value| value.strip_prefix("AWS4-HMAC-SHA256"));
            let mut fields = value.ok_or_else(|| s3_error!(AccessDenied))?.split(',').map(str::trim);
            let names = fields.find_map(|field| field.strip_prefix("SignedHeaders="));
            names.ok_or_else(|| s3_error!(AuthorizationHeaderMalformed))?.to_owned()
        }
        _ => return Err(s3_error!(AccessDenied)),
    };
    Ok(names.split(';').map(str::to_owned).collect())
}

fn check_length(headers: &HeaderMap, most: u64) -> S3Result {
    let number = |name: &str| text(headers, name).parse::<u64>().ok();
    let length = number("content-length");
    // A body in pieces may say only how long its content is; that is counted when the pieces are read.
    let in_pieces = text(headers, CONTENT_SHA256).starts_with(STREAMING);
    let content = if in_pieces { number("x-amz-decoded-content-length") } else { length };
    let content = content.ok_or_else(|| s3_error!(MissingContentLength))?;
    // What stands around the pieces is little.
    let around = if in_pieces { most / 16 + 64 * 1024 } else { 0 };
    let fits = content <= most && length.is_none_or(|length| length <= most + around);
    if fits { Ok(()) } else { Err(put::too_large()) }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
