//! Who is behind a request, and where it comes from.

use poem::{
    Request, Response,
    http::{HeaderValue, header},
};

use super::Edge;
use crate::accounts::Renewed;
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
    /// Cookies: when they are no longer good the request is anonymous, so that logging in again stays possible.
    Cookies { access: Option<String>, refresh: Option<String> },
}

/// Somebody who was recognised.
pub(super) struct Identified {
    pub(super) viewer: Viewer,
    /// Until when the access token is good.
    pub(super) until: Instant,
    /// A `Set-Cookie` value: the access cookie was missing or over, and the refresh cookie speaks for its session.
    pub(super) cookie: Option<String>,
}

/// Reads the credential of a request. The header comes before the cookies, which are only believed from pages that may
/// use them; a token in a header no other site can send.
pub(super) fn credential(edge: &Edge, request: &Request) -> Credential {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        return Credential::Bearer(bearer(value.to_str().unwrap_or_default()).unwrap_or_default().to_owned());
    }
    let (access, refresh) = (cookie(request, "accessToken"), cookie(request, "refreshToken"));
    if (access.is_none() && refresh.is_none()) || !origin_is_allowed(edge, request) {
        return Credential::None;
    }
    Credential::Cookies { access, refresh }
}

/// The value of a cookie; none when it is empty.
pub(super) fn cookie(request: &Request, name: &str) -> Option<String> {
    let cookies = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// The token of a `Bearer` credential (RFC 6750 section 2.1).
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who holds a credential.
///
/// # Errors
/// UNAUTHENTICATED for a bearer token that is no good; a fault of the database.
pub(super) async fn identify(edge: &Edge, credential: Credential) -> Result<Option<Identified>, Fault> {
    let by_token = |(viewer, until)| Identified { viewer, until, cookie: None };
    match credential {
        Credential::None => Ok(None),
        Credential::Bearer(token) => {
            let found = edge.accounts.authenticate(&token).await?;
            found.map(by_token).map(Some).ok_or(Fault::Unauthenticated)
        }
        Credential::Cookies { access, refresh } => {
            if let Some(access) = access
                && let Some(found) = edge.accounts.authenticate(&access).await?
            {
                return Ok(Some(by_token(found)));
            }
            let Some(refresh) = refresh else { return Ok(None) };
            let renewed = edge.accounts.renew(&refresh).await?;
            Ok(renewed.map(|Renewed { viewer, cookie, access_expires_at }| Identified {
                viewer,
                until: access_expires_at,
                cookie: Some(cookie),
            }))
        }
    }
}

/// Gives a browser the access cookie that was made anew, if one was.
pub(super) fn carry_on(response: &mut Response, cookie: Option<String>) {
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The caller of an identified request.
pub(super) fn caller(identified: Option<&Identified>) -> Caller {
    Caller(identified.map(|identified| identified.viewer))
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
    let may_use_cookies = origin_is_allowed(edge, request);
    let secret = |name| cookie(request, name).filter(|_| may_use_cookies).map(Into::into);
    Origin {
        ip: ip.map(|ip| ip.to_string()).unwrap_or_default(),
        device: device.chars().take(200).collect(),
        can_set_cookies,
        refresh_cookie: secret("refreshToken"),
        device_cookie: secret("deviceToken"),
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
