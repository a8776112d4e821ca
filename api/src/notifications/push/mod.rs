//! Push messages to the browsers that a person registered.
//! Promise: a browser whose session was ended gets none; one that is gone is forgotten.

pub mod graphql;
mod send;
mod subscribe;

pub use self::send::{PushMessage, Sent, send_to};
