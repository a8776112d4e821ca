//! The reminders of tasks and the deliveries of reminders, many at once.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use entity::{ReminderId, TaskId, UserId, delivery, reminder as row};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QueryOrder};

use super::graphql::Reminder;
use crate::{
    platform::{
        Platform,
        clock::Instant,
        error::Fault,
        page::{Connection, Key, KeyKind, Page, PageArguments, Position},
        viewer::Viewer,
    },
    tasks::Task,
};

/// The question: which reminders has this task?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemindersOf(pub TaskId);

/// The question: what became of this reminder's present round?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveriesOf(pub ReminderId);

/// Answers for one viewer; there is none without.
pub struct ReminderLoader {
    pub platform: Platform,
    pub viewer: Viewer,
}

impl Loader<RemindersOf> for ReminderLoader {
    type Value = Vec<row::Model>;
    type Error = Arc<Fault>;

    async fn load(&self, keys: &[RemindersOf]) -> Result<HashMap<RemindersOf, Self::Value>, Arc<Fault>> {
        let tasks = keys.iter().map(|key| key.0);
        let found = of_tasks(&self.platform, self.viewer.user_id, tasks).await.map_err(|e| Arc::new(e.into()))?;
        Ok(found.into_iter().map(|(task, rows)| (RemindersOf(task), rows)).collect())
    }
}

impl Loader<DeliveriesOf> for ReminderLoader {
    type Value = Vec<delivery::Model>;
    type Error = Arc<Fault>;

    async fn load(&self, keys: &[DeliveriesOf]) -> Result<HashMap<DeliveriesOf, Self::Value>, Arc<Fault>> {
        let rows = delivery::Entity::visible_to(self.viewer.user_id)
            .filter(delivery::Column::ReminderId.is_in(keys.iter().map(|key| key.0)))
            .order_by_asc(delivery::Column::DueAt)
            .order_by_asc(delivery::Column::Id)
            .all(self.platform.db.read())
            .await
            .map_err(|e| Arc::new(e.into()))?;
        let mut by_reminder: HashMap<DeliveriesOf, Vec<delivery::Model>> = HashMap::new();
        for row in rows {
            by_reminder.entry(DeliveriesOf(row.reminder_id)).or_default().push(row);
        }
        for rows in by_reminder.values_mut() {
            let present = rows.iter().map(|row| row.round).max();
            rows.retain(|row| Some(row.round) == present);
        }
        Ok(by_reminder)
    }
}

/// Fetches the reminders of a page of tasks at once, and puts them with their tasks.
///
/// # Errors
/// When the database fails.
pub async fn fetch_along(platform: &Platform, user: UserId, tasks: &mut [&mut Task]) -> Result<(), Fault> {
    let mut found = of_tasks(platform, user, tasks.iter().map(|task| task.task_id)).await?;
    let page = Page::parse(&PageArguments::default(), "scheduled", KeyKind::Instant, &platform.config.limits)?;
    let now = platform.clock.now();
    for task in tasks {
        let rows = found.remove(&task.task_id).unwrap_or_default();
        task.extras.put("reminders", Arc::new(connection(&page, rows, now)));
    }
    Ok(())
}

/// The connection of a task's reminders, which are wholly in memory.
pub(super) fn connection(page: &Page, rows: Vec<row::Model>, now: Instant) -> Connection<Reminder> {
    let position = |row: &row::Model| Position { key: Key::at(row.scheduled_at), id: row.id.uuid() };
    page.connection_of_all(rows, position, |row| Reminder::at(row, now))
}

/// A task has at most `REMINDERS_PER_TASK`, so that all of a page of tasks are fetched by one statement.
async fn of_tasks(
    platform: &Platform,
    user: UserId,
    tasks: impl Iterator<Item = TaskId>,
) -> Result<HashMap<TaskId, Vec<row::Model>>, DbErr> {
    let rows = row::Entity::visible_to(user)
        .filter(row::Column::TaskId.is_in(tasks))
        .order_by_asc(row::Column::ScheduledAt)
        .order_by_asc(row::Column::Id)
        .all(platform.db.read())
        .await?;
    let mut by_task: HashMap<TaskId, Vec<row::Model>> = HashMap::new();
    for row in rows {
        if let Some(task) = row.task_id {
            by_task.entry(task).or_default().push(row);
        }
    }
    Ok(by_task)
}
