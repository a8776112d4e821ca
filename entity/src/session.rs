//! One login on one device. The refresh token is derived from the row (server key, id, counter): nothing that
//! opens a session lies in the database, only the SHA-256 of the token in force.

use sea_orm::entity::prelude::*;

use crate::{SessionId, UserId};

/// The columns of `sessions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    /// How often the refresh token was rotated.
    pub refresh_counter: i64,
    /// SHA-256 of the refresh token in force.
    pub refresh_hash: Vec<u8>,
    /// SHA-256 of the one before it. None: never rotated.
    pub previous_refresh_hash: Option<Vec<u8>>,
    /// When it was last rotated (first: made).
    pub rotated_at: DateTimeUtc,
    /// Whether the person asked to be remembered: 30 days instead of 7 between rotations.
    pub remembered: bool,
    /// The user agent at login, cut to 200 characters; empty when none was sent.
    pub device: String,
    /// The client's address at login.
    pub ip: String,
    pub created_at: DateTimeUtc,
    pub last_used_at: DateTimeUtc,
    /// When its person last proved who they are: the password and the second factor, or the provider.
    pub authenticated_at: DateTimeUtc,
    /// When the last access token that was handed out ends.
    pub access_expires_at: DateTimeUtc,
    /// When the refresh token in force dies.
    pub expires_at: DateTimeUtc,
    /// When the session dies, however often it is refreshed.
    pub ends_at: DateTimeUtc,
    /// Set: logged out or revoked, for good.
    pub revoked_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
