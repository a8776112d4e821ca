//! How long what a session opened may stay open: sockets and event streams.
//! Promise: it ends with the last access token of its session, with the session itself, and with the server; a refresh,
//! on whichever instance, carries it on.

use entity::SessionId;
use tokio::sync::broadcast::{self, error::RecvError};

use super::Edge;
use crate::platform::{clock::Instant, viewer::Viewer};

/// Why it ends.
pub(super) enum Over {
    /// The server stops.
    Stopping,
    /// The last access token has expired.
    Expired,
    /// The session was ended.
    Ended,
}

/// Waits until it is to end. `ended` was asked for before the session was looked up, so that an end in between is
/// heard of. Who is nobody has no session that could end.
pub(super) async fn over(
    edge: &Edge,
    session: Option<(Viewer, Instant)>,
    ended: broadcast::Receiver<Option<SessionId>>,
) -> Over {
    tokio::select! {
        biased;
        () = edge.stop.cancelled() => Over::Stopping,
        () = expiry(edge, session) => Over::Expired,
        () = revocation(edge, session, ended) => Over::Ended,
    }
}

/// Whether the session has ended where this instance did not hear of it, being cut off from the bus: nothing more is
/// told then.
pub(super) async fn has_ended_unheard(edge: &Edge, viewer: Option<Viewer>) -> bool {
    match viewer {
        Some(viewer) => matches!(Box::pin(edge.accounts.is_alive(viewer)).await, Ok(false)),
        None => false,
    }
}

async fn revocation(
    edge: &Edge,
    session: Option<(Viewer, Instant)>,
    mut ended: broadcast::Receiver<Option<SessionId>>,
) {
    let Some((viewer, _)) = session else { return std::future::pending().await };
    loop {
        match ended.recv().await {
            Ok(Some(session)) if session == viewer.session_id => return,
            Ok(Some(_)) => {}
            // Something was missed: look. A database that is away ends nothing.
            Ok(None) | Err(RecvError::Lagged(_)) => {
                if matches!(Box::pin(edge.accounts.is_alive_still(viewer)).await, Ok(false)) {
                    return;
                }
            }
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// Waits until the session has no access token any more: a refresh moves that moment on.
async fn expiry(edge: &Edge, session: Option<(Viewer, Instant)>) {
    let Some((viewer, mut until)) = session else { return std::future::pending().await };
    loop {
        let left = (until - edge.platform.clock.now()).to_std().unwrap_or_default();
        edge.platform.clock.sleep(left).await;
        match Box::pin(edge.accounts.access_until(viewer)).await {
            Ok(Some(later)) if later > until => until = later,
            Ok(_) => return,
            Err(fault) => {
                tracing::warn!(?fault, "the session behind a connection could not be looked up; it is closed");
                return;
            }
        }
    }
}
