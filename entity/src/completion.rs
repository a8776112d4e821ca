//! The append-only completion log: what was done, on which local day. Streaks and analytics are sums over it;
//! reopening appends the opposite entry on the day of the original, so that nothing is ever rewritten.

use sea_orm::entity::prelude::*;

use crate::{CompletionId, UserId};

/// What was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Subject {
    #[sea_orm(string_value = "TASK")]
    Task,
    #[sea_orm(string_value = "REMINDER")]
    Reminder,
}

/// The columns of `completions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "completions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CompletionId,
    pub user_id: UserId,
    pub subject: Subject,
    /// The bits of the task's or reminder's id. No foreign key: the log outlives what it tells of.
    pub subject_id: Uuid,
    /// 1 for done, -1 for undone.
    pub delta: i16,
    pub completed_at: DateTimeUtc,
    /// The local day in the zone that was in force.
    pub local_on: Date,
    /// That zone, IANA name.
    pub time_zone: String,
    /// Whether the sum of its day has it. Instances of the release before the sums write false.
    pub summed: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
