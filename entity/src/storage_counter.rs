//! One row a person: the space that their files take, and the number of the last change among them.
//!
//! Every change of a person's attachments updates this row first. Its lock is held until commit, so that two uploads
//! never take the same last byte, and changes become visible in the order of their numbers (as in
//! [`crate::notification_counter`]).

use sea_orm::entity::prelude::*;

use crate::UserId;

/// The columns of `storage_counters`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_counters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The number of the newest change; 0 before the first.
    pub last_seq: i64,
    /// The sum of what the person's attachments are charged, in bytes.
    pub used_bytes: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
