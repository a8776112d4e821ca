//! A browser that a person registered for push messages. It lives as long as the session from which it was registered.

use sea_orm::entity::prelude::*;

use crate::{PushSubscriptionId, SessionId, UserId};

/// The columns of `push_subscriptions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "push_subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PushSubscriptionId,
    pub user_id: UserId,
    pub session_id: SessionId,
    /// Where the push service takes messages for it. A secret: whoever knows it can send.
    pub endpoint: String,
    /// The browser's public key, base64url.
    pub p256dh: String,
    /// The secret that it shares with us, base64url.
    pub auth: String,
    /// How often in a row the push service did not take a message from us.
    pub refusals: i32,
    pub created_at: DateTimeUtc,
    /// When a message was last taken. None: none yet.
    pub last_used_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
