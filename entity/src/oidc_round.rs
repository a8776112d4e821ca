//! A person who was sent to the OpenID provider and is expected back: once, from the same browser, within minutes.

use sea_orm::entity::prelude::*;

use crate::{SessionId, UserId};

/// Why the person was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Purpose {
    /// To log in, or to register.
    #[sea_orm(string_value = "LOGIN")]
    Login,
    /// To link the identity to the account that is logged in.
    #[sea_orm(string_value = "LINK")]
    Link,
    /// To make the session's authentication fresh.
    #[sea_orm(string_value = "REAUTHENTICATION")]
    Reauthentication,
}

/// The columns of `oidc_rounds`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oidc_rounds")]
pub struct Model {
    /// SHA-256 of the `state` that went to the provider.
    #[sea_orm(primary_key, auto_increment = false)]
    pub state_hash: Vec<u8>,
    /// SHA-256 of the cookie of the browser that was sent.
    pub browser_hash: Vec<u8>,
    pub purpose: Purpose,
    /// Who is logged in. None: a login.
    pub user_id: Option<UserId>,
    /// Their session. None: a login.
    pub session_id: Option<SessionId>,
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
