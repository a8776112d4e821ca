//! An account at an OpenID provider that opens an account here.

use sea_orm::entity::prelude::*;

use crate::{IdentityId, UserId};

/// The columns of `identities`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identities")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: IdentityId,
    pub user_id: UserId,
    /// Who vouches: the provider's issuer URL. With `subject` it is unique.
    pub issuer: String,
    /// Whom it vouches for: the provider's own id of the person, which never changes.
    pub subject: String,
    /// The address that the provider told when it was linked; only shown. None: it told none.
    pub email: Option<String>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
