//! Listing tasks: one index for each order.

use entity::{UserId, task as row};
use sea_orm::PaginatorTrait;

use super::graphql::{OrderDirection, Task, TaskOrder, TaskOrderField};
use crate::platform::{
    Platform,
    error::Fault,
    page::{Connection, Key, KeyKind, Ordering, Page, PageArguments, Position},
};

/// A page of a person's tasks.
pub(super) async fn list(
    platform: &Platform,
    user: UserId,
    arguments: &PageArguments,
    order: TaskOrder,
    counted: bool,
) -> Result<Connection<Task>, Fault> {
    let (name, column, kind) = match order.field {
        TaskOrderField::CreatedAt => ("created", row::Column::CreatedAt, KeyKind::Instant),
        TaskOrderField::UpdatedAt => ("updated", row::Column::UpdatedAt, KeyKind::Instant),
        TaskOrderField::DueAt => ("due", row::Column::DueKey, KeyKind::Instant),
        TaskOrderField::Priority => ("priority", row::Column::Priority, KeyKind::Number),
        TaskOrderField::Title => ("title", row::Column::TitleKey, KeyKind::Text),
    };
    let page = Page::parse(arguments, name, kind, &platform.config.limits)?;
    let ordering = Ordering { name, column, kind, descending: order.direction == OrderDirection::Desc };
    let mine = row::Entity::visible_to(user);
    let rows = page.select(mine.clone(), ordering, row::Column::Id).all(platform.db.read()).await?;
    let position = |row: &row::Model| {
        let key = match order.field {
            TaskOrderField::CreatedAt => Key::at(row.created_at),
            TaskOrderField::UpdatedAt => Key::at(row.updated_at),
            TaskOrderField::DueAt => Key::at(row.due_key),
            TaskOrderField::Priority => Key::Number(priority_number(row.priority)),
            TaskOrderField::Title => Key::Text(row.title_key.clone()),
        };
        Position { key, id: row.id.uuid() }
    };
    let mut connection = page.connection(rows, position, Task::from);
    if counted {
        connection.total_count = Some(mine.count(platform.db.read()).await? as i64);
    }
    Ok(connection)
}

fn priority_number(priority: row::Priority) -> i64 {
    match priority {
        row::Priority::Low => 1,
        row::Priority::Medium => 2,
        row::Priority::High => 3,
    }
}
