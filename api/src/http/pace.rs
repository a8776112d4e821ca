//! Bodies that must come at a pace: who sends a byte a minute holds nothing for long.

use std::{io, time::Duration};

use futures_util::{Stream, StreamExt, stream, stream::BoxStream};
use hyper::body::Bytes;
use poem::Body;
use tokio::time::{Instant, timeout_at};

/// What a body must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long it may take in any case.
    pub(super) grace: Duration,
    /// After that it must have come with so many bytes a second on the whole.
    pub(super) rate: u64,
}

/// The bytes of a body, which ends with an error of the kind TimedOut when it falls behind.
pub(super) fn paced(body: Body, pace: Pace) -> BoxStream<'static, io::Result<Bytes>> {
    let began = Instant::now();
    let bytes = body.into_bytes_stream().boxed();
    // Readers ask once more after the end.
    keep(bytes, pace, began).fuse().boxed()
}

fn keep(
    bytes: BoxStream<'static, io::Result<Bytes>>,
    pace: Pace,
    began: Instant,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some((bytes, 0u64)), move |state| async move {
        let (mut bytes, received) = state?;
        let earned = Duration::from_secs_f64(received as f64 / pace.rate.max(1) as f64);
        match timeout_at(began + pace.grace + earned, bytes.next()).await {
            Ok(Some(Ok(piece))) => {
                let received = received + piece.len() as u64;
                Some((Ok(piece), Some((bytes, received))))
            }
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}

/// Reads on for a while without keeping anything, so that a client that is still sending gets to read why it was
/// refused; cut off at once, it would only see its connection fail.
pub(super) async fn drain(body: &mut BoxStream<'static, io::Result<Bytes>>, most: u64, patience: Duration) {
    let until = Instant::now() + patience;
    let mut left = most;
    while let Ok(Some(Ok(piece))) = timeout_at(until, body.next()).await {
        match left.checked_sub(piece.len() as u64) {
            Some(less) => left = less,
            None => return,
        }
    }
}
