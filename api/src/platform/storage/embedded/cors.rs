//! Which pages of other origins may use a bucket.
//! Promise: nothing is allowed that no rule of the bucket allows; signatures are asked for all the same.

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use s3s::dto::CORSRule;

/// How long a browser keeps the answer to a preflight when the rule does not say, in seconds.
const MAX_AGE: i32 = 600;

/// The origin of the page that asks, if one does.
pub(super) fn origin(request: &Parts) -> Option<&str> {
    text(&request.headers, header::ORIGIN)
}

/// What a preflight is told. None: no.
pub(super) fn preflight(rules: &[CORSRule], request: &Parts) -> Option<HeaderMap> {
    let origin = origin(request)?;
    let method = text(&request.headers, header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let asked = text(&request.headers, header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let asked: Vec<String> =
        asked.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect();
    let (rule, allowed) = rules.iter().find_map(|rule| Some((rule, allowed(rule, origin, method, &asked)?)))?;
    let mut told = shared(rule, allowed);
    set(&mut told, header::ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", "));
    if !asked.is_empty() {
        set(&mut told, header::ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(", "));
    }
    let age = rule.max_age_seconds.unwrap_or(MAX_AGE).to_string();
    set(&mut told, header::ACCESS_CONTROL_MAX_AGE, &age);
    Some(told)
}

/// What is added to the answer to a request itself. None: nothing, and the browser keeps it from the page.
pub(super) fn answer(rules: &[CORSRule], request: &Parts) -> Option<HeaderMap> {
    let (origin, method) = (origin(request)?, request.method.as_str());
    rules.iter().find_map(|rule| Some(shared(rule, allowed(rule, origin, method, &[])?)))
}

/// The origin to name if the rule allows this.
fn allowed<'a>(rule: &CORSRule, origin: &'a str, method: &str, headers: &[String]) -> Option<&'a str> {
    let pattern = rule.allowed_origins.iter().find(|pattern| fits(pattern, origin))?;
    let by_header = rule.allowed_headers.as_deref().unwrap_or_default();
    let header_fits = |name: &String| by_header.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), name));
    let fits = rule.allowed_methods.iter().any(|allowed| allowed == method) && headers.iter().all(header_fits);
    fits.then_some(if pattern == "*" { "*" } else { origin })
}

/// A pattern has one `*` at most.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
    }
}

fn shared(rule: &CORSRule, origin: &str) -> HeaderMap {
    let mut told = HeaderMap::new();
    set(&mut told, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = rule.expose_headers.as_deref().unwrap_or_default();
    let etag = (!exposed.iter().any(|name| name.eq_ignore_ascii_case("etag"))).then_some("ETag");
    let exposed: Vec<&str> = exposed.iter().map(String::as_str).chain(etag).collect();
    set(&mut told, header::ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
    told
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A rule or a request may hold what no header can: then it is left out, and the browser says no.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(fits("https://*.example.org", "https://app.example.org"));
        assert!(!fits("https://*.example.org", "https://example.org"));
        assert!(fits("*", "https://anybody") && fits("x-amz-*", "x-amz-date") && !fits("a*a", "a"));
    }
}
