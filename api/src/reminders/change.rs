//! Changing, snoozing, completing, reopening and deleting a reminder, and sending again what failed.
//! Promise: everyone locks jobs, deliveries, reminders and then the counter, so that nobody waits in a circle; a moment
//! that moves begins a new round, and what was promised for the old one is not sent any more.

use async_graphql::MaybeUndefined;
use chrono::TimeDelta;
use entity::{
    ReminderId,
    delivery::{self, State},
    reminder::{self as row, Status},
    task,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{dispatch::job_of, graphql::ReminderType, ledger, rules};
use crate::{
    accounts,
    platform::{
        Platform,
        bus::Hint,
        change::{Changed, patched},
        clock::Instant,
        db::Tx,
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        jobs::{self, NewJob},
        viewer::Viewer,
    },
    tasks::completion_log,
};

/// What is to be changed, as it comes: absent keeps, null clears.
pub(super) struct Patch {
    pub(super) message: MaybeUndefined<String>,
    pub(super) scheduled_at: Option<Instant>,
    pub(super) kind: Option<ReminderType>,
    pub(super) completes_on_delivery: Option<bool>,
}

/// To when a reminder is put off.
#[derive(Clone, Copy, Debug)]
pub(super) enum Snooze {
    /// By so many minutes from now.
    Minutes(i32),
    /// To this moment.
    Until(Instant),
}

/// Which reminder, and the version that the act is based on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) viewer: Viewer,
    pub(super) id: ReminderId,
    pub(super) expected_version: Option<i32>,
}

type Outcome = Result<Changed<row::Model>, Refusal>;

/// Why an act is undone. A conflict too: what was cancelled before it was seen must not stay so.
enum Undone {
    Conflict(row::Model),
    Refused(Refusal),
}

impl<E: Into<Refusal>> From<E> for Undone {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Runs an act in a transaction that a conflict rolls back.
async fn act<F, Fut>(platform: &Platform, act: F) -> Outcome
where
    F: FnOnce(Platform, Tx) -> Fut + Send + 'static,
    Fut: Future<Output = Result<row::Model, Undone>> + Send,
{
    let parts = platform.clone();
    match platform.db.write(move |tx| act(parts, tx)).await {
        Ok(done) => Ok(Changed::Done(done)),
        Err(Undone::Conflict(current)) => Ok(Changed::Conflict(current)),
        Err(Undone::Refused(refusal)) => Err(refusal),
    }
}

/// Changes the fields that are given.
pub(super) async fn update(platform: &Platform, target: Target, patch: Patch) -> Outcome {
    let Patch { message, scheduled_at, kind, completes_on_delivery } = patch;
    let message = patched(message, |text| rules::message(text.as_deref()))?;
    act(platform, move |parts, tx| async move {
        let now = parts.clock.now();
        let scheduled_at = match scheduled_at {
            Some(at) => Some(rules::scheduled_at(at, now, parts.config.limits.reminder_horizon)?),
            None => None,
        };
        let before = find(&tx, target).await?;
        let changes = |reminder: &row::Model| {
            let moved = scheduled_at.is_some_and(|at| at != reminder.scheduled_at);
            (moved, kind.is_some_and(|kind| row::Kind::from(kind) != reminder.kind))
        };
        let (moved, other_way) = changes(&before);
        if moved || other_way {
            ledger::cancel(&tx, &[target.id], now).await?;
        }
        let held = hold(&tx, target).await?;
        demand_pending(&held)?;
        if changes(&held) != (moved, other_way) {
            // Somebody moved it between the two looks: what was decided above is not true any more.
            return Err(Undone::Conflict(held));
        }
        if held.task_id.is_none() && matches!(message, Some(None)) {
            let message = "A reminder that belongs to no task needs a message.";
            return Err(UserError::at("message", Code::TooShort, message).into());
        }
        let mut reminder = held.clone().into_active_model();
        if let Some(message) = message {
            reminder.message.set_if_not_equals(message);
        }
        if let Some(kind) = kind {
            reminder.kind.set_if_not_equals(kind.into());
        }
        if let Some(completes) = completes_on_delivery {
            reminder.completes_on_delivery.set_if_not_equals(completes);
        }
        if let Some(at) = scheduled_at {
            reminder.scheduled_at.set_if_not_equals(at);
        }
        if !reminder.is_changed() {
            return Ok(held);
        }
        if moved {
            reminder.round = Set(held.round + 1);
        }
        let changed = save(&tx, &held, reminder, now).await?;
        if moved || other_way {
            let lead_minutes = accounts::person(&*tx, target.viewer.user_id).await?.email_lead_minutes;
            if moved {
                ledger::open_round(&parts, &tx, &changed, lead_minutes, now).await?;
            } else {
                ledger::fit_round(&parts, &tx, &changed, lead_minutes, now).await?;
            }
        }
        Ok(changed)
    })
    .await
}

/// Puts a reminder off: it comes again at its new moment, its mail too.
pub(super) async fn snooze(platform: &Platform, target: Target, snooze: Snooze) -> Outcome {
    act(platform, move |parts, tx| async move {
        let now = parts.clock.now();
        let until = match snooze {
            Snooze::Minutes(minutes) if minutes < 1 => {
                return Err(UserError::at("for.minutes", Code::InvalidValue, "Give at least one minute.").into());
            }
            Snooze::Minutes(minutes) => now + TimeDelta::minutes(minutes.into()),
            Snooze::Until(until) => until,
        };
        let scheduled_at = rules::scheduled_at(until, now, parts.config.limits.reminder_horizon)
            .map_err(|error| UserError { path: vec!["input".into(), "for".into()], ..error })?;
        find(&tx, target).await?;
        ledger::cancel(&tx, &[target.id], now).await?;
        let held = hold(&tx, target).await?;
        demand_pending(&held)?;
        let mut reminder = held.clone().into_active_model();
        reminder.scheduled_at = Set(scheduled_at);
        reminder.round = Set(held.round + 1);
        let changed = save(&tx, &held, reminder, now).await?;
        // Whoever puts it off wants it then, and not an hour before.
        ledger::open_round(&parts, &tx, &changed, 0, now).await?;
        Ok(changed)
    })
    .await
}

/// Completes a reminder: what is still to be delivered is not wanted any more.
pub(super) async fn complete(platform: &Platform, target: Target) -> Outcome {
    act(platform, move |parts, tx| async move { complete_of(&parts, &tx, target).await }).await
}

/// Completes a reminder in a transaction of the caller's.
///
/// # Errors
/// As the mutation has them.
pub async fn complete_in(platform: &Platform, tx: &Tx, viewer: Viewer, id: ReminderId) -> Result<row::Model, Refusal> {
    match complete_of(platform, tx, Target { viewer, id, expected_version: None }).await {
        Ok(done) => Ok(done),
        Err(Undone::Refused(refusal)) => Err(refusal),
        Err(Undone::Conflict(_)) => Err(Fault::Internal("no version was expected".into()).into()),
    }
}

async fn complete_of(platform: &Platform, tx: &Tx, target: Target) -> Result<row::Model, Undone> {
    let now = platform.clock.now();
    if find(tx, target).await?.status == Status::Pending {
        ledger::cancel(tx, &[target.id], now).await?;
    }
    let held = hold(tx, target).await?;
    if held.status == Status::Completed {
        return Ok(held);
    }
    demand_pending(&held)?;
    let mut reminder = held.clone().into_active_model();
    reminder.status = Set(Status::Completed);
    reminder.completed_at = Set(Some(now));
    reminder.ended_by_task = Set(false);
    let changed = save(tx, &held, reminder, now).await?;
    let subject = entity::completion::Subject::Reminder;
    completion_log::done(platform, tx, changed.user_id, subject, changed.id.uuid(), now).await?;
    Ok(changed)
}

/// Opens a completed or cancelled reminder again. One that still lies ahead is delivered; one whose moment has passed
/// is overdue.
pub(super) async fn reopen(platform: &Platform, target: Target) -> Outcome {
    act(platform, move |parts, tx| async move {
        let now = parts.clock.now();
        // The task before the reminder, as completing it does.
        let there = find(&tx, target).await?;
        let open = task_is_open(&tx, &there).await?;
        let held = hold(&tx, target).await?;
        if held.status == Status::Pending {
            return Ok(held);
        }
        if !open {
            let message = "The task of this reminder is complete or deleted. Reopen or restore it first.";
            return Err(UserError::at("id", Code::WrongState, message).into());
        }
        if held.status == Status::Completed {
            completion_log::undone(&parts, &tx, held.id.uuid()).await?;
        }
        let mut reminder = held.clone().into_active_model();
        reminder.status = Set(Status::Pending);
        reminder.completed_at = Set(None);
        reminder.cancelled_at = Set(None);
        reminder.ended_by_task = Set(false);
        reminder.round = Set(held.round + 1);
        let changed = save(&tx, &held, reminder, now).await?;
        if changed.scheduled_at > now {
            let lead_minutes = accounts::person(&*tx, target.viewer.user_id).await?.email_lead_minutes;
            ledger::open_round(&parts, &tx, &changed, lead_minutes, now).await?;
        }
        Ok(changed)
    })
    .await
}

/// Deletes a reminder with its ledger. What it told already stays in the list of notifications.
pub(super) async fn delete(platform: &Platform, target: Target) -> Outcome {
    act(platform, move |parts, tx| async move {
        find(&tx, target).await?;
        ledger::cancel(&tx, &[target.id], parts.clock.now()).await?;
        let held = hold(&tx, target).await?;
        tx.hint_after_commit(Hint::Figures(held.user_id));
        row::Entity::delete_by_id(held.id).exec(&*tx).await?;
        Ok(held)
    })
    .await
}

/// Sends again, now, what was given up of the present round.
pub(super) async fn retry(platform: &Platform, target: Target) -> Outcome {
    act(platform, move |parts, tx| async move {
        let now = parts.clock.now();
        let there = find(&tx, target).await?;
        demand_pending(&there)?;
        let failed = delivery::Entity::find()
            .filter(delivery::Column::ReminderId.eq(there.id))
            .filter(delivery::Column::Round.eq(there.round))
            .filter(delivery::Column::State.eq(State::Failed))
            .all(&*tx)
            .await?;
        if failed.is_empty() {
            let message = "No delivery of this reminder has failed.";
            return Err(UserError::at("id", Code::WrongState, message).into());
        }
        let again = |delivery: &delivery::Model| NewJob {
            kind: job_of(delivery.channel),
            subject_id: delivery.id.uuid(),
            user_id: Some(delivery.user_id),
            due_at: now,
        };
        jobs::enqueue(&parts, &tx, &failed.iter().map(again).collect::<Vec<_>>()).await?;
        delivery::Entity::update_many()
            .col_expr(delivery::Column::State, Expr::value(State::Pending))
            .col_expr(delivery::Column::Attempts, Expr::value(0))
            .col_expr(delivery::Column::NextAttemptAt, Expr::value(now))
            .col_expr(delivery::Column::UpdatedAt, Expr::value(now))
            .filter(delivery::Column::Id.is_in(failed.iter().map(|delivery| delivery.id)))
            .filter(delivery::Column::State.eq(State::Failed))
            .exec(&*tx)
            .await?;
        hold(&tx, target).await
    })
    .await
}

async fn find(tx: &Tx, target: Target) -> Result<row::Model, Fault> {
    let mine = row::Entity::visible_to(target.viewer.user_id).filter(row::Column::Id.eq(target.id));
    mine.one(&**tx).await?.ok_or(Fault::NotFound("reminder"))
}

/// The row, held until the end of the transaction.
async fn hold(tx: &Tx, target: Target) -> Result<row::Model, Undone> {
    let mine = row::Entity::visible_to(target.viewer.user_id).filter(row::Column::Id.eq(target.id));
    let held = mine.lock(LockType::NoKeyUpdate).one(&**tx).await?.ok_or(Fault::NotFound("reminder"))?;
    let other = target.expected_version.is_some_and(|version| version != held.version);
    if other { Err(Undone::Conflict(held)) } else { Ok(held) }
}

fn demand_pending(reminder: &row::Model) -> Result<(), UserError> {
    let message = match reminder.status {
        Status::Pending => return Ok(()),
        Status::Completed => "This reminder is complete. Reopen it first.",
        Status::Cancelled => "This reminder was cancelled. Reopen it first.",
    };
    Err(UserError::at("id", Code::WrongState, message))
}

/// Whether the task of a reminder, if it has one, is neither complete nor deleted. Holds its row, so that it stays so.
async fn task_is_open(tx: &Tx, reminder: &row::Model) -> Result<bool, Fault> {
    let Some(task_id) = reminder.task_id else { return Ok(true) };
    let task = task::Entity::visible_to(reminder.user_id).filter(task::Column::Id.eq(task_id));
    let task = task.lock(LockType::NoKeyUpdate).one(&**tx).await?;
    Ok(task.is_some_and(|task| task.status != task::Status::Completed))
}

async fn save(tx: &Tx, before: &row::Model, mut reminder: row::ActiveModel, now: Instant) -> Result<row::Model, Fault> {
    reminder.version = Set(before.version + 1);
    reminder.updated_at = Set(now);
    tx.hint_after_commit(Hint::Figures(before.user_id));
    Ok(reminder.update(&**tx).await?)
}
