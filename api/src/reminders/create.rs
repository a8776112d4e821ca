//! Creating a reminder, with its first round of deliveries.

use entity::{ReminderId, TaskId, reminder as row, task};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter, QuerySelect, SqlErr,
    sea_query::LockType,
};

use super::{graphql::ReminderCreateInput, ledger, rules};
use crate::{
    accounts,
    platform::{
        Platform,
        bus::Hint,
        clock::Instant,
        db::Tx,
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        idempotency::IdempotencyKey,
        input::{self, Mistakes},
        viewer::Viewer,
    },
};

/// A reminder to be made, parsed.
struct NewReminder {
    id: ReminderId,
    task_id: Option<TaskId>,
    message: Option<String>,
    scheduled_at: Instant,
    kind: row::Kind,
    completes_on_delivery: bool,
    key: Option<IdempotencyKey>,
}

/// Makes a reminder, or finds the one that the same idempotency key made.
pub(super) async fn create(
    platform: &Platform,
    viewer: Viewer,
    input: ReminderCreateInput,
) -> Result<row::Model, Refusal> {
    let new = parse(platform, input)?;
    let parts = platform.clone();
    platform.db.write(move |tx| async move { insert(&parts, &tx, viewer, new).await }).await
}

/// Makes a reminder in a transaction of the caller's.
///
/// # Errors
/// As the mutation has them.
pub async fn create_in(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    input: ReminderCreateInput,
) -> Result<row::Model, Refusal> {
    insert(platform, tx, viewer, parse(platform, input)?).await
}

fn parse(platform: &Platform, input: ReminderCreateInput) -> Result<NewReminder, Refusal> {
    let mut mistakes = Mistakes::default();
    let key =
        mistakes.take(IdempotencyKey::parse(input.idempotency_key.clone(), || format!("reminderCreate {input:?}")));
    let id = mistakes.take(match &input.id {
        Some(id) => input::id::<ReminderId>("id", id),
        None => Ok(ReminderId::from_uuid(platform.new_uuid())),
    });
    let task_id = mistakes.take(input.task_id.as_ref().map(|id| input::id::<TaskId>("taskId", id)).transpose());
    let message = mistakes.take(rules::message(input.message.as_deref()));
    if input.task_id.is_none() && matches!(message, Some(None)) {
        let message = "A reminder that belongs to no task needs a message.";
        mistakes.take::<()>(Err(UserError::at("message", Code::TooShort, message)));
    }
    mistakes.none()?;
    let (Some(key), Some(id), Some(task_id), Some(message)) = (key, id, task_id, message) else {
        return Err(Fault::Internal("an input without mistakes has every field".into()).into());
    };
    let (kind, scheduled_at) = (input.kind.into(), input.scheduled_at.0);
    Ok(NewReminder { id, task_id, message, scheduled_at, kind, completes_on_delivery: input.complete_on_delivery, key })
}

async fn insert(platform: &Platform, tx: &Tx, viewer: Viewer, new: NewReminder) -> Result<row::Model, Refusal> {
    let now = platform.clock.now();
    if let Some(key) = &new.key
        && let Some(made) = key.claim(tx, viewer.user_id, new.id.uuid(), now).await?
    {
        let mine = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.eq(ReminderId::from_uuid(made)));
        return mine.one(&**tx).await?.ok_or(Fault::NotFound("reminder").into());
    }
    // Not before the key: a client that asks again for the answer it did not hear may do so after the moment.
    let scheduled_at = rules::scheduled_at(new.scheduled_at, now, platform.config.limits.reminder_horizon)?;
    if let Some(task_id) = new.task_id {
        make_room(platform, tx, viewer, task_id).await?;
    }
    let person = accounts::person(&**tx, viewer.user_id).await?;
    let reminder = row::ActiveModel {
        id: Set(new.id),
        user_id: Set(viewer.user_id),
        task_id: Set(new.task_id),
        message: Set(new.message),
        scheduled_at: Set(scheduled_at),
        kind: Set(new.kind),
        status: Set(row::Status::Pending),
        completes_on_delivery: Set(new.completes_on_delivery),
        round: Set(1),
        completed_at: Set(None),
        cancelled_at: Set(None),
        ended_by_task: Set(false),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let reminder = reminder.insert(&**tx).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            Refusal::from(UserError::at("id", Code::Taken, "A reminder with this id exists. Make a new id."))
        }
        _ => error.into(),
    })?;
    tx.hint_after_commit(Hint::Figures(reminder.user_id));
    ledger::open_round(platform, tx, &reminder, person.email_lead_minutes, now).await?;
    Ok(reminder)
}

/// Sees that the task is the viewer's, not complete, and has room for another reminder. Holds its row, so that it
/// cannot be completed or filled meanwhile.
async fn make_room(platform: &Platform, tx: &Tx, viewer: Viewer, task_id: TaskId) -> Result<(), Refusal> {
    let mine =
        task::Entity::visible_to(viewer.user_id).filter(task::Column::Id.eq(task_id)).lock(LockType::NoKeyUpdate);
    let task = mine.one(&**tx).await?.ok_or(Fault::NotFound("task"))?;
    if task.status == task::Status::Completed {
        let message = "This task is complete. Reopen it first.";
        return Err(UserError::at("taskId", Code::WrongState, message).into());
    }
    let limit = platform.config.limits.reminders_per_task;
    let there = row::Entity::visible_to(viewer.user_id).filter(row::Column::TaskId.eq(task_id)).count(&**tx).await?;
    if there >= limit {
        let message = format!("A task has at most {limit} reminders.");
        return Err(UserError::at("taskId", Code::LimitReached, message).into());
    }
    Ok(())
}
