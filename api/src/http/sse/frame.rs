//! Events as bytes (the HTML standard, section 9.2.5, and PROTOCOL.md of graphql-sse).
//! Promise: an event is one block whatever its data holds; JSON as we write it has no line ends.

use crate::platform::walk::json_string;

/// A comment: it keeps the connection alive, and no client hears of it.
pub(super) const COMMENT: &[u8] = b":\n\n";

/// An answer, which is JSON already. An id is told in single connection mode.
pub(super) fn next(id: Option<&str>, answer: &[u8]) -> Vec<u8> {
    let mut event = Vec::with_capacity(answer.len() + 96);
    event.extend_from_slice(b"event: next\ndata: ");
    match id {
        None => event.extend_from_slice(answer),
        Some(id) => {
            event.extend_from_slice(b"{\"id\":");
            json_string(id, &mut event);
            event.extend_from_slice(b",\"payload\":");
            event.extend_from_slice(answer);
            event.push(b'}');
        }
    }
    event.extend_from_slice(b"\n\n");
    event
}

/// The end of an operation.
pub(super) fn complete(id: Option<&str>) -> Vec<u8> {
    let mut event = b"event: complete\ndata:".to_vec();
    if let Some(id) = id {
        event.extend_from_slice(b" {\"id\":");
        json_string(id, &mut event);
        event.push(b'}');
    }
    event.extend_from_slice(b"\n\n");
    event
}
