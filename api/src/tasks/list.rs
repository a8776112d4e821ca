//! Listing tasks: one index for each order.

use entity::{TaskId, UserId, task as row};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};

use super::{
    filter::TaskFilter,
    graphql::{Columns, OrderDirection, Task, TaskCategory, TaskOrder, TaskOrderField},
    search::{self, Found},
    trash,
};
use crate::platform::{
    Platform,
    error::Fault,
    fields::{Cells, Chosen, Fields},
    page::{Connection, Key, KeyKind, Ordering, Page, PageArguments, Position},
};

/// Categories that are shown at once.
const MOST_CATEGORIES: u64 = 200;

/// Which tasks, and how they are ordered.
pub(super) struct Wanted<'f> {
    /// None: all that are not deleted.
    pub(super) filter: Option<&'f TaskFilter>,
    /// None: whatever their words.
    pub(super) search: Option<&'f str>,
    pub(super) order: TaskOrder,
}

/// A page of a person's tasks.
pub(super) async fn list(
    platform: &Platform,
    user: UserId,
    arguments: &PageArguments,
    wanted: Wanted<'_>,
    fields: &Fields<'_>,
) -> Result<Connection<Task>, Fault> {
    let Wanted { filter, search, order } = wanted;
    let (name, column, kind) = match order.field {
        TaskOrderField::CreatedAt => ("created", row::Column::CreatedAt, KeyKind::Instant),
        TaskOrderField::UpdatedAt => ("updated", row::Column::UpdatedAt, KeyKind::Instant),
        TaskOrderField::DueAt => ("due", row::Column::DueKey, KeyKind::Instant),
        TaskOrderField::Priority => ("priority", row::Column::Priority, KeyKind::Number),
        TaskOrderField::Title => ("title", row::Column::TitleKey, KeyKind::Text),
    };
    let page = Page::parse(arguments, name, kind, &platform.config.limits)?;
    let ordering = Ordering { name, column, kind, descending: order.direction == OrderDirection::Desc };
    let found = match search {
        Some(text) => search::find(platform, user, text).await?,
        None => None,
    };
    let mut mine = match found {
        None => row::Entity::visible_to(user),
        Some(Found::Few(ids)) => row::Entity::visible_among(user, ids),
        Some(Found::Many(found)) => row::Entity::visible_to(user).filter(found),
    };
    if let Some(filter) = filter {
        mine = mine.filter(filter.condition(platform.clock.now())?);
    }
    let chosen = Chosen::new(COLUMNS, &fields.items());
    let query = page
        .select(mine.clone(), ordering, row::Column::Id)
        .select_only()
        .columns([row::Column::Id, column])
        .columns(chosen.columns.iter().copied());
    let rows = platform.db.read().query_all(&query.into_query()).await?;
    let rows: Vec<(Position, Task)> = rows
        .iter()
        .map(|row| {
            let id: TaskId = row.try_get_by_index(0)?;
            let key = match kind {
                KeyKind::Instant => Key::at(row.try_get_by_index(1)?),
                KeyKind::Number => Key::Number(row.try_get_by_index::<i16>(1)?.into()),
                KeyKind::Text => Key::Text(row.try_get_by_index(1)?),
            };
            Ok((Position { key, id: id.uuid() }, task(id, chosen.read(row, 2))?))
        })
        .collect::<Result<_, DbErr>>()?;
    let mut connection = page.connection(rows, |(position, _)| position.clone(), |(_, task)| task);
    if fields.has("totalCount") {
        connection.total_count = Some(mine.count(platform.db.read()).await? as i64);
    }
    Ok(connection)
}

/// A page of a person's deleted tasks that can still be brought back, the one deleted last first.
pub(super) async fn deleted(
    platform: &Platform,
    user: UserId,
    arguments: &PageArguments,
    counts: bool,
) -> Result<Connection<Task>, Fault> {
    let (column, kind) = (row::Column::DeletedAt, KeyKind::Instant);
    let page = Page::parse(arguments, "deleted", kind, &platform.config.limits)?;
    let ordering = Ordering { name: "deleted", column, kind, descending: true };
    // That it is not null is said too: the index holds only those, and SQLite must see that it fits.
    let kept = row::Entity::with_deleted_visible_to(user)
        .filter(column.is_not_null())
        .filter(column.gte(trash::kept_since(platform)));
    let rows = page.select(kept.clone(), ordering, row::Column::Id).all(platform.db.read()).await?;
    let position = |row: &row::Model| Position { key: Key::at(row.deleted_at.unwrap_or_default()), id: row.id.uuid() };
    let mut connection = page.connection(rows, position, Task::from);
    if counts {
        connection.total_count = Some(kept.count(platform.db.read()).await? as i64);
    }
    Ok(connection)
}

/// The fields of a task with their columns, in the order in which [`task`] reads them.
const COLUMNS: &[(&str, row::Column)] = &[
    ("title", row::Column::Title),
    ("description", row::Column::Description),
    ("link", row::Column::Link),
    ("dueAt", row::Column::DueAt),
    ("dueOn", row::Column::DueOn),
    ("priority", row::Column::Priority),
    ("category", row::Column::Category),
    ("status", row::Column::Status),
    ("completedAt", row::Column::CompletedAt),
    ("version", row::Column::Version),
    ("createdAt", row::Column::CreatedAt),
    ("updatedAt", row::Column::UpdatedAt),
    ("deletedAt", row::Column::DeletedAt),
];

fn task(id: TaskId, mut cells: Cells<'_>) -> Result<Task, DbErr> {
    Ok(Task::from(Columns {
        id,
        title: cells.take()?,
        description: cells.take()?,
        link: cells.take()?,
        due_at: cells.take()?,
        due_on: cells.take()?,
        priority: cells.take()?,
        category: cells.take()?,
        status: cells.take()?,
        completed_at: cells.take()?,
        version: cells.take()?,
        created_at: cells.take()?,
        updated_at: cells.take()?,
        deleted_at: cells.take()?,
    }))
}

/// The categories of a person's tasks with their counts. Reads the index by category alone, all of it: the cost grows
/// with the number of tasks.
pub(super) async fn categories(platform: &Platform, user: UserId) -> Result<Vec<TaskCategory>, Fault> {
    let count = Expr::col((row::Entity, row::Column::Id)).count();
    let rows: Vec<(Option<String>, i64)> = row::Entity::visible_to(user)
        .select_only()
        .column(row::Column::Category)
        .column_as(count.clone(), "count")
        .group_by(row::Column::Category)
        .order_by_desc(count)
        .order_by_asc(row::Column::Category)
        .limit(MOST_CATEGORIES)
        .into_tuple()
        .all(platform.db.read())
        .await?;
    Ok(rows.into_iter().map(|(name, count)| TaskCategory { name, count }).collect())
}
