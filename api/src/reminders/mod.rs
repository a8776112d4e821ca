//! Reminders: kept at their moment, by every way that was asked for, with a ledger that says what became of each.
//! Promise: a reminder that was acknowledged is delivered: in the app exactly once, by mail at least once and with one
//! Message-ID. The delivery and the job that fulfils it are written in the transaction of the reminder.

mod by_hand;
mod change;
mod create;
mod digest;
mod digest_mail;
pub mod digest_rule;
mod dispatch;
mod export;
mod follow_task;
pub mod graphql;
mod ledger;
mod list;
pub mod loaders;
mod mail;
mod rules;

pub use self::{
    by_hand::{Settled, settle_by_hand},
    change::complete_in,
    create::create_in,
    digest::on_day_changed,
    dispatch::{on_held_messages, register_jobs},
    export::{export, export_deliveries},
    follow_task::on_task_changed,
    graphql::Reminder,
};
