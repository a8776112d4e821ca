//! The live stream of attachments: each as it is after its last change.
//! Promise: whoever follows it ends up with the state that the query shows of every attachment that is there. A state
//! that was passed through quickly may be skipped; the last one never is. Deletions are not told.

use async_graphql::SimpleObject;
use entity::{attachment as row, storage_counter as counter};
use futures_util::Stream;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};

use super::graphql::Attachment;
use crate::platform::{
    Platform,
    error::Fault,
    live::{Batch, follow, number_of},
    scalars::{Cursor, DateTime},
    viewer::Viewer,
};

const STREAM: &str = "attachmentEvents";
/// How many changes are read at once.
const BATCH: u64 = 100;

/// An attachment of the viewer's that changed.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct AttachmentEvent {
    /// Its place in the stream: subscribe again with it as `after` to go on from here.
    cursor: Cursor,
    /// The attachment as it is now.
    attachment: Attachment,
    /// When it changed.
    occurred_at: DateTime,
}

/// The stream of a viewer from a cursor, or from now on.
///
/// # Errors
/// BAD_REQUEST when the cursor is not one of this stream; CURSOR_EXPIRED when it is of before a restored backup.
pub(super) async fn events(
    platform: Platform,
    viewer: Viewer,
    after: Option<Cursor>,
) -> Result<impl Stream<Item = Result<AttachmentEvent, Fault>>, Fault> {
    // First the hints, then the position: what comes in between is seen.
    let hints = platform.bus.person(viewer.user_id);
    let counter = counter::Entity::visible_to(viewer.user_id).one(platform.db.read()).await?;
    let last_seq = counter.map_or(0, |counter| counter.last_seq);
    let seen = match after {
        None => last_seq,
        Some(cursor) => number_of(&cursor, last_seq, STREAM)?,
    };
    Ok(follow(platform, hints, seen, move |platform, seen| read(platform, viewer, seen)))
}

async fn read(platform: Platform, viewer: Viewer, seen: i64) -> Result<Batch<AttachmentEvent>, Fault> {
    let changed = row::Entity::visible_to(viewer.user_id)
        .filter(row::Column::Seq.gt(seen))
        .order_by_asc(row::Column::Seq)
        .limit(BATCH)
        .all(platform.db.read())
        .await?;
    let last = changed.last().map_or(seen, |file| file.seq);
    let shown = |file: row::Model| AttachmentEvent {
        cursor: Cursor(file.seq.to_string()),
        occurred_at: DateTime(file.updated_at),
        attachment: file.into(),
    };
    Ok((last, changed.into_iter().map(shown).collect()))
}
