//! The development mailbox: a page for people, JSON for programs. Only there where mail is caught.

use std::sync::Arc;

use askama::Template;
use poem::{
    Request, Response,
    http::{StatusCode, header},
};

use super::Edge;
use crate::platform::mail::CaughtMail;

/// How many mails are listed.
const MOST: usize = 100;

#[derive(Template)]
#[template(path = "http/mailbox/list.html")]
struct ListPage {
    mails: Vec<CaughtMail>,
}

#[derive(Template)]
#[template(path = "http/mailbox/show.html")]
struct ShowPage {
    mail: CaughtMail,
}

/// The mails, the newest first; with `?to=` only those to that address.
pub(super) async fn list(edge: Arc<Edge>, request: Request) -> Response {
    let Some(mailbox) = edge.platform.mailer.mailbox() else {
        return super::text(StatusCode::NOT_FOUND, "No mailbox.");
    };
    let query = request.uri().query().unwrap_or_default();
    let to = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "to").map(|(_, to)| to);
    match mailbox.list(to.as_deref(), MOST).await {
        Ok(mails) if wants_page(&request) => page(&ListPage { mails }),
        Ok(mails) => json(&mails),
        Err(cause) => {
            tracing::error!(%cause, "the mailbox cannot be read");
            super::text(StatusCode::INTERNAL_SERVER_ERROR, "The mailbox cannot be read; see the log.")
        }
    }
}

/// One mail.
pub(super) async fn show(edge: Arc<Edge>, request: Request) -> Response {
    let id = request.raw_path_param("id").unwrap_or_default();
    let mail = match edge.platform.mailer.mailbox() {
        Some(mailbox) => mailbox.get(id).await,
        None => None,
    };
    match mail {
        Some(mail) if wants_page(&request) => page(&ShowPage { mail }),
        Some(mail) => json(&mail),
        None => super::text(StatusCode::NOT_FOUND, "There is no such mail."),
    }
}

fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        // The mail itself is shown in a sandboxed frame, where it can run and send nothing.
        Ok(html) => Response::builder()
            .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
            .header(
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; frame-ancestors 'none'",
            )
            .body(html),
        Err(cause) => super::text(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()),
    }
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(json) => Response::builder().header(header::CONTENT_TYPE, "application/json; charset=utf-8").body(json),
        Err(cause) => super::text(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()),
    }
}
