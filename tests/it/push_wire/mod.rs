//! Push messages on the wire: what goes where, and what never goes anywhere.

mod addresses;
mod connecting;
mod forbidden;
mod receiver;
mod support;
