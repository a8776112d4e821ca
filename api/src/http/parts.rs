//! The parts of a multipart body, as they come.
//! Promise: little of a body is in memory at any time, whatever its client sends instead of parts. (The parser has a
//! limit for a whole body and none for what stands before a part: it would keep all of it, and look through it again
//! with every piece that comes.)

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, ready},
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use hyper::body::Bytes;
use multer::{Constraints, Field, Multipart, SizeLimit};
use poem::http::StatusCode;

use super::graphql::Stop;

/// The parser is given no more once it holds so many bytes of which nothing came: what stands before the first part, or
/// the head of a part. A head has some hundred bytes.
const MOST_WAITING: usize = 64 * 1024;

/// Those of one body.
pub(super) struct Parts<'b> {
    parser: Multipart<'b>,
    /// Bytes that the parser was given since anything came of them.
    waiting: Arc<AtomicUsize>,
}

impl<'b> Parts<'b> {
    /// Those between lines of this boundary, of so many bytes on the whole at most.
    pub(super) fn of(body: &'b mut BoxStream<'static, io::Result<Bytes>>, boundary: String, most: u64) -> Self {
        let waiting = Arc::<AtomicUsize>::default();
        let given = waiting.clone();
        let (mut is_fed, mut last) = (false, 0);
        let pieces = stream::poll_fn(move |context| {
            // The parser takes all that it gets before it looks at any of it: so it gets one piece at a time.
            if std::mem::take(&mut is_fed) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            // It may not have looked at the last one yet.
            if given.load(Ordering::Relaxed).saturating_sub(last) >= MOST_WAITING {
                return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into())));
            }
            let piece: Option<io::Result<Bytes>> = ready!(body.poll_next_unpin(context));
            if let Some(Ok(bytes)) = &piece {
                (is_fed, last) = (true, bytes.len());
                given.fetch_add(bytes.len(), Ordering::Relaxed);
            }
            Poll::Ready(piece)
        });
        let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(most));
        Self { parser: Multipart::with_constraints(pieces, boundary, constraints), waiting }
    }

    /// The next one. None: that was all.
    pub(super) async fn next(&mut self) -> Result<Option<Field<'b>>, Stop> {
        let part = self.parser.next_field().await.map_err(broken)?;
        self.waiting.store(0, Ordering::Relaxed);
        Ok(part)
    }

    /// The next piece of one. None: that was all of it.
    pub(super) async fn piece(&mut self, part: &mut Field<'b>) -> Result<Option<Bytes>, Stop> {
        let piece = part.chunk().await.map_err(broken)?;
        self.waiting.store(0, Ordering::Relaxed);
        Ok(piece)
    }
}

/// A body that cannot be read on.
fn broken(error: multer::Error) -> Stop {
    let bad = |message: &str| Stop::new(StatusCode::BAD_REQUEST, message);
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut) => Stop::new(StatusCode::REQUEST_TIMEOUT, "The upload was too slow."),
            Some(io::ErrorKind::InvalidData) => {
                let message = format!("A part begins, and its head ends, within {MOST_WAITING} bytes.");
                Stop::new(StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            _ => bad("The body broke off."),
        },
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            Stop::new(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.")
        }
        _ => bad("The body is not a multipart request."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 16 * 1024;

    /// A body that begins like this and goes on with a megabyte, all of it there at once; and how much of it was taken.
    fn body(begins: &'static str, ends: &'static str) -> (BoxStream<'static, io::Result<Bytes>>, Arc<AtomicUsize>) {
        let taken = Arc::<AtomicUsize>::default();
        let counted = taken.clone();
        let megabyte = stream::iter((0..64).map(move |_| {
            counted.fetch_add(PIECE, Ordering::Relaxed);
            Ok(Bytes::from(vec![b'a'; PIECE]))
        }));
        let (first, last) = (Bytes::from_static(begins.as_bytes()), Bytes::from_static(ends.as_bytes()));
        let first = stream::iter([Ok(first)]);
        (first.chain(megabyte).chain(stream::iter([Ok(last)])).boxed(), taken)
    }

    #[tokio::test]
    async fn what_does_not_become_a_part_is_read_for_a_while_and_no_longer() {
        for begins in ["", "--x\r\nx: "] {
            let (mut body, taken) = body(begins, "");
            let Err(stop) = Parts::of(&mut body, "x".into(), u64::MAX).next().await else { panic!("{begins:?}") };
            assert_eq!(stop.status, StatusCode::PAYLOAD_TOO_LARGE, "{begins:?}");
            let taken = taken.load(Ordering::Relaxed);
            assert!(taken <= MOST_WAITING + 2 * PIECE, "{begins:?}: {taken}");
        }
    }

    /// The parser looks at a piece only once it has asked for the next one.
    #[tokio::test]
    async fn a_large_piece_that_ends_a_boundary_is_looked_at() {
        let head = b"-x\r\ncontent-disposition: form-data; name=\"f\"\r\n\r\n";
        let second = [&head[..], &[b'a'; MOST_WAITING]].concat();
        let pieces = [Ok(Bytes::from_static(b"-")), Ok(Bytes::from(second)), Ok(Bytes::from_static(b"\r\n--x--\r\n"))];
        let mut body = stream::iter(pieces).boxed();
        let mut parts = Parts::of(&mut body, "x".into(), u64::MAX);
        let Ok(Some(mut part)) = parts.next().await else { panic!("there is one") };
        let mut length = 0;
        while let Ok(Some(piece)) = parts.piece(&mut part).await {
            length += piece.len();
        }
        assert_eq!(length, MOST_WAITING);
    }

    #[tokio::test]
    async fn a_large_part_is_handed_out_as_it_comes() {
        let (mut body, taken) = body("--x\r\ncontent-disposition: form-data; name=\"f\"\r\n\r\n", "\r\n--x--\r\n");
        let mut parts = Parts::of(&mut body, "x".into(), u64::MAX);
        let Ok(Some(mut part)) = parts.next().await else { panic!("there is one") };
        let mut length = 0;
        while let Ok(Some(piece)) = parts.piece(&mut part).await {
            length += piece.len();
            let taken = taken.load(Ordering::Relaxed);
            assert!(taken <= length + PIECE, "no more than a piece waits: {taken} taken, {length} handed out");
        }
        assert_eq!(length, 64 * PIECE);
        drop(part);
        assert!(matches!(parts.next().await, Ok(None)), "that was all");
    }
}
