//! Attachments: the files that hang on tasks, and avatars.
//! Promise: a file is shown only to its owner, and only after its bytes were looked at; what goes, goes from storage too.

mod export;
pub mod graphql;
mod live;
pub mod loaders;
mod process;
mod receive;
mod remove;
mod rules;
mod store;
mod sweep;
mod upload;

pub use self::{
    export::export,
    graphql::Attachment,
    receive::{Received, Uploads, may_upload},
    remove::{on_account_deleted, on_task_changed},
    sweep::{put_off_sweep, sweep},
};
use crate::platform::{Platform, jobs::Engine};

/// Registers what this room does in the background.
pub fn register_jobs(engine: &mut Engine, platform: &Platform) {
    process::register(engine, platform);
    remove::register(engine);
    sweep::register(engine);
}
