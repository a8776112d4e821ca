//! Tasks: what a person wants done.
//! Promise: a change is made whole or not at all, with everything that follows from it: the completion log, the
//! congratulation, and what other rooms do about it (they are told in the same transaction).

mod bulk;
mod change;
pub mod completion_log;
mod create;
mod due;
mod export;
pub mod filter;
pub mod graphql;
mod list;
pub mod loaders;
mod rules;
mod search;
mod trash;

pub use self::{
    change::set_statuses_in,
    create::create_in,
    due::{register_jobs, settle_by_hand},
    export::{export, export_completions},
    graphql::Task,
    trash::sweep,
};
