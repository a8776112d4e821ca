//! The live stream of notifications: numbered events, each with the unread count right after it.
//! Promise: a badge that shows the last count it was sent equals the query.

use std::collections::HashMap;

use async_graphql::{Enum, ID, SimpleObject};
use entity::{
    NotificationId, UserId, notification as row, notification_counter as counter, notification_event as event,
};
use futures_util::Stream;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};

use super::graphql::Notification;
use crate::platform::{
    Platform,
    error::Fault,
    live::{Batch, follow, number_of},
    scalars::{Cursor, DateTime},
    viewer::Viewer,
};

const STREAM: &str = "notificationEvents";
/// How many events are read at once.
const BATCH: u64 = 100;

/// What happened to the viewer's notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::notification_event::Kind")]
pub(crate) enum NotificationEventKind {
    /// A notification arrived.
    Arrived,
    /// One, or all of them, were read.
    Read,
    /// One, or several, were deleted.
    Deleted,
}

/// A change of the viewer's notifications, with the unread count right after it.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct NotificationEvent {
    /// Its place in the stream: subscribe again with it as `after` to go on from here.
    cursor: Cursor,
    /// What happened.
    kind: NotificationEventKind,
    /// The notification. Null: it was deleted, or the event is about several.
    notification: Option<Notification>,
    /// Which one, also when it is deleted. Null: the event is about several.
    notification_id: Option<ID>,
    /// How many are unread right after this. Absolute: show it as it is.
    unread_notification_count: i32,
    /// When it happened.
    occurred_at: DateTime,
}

/// The stream of a viewer from a cursor, or from now on.
///
/// # Errors
/// BAD_REQUEST when the cursor is not one of this stream; CURSOR_EXPIRED when it is too old to go on from.
pub(super) async fn events(
    platform: Platform,
    viewer: Viewer,
    after: Option<Cursor>,
) -> Result<impl Stream<Item = Result<NotificationEvent, Fault>>, Fault> {
    // First the hints, then the position: what comes in between is seen.
    let hints = platform.bus.person(viewer.user_id);
    let counter = counter::Entity::visible_to(viewer.user_id).one(platform.db.read()).await?;
    let last_seq = counter.map_or(0, |counter| counter.last_seq);
    let seen = match after {
        None => last_seq,
        Some(cursor) => resume(&platform, viewer.user_id, &cursor, last_seq).await?,
    };
    let read = move |platform: Platform, seen| read(platform, viewer.user_id, seen);
    Ok(follow(platform, hints, seen, read))
}

async fn resume(platform: &Platform, user_id: UserId, cursor: &Cursor, last_seq: i64) -> Result<i64, Fault> {
    let seq = number_of(cursor, last_seq, STREAM)?;
    if seq < last_seq {
        let next = event::Entity::visible_to(user_id).filter(event::Column::Seq.eq(seq + 1));
        if next.one(platform.db.read()).await?.is_none() {
            return Err(Fault::CursorExpired(STREAM));
        }
    }
    Ok(seq)
}

async fn read(platform: Platform, user_id: UserId, seen: i64) -> Result<Batch<NotificationEvent>, Fault> {
    let db = platform.db.read();
    let events = event::Entity::visible_to(user_id)
        .filter(event::Column::Seq.gt(seen))
        .order_by_asc(event::Column::Seq)
        .limit(BATCH)
        .all(db)
        .await?;
    let Some(last) = events.last() else { return Ok((seen, Vec::new())) };
    let seen = last.seq;
    let ids: Vec<NotificationId> = events.iter().filter_map(|event| event.notification_id).collect();
    let mut notifications: HashMap<NotificationId, row::Model> = HashMap::new();
    if !ids.is_empty() {
        let rows = row::Entity::visible_to(user_id).filter(row::Column::Id.is_in(ids)).all(db).await?;
        notifications.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    let shown = events
        .into_iter()
        .map(|event| NotificationEvent {
            cursor: Cursor(event.seq.to_string()),
            kind: event.kind.into(),
            notification: event.notification_id.and_then(|id| notifications.get(&id)).cloned().map(Into::into),
            notification_id: event.notification_id.map(|id| ID(id.to_string())),
            unread_notification_count: event.unread,
            occurred_at: DateTime(event.created_at),
        })
        .collect();
    Ok((seen, shown))
}
