//! A reminder: a moment at which a person asked to be told.

use sea_orm::entity::prelude::*;

use crate::{ReminderId, TaskId, UserId};

/// By which way besides the app a reminder goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    #[default]
    #[sea_orm(string_value = "EMAIL")]
    Email,
    #[sea_orm(string_value = "PUSH")]
    Push,
    #[sea_orm(string_value = "BOTH")]
    Both,
}

/// Where a reminder stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    #[default]
    #[sea_orm(string_value = "PENDING")]
    Pending,
    #[sea_orm(string_value = "COMPLETED")]
    Completed,
    #[sea_orm(string_value = "CANCELLED")]
    Cancelled,
}

/// The columns of `reminders`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reminders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ReminderId,
    pub user_id: UserId,
    /// None: stands alone, with a message.
    pub task_id: Option<TaskId>,
    pub message: Option<String>,
    pub scheduled_at: DateTimeUtc,
    pub kind: Kind,
    pub status: Status,
    /// Completes by itself once every channel has delivered.
    pub completes_on_delivery: bool,
    /// Counts the moments it was moved to, from 1: each is a new round of deliveries.
    pub round: i32,
    pub completed_at: Option<DateTimeUtc>,
    pub cancelled_at: Option<DateTimeUtc>,
    /// Set when completing or deleting the task put it in this state: reopening or restoring the task undoes exactly these.
    pub ended_by_task: bool,
    /// Counts changes, from 1.
    pub version: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
