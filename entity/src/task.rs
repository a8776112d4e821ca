//! A task: what a person wants done.

use sea_orm::{
    QueryFilter,
    entity::prelude::*,
    sea_query::{Expr, SimpleExpr},
};

use crate::{TaskId, UserId};

/// Where a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    #[default]
    #[sea_orm(string_value = "TODO")]
    Todo,
    #[sea_orm(string_value = "IN_PROGRESS")]
    InProgress,
    #[sea_orm(string_value = "COMPLETED")]
    Completed,
}

/// How much a task matters; the number sorts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Priority {
    #[sea_orm(num_value = 1)]
    Low,
    #[default]
    #[sea_orm(num_value = 2)]
    Medium,
    #[sea_orm(num_value = 3)]
    High,
}

/// The columns of `tasks`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TaskId,
    pub user_id: UserId,
    pub title: String,
    /// The title lower-cased: what ordering by title compares.
    pub title_key: String,
    pub description: Option<String>,
    /// http or https.
    pub link: Option<String>,
    /// The due moment; of a date without a time, the end of that day in the person's zone. None: not due at all.
    pub due_at: Option<DateTimeUtc>,
    /// Set when the person gave a date without a time.
    pub due_on: Option<Date>,
    /// `due_at`, or the end of time where there is none: what ordering by due date compares, and never null.
    pub due_key: DateTimeUtc,
    pub priority: Priority,
    pub category: Option<String>,
    pub status: Status,
    pub completed_at: Option<DateTimeUtc>,
    /// When it was completed for the first time: the congratulation goes out only then.
    pub first_completed_at: Option<DateTimeUtc>,
    /// Counts changes, from 1.
    pub version: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Set: deleted by its owner, hidden until it is restored or purged.
    pub deleted_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The person's own tasks, those too that they deleted and that are not purged yet.
    pub fn with_deleted_visible_to(user: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user))
    }

    /// The person's own tasks among these that are not deleted, found by their ids: an index by person, which SQLite
    /// would rather take, reads everything that the person has.
    pub fn visible_among(user: UserId, ids: Vec<TaskId>) -> Select<Self> {
        let own = Expr::case(Column::UserId.eq(user), Expr::value(true)).finally(Expr::value(false));
        let own: SimpleExpr = own.into();
        Self::find().filter(Column::Id.is_in(ids)).filter(own).filter(Column::DeletedAt.is_null())
    }

    /// The person's own tasks that are not deleted.
    pub fn visible_to(user: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user)).filter(Column::DeletedAt.is_null())
    }
}
