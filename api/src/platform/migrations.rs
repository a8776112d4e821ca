//! The tables as this release wants them.
//! Promise: a release starts on the tables of the next one, so that an upgrade can be taken back; on tables that it cannot
//! know it changes nothing.

use std::collections::HashSet;

use migration::{Migrator, MigratorTrait};
use sea_orm::{DatabaseConnection, DbErr};

use super::crash;

/// Where the tables stand, by the names of migrations.
pub(super) struct Standing {
    pub(super) known: Vec<String>,
    applied: HashSet<String>,
}

impl Standing {
    /// By the names of what was applied.
    pub(super) fn by(applied: impl IntoIterator<Item = String>) -> Self {
        let known = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        Self { known, applied: applied.into_iter().collect() }
    }

    async fn of(db: &DatabaseConnection) -> Result<Self, String> {
        let applied = Migrator::get_migration_models(db).await.map_err(|e| failed(&e))?;
        Ok(Self::by(applied.into_iter().map(|model| model.version)))
    }

    /// How many are known and not applied.
    pub(super) fn pending(&self) -> usize {
        self.known.iter().filter(|name| !self.applied.contains(*name)).count()
    }

    /// What a newer release applied, in the order of names.
    pub(super) fn newer(&self) -> Vec<String> {
        let mut newer: Vec<String> = self.applied.iter().filter(|name| !self.known.contains(name)).cloned().collect();
        newer.sort_unstable();
        newer
    }
}

/// Applies what is missing, one by one, each of them whole.
///
/// # Errors
/// What the database said; or that another release applied what this one does not know while something of its own is
/// missing. In words for an operator.
pub async fn up(db: &DatabaseConnection) -> Result<(), String> {
    let standing = Standing::of(db).await?;
    let (pending, newer) = (standing.pending(), standing.newer());
    if let Some(latest) = newer.last() {
        if pending > 0 {
            return Err(format!(
                "the tables are of another release: it applied {latest}, and {pending} migrations of this one are \
                 missing; start that release, or a newer one"
            ));
        }
        // It only adds (README, Upgrading), so that this one can go on.
        tracing::warn!(%latest, "the tables are of a newer release");
        return Ok(());
    }
    for _ in 0..pending {
        Migrator::up(db, Some(1)).await.map_err(|e| failed(&e))?;
        crash::point("migration");
    }
    Ok(())
}

/// Takes the last one back.
///
/// # Errors
/// What the database said; or that a newer release was here. In words for an operator.
pub async fn down(db: &DatabaseConnection) -> Result<(), String> {
    if let Some(latest) = Standing::of(db).await?.newer().last() {
        return Err(format!("the last migration is {latest}, of a newer release: take it back with that one"));
    }
    Migrator::down(db, Some(1)).await.map_err(|e| failed(&e))
}

/// The migrations in their order, and where each stands: Applied, Pending, or Newer than this release.
///
/// # Errors
/// What the database said.
pub async fn status(db: &DatabaseConnection) -> Result<Vec<(String, &'static str)>, String> {
    let standing = Standing::of(db).await?;
    let newer = standing.newer().into_iter().map(|name| (name, "Newer"));
    let stands = |name: &String| if standing.applied.contains(name) { "Applied" } else { "Pending" };
    Ok(standing.known.iter().map(|name| (name.clone(), stands(name))).chain(newer).collect())
}

fn failed(error: &DbErr) -> String {
    format!("a migration failed: {error}")
}
