//! Following what is numbered: replays what came after a number, then goes on with what comes.
//! Promise: nothing is lost and nothing comes twice. The stream reads the database; the bus only says when to look, and
//! a poll looks in any case.

use futures_util::{Stream, stream};
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr};

use super::{Platform, bus::PersonHints, clock::Instant, db::Tx, error::Fault, scalars::Cursor};

/// Items with the number of the last one; the number that was asked from when there are none.
pub type Batch<T> = (i64, Vec<T>);

/// How many numbers an era has. A database that comes from a backup begins a new one: numbers that were given out after
/// the backup are given out again else, and whoever has one of the first would pass over as many of the second. An era
/// is numbered by the second in which it begins, so that two lives of one backup differ too; the first is 0.
const ERA: i64 = 1 << 31;

/// The number that a cursor of a stream stands for, whose newest one is `last`.
///
/// # Errors
/// BAD_REQUEST when it is no cursor of such a stream; CURSOR_EXPIRED when it is one of before the database was restored.
pub fn number_of(cursor: &Cursor, last: i64, stream: &'static str) -> Result<i64, Fault> {
    let number = cursor.0.parse::<i64>().ok().filter(|number| *number >= 0);
    let number = number.ok_or_else(|| Fault::BadRequest(format!("This cursor does not come from {stream}.")))?;
    // One that lies ahead is of what was lost, too, or made up.
    if number > last || number / ERA != last / ERA {
        return Err(Fault::CursorExpired(stream));
    }
    Ok(number)
}

/// Begins a new era of the numbers that a table of counters gives out, for every person: cursors of before are refused
/// from now on. `rest` is the table's third column, 0 for who has no counter yet.
///
/// # Errors
/// When the database fails.
pub async fn begin_era(tx: &Tx, now: Instant, counters: &'static str, rest: &'static str) -> Result<(), DbErr> {
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        // Every person's row: it takes as long as it takes.
        tx.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
    }
    let missing = format!(
        "INSERT INTO {counters} (user_id, last_seq, {rest}) SELECT id, 0, 0 FROM users \
         WHERE NOT EXISTS (SELECT 1 FROM {counters} WHERE user_id = users.id)"
    );
    tx.execute_unprepared(&missing).await?;
    let era = now.timestamp();
    let begin = format!(
        "UPDATE {counters} SET last_seq = {ERA} * CASE WHEN last_seq / {ERA} < {era} THEN {era} ELSE last_seq / {ERA} + 1 END"
    );
    tx.execute_unprepared(&begin).await.map(drop)
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
