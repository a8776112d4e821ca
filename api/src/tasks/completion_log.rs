//! The completion log: what was done on which local day, for streaks and analytics. Append-only.
//! Promise: the sums by day (`completion_days`) are those of the log, because every entry is added to its sum in its own
//! transaction.

use chrono::NaiveDate;
use entity::{CompletionId, UserId, completion as row, completion_day as day};
use sea_orm::{
    ActiveEnum, ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    accounts,
    platform::{Platform, bus::Hint, calendar, clock::Instant, db::Tx, error::Fault},
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
        summed: Set(true),
    };
    append(tx, entry).await?;
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
    // The opposite entry has the moment of the original; clocks may have stepped, so that the newest is not the open one.
    let is_open = |entry: &row::Model| {
        let same = |it: &&row::Model| (it.completed_at, it.local_on) == (entry.completed_at, entry.local_on);
        entries.iter().filter(same).map(|it| i32::from(it.delta)).sum::<i32>() > 0
    };
    let Some(entry) = entries.iter().find(|entry| entry.delta > 0 && is_open(entry)).cloned() else { return Ok(()) };
    let opposite = row::ActiveModel {
        id: Set(CompletionId::from_uuid(platform.new_uuid())),
        user_id: Set(entry.user_id),
        subject: Set(entry.subject),
        subject_id: Set(entry.subject_id),
        delta: Set(-1),
        completed_at: Set(entry.completed_at),
        local_on: Set(entry.local_on),
        time_zone: Set(entry.time_zone),
        summed: Set(true),
    };
    append(tx, opposite).await
}

/// Writes an entry, and adds it to the sum of its day.
async fn append(tx: &Tx, entry: row::ActiveModel) -> Result<(), DbErr> {
    let row::Model { user_id, subject, local_on, delta, .. } = entry.insert(&**tx).await?;
    add(tx, (user_id, subject, local_on), delta);
    Ok(())
}

/// Adds to the sum of a day. It is a row that everything shares that its person completes on that day: see
/// [`Tx::add_at_last`].
fn add(tx: &Tx, (user_id, subject, local_on): (UserId, row::Subject, NaiveDate), delta: i16) {
    tx.hint_after_commit(Hint::Figures(user_id));
    let name = format!("completion_days {user_id} {} {local_on}", subject.to_value());
    tx.add_at_last(name, delta.into(), move |tx, by| {
        Box::pin(async move {
            let count = Set(i32::try_from(by).unwrap_or_default());
            let sum = day::ActiveModel { user_id: Set(user_id), subject: Set(subject), local_on: Set(local_on), count };
            let add = OnConflict::columns([day::Column::UserId, day::Column::Subject, day::Column::LocalOn])
                .value(day::Column::Count, Expr::cust("completion_days.count + excluded.count"))
                .to_owned();
            day::Entity::insert(sum).on_conflict(add).exec_without_returning(&**tx).await.map(drop)
        })
    });
}

/// Adds to the sums what an instance of an older release, which does not know of them, has written to the log.
///
/// # Errors
/// When the database fails.
pub async fn catch_up(platform: &Platform) -> Result<(), Fault> {
    platform
        .db
        .write::<_, Fault, _, _>(|tx| async move {
            let late = row::Entity::update_many()
                .col_expr(row::Column::Summed, Expr::value(true))
                .filter(row::Column::Summed.eq(false))
                .exec_with_returning(&*tx)
                .await?;
            for row::Model { user_id, subject, local_on, delta, .. } in late {
                add(&tx, (user_id, subject, local_on), delta);
            }
            Ok(())
        })
        .await
}
