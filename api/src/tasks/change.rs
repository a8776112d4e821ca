//! Changing, completing, reopening and deleting a task.

use async_graphql::MaybeUndefined;
use entity::{TaskId, notification, task as row};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::LockType,
};

use super::{
    completion_log, due,
    graphql::{TaskStatus, change::TaskUpdateInput},
    rules::{self, Due, Title},
    search,
};
use crate::{
    accounts,
    notifications::{self, record::NewNotification},
    platform::{
        Platform,
        bus::Hint,
        change::{Changed, patched},
        clock::Instant,
        db::Tx,
        error::{Fault, Refusal},
        facts::{TaskChange, TaskChanged},
        input::{self, Mistakes},
        viewer::Viewer,
    },
};

/// The fields to be changed, parsed. None: keep.
struct Patch {
    title: Option<Title>,
    description: Option<Option<String>>,
    link: Option<Option<String>>,
    due: Option<Due>,
    priority: Option<row::Priority>,
    category: Option<Option<String>>,
    status: Option<row::Status>,
}

/// Changes the fields that the input names.
pub(super) async fn update(
    platform: &Platform,
    viewer: Viewer,
    input: TaskUpdateInput,
) -> Result<Changed<row::Model>, Refusal> {
    // Destructured whole, so that a new field cannot be forgotten.
    let TaskUpdateInput { id, expected_version, title, description, link, due, priority, category, status } = input;
    let mut mistakes = Mistakes::default();
    let id = mistakes.take(input::id::<TaskId>("id", &id));
    let title = mistakes.take(title.as_deref().map(Title::parse).transpose());
    let description = mistakes.take(patched(description, |text| rules::description(text.as_deref())));
    let link = mistakes.take(patched(link, |link| input::web_address("link", link.as_ref().map(|l| l.0.as_str()))));
    let category = mistakes.take(patched(category, |text| rules::category(text.as_deref())));
    mistakes.none()?;
    let (Some(id), Some(title), Some(description), Some(link), Some(category)) =
        (id, title, description, link, category)
    else {
        return Err(Fault::Internal("an input without mistakes has every field".into()).into());
    };
    let due = match due {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Due::Never),
        MaybeUndefined::Value(due) => Some(due.into()),
    };
    let status = status.map(row::Status::from);
    let patch = Patch { title, description, link, due, priority: priority.map(Into::into), category, status };
    change(platform, viewer, id, expected_version, patch).await
}

/// Sets the status: completing, reopening.
pub(super) async fn set_status(
    platform: &Platform,
    viewer: Viewer,
    id: TaskId,
    expected_version: Option<i32>,
    status: TaskStatus,
) -> Result<Changed<row::Model>, Refusal> {
    let status = Some(status.into());
    let patch = Patch { title: None, description: None, link: None, due: None, priority: None, category: None, status };
    change(platform, viewer, id, expected_version, patch).await
}

/// Hides the task, and ends what reminds of it.
pub(super) async fn delete(
    platform: &Platform,
    viewer: Viewer,
    id: TaskId,
    expected_version: Option<i32>,
) -> Result<Changed<row::Model>, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let before = lock(&tx, viewer, id).await?;
            if expected_version.is_some_and(|version| version != before.version) {
                return Ok(Changed::Conflict(before));
            }
            Ok(Changed::Done(delete_in(&parts, &tx, before).await?))
        })
        .await
}

/// Hides a task whose row is held.
pub(super) async fn delete_in(platform: &Platform, tx: &Tx, before: row::Model) -> Result<row::Model, Fault> {
    let now = platform.clock.now();
    let mut task = before.clone().into_active_model();
    task.deleted_at = Set(Some(now));
    let after = save(tx, &before, task, now).await?;
    due::plan(platform, tx, &after).await?;
    let fact = TaskChanged { task_id: before.id, user_id: before.user_id, change: TaskChange::Deleted };
    platform.facts.task_changed(platform, tx, fact).await?;
    Ok(after)
}

/// A task that was changed, and what its person is to be told when everything else is done.
pub(super) struct Done {
    pub(super) task: row::Model,
    pub(super) told: Option<NewNotification>,
}

/// Sets the status of a task whose row is held.
pub(super) async fn set_status_in(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    before: row::Model,
    status: TaskStatus,
) -> Result<Done, Refusal> {
    let status = Some(status.into());
    let patch = Patch { title: None, description: None, link: None, due: None, priority: None, category: None, status };
    change_in(platform, tx, viewer, before, patch).await
}

/// Sets the status of tasks in a transaction of the caller's, and tells what came of it.
///
/// # Errors
/// As the mutations have them.
pub async fn set_statuses_in(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    ids: &[TaskId],
    status: TaskStatus,
) -> Result<(), Refusal> {
    let mut told = Vec::new();
    for id in ids {
        let before = lock(tx, viewer, *id).await?;
        told.extend(set_status_in(platform, tx, viewer, before, status).await?.told);
    }
    Ok(tell(platform, tx, told).await?)
}

async fn change(
    platform: &Platform,
    viewer: Viewer,
    id: TaskId,
    expected_version: Option<i32>,
    patch: Patch,
) -> Result<Changed<row::Model>, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let before = lock(&tx, viewer, id).await?;
            if expected_version.is_some_and(|version| version != before.version) {
                return Ok(Changed::Conflict(before));
            }
            let done = change_in(&parts, &tx, viewer, before, patch).await?;
            tell(&parts, &tx, done.told.into_iter().collect()).await?;
            Ok(Changed::Done(done.task))
        })
        .await
}

async fn change_in(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    before: row::Model,
    patch: Patch,
) -> Result<Done, Refusal> {
    let status = patch.status.filter(|status| *status != before.status);
    let now = platform.clock.now();
    let mut task = before.clone().into_active_model();
    apply(platform, tx, viewer, patch, &mut task).await?;
    if !task.is_changed() && status.is_none() {
        return Ok(Done { task: before, told: None });
    }
    let told = match status {
        Some(status) => move_to(platform, tx, &before, status, &mut task, now).await?,
        None => None,
    };
    let reads_otherwise = task.title.is_set() || task.description.is_set();
    let after = save(tx, &before, task, now).await?;
    if status.is_some() || after.due_at != before.due_at {
        due::plan(platform, tx, &after).await?;
    }
    if reads_otherwise {
        search::index(tx, after.user_id, after.id, &after.title, after.description.as_deref()).await?;
    }
    Ok(Done { task: after, told })
}

async fn apply(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    patch: Patch,
    task: &mut row::ActiveModel,
) -> Result<(), Refusal> {
    let Patch { title, description, link, due, priority, category, status: _ } = patch;
    if let Some(title) = title {
        task.title_key.set_if_not_equals(title.key());
        task.title.set_if_not_equals(title.into_string());
    }
    if let Some(description) = description {
        task.description.set_if_not_equals(description);
    }
    if let Some(link) = link {
        task.link.set_if_not_equals(link);
    }
    if let Some(due) = due {
        let zone = accounts::zone_of(platform, &accounts::person(&**tx, viewer.user_id).await?);
        let due = due.columns(&zone)?;
        task.due_at.set_if_not_equals(due.at);
        task.due_on.set_if_not_equals(due.on);
        task.due_key.set_if_not_equals(due.key);
    }
    if let Some(priority) = priority {
        task.priority.set_if_not_equals(priority);
    }
    if let Some(category) = category {
        task.category.set_if_not_equals(category);
    }
    Ok(())
}

/// Moves a task to another status, with everything that follows from it.
async fn move_to(
    platform: &Platform,
    tx: &Tx,
    before: &row::Model,
    status: row::Status,
    task: &mut row::ActiveModel,
    now: Instant,
) -> Result<Option<NewNotification>, Fault> {
    task.status = Set(status);
    let change = match (before.status, status) {
        (_, row::Status::Completed) => TaskChange::Completed,
        (row::Status::Completed, _) => TaskChange::Reopened,
        (row::Status::Todo | row::Status::InProgress, row::Status::Todo | row::Status::InProgress) => return Ok(None),
    };
    match change {
        TaskChange::Completed => {
            task.completed_at = Set(Some(now));
            completion_log::done(
                platform,
                tx,
                before.user_id,
                entity::completion::Subject::Task,
                before.id.uuid(),
                now,
            )
            .await?;
        }
        TaskChange::Reopened | TaskChange::Deleted | TaskChange::Restored | TaskChange::Purged => {
            task.completed_at = Set(None);
            completion_log::undone(platform, tx, before.id.uuid()).await?;
        }
    }
    let fact = TaskChanged { task_id: before.id, user_id: before.user_id, change };
    platform.facts.task_changed(platform, tx, fact).await?;
    if change == TaskChange::Completed && before.first_completed_at.is_none() {
        task.first_completed_at = Set(Some(now));
        return Ok(Some(congratulation(before)));
    }
    Ok(None)
}

/// Tells what changes came to. The last thing in a transaction: everyone locks jobs, deliveries, reminders and then the
/// counter, so that nobody waits in a circle.
pub(super) async fn tell(platform: &Platform, tx: &Tx, told: Vec<NewNotification>) -> Result<(), Fault> {
    notifications::tell(platform, tx, told).await
}

fn congratulation(task: &row::Model) -> NewNotification {
    NewNotification {
        user_id: task.user_id,
        kind: notification::Kind::General,
        title: "Task Completed".into(),
        message: format!("You completed: {}", task.title),
        task_id: Some(task.id),
        reminder_id: None,
        cause: format!("{} completed", task.id),
    }
}

/// The row, held until the end of the transaction. Not against rows that point at it: a reminder that is being
/// delivered meanwhile need not wait.
async fn lock(tx: &Tx, viewer: Viewer, id: TaskId) -> Result<row::Model, Fault> {
    let mine = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.eq(id));
    mine.lock(LockType::NoKeyUpdate).one(&**tx).await?.ok_or(Fault::NotFound("task"))
}

async fn save(tx: &Tx, before: &row::Model, mut task: row::ActiveModel, now: Instant) -> Result<row::Model, Fault> {
    task.id = Unchanged(before.id);
    task.version = Set(before.version + 1);
    task.updated_at = Set(now);
    tx.hint_after_commit(Hint::Figures(before.user_id));
    Ok(task.update(&**tx).await?)
}
