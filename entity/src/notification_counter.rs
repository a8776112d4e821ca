//! One row a person: the unread count and the number of the last event of their live stream.
//!
//! Every change to a person's notifications updates this row first. Its lock is held until commit, so the events
//! of one person become visible in the order of their numbers, without gaps, on any number of instances. (A
//! database sequence gives no such promise: numbers are taken before commit and become visible out of order.)

use sea_orm::entity::prelude::*;

use crate::UserId;

/// The columns of `notification_counters`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification_counters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The number of the newest event; 0 before the first.
    pub last_seq: i64,
    /// How many notifications are unread.
    pub unread: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
