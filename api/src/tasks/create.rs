//! Creating a task.

use entity::{TaskId, task as row};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, SqlErr};

use super::{
    due,
    graphql::change::TaskCreateInput,
    rules::{self, Due, Title},
    search,
};
use crate::{
    accounts,
    platform::{
        Platform,
        bus::Hint,
        db::Tx,
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        idempotency::IdempotencyKey,
        input::{self, Mistakes},
        viewer::Viewer,
    },
};

/// A task to be made, parsed.
struct NewTask {
    id: TaskId,
    title: Title,
    description: Option<String>,
    link: Option<String>,
    due: Due,
    priority: row::Priority,
    category: Option<String>,
    key: Option<IdempotencyKey>,
}

/// Makes a task, or finds the one that the same idempotency key made.
pub(super) async fn create(platform: &Platform, viewer: Viewer, input: TaskCreateInput) -> Result<row::Model, Refusal> {
    let new = parse(platform, input)?;
    let parts = platform.clone();
    platform.db.write(move |tx| async move { insert(&parts, &tx, viewer, new).await }).await
}

/// Makes a task in a transaction of the caller's.
///
/// # Errors
/// As the mutation has them.
pub async fn create_in(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    input: TaskCreateInput,
) -> Result<row::Model, Refusal> {
    insert(platform, tx, viewer, parse(platform, input)?).await
}

fn parse(platform: &Platform, input: TaskCreateInput) -> Result<NewTask, Refusal> {
    let mut mistakes = Mistakes::default();
    let key = mistakes.take(IdempotencyKey::parse(input.idempotency_key.clone(), || format!("taskCreate {input:?}")));
    let id = mistakes.take(match &input.id {
        Some(id) => input::id::<TaskId>("id", id),
        None => Ok(TaskId::from_uuid(platform.new_uuid())),
    });
    let title = mistakes.take(Title::parse(&input.title));
    let description = mistakes.take(rules::description(input.description.as_deref()));
    let link = mistakes.take(input::web_address("link", input.link.as_ref().map(|link| link.0.as_str())));
    let category = mistakes.take(rules::category(input.category.as_deref()));
    mistakes.none()?;
    let (Some(key), Some(id), Some(title), Some(description), Some(link), Some(category)) =
        (key, id, title, description, link, category)
    else {
        return Err(Fault::Internal("an input without mistakes has every field".into()).into());
    };
    let due = input.due.map_or(Due::Never, Into::into);
    Ok(NewTask { id, title, description, link, due, priority: input.priority.into(), category, key })
}

async fn insert(platform: &Platform, tx: &Tx, viewer: Viewer, new: NewTask) -> Result<row::Model, Refusal> {
    let now = platform.clock.now();
    if let Some(key) = &new.key
        && let Some(made) = key.claim(tx, viewer.user_id, new.id.uuid(), now).await?
    {
        let before = row::Entity::find_by_id(TaskId::from_uuid(made)).one(&**tx).await?;
        return before.filter(|row| row.user_id == viewer.user_id).ok_or(Fault::NotFound("task").into());
    }
    let zone = match new.due {
        Due::On(_) => accounts::zone_of(platform, &accounts::person(&**tx, viewer.user_id).await?),
        Due::At(_) | Due::Never => jiff::tz::TimeZone::UTC,
    };
    let due_at = new.due.columns(&zone)?;
    let task = row::ActiveModel {
        id: Set(new.id),
        user_id: Set(viewer.user_id),
        title_key: Set(new.title.key()),
        title: Set(new.title.into_string()),
        description: Set(new.description),
        link: Set(new.link),
        due_at: Set(due_at.at),
        due_on: Set(due_at.on),
        due_key: Set(due_at.key),
        priority: Set(new.priority),
        category: Set(new.category),
        status: Set(row::Status::Todo),
        completed_at: Set(None),
        first_completed_at: Set(None),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
    };
    let task = task.insert(&**tx).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            Refusal::from(UserError::at("id", Code::Taken, "A task with this id exists. Make a new id."))
        }
        _ => error.into(),
    })?;
    tx.hint_after_commit(Hint::Figures(task.user_id));
    search::index(tx, task.user_id, task.id, &task.title, task.description.as_deref()).await?;
    if task.due_at.is_some() {
        due::plan(platform, tx, &task).await?;
    }
    Ok(task)
}
