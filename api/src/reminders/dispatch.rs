//! Delivering: in the app in batches, by mail one by one.
//! Promise: the notification, the ledger and the end of the job are one transaction, guarded by the job's fence and by
//! the notification's cause: nothing is lost, and nothing is twice in the app.

use std::collections::HashMap;

use entity::{
    DeliveryId, ReminderId,
    delivery::{self as row, Channel, State},
    notification, reminder, task, user,
};
use futures_util::future::BoxFuture;
use sea_orm::{
    ActiveEnum, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    digest,
    ledger::{self, Tried},
    mail,
};
use crate::{
    accounts,
    notifications::{
        self, Choices, Way, Withheld,
        push::{PushMessage, Sent, send_to},
        record::{NewNotification, record},
        way,
    },
    platform::{
        Platform, calendar,
        clock::{Instant, span},
        crash,
        db::Tx,
        error::Fault,
        facts::{HeldMessages, HeldOutcome},
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

/// The job that delivers by a channel.
pub(super) fn job_of(channel: Channel) -> &'static str {
    match channel {
        Channel::InApp => IN_APP,
        Channel::Email => EMAIL,
        Channel::Push => PUSH,
    }
}

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.transactions(IN_APP, deliver).when_failed(note_failure);
    engine.singles(EMAIL, email).when_failed(note_failure).while_there(|platform| platform.mailer.pass());
    engine.singles(PUSH, push).when_failed(note_failure);
    digest::register_jobs(engine);
}

pub(super) async fn deliver(platform: Platform, tx: Tx, held: Vec<Held>) -> Result<(), Fault> {
    let (platform, tx) = (&platform, &tx);
    let ours = jobs::finish(tx, &held).await?;
    let subjects = held.iter().filter(|job| ours.contains(&job.id)).map(|job| DeliveryId::from_uuid(job.subject_id));
    let mut due = pending(tx, subjects.collect()).await?;
    due.sort_by_key(|(delivery, _)| (delivery.due_at, delivery.id));
    let now = platform.clock.now();
    let tasks = tasks_of(tx, &due).await?;
    let choices = Choices::of(&**tx, due.iter().map(|(_, reminder)| reminder.user_id)).await?;
    let wanted = |user| choices.wants(user, notification::Kind::Reminder, Channel::InApp);
    let apology = Apology::of(platform, tx, &due, now).await?;
    let mut notifications = Vec::new();
    for (delivery, reminder) in due.iter().filter(|(_, reminder)| wanted(reminder.user_id)) {
        let task = reminder.task_id.and_then(|id| tasks.get(&id));
        let title = task.map_or_else(|| "Reminder".to_owned(), |task| task.title.clone());
        let message = reminder.message.clone().unwrap_or_else(|| format!("It is time: {title}"));
        let message = apology.with(message, delivery);
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
    let (shown, muted): (Vec<_>, Vec<_>) = due.iter().partition(|(_, reminder)| wanted(reminder.user_id));
    let ids = |of: Vec<&(row::Model, _)>| -> Vec<DeliveryId> { of.iter().map(|(delivery, _)| delivery.id).collect() };
    ledger::sent(platform, tx, &ids(shown), now).await?;
    ledger::skipped(tx, &ids(muted), MUTED, now).await?;
    complete_delivered(platform, tx, due.into_iter().map(|(_, reminder)| reminder).collect(), now).await?;
    // Last: everyone locks jobs, deliveries, reminders and then the counter, so that nobody waits in a circle.
    record(platform, tx, notifications).await?;
    Ok(())
}

/// Why a delivery did not go out that its person does not wish.
const MUTED: &str = "Reminders by this way are muted: see notificationPreferencesUpdate.";

/// What is added to a message that comes late: when it was due, by its person's clock.
struct Apology(HashMap<DeliveryId, String>);

impl Apology {
    async fn of(
        platform: &Platform,
        tx: &Tx,
        due: &[(row::Model, reminder::Model)],
        now: Instant,
    ) -> Result<Self, DbErr> {
        let after = span(platform.config.limits.reminder_late_after);
        let late: Vec<&row::Model> =
            due.iter().map(|(delivery, _)| delivery).filter(|delivery| now - delivery.due_at > after).collect();
        if late.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let people = user::Entity::find().filter(user::Column::Id.is_in(late.iter().map(|delivery| delivery.user_id)));
        let people: HashMap<_, _> = people.all(&**tx).await?.into_iter().map(|person| (person.id, person)).collect();
        let words = late.into_iter().filter_map(|delivery| {
            let zone = accounts::zone_of(platform, people.get(&delivery.user_id)?);
            let moment = calendar::for_people(delivery.due_at, &zone);
            Some((delivery.id, format!("Late: this was due {moment}.")))
        });
        Ok(Self(words.collect()))
    }

    fn with(&self, message: String, delivery: &row::Model) -> String {
        match self.0.get(&delivery.id) {
            Some(words) => format!("{message}\n{words}"),
            None => message,
        }
    }
}

/// The deliveries that are still wanted, with their reminders.
pub(super) async fn pending(tx: &Tx, ids: Vec<DeliveryId>) -> Result<Vec<(row::Model, reminder::Model)>, DbErr> {
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
pub(super) async fn complete_delivered(
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
        .filter(row::Column::State.is_in([State::Pending, State::Held, State::Failed]))
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
    let Some(wanted) = mail::find(&platform, DeliveryId::from_uuid(job.subject_id)).await? else {
        return close(&platform, job, None, End::Unwanted).await;
    };
    let end = match way(&platform, &wanted.person, notification::Kind::Reminder, Channel::Email).await? {
        Way::Muted => End::Skipped(MUTED),
        Way::Held { until, by } => End::Held(withheld(&wanted), until, by),
        Way::Open => {
            let mail = mail::compose(&platform, &wanted).map_err(|e| Fault::Internal(e.to_string()))?;
            crash::point("mail.before");
            platform.mailer.send(mail).await?;
            crash::point("mail.after");
            End::Sent
        }
    };
    close(&platform, job, Some(wanted.reminder.id), end).await
}

async fn push(platform: Platform, job: Held) -> Result<(), Failure> {
    let Some(wanted) = mail::find(&platform, DeliveryId::from_uuid(job.subject_id)).await? else {
        return close(&platform, job, None, End::Unwanted).await;
    };
    let end = match way(&platform, &wanted.person, notification::Kind::Reminder, Channel::Push).await? {
        Way::Muted => End::Skipped(MUTED),
        Way::Held { until, by } => End::Held(withheld(&wanted), until, by),
        Way::Open => {
            let (title, body) = words(&wanted);
            // One topic a delivery: should it be sent twice, the browser shows the later one.
            let (kind, topic) = (notification::Kind::Reminder.to_value(), wanted.delivery.id.to_string());
            let message = PushMessage { kind, title, body, path: "/tasks".into(), topic };
            match send_to(&platform, wanted.delivery.user_id, &message).await? {
                Sent::Nowhere => End::Skipped("No browser is registered for push."),
                sent => {
                    sent.taken()?;
                    End::Sent
                }
            }
        }
    };
    close(&platform, job, Some(wanted.reminder.id), end).await
}

/// What a reminder says in few words: a title and a text.
fn words(wanted: &mail::Wanted) -> (String, String) {
    let title = wanted.task.as_ref().map_or_else(|| "Reminder".to_owned(), |task| task.title.clone());
    let body = wanted.reminder.message.clone().unwrap_or_else(|| format!("It is time: {title}"));
    (title, body)
}

fn withheld(wanted: &mail::Wanted) -> Withheld {
    let ((title, message), delivery) = (words(wanted), &wanted.delivery);
    let (user_id, channel, due_at) = (delivery.user_id, delivery.channel, delivery.due_at);
    Withheld { delivery: delivery.id, user_id, channel, title, message, due_at }
}

/// How the try of a delivery ended.
#[derive(Clone, Debug)]
enum End {
    /// It was handed over.
    Sent,
    /// It has nowhere to go, for this reason.
    Skipped(&'static str),
    /// Quiet hours hold it until then; it goes out with the others by this channel.
    Held(Withheld, Instant, Channel),
    /// It was not wanted any more.
    Unwanted,
}

/// Closes a delivery in the transaction that ends its job.
async fn close(platform: &Platform, job: Held, reminder_id: Option<ReminderId>, end: End) -> Result<(), Failure> {
    jobs::conclude(platform, move |parts, tx| {
        let (job, end) = (job.clone(), end.clone());
        async move { close_in(&parts, &tx, &job, reminder_id, end).await }
    })
    .await?;
    crash::point("mark.after");
    Ok(())
}

async fn close_in(
    platform: &Platform,
    tx: &Tx,
    job: &Held,
    reminder_id: Option<ReminderId>,
    end: End,
) -> Result<(), Fault> {
    let id = DeliveryId::from_uuid(job.subject_id);
    let ours = jobs::finish_one(tx, job).await?;
    let Some(reminder_id) = reminder_id.filter(|_| ours) else { return Ok(()) };
    let now = platform.clock.now();
    match end {
        End::Unwanted => return Ok(()),
        End::Sent => ledger::sent(platform, tx, &[id], now).await?,
        End::Skipped(why) => ledger::skipped(tx, &[id], why, now).await?,
        End::Held(what, until, by) => {
            if ledger::held(tx, &[id], until, now).await? {
                notifications::hold(platform, tx, what, until, by).await?;
            }
            return Ok(());
        }
    }
    let reminder = reminder::Entity::find_by_id(reminder_id).one(&**tx).await?;
    complete_delivered(platform, tx, reminder.into_iter().collect(), now).await
}

/// Hears what became of what quiet hours held.
pub fn on_held_messages<'a>(
    platform: &'a Platform,
    tx: &'a Tx,
    fact: &'a HeldMessages,
) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        let (now, deliveries) = (platform.clock.now(), &fact.deliveries);
        match &fact.outcome {
            HeldOutcome::Sent => ledger::sent(platform, tx, deliveries, now).await?,
            HeldOutcome::Skipped(why) => ledger::skipped(tx, deliveries, why, now).await?,
            HeldOutcome::Until(until) => {
                return ledger::held(tx, deliveries, *until, now).await.map(drop).map_err(Fault::from);
            }
            HeldOutcome::Tried { error, attempts, next_attempt_at } => {
                let tried =
                    Tried { state: State::Held, error, attempts: *attempts, next_attempt_at: Some(*next_attempt_at) };
                return Ok(ledger::tried(tx, deliveries, tried, now).await?);
            }
            HeldOutcome::Failed { error, attempts } => {
                let tried = Tried { state: State::Failed, error, attempts: *attempts, next_attempt_at: None };
                return Ok(ledger::tried(tx, deliveries, tried, now).await?);
            }
        }
        let rows = row::Entity::find().filter(row::Column::Id.is_in(deliveries.iter().copied())).all(&**tx).await?;
        let reminders = reminder::Entity::find()
            .filter(reminder::Column::Id.is_in(rows.iter().map(|delivery| delivery.reminder_id)))
            .all(&**tx)
            .await?;
        complete_delivered(platform, tx, reminders, now).await
    })
}

/// Writes a failed try into the ledger.
fn note_failure<'a>(platform: &'a Platform, tx: &'a Tx, failed: &'a Failed) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        let Failed { job, error, attempts, next_attempt_at } = failed;
        let state = if next_attempt_at.is_some() { State::Pending } else { State::Failed };
        let tried = Tried { state, error, attempts: *attempts, next_attempt_at: *next_attempt_at };
        Ok(ledger::tried(tx, &[DeliveryId::from_uuid(job.subject_id)], tried, platform.clock.now()).await?)
    })
}
