//! The rows of Spacedly, their typed ids, and the finders that know who may see them.
//! Promise: nothing here knows GraphQL, HTTP or the time of day, and a row that belongs to a person is
//! reached by `visible_to(user)` or not at all.

pub mod account_mail;
pub mod attachment;
pub mod challenge;
pub mod completion;
pub mod completion_day;
pub mod delivery;
pub mod digest;
pub mod email_change;
pub mod idempotency_key;
pub mod identity;
pub mod ids;
pub mod job;
pub mod message;
pub mod notification;
pub mod notification_choice;
pub mod notification_counter;
pub mod notification_event;
pub mod oidc_round;
pub mod password_reset;
pub mod pending_registration;
pub mod push_subscription;
pub mod reminder;
pub mod second_factor;
pub mod session;
pub mod storage_counter;
pub mod stored_file;
pub mod task;
pub mod user;

pub use ids::*;
pub use sea_orm::prelude::{Date as LocalDate, DateTimeUtc as Instant};

/// Gives an entity `visible_to(user)`: the only way to a person's rows.
macro_rules! owned_by_user {
    () => {
        impl Entity {
            /// The rows that this person may see: their own. A stranger's row is simply not there.
            pub fn visible_to(user: $crate::UserId) -> sea_orm::Select<Self> {
                use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
                Self::find().filter(Column::UserId.eq(user))
            }
        }
    };
}
pub(crate) use owned_by_user;
