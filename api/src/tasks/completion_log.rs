//! The completion log: what was done on which local day, for streaks and analytics. Append-only.

use entity::{CompletionId, UserId, completion as row};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    accounts,
    platform::{Platform, calendar, clock::Instant, db::Tx, error::Fault},
};

/// Writes down that something was done: the local day and the zone in force are frozen here.
///
/// # Errors
/// When the database fails.
pub async fn done(
    platform: &Platform,
    tx: &Tx,
    user_id: UserId,
    subject: row::Subject,
    subject_id: Uuid,
    at: Instant,
) -> Result<(), Fault> {
    let person = accounts::person(&**tx, user_id).await?;
    let zone = accounts::zone_of(platform, &person);
    let entry = row::ActiveModel {
        id: Set(CompletionId::from_uuid(platform.new_uuid())),
        user_id: Set(user_id),
        subject: Set(subject),
        subject_id: Set(subject_id),
        delta: Set(1),
        completed_at: Set(at),
        local_on: Set(calendar::local_day(at, &zone)),
        time_zone: Set(zone.iana_name().unwrap_or("UTC").to_owned()),
    };
    entry.insert(&**tx).await?;
    Ok(())
}

/// Takes back the newest entry about something, by the opposite entry on the same day. Does nothing when it was
/// taken back before.
///
/// # Errors
/// When the database fails.
pub async fn undone(platform: &Platform, tx: &Tx, subject_id: Uuid) -> Result<(), DbErr> {
    let entries = row::Entity::find()
        .filter(row::Column::SubjectId.eq(subject_id))
        .order_by_desc(row::Column::CompletedAt)
        .all(&**tx)
        .await?;
    let balance: i32 = entries.iter().map(|entry| i32::from(entry.delta)).sum();
    let newest = entries.into_iter().find(|entry| entry.delta > 0);
    let Some(entry) = newest.filter(|_| balance > 0) else { return Ok(()) };
    let opposite = row::ActiveModel {
        id: Set(CompletionId::from_uuid(platform.new_uuid())),
        user_id: Set(entry.user_id),
        subject: Set(entry.subject),
        subject_id: Set(entry.subject_id),
        delta: Set(-1),
        completed_at: Set(entry.completed_at),
        local_on: Set(entry.local_on),
        time_zone: Set(entry.time_zone),
    };
    opposite.insert(&**tx).await.map(drop)
}
