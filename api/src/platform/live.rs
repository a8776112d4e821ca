//! Following what is numbered: replays what came after a number, then goes on with what comes.
//! Promise: nothing is lost and nothing comes twice. The stream reads the database; the bus only says when to look, and
//! a poll looks in any case.

use futures_util::{Stream, stream};

use super::{Platform, bus::PersonHints, error::Fault};

/// Items with the number of the last one; the number that was asked from when there are none.
pub type Batch<T> = (i64, Vec<T>);

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
            let (seen, items) = (self.read)(self.platform.clone(), self.seen).await?;
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
