//! Notifications: a person's list, its unread count, and the live stream of what happens to it.
//! Promise: the count never drifts. It changes in the transaction that changes the list, every change is an event with
//! the count right after it, and events of one person are numbered without gaps in the order of commit.
//!
//! Call [`record::record`] inside the transaction of the fact that notifies.

mod delete;
mod export;
pub mod graphql;
mod live;
pub mod push;
mod read;
pub mod record;
mod stolen;
mod sweep;

pub use self::{export::export, stolen::on_session_stolen, sweep::sweep};
