//! Who is behind a request, and where it comes from.

use poem::{Request, http::header};

use super::Edge;
use crate::platform::{
    clock::Instant,
    error::Fault,
    viewer::{Caller, Origin, Viewer},
};

/// What a request shows to say who it is from.
pub(super) enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`: must be good.
    Bearer(String),
    /// The cookie: when it is no longer good the request is anonymous, so that logging in again stays possible.
    Cookie(String),
}

/// Reads the credential of a request. The header comes before the cookie.
pub(super) fn credential(request: &Request) -> Credential {
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return Credential::Bearer(bearer(value.to_str().unwrap_or_default()).unwrap_or_default().to_owned());
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let found =
        cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| cookie.trim().strip_prefix("accessToken="));
    found.map_or(Credential::None, |token| Credential::Cookie(token.to_owned()))
}

/// The token of a `Bearer` credential (RFC 6750 section 2.1).
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who holds a credential, and until when.
///
/// # Errors
/// UNAUTHENTICATED for a bearer token that is no good; a fault of the database.
pub(super) async fn identify(edge: &Edge, credential: Credential) -> Result<Option<(Viewer, Instant)>, Fault> {
    match credential {
        Credential::None => Ok(None),
        Credential::Cookie(token) => edge.accounts.authenticate(&token).await,
        Credential::Bearer(token) => edge.accounts.authenticate(&token).await?.map(Some).ok_or(Fault::Unauthenticated),
    }
}

/// The caller of an identified request.
pub(super) fn caller(identified: Option<(Viewer, Instant)>) -> Caller {
    Caller(identified.map(|(viewer, _)| viewer))
}

/// Where a request comes from. Behind trusted proxies the client's address is the entry of `X-Forwarded-For` that the
/// outermost of them wrote; what stands before it the client may have made up.
pub(super) fn origin(edge: &Edge, request: &Request, can_set_cookies: bool) -> Origin {
    let proxies = edge.platform.config.server.trusted_proxies;
    let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let entries: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let named = proxies.checked_sub(1).and_then(|skipped| entries.iter().rev().nth(skipped));
    let named = named.and_then(|entry| entry.parse::<std::net::IpAddr>().ok());
    let ip = named.or_else(|| request.remote_addr().as_socket_addr().map(|address| address.ip()));
    let device = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Origin {
        ip: ip.map(|ip| ip.to_string()).unwrap_or_default(),
        device: device.chars().take(200).collect(),
        can_set_cookies,
    }
}

/// Whether a browser page of this origin may open a socket or use cookies: a front end, or the API's own pages. A
/// request without the header comes from no browser page.
pub(super) fn origin_is_allowed(edge: &Edge, request: &Request) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own = origin.split_once("://").is_some_and(|(_, rest)| rest == host);
    own || edge.origins.iter().any(|allowed| allowed == origin)
}
