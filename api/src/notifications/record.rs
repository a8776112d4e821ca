//! Making notifications.

use std::collections::BTreeMap;

use entity::{
    NotificationId, ReminderId, TaskId, UserId, notification as row, notification_counter as counter,
    notification_event::{self as event, Kind},
};
use sea_orm::{
    ActiveValue::Set,
    DbErr, EntityTrait, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType, OnConflict},
};

use crate::platform::{Platform, bus::Hint, db::Tx};

/// A notification to be made.
#[derive(Clone, Debug)]
pub struct NewNotification {
    pub user_id: UserId,
    pub kind: row::Kind,
    pub title: String,
    pub message: String,
    pub task_id: Option<TaskId>,
    pub reminder_id: Option<ReminderId>,
    /// What causes it: the same cause makes no second one for the same person.
    pub cause: String,
}

/// Makes notifications with their events and counts. Gives back those that are new; the others were made
/// before, for the same cause.
///
/// # Errors
/// When the database fails.
pub async fn record(platform: &Platform, tx: &Tx, new: Vec<NewNotification>) -> Result<Vec<row::Model>, DbErr> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let now = platform.clock.now();
    // A microsecond apart, so that the list keeps the order in which they were due.
    let rows = new.into_iter().zip(0..).map(|(new, place)| row::ActiveModel {
        id: Set(NotificationId::from_uuid(platform.new_uuid())),
        user_id: Set(new.user_id),
        kind: Set(new.kind),
        // 200 characters are what the list shows.
        title: Set(new.title.chars().take(200).collect()),
        message: Set(new.message),
        task_id: Set(new.task_id),
        reminder_id: Set(new.reminder_id),
        cause: Set(new.cause),
        read_at: Set(None),
        created_at: Set(now + chrono::TimeDelta::microseconds(place)),
    });
    let once = OnConflict::columns([row::Column::UserId, row::Column::Cause]).do_nothing().to_owned();
    let made = match row::Entity::insert_many(rows).on_conflict(once).exec_with_returning(&**tx).await {
        Ok(made) => made,
        Err(DbErr::RecordNotInserted) => Vec::new(),
        Err(error) => return Err(error),
    };
    // Counter rows are locked in the order of their keys, so that two batches never wait for each other.
    let mut by_person: BTreeMap<UserId, Vec<NotificationId>> = BTreeMap::new();
    for notification in &made {
        by_person.entry(notification.user_id).or_default().push(notification.id);
    }
    for (user_id, ids) in by_person {
        let changes = ids.into_iter().map(|id| (Kind::Arrived, Some(id), 1)).collect();
        announce(platform, tx, user_id, changes).await?;
    }
    Ok(made)
}

/// Holds the person's counter until the end of the transaction. Whoever changes notifications that are there already
/// holds it first, so that nobody waits in a circle.
pub(super) async fn hold(tx: &Tx, user_id: UserId) -> Result<(), DbErr> {
    counter::Entity::find_by_id(user_id).lock(LockType::NoKeyUpdate).one(&**tx).await.map(drop)
}

/// A change to be announced: what happened, to which notification, and by how much the unread count changes.
pub(super) type Change = (Kind, Option<NotificationId>, i32);

/// Writes events with the counts right after each, and wakes the person's streams after the commit.
pub(super) async fn announce(platform: &Platform, tx: &Tx, user_id: UserId, changes: Vec<Change>) -> Result<(), DbErr> {
    let Some(count) = i64::try_from(changes.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
    let delta: i32 = changes.iter().map(|(_, _, delta)| delta).sum();
    let add = |column, by: i64| Expr::col((counter::Entity, column)).add(by);
    let bump = OnConflict::column(counter::Column::UserId)
        .value(counter::Column::LastSeq, add(counter::Column::LastSeq, count))
        .value(counter::Column::Unread, add(counter::Column::Unread, i64::from(delta)))
        .to_owned();
    let first = counter::ActiveModel { user_id: Set(user_id), last_seq: Set(count), unread: Set(delta) };
    let now_at = counter::Entity::insert(first).on_conflict(bump).exec_with_returning(&**tx).await?;
    let (mut seq, mut unread) = (now_at.last_seq - count, now_at.unread - delta);
    let created_at = platform.clock.now();
    let events = changes.into_iter().map(|(kind, notification_id, delta)| {
        seq += 1;
        unread += delta;
        event::ActiveModel {
            user_id: Set(user_id),
            seq: Set(seq),
            kind: Set(kind),
            notification_id: Set(notification_id),
            unread: Set(unread),
            created_at: Set(created_at),
        }
    });
    event::Entity::insert_many(events).exec_without_returning(&**tx).await?;
    tx.hint_after_commit(Hint::Person(user_id));
    Ok(())
}
