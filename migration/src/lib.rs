//! The tables of Spacedly: one set of migrations for SQLite and PostgreSQL, each one reversible.
//! Promise: after `up`, `down`, `up` the tables are the same, on both; each is applied whole or not at all.

pub use sea_orm_migration::prelude::*;

mod m20261121_000001_create_users;
mod m20261121_000002_create_sessions;
mod m20261121_000003_create_tasks;
mod m20261121_000004_create_attachments;
mod m20261121_000005_create_reminders;
mod m20261121_000006_create_notifications;
mod m20261121_000007_create_jobs;
mod m20261121_000008_create_idempotency_keys;
mod m20261121_000009_create_completions;
mod m20261121_000010_extend_accounts;
mod m20261121_000011_create_challenges;
mod m20261121_000012_create_account_mails;
mod m20261121_000013_create_identities;
mod m20261121_000014_index_task_edges;
mod m20261121_000015_index_task_filters;
mod m20261121_000016_search_tasks;
mod m20261121_000017_store_files;
mod m20261121_000018_create_push_subscriptions;
mod m20261121_000019_hold_and_digest;
mod m20261121_000020_sum_completions;
mod m20261121_000021_index_dead_jobs;
mod m20261122_000022_index_deleted_tasks;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let all: Vec<Box<dyn MigrationTrait>> = vec![
            Box::new(m20261121_000001_create_users::Migration),
            Box::new(m20261121_000002_create_sessions::Migration),
            Box::new(m20261121_000003_create_tasks::Migration),
            Box::new(m20261121_000004_create_attachments::Migration),
            Box::new(m20261121_000005_create_reminders::Migration),
            Box::new(m20261121_000006_create_notifications::Migration),
            Box::new(m20261121_000007_create_jobs::Migration),
            Box::new(m20261121_000008_create_idempotency_keys::Migration),
            Box::new(m20261121_000009_create_completions::Migration),
            Box::new(m20261121_000010_extend_accounts::Migration),
            Box::new(m20261121_000011_create_challenges::Migration),
            Box::new(m20261121_000012_create_account_mails::Migration),
            Box::new(m20261121_000013_create_identities::Migration),
            Box::new(m20261121_000014_index_task_edges::Migration),
            Box::new(m20261121_000015_index_task_filters::Migration),
            Box::new(m20261121_000016_search_tasks::Migration),
            Box::new(m20261121_000017_store_files::Migration),
            Box::new(m20261121_000018_create_push_subscriptions::Migration),
            Box::new(m20261121_000019_hold_and_digest::Migration),
            Box::new(m20261121_000020_sum_completions::Migration),
            Box::new(m20261121_000021_index_dead_jobs::Migration),
            Box::new(m20261122_000022_index_deleted_tasks::Migration),
        ];
        all.into_iter().map(|migration| Box::new(Whole(migration)) as Box<dyn MigrationTrait>).collect()
    }
}

/// What is long for a request may be short for a migration: an index of a large table takes minutes.
async fn take_time(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() == sea_orm_migration::sea_orm::DatabaseBackend::Postgres {
        manager.get_connection().execute_unprepared("SET LOCAL statement_timeout = 0").await?;
    }
    Ok(())
}

/// A migration that is applied whole or not at all, on SQLite too: a process that dies in the midst of it leaves nothing
/// half made, over which the next start would stumble.
struct Whole(Box<dyn MigrationTrait>);

impl MigrationName for Whole {
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Whole {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        take_time(manager).await?;
        self.0.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        take_time(manager).await?;
        self.0.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// A foreign key from `table.column` to `parent.id` that deletes with its parent.
fn cascades(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    references(table, column, parent, ForeignKeyAction::Cascade)
}

/// A foreign key from `table.column` to `parent.id` with the given rule for the parent's deletion.
fn references(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}_fkey"))
        .from(table, column)
        .to(parent, "id")
        .on_delete(on_delete)
        .to_owned()
}

/// Runs statements that both databases understand alike: partial indexes, which the builder cannot say.
async fn run_all(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).to_owned()).await?;
    }
    Ok(())
}
