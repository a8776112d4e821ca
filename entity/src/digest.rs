//! The morning digest of a person: how far it has come.

use sea_orm::entity::prelude::*;

use crate::UserId;

/// The columns of `digests`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "digests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The last local day that is settled: a digest is on its way for it, or none is to be.
    pub last_on: Date,
    /// Names the mail of that day, so that it keeps its Message-ID however often it is tried.
    pub mail_id: Uuid,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
