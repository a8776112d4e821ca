//! Following what is numbered: replays what came after a number, then goes on with what comes.
//! Promise: nothing is lost and nothing comes twice. The stream reads the database; the bus only says when to look, and
//! a poll looks in any case.

use futures_util::{Stream, stream};

use super::{Platform, bus::PersonHints, error::Fault, scalars::Cursor};

/// Items with the number of the last one; the number that was asked from when there are none.
pub type Batch<T> = (i64, Vec<T>);

/// The number that a cursor of a stream stands for, whose newest one is `last`.
///
/// # Errors
/// BAD_REQUEST when it is not one of that stream.
pub fn number_of(cursor: &Cursor, last: i64, stream: &str) -> Result<i64, Fault> {
    let number = cursor.0.parse::<i64>().ok().filter(|number| (0..=last).contains(number));
    number.ok_or_else(|| Fault::BadRequest(format!("This cursor does not come from {stream}.")))
}

struct Reader<T, F> {
    platform: Platform,
    hints: PersonHints,
    seen: i64,
    waiting: std::vec::IntoIter<T>,
    read: F,
}

/// Follows a person's items from after `seen` on. `hints` were asked for before `seen` was looked up, so that what came
/// in between is seen. The stream ends with the first fault: the client goes on from its last cursor.
pub fn follow<T, F, Fut>(
    platform: Platform,
    hints: PersonHints,
    seen: i64,
    read: F,
) -> impl Stream<Item = Result<T, Fault>> + Send
where
    T: Send,
    F: Fn(Platform, i64) -> Fut + Send,
    Fut: Future<Output = Result<Batch<T>, Fault>> + Send,
{
    let reader = Reader { platform, hints, seen, waiting: Vec::new().into_iter(), read };
    stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(item) => Some((Ok(item), Some(reader))),
            Err(fault) => Some((Err(fault), None)),
        }
    })
}

impl<T, F, Fut> Reader<T, F>
where
    F: Fn(Platform, i64) -> Fut,
    Fut: Future<Output = Result<Batch<T>, Fault>>,
{
    async fn next(&mut self) -> Result<T, Fault> {
        loop {
            if let Some(item) = self.waiting.next() {
                return Ok(item);
            }
            // In room of its own: one that waits does not keep it.
            let (seen, items) = Box::pin((self.read)(self.platform.clone(), self.seen)).await?;
            self.seen = seen;
            self.waiting = items.into_iter();
            if self.waiting.len() == 0 {
                let poll = self.platform.config.sockets.poll;
                tokio::select! {
                    () = self.hints.changed() => {}
                    () = tokio::time::sleep(poll) => {}
                }
            }
        }
    }
}
