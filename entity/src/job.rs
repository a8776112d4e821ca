//! Background work that is written down: a row is made in the transaction of the fact that asks for it and
//! leaves in the transaction of the effect that fulfils it.

use sea_orm::entity::prelude::*;

use crate::{JobId, UserId};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// Waits for `available_at`.
    #[sea_orm(string_value = "READY")]
    Ready,
    /// Held by a worker until `available_at`; after that anyone may take it over.
    #[sea_orm(string_value = "RUNNING")]
    Running,
    /// Put aside with its last error, for an operator to see.
    #[sea_orm(string_value = "DEAD")]
    Dead,
}

/// The columns of `jobs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    /// The constant name of what is to be done.
    pub kind: String,
    /// The bits of the id of what it is about. One job per kind and subject.
    pub subject_id: Uuid,
    /// Whose it is. None: the system's.
    pub user_id: Option<UserId>,
    pub state: State,
    /// READY: when it may start. RUNNING: when its lease ends.
    pub available_at: DateTimeUtc,
    /// When it was first to start: order and lateness go by this.
    pub due_at: DateTimeUtc,
    /// Rises with every claim: only the holder of the newest may complete it.
    pub fence: i64,
    /// Tries that ended in an answer which counts.
    pub attempts: i32,
    /// Tries whose worker vanished.
    pub crashes: i32,
    pub last_error: Option<String>,
    /// When a try first failed: for how long it is tried counts from here. None: none failed yet.
    pub first_failed_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
