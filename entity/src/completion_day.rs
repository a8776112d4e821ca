//! How much of a kind was completed on each local day: the sum of the completion log, kept as the log grows, so that
//! nobody has to read all of it. It says nothing that the log does not say.

use sea_orm::entity::prelude::*;

use crate::{UserId, completion::Subject};

/// The columns of `completion_days`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "completion_days")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: Subject,
    /// The local day in the zone that was in force.
    #[sea_orm(primary_key, auto_increment = false)]
    pub local_on: Date,
    /// The sum of the log's deltas; 0 when everything of the day was taken back.
    pub count: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
