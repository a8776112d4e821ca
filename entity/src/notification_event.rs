//! The live stream as it is kept: what happened to a person's notifications, numbered per person.

use sea_orm::entity::prelude::*;

use crate::{NotificationId, UserId};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    #[sea_orm(string_value = "ARRIVED")]
    Arrived,
    #[sea_orm(string_value = "READ")]
    Read,
    #[sea_orm(string_value = "DELETED")]
    Deleted,
}

/// The columns of `notification_events`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// 1, 2, 3, … per person, in the order of commit.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub kind: Kind,
    /// None: the event is about more than one.
    pub notification_id: Option<NotificationId>,
    /// The unread count right after it.
    pub unread: i32,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
