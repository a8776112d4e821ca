//! The delivery ledger: one row per reminder, round and channel, from the promise to its outcome.

use sea_orm::entity::prelude::*;

use crate::{DeliveryId, ReminderId, UserId};

/// The way by which a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Channel {
    #[sea_orm(string_value = "IN_APP")]
    InApp,
    #[sea_orm(string_value = "EMAIL")]
    Email,
    #[sea_orm(string_value = "PUSH")]
    Push,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// Waits for its moment or its next attempt.
    #[sea_orm(string_value = "PENDING")]
    Pending,
    /// Handed over: in the app it is in the list, by mail the server took it.
    #[sea_orm(string_value = "SENT")]
    Sent,
    /// Given up, with the last error.
    #[sea_orm(string_value = "FAILED")]
    Failed,
    /// No longer wanted: the reminder was completed, cancelled or moved before.
    #[sea_orm(string_value = "CANCELLED")]
    Cancelled,
    /// Had nowhere to go: the person has no address for this channel. `error` says which.
    #[sea_orm(string_value = "SKIPPED")]
    Skipped,
    /// Held by the person's quiet hours until `next_attempt_at`: see [`crate::message`].
    #[sea_orm(string_value = "HELD")]
    Held,
}

/// The columns of `deliveries`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DeliveryId,
    pub user_id: UserId,
    pub reminder_id: ReminderId,
    /// The reminder's round to which it belongs.
    pub round: i32,
    pub channel: Channel,
    pub state: State,
    /// The channel's own moment: lateness is measured from here.
    pub due_at: DateTimeUtc,
    /// Answers of the server so far; an unreachable server costs none.
    pub attempts: i32,
    /// When it is tried next. None: it is not.
    pub next_attempt_at: Option<DateTimeUtc>,
    pub sent_at: Option<DateTimeUtc>,
    /// The last error, for the person. None: none.
    pub error: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
