//! `spacedly migrate`: the tables, one migration at a time.

use clap::Subcommand;
use migration::{Migrator, MigratorTrait};

use crate::{
    app::{App, Handed},
    platform::config::Config,
};

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
    let db = app.platform.db.for_migrations();
    match direction {
        Direction::Up => Migrator::up(db, None).await.map_err(|e| e.to_string()),
        Direction::Down => Migrator::down(db, Some(1)).await.map_err(|e| e.to_string()),
        Direction::Status => {
            for migration in Migrator::get_migration_with_status(db).await.map_err(|e| e.to_string())? {
                println!("{:8} {}", migration.status().to_string(), migration.name());
            }
            Ok(())
        }
    }
}
