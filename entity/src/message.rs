//! A mail or a push message that waits to go out: by itself, or held by quiet hours, to be folded with others into one.

use sea_orm::entity::prelude::*;

use crate::{MessageId, UserId, delivery::Channel, notification::Kind};

/// The columns of `messages`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Its own id; what is held of a reminder has the bits of its delivery's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub user_id: UserId,
    pub kind: Kind,
    /// The way by which it was to go out.
    pub channel: Channel,
    /// Whether it belongs to a reminder's delivery, whose ledger is to hear of it.
    pub of_delivery: bool,
    pub title: String,
    pub message: String,
    /// The moment at which it was to go out.
    pub due_at: DateTimeUtc,
    /// Held: the way by which it goes out with the others. None: it goes out by itself.
    pub folded_by: Option<Channel>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
