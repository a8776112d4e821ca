//! A thing that a person must prove with a code before it is done: the second half of a login, the setting up of a
//! second factor, a new address. The codes that are mailed are not here: they are derived from the row.

use sea_orm::entity::prelude::*;

use crate::{ChallengeId, SessionId, UserId};

/// What the code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Purpose {
    /// The password was right; the code opens the session.
    #[sea_orm(string_value = "LOGIN")]
    Login,
    /// The password was right once more; the code makes the session's authentication fresh.
    #[sea_orm(string_value = "REAUTHENTICATION")]
    Reauthentication,
    /// The code turns the second factor on.
    #[sea_orm(string_value = "SECOND_FACTOR_SETUP")]
    SecondFactorSetup,
    /// The code, mailed to the new address, makes it the account's.
    #[sea_orm(string_value = "EMAIL_CHANGE")]
    EmailChange,
}

/// The columns of `challenges`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "challenges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ChallengeId,
    pub user_id: UserId,
    pub purpose: Purpose,
    /// Where the code comes from.
    pub method: crate::second_factor::Method,
    /// The session that asked. None: there is none yet (a login).
    pub session_id: Option<SessionId>,
    /// The address that is to be the account's (a change of address); as typed.
    pub new_email: Option<String>,
    /// Whether the login asked to be remembered.
    pub remembered: bool,
    /// Tries so far; at the limit the challenge is over.
    pub tries: i32,
    /// When the code was mailed last; what the code is derived from, besides the id.
    pub code_sent_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
