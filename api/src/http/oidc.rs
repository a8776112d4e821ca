//! The way to the OpenID provider and back: two redirects.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};

use super::{Edge, answer, caller};
use crate::{
    accounts::{ROUND_COOKIE, Return},
    platform::error::Fault,
};

/// Sends a browser to the provider.
pub(super) async fn depart(edge: Arc<Edge>, request: Request) -> Response {
    let origin = caller::origin(&edge, &request, true);
    match edge.accounts.depart(caller::cookie(&request, ROUND_COOKIE).as_deref(), &origin).await {
        Err(fault @ Fault::RateLimited(_)) => answer::fault(fault, &request),
        Ok(departure) => redirect(&departure.url, &[departure.cookie]),
        Err(fault) => {
            tracing::warn!(?fault, "nobody can be sent to the OpenID provider");
            redirect(&front_end(&edge, "/login?error=google_auth_failed"), &[])
        }
    }
}

/// Receives a browser that the provider sent back.
pub(super) async fn arrive(edge: Arc<Edge>, request: Request) -> Response {
    let mut came = Return { browser: caller::cookie(&request, ROUND_COOKIE), ..Return::default() };
    for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let place = match &*name {
            "code" => &mut came.code,
            "state" => &mut came.state,
            "iss" => &mut came.issuer,
            "error" => &mut came.error,
            _ => continue,
        };
        *place = Some(value.into_owned());
    }
    let origin = caller::origin(&edge, &request, true);
    let arrival = edge.accounts.arrive(came, origin).await;
    redirect(&front_end(&edge, &arrival.path), &arrival.cookies)
}

fn front_end(edge: &Edge, path: &str) -> String {
    format!("{}{path}", edge.platform.config.server.frontend_url.trim_end_matches('/'))
}

fn redirect(to: &str, cookies: &[String]) -> Response {
    // 303: whatever the method was, the next one is GET (RFC 9110 section 15.4.4).
    let mut response = Response::builder().status(StatusCode::SEE_OTHER).finish();
    let headers = response.headers_mut();
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, to);
    }
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
