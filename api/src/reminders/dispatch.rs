//! Delivering: in the app in batches, by mail one by one.
//! Promise: the notification, the ledger and the end of the job are one transaction, guarded by the job's fence and by
//! the notification's cause: nothing is lost, and nothing is twice in the app.

use std::collections::HashMap;

use entity::{
    DeliveryId, ReminderId,
    delivery::{self as row, State},
    notification, reminder, task,
};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{ledger, mail};
use crate::{
    notifications::{
        push::{PushMessage, Sent, send_to},
        record::{NewNotification, record},
    },
    platform::{
        Platform,
        clock::Instant,
        db::Tx,
        error::Fault,
        jobs::{self, Engine, Failed, Failure, Held},
    },
    tasks::completion_log,
};

/// Puts a reminder into the list of the app.
pub(super) const IN_APP: &str = "reminders.in_app";
/// Mails a reminder.
pub(super) const EMAIL: &str = "reminders.email";

/// Pushes a reminder to the person's browsers.
pub(super) const PUSH: &str = "reminders.push";

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.batches(IN_APP, in_app).when_failed(note_failure);
    engine.singles(EMAIL, email).when_failed(note_failure);
    engine.singles(PUSH, push).when_failed(note_failure);
}

/// All in one transaction; where that fails, each in its own, so that one that cannot be delivered holds up no other.
async fn in_app(platform: Platform, held: Vec<Held>) -> Vec<(Held, Failure)> {
    let Err(fault) = in_one_transaction(&platform, held.clone()).await else { return Vec::new() };
    tracing::warn!(?fault, jobs = held.len(), "a batch failed: its jobs are done one by one");
    let mut failed = Vec::new();
    for job in held {
        if let Err(fault) = in_one_transaction(&platform, vec![job.clone()]).await {
            failed.push((job, fault.into()));
        }
    }
    failed
}

async fn in_one_transaction(platform: &Platform, held: Vec<Held>) -> Result<(), Fault> {
    let parts = platform.clone();
    platform.db.write(move |tx| async move { deliver(&parts, &tx, &held).await }).await
}

async fn deliver(platform: &Platform, tx: &Tx, held: &[Held]) -> Result<(), Fault> {
    let ours = jobs::finish(tx, held).await?;
    let subjects = held.iter().filter(|job| ours.contains(&job.id)).map(|job| DeliveryId::from_uuid(job.subject_id));
    let mut due = pending(tx, subjects.collect()).await?;
    due.sort_by_key(|(delivery, _)| (delivery.due_at, delivery.id));
    let now = platform.clock.now();
    let tasks = tasks_of(tx, &due).await?;
    let mut notifications = Vec::new();
    for (delivery, reminder) in &due {
        let task = reminder.task_id.and_then(|id| tasks.get(&id));
        let title = task.map_or_else(|| "Reminder".to_owned(), |task| task.title.clone());
        let message = reminder.message.clone().unwrap_or_else(|| format!("It is time: {title}"));
        notifications.push(NewNotification {
            user_id: reminder.user_id,
            kind: notification::Kind::Reminder,
            title,
            message,
            task_id: reminder.task_id,
            reminder_id: Some(reminder.id),
            cause: delivery.id.to_string(),
        });
    }
    let deliveries: Vec<DeliveryId> = due.iter().map(|(delivery, _)| delivery.id).collect();
    ledger::sent(tx, &deliveries, now).await?;
    complete_delivered(platform, tx, due.into_iter().map(|(_, reminder)| reminder).collect(), now).await?;
    // Last: everyone locks jobs, deliveries, reminders and then the counter, so that nobody waits in a circle.
    record(platform, tx, notifications).await?;
    Ok(())
}

/// The deliveries that are still wanted, with their reminders.
async fn pending(tx: &Tx, ids: Vec<DeliveryId>) -> Result<Vec<(row::Model, reminder::Model)>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let deliveries = row::Entity::find()
        .filter(row::Column::Id.is_in(ids))
        .filter(row::Column::State.eq(State::Pending))
        .all(&**tx)
        .await?;
    let reminders = reminder::Entity::find()
        .filter(reminder::Column::Id.is_in(deliveries.iter().map(|delivery| delivery.reminder_id)))
        .filter(reminder::Column::Status.eq(reminder::Status::Pending))
        .all(&**tx)
        .await?;
    let reminders: HashMap<ReminderId, reminder::Model> = reminders.into_iter().map(|row| (row.id, row)).collect();
    Ok(deliveries
        .into_iter()
        .filter_map(|delivery| {
            let reminder = reminders.get(&delivery.reminder_id)?;
            (reminder.round == delivery.round).then(|| (delivery, reminder.clone()))
        })
        .collect())
}

async fn tasks_of(
    tx: &Tx,
    due: &[(row::Model, reminder::Model)],
) -> Result<HashMap<entity::TaskId, task::Model>, DbErr> {
    let ids: Vec<_> = due.iter().filter_map(|(_, reminder)| reminder.task_id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let tasks = task::Entity::find().filter(task::Column::Id.is_in(ids)).all(&**tx).await?;
    Ok(tasks.into_iter().map(|task| (task.id, task)).collect())
}

/// Completes the reminders that complete on delivery and have nothing left to deliver.
async fn complete_delivered(
    platform: &Platform,
    tx: &Tx,
    reminders: Vec<reminder::Model>,
    now: Instant,
) -> Result<(), Fault> {
    let mut candidates: Vec<_> = reminders.into_iter().filter(|reminder| reminder.completes_on_delivery).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    // Two channels of one reminder may be delivered in the same instant. Holding its row, the second one sees what the
    // first has written; otherwise each would see the other's delivery as still open.
    candidates.sort_by_key(|reminder| reminder.id);
    reminder::Entity::find()
        .filter(reminder::Column::Id.is_in(candidates.iter().map(|reminder| reminder.id)))
        .order_by_asc(reminder::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(&**tx)
        .await?;
    let open = row::Entity::find()
        .filter(row::Column::ReminderId.is_in(candidates.iter().map(|reminder| reminder.id)))
        .filter(row::Column::State.is_in([State::Pending, State::Failed]))
        .all(&**tx)
        .await?;
    for reminder in candidates {
        if open.iter().any(|delivery| delivery.reminder_id == reminder.id && delivery.round == reminder.round) {
            continue;
        }
        let completed = reminder::Entity::update_many()
            .col_expr(reminder::Column::Status, Expr::value(reminder::Status::Completed))
            .col_expr(reminder::Column::CompletedAt, Expr::value(now))
            .col_expr(reminder::Column::UpdatedAt, Expr::value(now))
            .col_expr(reminder::Column::Version, Expr::value(reminder.version + 1))
            .filter(reminder::Column::Id.eq(reminder.id))
            .filter(reminder::Column::Status.eq(reminder::Status::Pending))
            .exec(&**tx)
            .await?;
        if completed.rows_affected == 1 {
            let subject = entity::completion::Subject::Reminder;
            completion_log::done(platform, tx, reminder.user_id, subject, reminder.id.uuid(), now).await?;
        }
    }
    Ok(())
}

async fn email(platform: Platform, job: Held) -> Result<(), Failure> {
    let id = DeliveryId::from_uuid(job.subject_id);
    let wanted = mail::find(&platform, id).await?;
    let reminder_id = wanted.as_ref().map(|wanted| wanted.reminder.id);
    if let Some(wanted) = wanted {
        let mail = mail::compose(&platform, &wanted).map_err(|e| Fault::Internal(e.to_string()))?;
        platform.mailer.send(mail).await?;
    }
    close(platform, job, reminder_id, None).await
}

async fn push(platform: Platform, job: Held) -> Result<(), Failure> {
    let Some(wanted) = mail::find(&platform, DeliveryId::from_uuid(job.subject_id)).await? else {
        return close(platform, job, None, None).await;
    };
    let mail::Wanted { delivery, reminder, task, .. } = wanted;
    let title = task.map_or_else(|| "Reminder".to_owned(), |task| task.title);
    let body = reminder.message.unwrap_or_else(|| format!("It is time: {title}"));
    // One topic a delivery: should it be sent twice, the browser shows the later one.
    let topic = delivery.id.to_string();
    let message = PushMessage { kind: "REMINDER", title, body, path: "/tasks".into(), topic };
    match send_to(&platform, delivery.user_id, &message).await? {
        Sent::To(_) => close(platform, job, Some(reminder.id), None).await,
        Sent::Nowhere => close(platform, job, Some(reminder.id), Some("No browser is registered for push.")).await,
        Sent::Later { error, answered: true, .. } => Err(Failure::Refused(error)),
        Sent::Later { error, answered: false, .. } => Err(Failure::Unreachable(error)),
        Sent::Never(error) => Err(Failure::Permanent(error)),
    }
}

/// Closes a delivery in the transaction that ends its job: as sent or, with a reason, as skipped.
async fn close(
    platform: Platform,
    job: Held,
    reminder_id: Option<ReminderId>,
    skipped: Option<&'static str>,
) -> Result<(), Failure> {
    let id = DeliveryId::from_uuid(job.subject_id);
    let parts = platform.clone();
    platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            let ours = jobs::finish(&tx, &[job]).await?;
            let (Some(reminder_id), [_]) = (reminder_id, ours.as_slice()) else { return Ok(()) };
            let now = parts.clock.now();
            match skipped {
                None => ledger::sent(&tx, &[id], now).await?,
                Some(why) => ledger::skipped(&tx, &[id], why, now).await?,
            }
            let reminder = reminder::Entity::find_by_id(reminder_id).one(&*tx).await?;
            complete_delivered(&parts, &tx, reminder.into_iter().collect(), now).await
        })
        .await?;
    Ok(())
}

/// Writes a failed try into the ledger.
async fn note_failure(platform: Platform, failed: Failed) {
    let id = DeliveryId::from_uuid(failed.job.subject_id);
    let now = platform.clock.now();
    let state = if failed.next_attempt_at.is_some() { State::Pending } else { State::Failed };
    let noted = platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            row::Entity::update_many()
                .col_expr(row::Column::State, Expr::value(state))
                .col_expr(row::Column::Attempts, Expr::value(failed.attempts))
                .col_expr(row::Column::NextAttemptAt, Expr::value(failed.next_attempt_at))
                .col_expr(row::Column::Error, Expr::value(failed.error))
                .col_expr(row::Column::UpdatedAt, Expr::value(now))
                .filter(row::Column::Id.eq(id))
                .filter(row::Column::State.eq(State::Pending))
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await;
    if let Err(fault) = noted {
        tracing::warn!(?fault, delivery = %id, "a failed try could not be written into the ledger");
    }
}
