//! A notification in a person's list.

use sea_orm::entity::prelude::*;

use crate::{NotificationId, ReminderId, TaskId, UserId};

/// What a notification tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    #[sea_orm(string_value = "OVERDUE")]
    Overdue,
    #[sea_orm(string_value = "UPCOMING")]
    Upcoming,
    #[sea_orm(string_value = "REMINDER")]
    Reminder,
    #[sea_orm(string_value = "GENERAL")]
    General,
}

/// The columns of `notifications`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: NotificationId,
    pub user_id: UserId,
    pub kind: Kind,
    pub title: String,
    pub message: String,
    /// None: about no task, or the task is gone.
    pub task_id: Option<TaskId>,
    /// None: about no reminder, or the reminder is gone.
    pub reminder_id: Option<ReminderId>,
    /// What caused it, unique per person: the same cause never makes a second notification.
    pub cause: String,
    pub read_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
