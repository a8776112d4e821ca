//! The reminders of tasks and the deliveries of reminders, many at once.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use entity::{ReminderId, TaskId, UserId, delivery, reminder as row};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};

use super::graphql::Reminder;
use crate::{
    platform::{
        Platform,
        clock::Instant,
        error::Fault,
        fields::{Chosen, Fields},
        page::{Connection, Key, KeyKind, Page, PageArguments, Position},
        viewer::Viewer,
    },
    tasks::Task,
};

/// The question: which reminders has this task?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemindersOf(pub TaskId);

/// The question: which reminder has this id?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReminderWithId(pub ReminderId);

/// The question: what became of this reminder?
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

impl Loader<ReminderWithId> for ReminderLoader {
    type Value = Reminder;
    type Error = Arc<Fault>;

    async fn load(&self, keys: &[ReminderWithId]) -> Result<HashMap<ReminderWithId, Reminder>, Arc<Fault>> {
        let rows = row::Entity::visible_to(self.viewer.user_id)
            .filter(row::Column::Id.is_in(keys.iter().map(|key| key.0)))
            .all(self.platform.db.read())
            .await
            .map_err(|e| Arc::new(e.into()))?;
        let now = self.platform.clock.now();
        Ok(rows.into_iter().map(|row| (ReminderWithId(row.id), Reminder::at(row, now))).collect())
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
        Ok(by_reminder)
    }
}

/// Fetches the reminders of a page of tasks at once, as far as they are shown, and puts them with their tasks.
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
        .columns([row::Column::TaskId, row::Column::Id, row::Column::ScheduledAt, row::Column::Status])
        .columns(chosen.columns.iter().copied());
    let now = platform.clock.now();
    let mut found: HashMap<TaskId, Vec<Reminder>> = HashMap::with_capacity(tasks.len());
    for row in platform.db.read().query_all(&query.into_query()).await? {
        let task: TaskId = row.try_get_by_index(0)?;
        found.entry(task).or_default().push(Reminder::shown(task, &row, chosen.read(&row, 4), now)?);
    }
    let page = Page::parse(&PageArguments::default(), "scheduled", KeyKind::Instant, &platform.config.limits)?;
    for task in tasks {
        let reminders = found.remove(&task.task_id).unwrap_or_default();
        let connection = page.connection_of_all(reminders, Reminder::position, |reminder| reminder);
        task.extras.put("reminders", Arc::new(connection));
    }
    Ok(())
}

/// The fields of a reminder with their columns, in the order in which [`Reminder::shown`] reads them; `id`,
/// `scheduledAt` and `status` come before them in any case.
const COLUMNS: &[(&str, row::Column)] = &[
    ("message", row::Column::Message),
    ("type", row::Column::Kind),
    ("completeOnDelivery", row::Column::CompletesOnDelivery),
    ("completedAt", row::Column::CompletedAt),
    ("cancelledAt", row::Column::CancelledAt),
    ("version", row::Column::Version),
    ("createdAt", row::Column::CreatedAt),
    ("updatedAt", row::Column::UpdatedAt),
    ("deliveries", row::Column::Round),
    ("whyNotDelivered", row::Column::Round),
];

fn ordered(platform: &Platform, user: UserId, tasks: impl Iterator<Item = TaskId>) -> Select<row::Entity> {
    row::Entity::visible_to(user)
        .filter(platform.db.among(row::Column::TaskId, tasks.map(TaskId::uuid)))
        // By task first, as the index has it: there is nothing to sort.
        .order_by_asc(row::Column::TaskId)
        .order_by_asc(row::Column::ScheduledAt)
        .order_by_asc(row::Column::Id)
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
    let rows = ordered(platform, user, tasks).all(platform.db.read()).await?;
    let mut by_task: HashMap<TaskId, Vec<row::Model>> = HashMap::new();
    for row in rows {
        if let Some(task) = row.task_id {
            by_task.entry(task).or_default().push(row);
        }
    }
    Ok(by_task)
}
