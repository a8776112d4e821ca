//! Tasks as the schema shows them.

pub mod change;

use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, SimpleObject, parser::types::SelectionSet};
use entity::{Instant, LocalDate, TaskId, UserId, task as row};
use futures_util::future::BoxFuture;
use sea_orm::{ColumnTrait, QueryFilter};

pub use self::change::TaskMutations;
use super::{
    filter::TaskFilter,
    list::{self, Wanted},
    rules::Due,
};
use crate::platform::{
    Platform,
    error::Fault,
    fields::Fields,
    input,
    page::{Connection, Listed, PageArguments},
    scalars::{Cursor, Date, DateTime, Url},
    viewer::Caller,
    walk::{Extras, Walk, Walked, Writer},
};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::task::Status")]
pub enum TaskStatus {
    /// Not begun.
    Todo,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
}

/// How much a task matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::task::Priority")]
pub enum TaskPriority {
    /// Can wait.
    Low,
    /// As most do.
    #[default]
    Medium,
    /// Comes first.
    High,
}

/// A task.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct Task {
    /// `task_…`
    pub id: ID,
    /// 3–200 characters.
    title: String,
    /// At most 10 000 characters. Null: none.
    description: Option<String>,
    /// Where more is to be found. Null: nowhere.
    link: Option<Url>,
    /// When it is due; of a date without a time, the end of that day in the viewer's zone. Null: never.
    due_at: Option<DateTime>,
    /// The day on which it is due. Null: it is due at a moment, or never.
    due_on: Option<Date>,
    /// How much it matters.
    priority: TaskPriority,
    /// At most 50 characters. Null: none.
    category: Option<String>,
    /// Where it stands.
    status: TaskStatus,
    /// When it was completed. Null: it is not.
    completed_at: Option<DateTime>,
    /// Counts changes, from 1: hand it back as expectedVersion.
    version: i32,
    /// When it was made.
    created_at: DateTime,
    /// When it was changed last.
    updated_at: DateTime,
    /// When it was deleted. Null: it is not.
    deleted_at: Option<DateTime>,
    /// The id, as a key of loaders.
    #[graphql(skip)]
    pub task_id: TaskId,
    /// Edges that were fetched along with it.
    #[graphql(skip)]
    pub extras: Extras,
}

/// The columns that a task shows.
pub(super) struct Columns {
    pub(super) id: TaskId,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) link: Option<String>,
    pub(super) due_at: Option<Instant>,
    pub(super) due_on: Option<LocalDate>,
    pub(super) priority: row::Priority,
    pub(super) category: Option<String>,
    pub(super) status: row::Status,
    pub(super) completed_at: Option<Instant>,
    pub(super) version: i32,
    pub(super) created_at: Instant,
    pub(super) updated_at: Instant,
    pub(super) deleted_at: Option<Instant>,
}

impl From<row::Model> for Task {
    fn from(row: row::Model) -> Self {
        Columns {
            id: row.id,
            title: row.title,
            description: row.description,
            link: row.link,
            due_at: row.due_at,
            due_on: row.due_on,
            priority: row.priority,
            category: row.category,
            status: row.status,
            completed_at: row.completed_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
        .into()
    }
}

impl From<Columns> for Task {
    fn from(row: Columns) -> Self {
        Self {
            id: ID(row.id.to_string()),
            title: row.title,
            description: row.description,
            link: row.link.map(Url),
            due_at: row.due_at.map(DateTime),
            due_on: row.due_on.map(Date),
            priority: row.priority.into(),
            category: row.category,
            status: row.status.into(),
            completed_at: row.completed_at.map(DateTime),
            version: row.version,
            created_at: DateTime(row.created_at),
            updated_at: DateTime(row.updated_at),
            deleted_at: row.deleted_at.map(DateTime),
            task_id: row.id,
            extras: Extras::default(),
        }
    }
}

impl Walk for Task {
    const TYPE: &'static str = "Task";

    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        let instant = |out: &mut Writer<'_>, at: DateTime| out.plain(DateTime::text(at.0));
        match field {
            "id" => out.plain(&self.id.0),
            "title" => out.string(&self.title),
            "description" => out.option(self.description.as_deref(), Writer::string),
            "link" => out.option(self.link.as_ref(), |out, link| out.string(&link.0)),
            "dueAt" => out.option(self.due_at, instant),
            "dueOn" => out.option(self.due_on, |out, day| out.plain(day.0)),
            "priority" => out.plain(match self.priority {
                TaskPriority::Low => "LOW",
                TaskPriority::Medium => "MEDIUM",
                TaskPriority::High => "HIGH",
            }),
            "category" => out.option(self.category.as_deref(), Writer::string),
            "status" => out.plain(match self.status {
                TaskStatus::Todo => "TODO",
                TaskStatus::InProgress => "IN_PROGRESS",
                TaskStatus::Completed => "COMPLETED",
            }),
            "completedAt" => out.option(self.completed_at, instant),
            "version" => out.bare(self.version),
            "createdAt" => instant(out, self.created_at),
            "updatedAt" => instant(out, self.updated_at),
            "deletedAt" => out.option(self.deleted_at, instant),
            edge => self.extras.write(edge, set, out),
        }
    }
}

impl Listed for Task {
    const CONNECTION: &'static str = "TaskConnection";
    const EDGE: &'static str = "TaskEdge";
}

/// By what tasks are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum TaskOrderField {
    /// When they were made.
    #[default]
    CreatedAt,
    /// When they were changed last.
    UpdatedAt,
    /// When they are due; what is never due comes last (first when descending).
    DueAt,
    /// How much they matter.
    Priority,
    /// Their titles, without regard to case, by code point.
    Title,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// The least first.
    Asc,
    /// The greatest first.
    #[default]
    Desc,
}

/// How tasks are ordered. Ties are broken by id.
#[derive(Clone, Copy, Debug, Default, InputObject)]
pub struct TaskOrder {
    /// By what.
    #[graphql(default)]
    pub field: TaskOrderField,
    /// Which way.
    #[graphql(default)]
    pub direction: OrderDirection,
}

/// When a task is due: at a moment, or some time on a day.
#[derive(Clone, Copy, Debug, OneofObject)]
pub enum TaskDueInput {
    /// At this moment.
    At(DateTime),
    /// On this day: at its end, in the viewer's zone.
    On(Date),
}

impl From<TaskDueInput> for Due {
    fn from(due: TaskDueInput) -> Self {
        match due {
            TaskDueInput::At(at) => Self::At(at.0),
            TaskDueInput::On(day) => Self::On(day.0),
        }
    }
}

/// What a person has of tasks: plugged onto `User`.
pub struct UserTasks(pub UserId);

/// Fetches the edges that a page of tasks is asked for, all at once. Set by whoever knows the rooms on the right.
pub type FetchEdges = for<'a> fn(&'a Context<'_>, &'a mut Connection<Task>) -> BoxFuture<'a, Result<(), Fault>>;

#[Object]
impl UserTasks {
    /// The viewer's tasks that are not deleted, the newest first unless asked otherwise.
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the field in the schema")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 20 by default, 100 at most; else BAD_REQUEST.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many: 100 at most, and not with `first`; else BAD_REQUEST.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
        #[graphql(desc = "Which of them. Absent: all.")] filter: Option<TaskFilter>,
        #[graphql(
            desc = "Words, 10 at most and 1,000 bytes in all (more is a BAD_REQUEST): each begins a word of the title or of the description, without regard to case. Absent or blank: whatever their words."
        )]
        search: Option<String>,
        #[graphql(desc = "How they are ordered. Absent: the newest first.")] order_by: Option<TaskOrder>,
    ) -> Result<Walked<Connection<Task>>, Fault> {
        let platform = ctx.data_unchecked::<Platform>();
        let arguments = PageArguments { first, after, last, before };
        let fields = Fields::of(ctx);
        let order = order_by.unwrap_or_default();
        let wanted = Wanted { filter: filter.as_ref(), search: search.as_deref(), order };
        let mut tasks = list::list(platform, self.0, &arguments, wanted, &fields).await?;
        ctx.data_unchecked::<FetchEdges>()(ctx, &mut tasks).await?;
        Ok(Walked(tasks))
    }

    /// The viewer's deleted tasks that taskRestore can still bring back, the one deleted last first.
    async fn deleted_tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 20 by default, 100 at most; else BAD_REQUEST.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many: 100 at most, and not with `first`; else BAD_REQUEST.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<Walked<Connection<Task>>, Fault> {
        let arguments = PageArguments { first, after, last, before };
        let counts = ctx.look_ahead().field("totalCount").exists();
        let mut tasks = list::deleted(ctx.data_unchecked::<Platform>(), self.0, &arguments, counts).await?;
        ctx.data_unchecked::<FetchEdges>()(ctx, &mut tasks).await?;
        Ok(Walked(tasks))
    }

    /// The categories of the viewer's tasks that are not deleted, each with how many there are; those with the most
    /// first, 200 at most.
    async fn task_categories(&self, ctx: &Context<'_>) -> Result<Vec<TaskCategory>, Fault> {
        list::categories(ctx.data_unchecked::<Platform>(), self.0).await
    }
}

/// A category and how many tasks it has.
#[derive(Clone, Debug, SimpleObject)]
pub struct TaskCategory {
    /// Its name. Null: the tasks without a category.
    pub name: Option<String>,
    /// How many tasks.
    pub count: i64,
}

/// The queries of tasks.
#[derive(Default)]
pub struct TaskQueries;

#[Object]
impl TaskQueries {
    /// One of the viewer's tasks. Null: there is none such for them.
    async fn task(&self, ctx: &Context<'_>, #[graphql(desc = "`task_…`")] id: ID) -> Result<Option<Task>, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let id = input::query_id("id", &id)?;
        Ok(tasks_of(ctx.data_unchecked::<Platform>(), viewer.user_id, vec![id]).await?.pop())
    }
}

/// The tasks of a person among these, in any order: what is not theirs is not there.
pub async fn tasks_of(platform: &Platform, user: UserId, ids: Vec<TaskId>) -> Result<Vec<Task>, Fault> {
    let found = row::Entity::visible_to(user).filter(row::Column::Id.is_in(ids)).all(platform.db.read()).await?;
    Ok(found.into_iter().map(Into::into).collect())
}
