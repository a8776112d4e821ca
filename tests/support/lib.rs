//! The harness: starts the real system on a port of its own, on SQLite and on PostgreSQL, with a clock that tests
//! move, a mailbox, a statement counter and a socket client.
//! Promise: a test comes in by the front door, and leaves no job behind that nobody expected.

pub mod analytics;
pub mod client;
pub mod collector;
pub mod dice;
pub mod documents;
pub mod events;
pub mod files;
pub mod files_of;
pub mod limits;
pub mod logs;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod relay;
pub mod rolling;
pub mod s3;
pub mod server;
pub mod sessions;
pub mod smtp;
pub mod socket;
pub mod uploads;

pub use client::{Answer, Client, Person, code_in, text};
pub use events::{Event, Events};
pub use serde_json::{Value as Json, json};
pub use server::{Database, Server, run};
pub use sessions::{Tokens, Two};
pub use socket::Socket;

/// Declares cases that run on both databases: `both! { async fn a_sentence(server) { … } }`.
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident($server:ident $(, $($setting:literal = $value:expr),+)?) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$meta])*
            async fn case($server: &$crate::Server) $body

            const SETTINGS: &[(&str, &str)] = &[$($(($setting, $value)),+)?];

            #[test]
            fn on_sqlite() {
                $crate::run($crate::Database::Sqlite, SETTINGS, |server| Box::pin(case(server)));
            }

            #[test]
            fn on_postgres() {
                $crate::run($crate::Database::Postgres, SETTINGS, |server| Box::pin(case(server)));
            }
        }
    )*};
}

/// Looks again and again until there is an answer; fails with the name of what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed().as_secs() < 20, "waited 20 s for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
