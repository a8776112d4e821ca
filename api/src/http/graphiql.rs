//! GraphiQL at `/`: the page built from `api/graphiql` when it was built, else the pinned one of a CDN.
//! Promise: the page runs under a content security policy without inline scripts of unknown content, and the built one
//! speaks to this server alone: what it holds are tokens.

use poem::{
    Response,
    http::{StatusCode, header},
};

use crate::platform::config::Config;

mod embedded {
    //! The files of `api/graphiql/dist`, put in by `build.rs`; empty when they were not built.
    include!(concat!(env!("OUT_DIR"), "/graphiql.rs"));
}

const CDN_PAGE: &str = include_str!("../../graphiql/cdn.html");
const CDN_SCRIPT: &str = include_str!("../../graphiql/cdn.js");

/// Whether the page was built into the program.
pub(super) fn is_embedded() -> bool {
    !embedded::FILES.is_empty()
}

/// The page.
pub(super) fn page(config: &Config) -> Response {
    let own = own_addresses(config.server.public_url.as_deref());
    let (html, policy) = match file("index.html") {
        Some(html) => (html, own_policy(&own)),
        None => (CDN_PAGE.as_bytes(), cdn_policy(&own)),
    };
    Response::builder()
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(html)
}

/// A file of the page.
pub(super) fn asset(path: &str) -> Response {
    let name = path.trim_start_matches("/graphiql/");
    if name == "cdn.js" && !is_embedded() {
        return Response::builder().header(header::CONTENT_TYPE, "text/javascript; charset=utf-8").body(CDN_SCRIPT);
    }
    let Some(bytes) = file(name) else { return super::text(StatusCode::NOT_FOUND, "There is no such file.") };
    let content_type = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("ttf") => "font/ttf",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        // The names carry a hash of the content.
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .body(bytes);
    response.extensions_mut().insert(super::edge::BodyLength(bytes.len()));
    response
}

fn file(name: &str) -> Option<&'static [u8]> {
    embedded::FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Where the page may connect to: here. That takes in the WebSockets of its own host (Content Security Policy Level 3,
/// section 6.7.2.8), except in Safaris older than 2022, which want the address.
fn own_addresses(public_url: Option<&str>) -> String {
    let public = public_url.and_then(|url| url::Url::parse(url).ok()).map(|url| url.origin().ascii_serialization());
    match public {
        Some(public) => format!("'self' {}", public.replacen("http", "ws", 1)),
        None => "'self'".to_owned(),
    }
}

fn own_policy(own: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self' data:; connect-src {own}; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The CDN's page has one inline element, its import map, which is allowed by its hash.
fn cdn_policy(own: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let map = CDN_PAGE
        .split_once("<script type=\"importmap\">")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .map_or("", |(map, _)| map);
    let hash = BASE64_STANDARD.encode(crate::platform::secret::sha256(map.as_bytes()));
    format!(
        "default-src 'none'; \
         script-src 'self' https://esm.sh https://cdn.jsdelivr.net/npm/graphql-ws@6.4.2/dist/ 'sha256-{hash}'; \
         style-src 'self' 'unsafe-inline' https://esm.sh; img-src 'self' data:; font-src 'self' data: https://esm.sh; \
         connect-src {own} https://esm.sh; worker-src 'self' blob: https://esm.sh; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_may_connect_to_its_own_server_alone() {
        for (public_url, own) in [
            (None, "'self'"),
            (Some("https://api.example.org"), "'self' wss://api.example.org"),
            (Some("https://api.example.org:8443/behind/"), "'self' wss://api.example.org:8443"),
            (Some("http://127.0.0.1:8000"), "'self' ws://127.0.0.1:8000"),
        ] {
            let own_only = own_addresses(public_url);
            assert_eq!(own_only, own);
            assert!(own_policy(&own_only).contains(&format!("; connect-src {own}; ")), "{public_url:?}");
            assert!(cdn_policy(&own_only).contains(&format!("; connect-src {own} https://esm.sh; ")), "{public_url:?}");
        }
    }
}
