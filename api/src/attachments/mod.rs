//! Attachments: the files that hang on tasks.
//! Promise: a file is shown only to its owner. (Uploading comes later; the rows and their edges are here.)

pub mod graphql;
pub mod loaders;

pub use graphql::Attachment;
