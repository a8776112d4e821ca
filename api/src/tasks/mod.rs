//! Tasks: what a person wants done.
//! Promise: a change is made whole or not at all, with everything that follows from it: the completion log, the
//! congratulation, and what other rooms do about it (they are told in the same transaction).

mod change;
pub mod completion_log;
mod create;
mod export;
pub mod graphql;
mod list;
pub mod loaders;
mod rules;

pub use self::{
    export::{export, export_completions},
    graphql::Task,
};
