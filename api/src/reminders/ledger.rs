//! The delivery ledger: opening a round of deliveries with the jobs that fulfil them, and closing it.

use entity::{
    DeliveryId, ReminderId,
    delivery::{self as row, Channel, State},
    reminder,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, sea_query::Expr};

use super::{
    dispatch::{EMAIL, IN_APP, PUSH},
    rules,
};
use crate::platform::{
    Platform,
    clock::Instant,
    db::Tx,
    jobs::{self, NewJob},
};

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
        let kind = match channel {
            Channel::InApp => IN_APP,
            Channel::Email => EMAIL,
            Channel::Push => PUSH,
        };
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
        work.push(NewJob { kind, subject_id: id.uuid(), user_id, due_at });
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
        .filter(row::Column::State.eq(State::Pending))
        .all(&**tx)
        .await?;
    let subjects: Vec<_> = pending.iter().map(|delivery| delivery.id.uuid()).collect();
    jobs::cancel(tx, &[IN_APP, EMAIL, PUSH], &subjects).await?;
    let ids: Vec<DeliveryId> = pending.into_iter().map(|delivery| delivery.id).collect();
    close(tx, &ids, State::Cancelled, None, None, now).await
}

/// Closes deliveries that were handed over.
pub(super) async fn sent(tx: &Tx, deliveries: &[DeliveryId], now: Instant) -> Result<(), DbErr> {
    close(tx, deliveries, State::Sent, Some(now), None, now).await
}

/// Closes deliveries that had nowhere to go.
pub(super) async fn skipped(tx: &Tx, deliveries: &[DeliveryId], why: &str, now: Instant) -> Result<(), DbErr> {
    close(tx, deliveries, State::Skipped, None, Some(why), now).await
}

async fn close(
    tx: &Tx,
    deliveries: &[DeliveryId],
    state: State,
    sent_at: Option<Instant>,
    error: Option<&str>,
    now: Instant,
) -> Result<(), DbErr> {
    if deliveries.is_empty() {
        return Ok(());
    }
    row::Entity::update_many()
        .col_expr(row::Column::State, Expr::value(state))
        .col_expr(row::Column::SentAt, Expr::value(sent_at))
        .col_expr(row::Column::NextAttemptAt, Expr::value(Option::<Instant>::None))
        .col_expr(row::Column::Error, Expr::value(error.map(str::to_owned)))
        .col_expr(row::Column::UpdatedAt, Expr::value(now))
        .filter(row::Column::Id.is_in(deliveries.iter().copied()))
        .filter(row::Column::State.eq(State::Pending))
        .exec(&**tx)
        .await
        .map(drop)
}
