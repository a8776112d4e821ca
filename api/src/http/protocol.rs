//! The messages of `graphql-transport-ws` (github.com/enisdenjo/graphql-ws, PROTOCOL.md), and why a socket is closed.
//! Promise: what is not the protocol is told by the close code that it has for it.

use poem::{
    http::{HeaderMap, header},
    web::websocket::Message,
};
use serde_json::{Map, Value as Json};

use crate::{platform::walk, schema::Asked};

/// The name of the protocol, which a client offers.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";
/// Bytes of the id of an operation at most: it comes back with each answer.
const LONGEST_ID: usize = 256;

/// Why a socket is closed.
pub(super) struct Close(pub(super) u16, pub(super) &'static str);

/// Whether a client speaks the protocol.
pub(super) fn offers_protocol(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| offer.trim() == PROTOCOL)
}

/// Whether a message's payload is absent, null or an object.
pub(super) fn has_object(message: &Map<String, Json>) -> bool {
    message.get("payload").is_none_or(|payload| payload.is_null() || payload.is_object())
}

/// The id and the request of a `subscribe` message.
pub(super) fn subscribe(mut message: Map<String, Json>) -> Result<(String, Asked), Close> {
    let invalid = |reason| Close(4400, reason);
    let id = match message.remove("id") {
        Some(Json::String(id)) if id.len() > LONGEST_ID => {
            return Err(invalid("Invalid message: an id has at most 256 bytes"));
        }
        Some(Json::String(id)) if !id.is_empty() => id,
        _ => return Err(invalid("Invalid message: subscribe needs an id")),
    };
    let Some(payload @ Json::Object(_)) = message.remove("payload") else {
        return Err(invalid("Invalid message: the payload must be an object"));
    };
    let asked: Option<Asked> = serde_json::from_value(payload).ok();
    let asked = asked.filter(Asked::names_a_document);
    asked.map(|asked| (id, asked)).ok_or_else(|| invalid("Invalid message: the payload must be a GraphQL request"))
}

/// A message of the protocol around a payload that is JSON already.
pub(super) fn envelope(id: Option<&str>, kind: &str, payload: &[u8]) -> Message {
    let mut json = Vec::with_capacity(payload.len() + 64);
    json.push(b'{');
    if let Some(id) = id {
        json.extend_from_slice(b"\"id\":");
        walk::json_string(id, &mut json);
        json.push(b',');
    }
    json.extend_from_slice(b"\"type\":\"");
    json.extend_from_slice(kind.as_bytes());
    json.push(b'"');
    if !payload.is_empty() {
        json.extend_from_slice(b",\"payload\":");
        json.extend_from_slice(payload);
    }
    json.push(b'}');
    // JSON is UTF-8: nothing is copied.
    let text = String::from_utf8(json).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    Message::Text(text)
}
