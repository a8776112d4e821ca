//! A registration that waits for the code it was mailed; nothing here is visible as a user.
//!
//! There may be several for one address: each has its own id and its own code, so that nobody can slip their password
//! under somebody else's code. The code itself is not here: it is derived from the row under the server's key.

use sea_orm::entity::prelude::*;

use crate::PendingRegistrationId;

/// The columns of `pending_registrations`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_registrations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PendingRegistrationId,
    pub name: String,
    pub email: String,
    /// Lower-cased.
    pub email_key: String,
    pub password_hash: String,
    /// The address has an account already: the mail says so, and no code opens this registration.
    pub taken: bool,
    /// When the code is mailed: at once, or when the cooldown of the address is over.
    pub code_sent_at: DateTimeUtc,
    pub code_expires_at: DateTimeUtc,
    /// Tries so far; at the limit the code is burned.
    pub tries: i32,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
