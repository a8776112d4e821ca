//! The attachments of tasks, many tasks at once.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use entity::{TaskId, UserId, attachment as row};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QueryOrder};

use super::graphql::connection;
use crate::{
    platform::{
        Platform,
        error::Fault,
        page::{Connection, KeyKind, Page, PageArguments},
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

/// Fetches the attachments of a page of tasks at once, and puts them with their tasks.
///
/// # Errors
/// When the database fails.
pub async fn fetch_along(platform: &Platform, user: UserId, tasks: &mut [&mut Task]) -> Result<(), Fault> {
    let mut found = of_tasks(platform, user, tasks.iter().map(|task| task.task_id)).await?;
    let page = Page::parse(&PageArguments::default(), "created", KeyKind::Instant, &platform.config.limits)?;
    for task in tasks {
        let rows = found.remove(&task.task_id).unwrap_or_default();
        let connection: Connection<_> = connection(&page, rows);
        task.extras.put("attachments", Arc::new(connection));
    }
    Ok(())
}

/// A task has few attachments, so that all of a page of tasks are fetched by one statement.
async fn of_tasks(
    platform: &Platform,
    user: UserId,
    tasks: impl Iterator<Item = TaskId>,
) -> Result<HashMap<TaskId, Vec<row::Model>>, DbErr> {
    let rows = row::Entity::visible_to(user)
        .filter(row::Column::TaskId.is_in(tasks))
        .order_by_asc(row::Column::CreatedAt)
        .order_by_asc(row::Column::Id)
        .all(platform.db.read())
        .await?;
    let mut by_task: HashMap<TaskId, Vec<row::Model>> = HashMap::new();
    for row in rows {
        by_task.entry(row.task_id).or_default().push(row);
    }
    Ok(by_task)
}
