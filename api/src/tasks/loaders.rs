//! Tasks by their ids, many at once.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use entity::{TaskId, task as row};
use sea_orm::{ColumnTrait, QueryFilter};

use super::Task;
use crate::platform::{Platform, error::Fault, viewer::Viewer};

/// The question: which task has this id?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskWithId(pub TaskId);

/// Answers for one viewer; there is none without.
pub struct TaskLoader {
    pub platform: Platform,
    pub viewer: Viewer,
}

impl Loader<TaskWithId> for TaskLoader {
    type Value = Task;
    type Error = Arc<Fault>;

    async fn load(&self, keys: &[TaskWithId]) -> Result<HashMap<TaskWithId, Task>, Arc<Fault>> {
        let rows = row::Entity::visible_to(self.viewer.user_id)
            .filter(row::Column::Id.is_in(keys.iter().map(|key| key.0)))
            .all(self.platform.db.read())
            .await
            .map_err(|e| Arc::new(e.into()))?;
        Ok(rows.into_iter().map(|row| (TaskWithId(row.id), row.into())).collect())
    }
}
