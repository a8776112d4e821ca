//! Notifications: a person's list, its unread count, and the live stream of what happens to it.
//! Promise: the count never drifts. It changes in the transaction that changes the list, every change is an event with
//! the count right after it, and events of one person are numbered without gaps in the order of commit.
//!
//! Call [`tell`] inside the transaction of the fact that notifies: in the app at once, by mail and push as its person
//! wishes; or [`record::record`] for the list alone. Ask [`way`] before sending by another way, and [`hold`] what quiet
//! hours keep back.

mod delete;
mod export;
mod fold;
pub mod graphql;
mod live;
mod outbox;
mod preferences;
pub mod push;
mod read;
pub mod record;
mod stolen;
mod sweep;

pub use self::{
    export::export,
    fold::{Withheld, hold, on_day_changed},
    outbox::{register_jobs, release, settle_by_hand, show, tell},
    preferences::{Choices, Way, way},
    read::mark_all_read_in,
    stolen::on_session_stolen,
    sweep::sweep,
};
