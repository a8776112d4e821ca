//! `spacedly migrate`: the tables, one migration at a time.

use crate::{
    app::{App, Handed},
    platform::config::Config,
};
use clap::Subcommand;

/// Which way.
#[derive(Clone, Copy, Subcommand)]
pub(super) enum Direction {
    /// Applies what is missing.
    Up,
    /// Takes the last one back.
    Down,
    /// Lists them.
    Status,
}

/// Brings the tables up to date, takes the last migration back, or tells where they stand.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn run(config: Config, direction: Direction) -> Result<(), String> {
    let app = App::build(config, Handed::default()).await?;
    match direction {
        Direction::Up => app.migrate().await,
        Direction::Down => app.migrate_down().await,
        Direction::Status => {
            for (migration, status) in app.migrations().await? {
                println!("{status:8} {migration}");
            }
            Ok(())
        }
    }
}
