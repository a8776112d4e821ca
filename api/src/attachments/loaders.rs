//! The attachments of tasks, many tasks at once.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use entity::{TaskId, UserId, attachment as row};
use sea_orm::{ConnectionTrait, DbErr, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};

use super::graphql::Attachment;
use crate::{
    platform::{
        Platform,
        error::Fault,
        fields::{Chosen, Fields},
        page::{KeyKind, Page, PageArguments},
        viewer::Viewer,
    },
    tasks::Task,
};

/// The question: which attachments has this task?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentsOf(pub TaskId);

/// Answers for one viewer; there is none without.
pub struct AttachmentLoader {
    pub platform: Platform,
    pub viewer: Viewer,
}

impl Loader<AttachmentsOf> for AttachmentLoader {
    type Value = Vec<row::Model>;
    type Error = Arc<Fault>;

    async fn load(&self, keys: &[AttachmentsOf]) -> Result<HashMap<AttachmentsOf, Self::Value>, Arc<Fault>> {
        let tasks = keys.iter().map(|key| key.0);
        let found = of_tasks(&self.platform, self.viewer.user_id, tasks).await.map_err(|e| Arc::new(e.into()))?;
        Ok(found.into_iter().map(|(task, rows)| (AttachmentsOf(task), rows)).collect())
    }
}

/// Fetches the attachments of a page of tasks at once, as far as they are shown, and puts them with their tasks.
///
/// # Errors
/// When the database fails.
pub async fn fetch_along(
    platform: &Platform,
    user: UserId,
    tasks: &mut [&mut Task],
    fields: &Fields<'_>,
) -> Result<(), Fault> {
    let chosen = Chosen::new(COLUMNS, fields);
    let query = ordered(platform, user, tasks.iter().map(|task| task.task_id))
        .select_only()
        .columns([row::Column::TaskId, row::Column::Id, row::Column::CreatedAt])
        .columns(chosen.columns.iter().copied());
    let mut found: HashMap<TaskId, Vec<Attachment>> = HashMap::with_capacity(tasks.len());
    for row in platform.db.read().query_all(&query.into_query()).await? {
        let task: TaskId = row.try_get_by_index(0)?;
        found.entry(task).or_default().push(Attachment::shown(&row, chosen.read(&row, 3))?);
    }
    let page = Page::parse(&PageArguments::default(), "created", KeyKind::Instant, &platform.config.limits)?;
    for task in tasks {
        let attachments = found.remove(&task.task_id).unwrap_or_default();
        let connection = page.connection_of_all(attachments, Attachment::position, |attachment| attachment);
        task.extras.put("attachments", Arc::new(connection));
    }
    Ok(())
}

/// The fields of an attachment with their columns, in the order in which [`Attachment::shown`] reads them; `id` and
/// `createdAt` come before them in any case.
const COLUMNS: &[(&str, row::Column)] = &[
    ("fileName", row::Column::FileName),
    ("contentType", row::Column::ContentType),
    ("sizeBytes", row::Column::SizeBytes),
    ("optimisedSizeBytes", row::Column::OptimisedSizeBytes),
    ("width", row::Column::Width),
    ("height", row::Column::Height),
    ("status", row::Column::Status),
    ("rejection", row::Column::Rejection),
    ("task", row::Column::TaskId),
    ("downloadUrl", row::Column::FileId),
    ("downloadUrl", row::Column::ContentType),
    ("thumbnailUrl", row::Column::ThumbnailId),
    ("downloadUrl", row::Column::FileName),
    ("thumbnailUrl", row::Column::FileName),
];

fn ordered(platform: &Platform, user: UserId, tasks: impl Iterator<Item = TaskId>) -> Select<row::Entity> {
    row::Entity::visible_to(user)
        .filter(platform.db.among(row::Column::TaskId, tasks.map(TaskId::uuid)))
        // By task first, as the index has it: there is nothing to sort.
        .order_by_asc(row::Column::TaskId)
        .order_by_asc(row::Column::CreatedAt)
        .order_by_asc(row::Column::Id)
}

/// A task has few attachments, so that all of a page of tasks are fetched by one statement.
async fn of_tasks(
    platform: &Platform,
    user: UserId,
    tasks: impl Iterator<Item = TaskId>,
) -> Result<HashMap<TaskId, Vec<row::Model>>, DbErr> {
    let rows = ordered(platform, user, tasks).all(platform.db.read()).await?;
    let mut by_task: HashMap<TaskId, Vec<row::Model>> = HashMap::new();
    for row in rows {
        // None has no task: tasks were asked for.
        if let Some(task) = row.task_id {
            by_task.entry(task).or_default().push(row);
        }
    }
    Ok(by_task)
}
