//! The delivery ledger: opening a round of deliveries with the jobs that fulfil them, and closing it.

use entity::{
    DeliveryId, ReminderId,
    delivery::{self as row, Channel, State},
    reminder,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, UpdateMany, sea_query::Expr};

use super::{
    dispatch::{EMAIL, IN_APP, PUSH, job_of},
    rules,
};
use crate::{
    notifications,
    platform::{
        Platform,
        clock::Instant,
        db::Tx,
        jobs::{self, NewJob},
    },
};

/// The states of what is still to be delivered.
const OPEN: [State; 2] = [State::Pending, State::Held];

/// Opens the round of a reminder: one delivery a channel, and a job for each that is sent by one.
pub(super) async fn open_round(
    platform: &Platform,
    tx: &Tx,
    reminder: &reminder::Model,
    lead_minutes: i32,
    now: Instant,
) -> Result<(), DbErr> {
    let plan = rules::plan(reminder.kind, reminder.scheduled_at, lead_minutes, now);
    open(platform, tx, reminder, plan, now).await
}

async fn open(
    platform: &Platform,
    tx: &Tx,
    reminder: &reminder::Model,
    plan: Vec<(Channel, Instant)>,
    now: Instant,
) -> Result<(), DbErr> {
    if plan.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut work = Vec::new();
    for (channel, due_at) in plan {
        let id = DeliveryId::from_uuid(platform.new_uuid());
        rows.push(row::ActiveModel {
            id: Set(id),
            user_id: Set(reminder.user_id),
            reminder_id: Set(reminder.id),
            round: Set(reminder.round),
            channel: Set(channel),
            state: Set(State::Pending),
            due_at: Set(due_at),
            attempts: Set(0),
            next_attempt_at: Set(Some(due_at)),
            sent_at: Set(None),
            error: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
        });
        let user_id = Some(reminder.user_id);
        work.push(NewJob { kind: job_of(channel), subject_id: id.uuid(), user_id, due_at });
    }
    row::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    jobs::enqueue(platform, tx, &work).await
}

/// Makes the present round fit a reminder that goes out by other ways now: what was sent stays sent, what is wanted
/// still, or again, is to be sent.
pub(super) async fn fit_round(
    platform: &Platform,
    tx: &Tx,
    reminder: &reminder::Model,
    lead_minutes: i32,
    now: Instant,
) -> Result<(), DbErr> {
    // Those that were not sent begin anew: the jobs they had are cancelled.
    row::Entity::delete_many()
        .filter(row::Column::ReminderId.eq(reminder.id))
        .filter(row::Column::Round.eq(reminder.round))
        .filter(row::Column::State.ne(State::Sent))
        .exec(&**tx)
        .await?;
    let sent = row::Entity::find()
        .filter(row::Column::ReminderId.eq(reminder.id))
        .filter(row::Column::Round.eq(reminder.round))
        .all(&**tx)
        .await?;
    let mut plan = rules::plan(reminder.kind, reminder.scheduled_at, lead_minutes, now);
    plan.retain(|(channel, _)| sent.iter().all(|delivery| delivery.channel != *channel));
    open(platform, tx, reminder, plan, now).await
}

/// Cancels what is still to be delivered of these reminders. Locks jobs before deliveries, as dispatching does, so that
/// the two never wait for each other.
pub(super) async fn cancel(tx: &Tx, reminders: &[ReminderId], now: Instant) -> Result<(), DbErr> {
    if reminders.is_empty() {
        return Ok(());
    }
    let pending = row::Entity::find()
        .filter(row::Column::ReminderId.is_in(reminders.iter().copied()))
        .filter(row::Column::State.is_in(OPEN))
        .all(&**tx)
        .await?;
    let subjects: Vec<_> = pending.iter().map(|delivery| delivery.id.uuid()).collect();
    jobs::cancel(tx, &[IN_APP, EMAIL, PUSH], &subjects).await?;
    let ids: Vec<DeliveryId> = pending.iter().map(|delivery| delivery.id).collect();
    let held = pending.iter().filter(|delivery| delivery.state == State::Held).map(|delivery| delivery.id);
    notifications::release(tx, &held.collect::<Vec<_>>()).await?;
    close(tx, &ids, State::Cancelled, None, now).await
}

/// Closes deliveries that were handed over, and counts how late they were.
pub(super) async fn sent(platform: &Platform, tx: &Tx, deliveries: &[DeliveryId], now: Instant) -> Result<(), DbErr> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let closed = closing(deliveries, State::Sent, Some(now), None, now).exec_with_returning(&**tx).await?;
    let metrics = platform.metrics.clone();
    tx.after_commit(move || {
        for delivery in closed {
            let channel = match delivery.channel {
                Channel::InApp => "in_app",
                Channel::Email => "email",
                Channel::Push => "push",
            };
            metrics.delivered(channel, (now - delivery.due_at).to_std().unwrap_or_default());
        }
    });
    Ok(())
}

/// Closes deliveries that had nowhere to go.
pub(super) async fn skipped(tx: &Tx, deliveries: &[DeliveryId], why: &str, now: Instant) -> Result<(), DbErr> {
    close(tx, deliveries, State::Skipped, Some(why), now).await
}

async fn close(
    tx: &Tx,
    deliveries: &[DeliveryId],
    state: State,
    error: Option<&str>,
    now: Instant,
) -> Result<(), DbErr> {
    if deliveries.is_empty() {
        return Ok(());
    }
    closing(deliveries, state, None, error, now).exec(&**tx).await.map(drop)
}

fn closing(
    deliveries: &[DeliveryId],
    state: State,
    sent_at: Option<Instant>,
    error: Option<&str>,
    now: Instant,
) -> UpdateMany<row::Entity> {
    row::Entity::update_many()
        .col_expr(row::Column::State, Expr::value(state))
        .col_expr(row::Column::SentAt, Expr::value(sent_at))
        .col_expr(row::Column::NextAttemptAt, Expr::value(Option::<Instant>::None))
        .col_expr(row::Column::Error, Expr::value(error.map(str::to_owned)))
        .col_expr(row::Column::UpdatedAt, Expr::value(now))
        .filter(row::Column::Id.is_in(deliveries.iter().copied()))
        .filter(row::Column::State.is_in(OPEN))
}

/// Marks open deliveries as held by quiet hours. Whether there were any.
pub(super) async fn held(tx: &Tx, deliveries: &[DeliveryId], until: Instant, now: Instant) -> Result<bool, DbErr> {
    let held = row::Entity::update_many()
        .col_expr(row::Column::State, Expr::value(State::Held))
        // That is the channel's own moment now: lateness is measured from it.
        .col_expr(row::Column::DueAt, Expr::value(until))
        .col_expr(row::Column::NextAttemptAt, Expr::value(until))
        .col_expr(row::Column::UpdatedAt, Expr::value(now))
        .filter(row::Column::Id.is_in(deliveries.iter().copied()))
        .filter(row::Column::State.is_in(OPEN))
        .exec(&**tx)
        .await?;
    Ok(held.rows_affected > 0)
}

/// What a try came to that did not hand a delivery over.
pub(super) struct Tried<'a> {
    pub(super) state: State,
    pub(super) error: &'a str,
    pub(super) attempts: i32,
    /// None: it was the last.
    pub(super) next_attempt_at: Option<Instant>,
}

/// Notes a try that did not hand deliveries over.
pub(super) async fn tried(tx: &Tx, deliveries: &[DeliveryId], tried: Tried<'_>, now: Instant) -> Result<(), DbErr> {
    row::Entity::update_many()
        .col_expr(row::Column::State, Expr::value(tried.state))
        .col_expr(row::Column::Attempts, Expr::value(tried.attempts))
        .col_expr(row::Column::NextAttemptAt, Expr::value(tried.next_attempt_at))
        .col_expr(row::Column::Error, Expr::value(tried.error))
        .col_expr(row::Column::UpdatedAt, Expr::value(now))
        .filter(row::Column::Id.is_in(deliveries.iter().copied()))
        .filter(row::Column::State.is_in(OPEN))
        .exec(&**tx)
        .await
        .map(drop)
}
