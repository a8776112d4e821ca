//! Attachments: the files that hang on tasks.
//! Promise: a file is shown only to its owner. (Uploading comes later; the rows and their edges are here.)

mod export;
pub mod graphql;
pub mod loaders;

pub use self::{export::export, graphql::Attachment};
