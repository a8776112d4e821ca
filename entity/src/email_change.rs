//! A change of address that was made, and can be undone from the old address for a while.

use sea_orm::entity::prelude::*;

use crate::{EmailChangeId, UserId};

/// The columns of `email_changes`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_changes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EmailChangeId,
    pub user_id: UserId,
    /// As typed.
    pub old_email: String,
    /// SHA-256 of the token that undoes it; the token is derived from the row.
    pub undo_hash: Vec<u8>,
    /// Until when it can be undone.
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
