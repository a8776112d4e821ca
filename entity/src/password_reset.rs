//! A forgotten password: a link that was asked for, whether or not the address has an account. The token is derived
//! from the row and stored as its SHA-256 only.

use sea_orm::entity::prelude::*;

use crate::PasswordResetId;

/// The columns of `password_resets`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "password_resets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PasswordResetId,
    /// The address that was given, lower-cased. Whose it is, is looked up when the mail goes out.
    pub email_key: String,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
