//! The second factor of a person who has one. Neither the authenticator's secret nor the recovery codes are here: they
//! are derived from the row under the server's key.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use crate::UserId;

/// Where the codes of a second factor come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Method {
    /// Mailed at each login.
    #[sea_orm(string_value = "EMAIL")]
    Email,
    /// An authenticator app (TOTP, RFC 6238).
    #[sea_orm(string_value = "TOTP")]
    Totp,
}

/// The columns of `second_factors`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "second_factors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// What the secrets are derived from: new with each setting up.
    pub seed_id: Uuid,
    pub method: Method,
    /// The last step of time (RFC 6238) whose code was taken: none up to it is taken again.
    pub last_step: i64,
    /// Counts the sets of recovery codes; the newest is in force.
    pub recovery_generation: i32,
    /// A bit for each recovery code that was used.
    pub recovery_used: i32,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
