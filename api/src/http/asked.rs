//! What a request asks for: GraphQL over HTTP puts it into the URL or into a body of JSON.
//! Promise: a body comes within its time and its size, or is not read on; what is not well-formed is told in words, and
//! costs what the smallest operation costs.

use poem::{
    Request,
    http::{Method, StatusCode, header},
};
use serde_json::{Map, Value as Json};

use super::{
    Edge,
    graphql::{Media, Stop, refusal},
};
use crate::{
    platform::viewer::{Caller, Origin},
    schema::Asked,
};

const NO_DOCUMENT: &str = "Give a GraphQL document as query.";

/// By GET or by POST, on behalf of whoever pays for it.
pub(super) async fn asked(edge: &Edge, request: Request, caller: Caller, origin: &Origin) -> Result<Asked, Stop> {
    let asked =
        if *request.method() == Method::GET { asked_by_get(&request) } else { asked_by_post(edge, request).await };
    match asked {
        Ok(asked) => Ok(asked),
        // Nothing of it was read; and the page of any site could send one, at the expense of this address.
        Err(stop) if stop.status == StatusCode::UNSUPPORTED_MEDIA_TYPE => Err(stop),
        Err(stop) => Err(charged(edge, stop, caller, origin).await),
    }
}

/// What was read and is no request, with what it cost.
pub(super) async fn charged(edge: &Edge, stop: Stop, caller: Caller, origin: &Origin) -> Stop {
    match edge.schema.charge(caller, origin).await {
        Ok(bill) => stop.at(bill),
        Err(broke) => refusal(broke, Media::Response),
    }
}

/// By the parameters of a URL.
fn asked_by_get(request: &Request) -> Result<Asked, Stop> {
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    let mut asked = Asked::default();
    for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let object = |what: &str| match serde_json::from_str::<Json>(&value) {
            Ok(Json::Object(object)) => Ok(Some(object)),
            Ok(Json::Null) => Ok(None),
            _ => Err(bad(&format!("{what} must be a JSON object."))),
        };
        match &*name {
            "query" if !value.is_empty() => asked.query = Some(value.into_owned()),
            "documentId" if !value.is_empty() => asked.document_id = Some(value.into_owned()),
            "operationName" if !value.is_empty() => asked.operation_name = Some(value.into_owned()),
            "variables" if !value.is_empty() => asked.variables = object("variables")?,
            "extensions" if !value.is_empty() => asked.extensions = object("extensions")?,
            _ => {}
        }
    }
    if asked.names_a_document() { Ok(asked) } else { Err(bad(NO_DOCUMENT)) }
}

/// By a body of JSON; another site's form cannot send one.
async fn asked_by_post(edge: &Edge, request: Request) -> Result<Asked, Stop> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(Stop::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the request as application/json."));
    }
    let limits = &edge.platform.config.limits;
    let body = request.into_body().into_bytes_limit(limits.body);
    let body = match tokio::time::timeout(limits.body_timeout, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(poem::error::ReadBodyError::PayloadTooLarge)) => {
            let message = format!("A request has at most {} bytes.", limits.body);
            return Err(Stop::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Err(_)) => return Err(Stop::new(StatusCode::BAD_REQUEST, "The body broke off.")),
        Err(_) => return Err(Stop::new(StatusCode::REQUEST_TIMEOUT, "The body took too long.")),
    };
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    match serde_json::from_slice::<Json>(&body) {
        Ok(Json::Object(fields)) => asked_of(fields),
        Ok(Json::Array(_)) => Err(bad("Send one request at a time: batches are not taken.")),
        Ok(_) | Err(_) => Err(bad("The body must be a JSON object with a query.")),
    }
}

/// What the fields of a request ask for.
pub(super) fn asked_of(mut fields: Map<String, Json>) -> Result<Asked, Stop> {
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    let mut text = |name: &str| match fields.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(&format!("{name} must be a string."))),
    };
    let (query, document_id, operation_name) = (text("query")?, text("documentId")?, text("operationName")?);
    let mut object = |name: &str| -> Result<Option<Map<String, Json>>, Stop> {
        match fields.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(_) => Err(bad(&format!("{name} must be a JSON object."))),
        }
    };
    let (variables, extensions) = (object("variables")?, object("extensions")?);
    let asked = Asked { query, document_id, operation_name, variables, extensions };
    if asked.names_a_document() { Ok(asked) } else { Err(bad(NO_DOCUMENT)) }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = |part: &str| {
        let charset = part.to_ascii_lowercase();
        charset.strip_prefix("charset=").is_none_or(|charset| charset.trim_matches('"') == "utf-8")
    };
    json && parts.all(utf8)
}
