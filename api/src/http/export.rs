//! The export of an account: one JSON document, written while it is read from the database, never whole in memory.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use poem::{
    Body, Request, Response,
    http::{HeaderMap, StatusCode, header},
};

use super::{Edge, answer, caller, graphql::comes_from_elsewhere};
use crate::platform::{error::Fault, scalars::DateTime};

/// Bytes that are gathered before they are sent.
const CHUNK: usize = 32 * 1024;

/// Serves `GET /graphql/export` to whoever is logged in.
pub(super) async fn serve(edge: Arc<Edge>, request: Request) -> Response {
    if comes_from_elsewhere(request.headers()) && !is_link_of_the_site(request.headers()) {
        let why = "The page of another site may ask by CORS alone.";
        return answer::fault(Fault::Forbidden(why), &request);
    }
    let origin = caller::origin(&edge, &request, true);
    let identified = match caller::identify(&edge, caller::credential(&edge, &request)).await {
        Ok(Some(identified)) => identified,
        Ok(None) => return answer::fault(Fault::Unauthenticated, &request),
        Err(fault) => return answer::fault(fault, &request),
    };
    let viewer = identified.viewer;
    if let Err(fault) = edge.accounts.may_export(viewer, &origin).await {
        return answer::fault(fault, &request);
    }
    let now = edge.platform.clock.now();
    let platform = edge.platform.clone();
    let head = stream::once(async move { Ok(format!("{{\"exportedAt\":\"{}\"", DateTime::text(now))) });
    let sections = stream::iter(platform.facts.exports.clone()).flat_map(move |(name, export)| {
        let open = stream::once(async move { Ok(format!(",\"{name}\":[")) });
        let items = export(platform.clone(), viewer.user_id)
            .enumerate()
            .map(|(index, item)| item.map(|item| if index > 0 { format!(",{item}") } else { item.to_string() }));
        open.chain(items).chain(stream::once(async { Ok("]".to_owned()) }))
    });
    let tail = stream::once(async { Ok("}\n".to_owned()) });
    let pieces = head.chain(sections).chain(tail).map(|piece: Result<String, Fault>| {
        piece.map_err(|fault| {
            // The document is cut off, which is no JSON: nobody takes it for whole.
            tracing::error!(?fault, "an export broke off");
            std::io::Error::other("the export broke off")
        })
    });
    let body = Body::from_bytes_stream(gathered(pieces.boxed()));
    let mut response = Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::CONTENT_DISPOSITION, "attachment; filename=\"spacedly-export.json\"")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body);
    caller::carry_on(&mut response, identified.cookie);
    response
}

/// Whether a browser follows a link of the same site: a front end has one to its export, and is another origin there.
fn is_link_of_the_site(headers: &HeaderMap) -> bool {
    let is = |name, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-site", "same-site") && is("sec-fetch-mode", "navigate")
}

/// Small pieces as larger ones: a write for each row would cost more than the row.
fn gathered(
    pieces: stream::BoxStream<'static, std::io::Result<String>>,
) -> impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> {
    stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            match pieces.next().await {
                Some(Ok(piece)) => chunk.extend_from_slice(piece.as_bytes()),
                Some(Err(error)) => return Some((Err(error), None)),
                None if chunk.is_empty() => return None,
                None => return Some((Ok(chunk), None)),
            }
        }
        Some((Ok(chunk), Some(pieces)))
    })
}
