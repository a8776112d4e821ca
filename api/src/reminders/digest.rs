//! The morning digest: which local days of a person are settled, and when the next one is due.
//! Promise: exactly one digest a local day, whatever the zone does, the person changes, or the server missed: the last
//! settled day only ever moves on, in the transaction that sends a mail on its way.

use std::collections::HashMap;

use chrono::NaiveDate;
use entity::{UserId, digest as row, user};
use futures_util::future::BoxFuture;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, OnConflict},
};

use super::{
    digest_mail::{self, MAIL},
    digest_rule as rule,
};
use crate::{
    accounts,
    platform::{
        Platform,
        clock::Instant,
        crash,
        db::Tx,
        error::Fault,
        facts::DayChanged,
        jobs::{self, ByHand, Engine, Failed, Held, NewJob},
    },
};

/// Settles a person's local day. (Migration 19 writes this name too.)
const DAY: &str = "reminders.digest";

/// Registers the jobs of the digest.
pub(super) fn register_jobs(engine: &mut Engine) {
    engine.transactions(DAY, |platform, tx, held| async move { settle(&platform, &tx, held, None).await });
    engine.when_failed(plan_anew);
    engine.singles(MAIL, digest_mail::send).while_there(|platform| platform.mailer.pass());
}

/// A day that is given up is looked at again: nobody else would plan the next one.
fn plan_anew<'a>(platform: &'a Platform, tx: &'a Tx, failed: &'a Failed) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        if failed.next_attempt_at.is_some() {
            return Ok(());
        }
        let due_at = platform.clock.after(platform.config.jobs.retry_longest);
        let job = NewJob { kind: DAY, subject_id: failed.job.subject_id, user_id: failed.job.user_id, due_at };
        Ok(jobs::enqueue(platform, tx, &[job]).await?)
    })
}

/// Moves the settled days on as if the digests that were due had been mailed, and mails none: by hand.
///
/// # Errors
/// When the database fails.
pub(super) async fn settle_by_hand(platform: &Platform, tx: &Tx, by: &ByHand<'_>) -> Result<u64, Fault> {
    let (mut settled, mut after) = (0, None);
    loop {
        let due = by.jobs(tx, DAY, after).await?;
        let Some(last) = due.last() else { break };
        after = Some(last.id);
        settled += due.len() as u64;
        settle(platform, tx, due, Some(by.until)).await?;
    }
    // Those that were on their way.
    while let due @ [_, ..] = &by.jobs(tx, MAIL, None).await?[..] {
        jobs::finish(tx, due).await?;
    }
    Ok(settled)
}

/// Settles the days of these people as of now; or, by hand, as of a moment that is over, and without a mail.
async fn settle(platform: &Platform, tx: &Tx, held: Vec<Held>, by_hand: Option<Instant>) -> Result<(), Fault> {
    let ours = jobs::finish(tx, &held).await?;
    let ids = held.iter().filter(|job| ours.contains(&job.id)).map(|job| UserId::from_uuid(job.subject_id));
    let ids: Vec<UserId> = ids.collect();
    let people = user::Entity::find().filter(user::Column::Id.is_in(ids.iter().copied())).all(&**tx).await?;
    let settled = last_days(tx, &ids).await?;
    let now = by_hand.unwrap_or_else(|| platform.clock.now());
    let (mut days, mut work) = (Vec::new(), Vec::new());
    for person in people {
        let Some(minute) = person.digest_minute else { continue };
        let zone = accounts::zone_of(platform, &person);
        let mut last = settled.get(&person.id).copied().unwrap_or_else(|| rule::first(now, &zone, minute));
        let user_id = Some(person.id);
        let is_due = rule::next(last, now, &zone, minute).is_some_and(|(_, due_at)| due_at <= now);
        if let Some(today) = rule::settles(last, now, &zone).filter(|_| is_due) {
            last = today;
            if by_hand.is_none() {
                work.push(NewJob { kind: MAIL, subject_id: person.id.uuid(), user_id, due_at: now });
            }
        }
        if settled.get(&person.id) != Some(&last) {
            days.push((person.id, last));
        }
        if let Some((_, due_at)) = rule::next(last, now, &zone, minute) {
            work.push(NewJob { kind: DAY, subject_id: person.id.uuid(), user_id, due_at });
        }
    }
    keep(platform, tx, days).await?;
    crash::point("digest");
    jobs::enqueue(platform, tx, &work).await?;
    Ok(())
}

async fn last_days(tx: &Tx, people: &[UserId]) -> Result<HashMap<UserId, NaiveDate>, DbErr> {
    let rows = row::Entity::find().filter(row::Column::UserId.is_in(people.iter().copied())).all(&**tx).await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.last_on)).collect())
}

async fn keep(platform: &Platform, tx: &Tx, days: Vec<(UserId, NaiveDate)>) -> Result<(), DbErr> {
    if days.is_empty() {
        return Ok(());
    }
    let rows = days.into_iter().map(|(user_id, last_on)| row::ActiveModel {
        user_id: Set(user_id),
        last_on: Set(last_on),
        mail_id: Set(platform.new_uuid()),
    });
    let anew =
        OnConflict::column(row::Column::UserId).update_columns([row::Column::LastOn, row::Column::MailId]).to_owned();
    row::Entity::insert_many(rows).on_conflict(anew).exec_without_returning(&**tx).await.map(drop)
}

/// Plans the next digest of a person whose day is another one now.
pub fn on_day_changed<'a>(platform: &'a Platform, tx: &'a Tx, fact: DayChanged) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        let subject_id = fact.user_id.uuid();
        let person = accounts::person(&**tx, fact.user_id).await?;
        let Some(minute) = person.digest_minute else {
            return Ok(jobs::cancel(tx, &[DAY], &[subject_id]).await?);
        };
        let (now, zone) = (platform.clock.now(), accounts::zone_of(platform, &person));
        let kept = row::Entity::find_by_id(fact.user_id).lock(LockType::NoKeyUpdate).one(&**tx).await?;
        let kept = kept.map(|row| row.last_on);
        let first = rule::first(now, &zone, minute);
        let last = match kept {
            Some(last) if !fact.anew => last,
            Some(last) => last.max(first),
            None => first,
        };
        if kept != Some(last) {
            keep(platform, tx, vec![(fact.user_id, last)]).await?;
        }
        let Some((_, due_at)) = rule::next(last, now, &zone, minute) else { return Ok(()) };
        let job = NewJob { kind: DAY, subject_id, user_id: Some(fact.user_id), due_at };
        Ok(jobs::enqueue(platform, tx, &[job]).await?)
    })
}
