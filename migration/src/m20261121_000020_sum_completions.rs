//! The completion log summed by day, and indexes from which what is counted of a person can be read alone.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DatabaseBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("completion_days")
                    .col(uuid("user_id"))
                    .col(text("subject"))
                    .col(date("local_on"))
                    .col(integer("count"))
                    .primary_key(Index::create().col("user_id").col("subject").col("local_on"))
                    .foreign_key(&mut crate::cascades("completion_days", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        // What is there is summed here; what older instances write meanwhile is not, and is caught up with later. On
        // PostgreSQL adding the column waits for open writes, so that none is missed.
        let mark: &[&str] = match manager.get_database_backend() {
            DatabaseBackend::Postgres => &[
                "ALTER TABLE completions ADD COLUMN summed boolean NOT NULL DEFAULT true",
                "ALTER TABLE completions ALTER COLUMN summed SET DEFAULT false",
            ],
            _ => &[
                "ALTER TABLE completions ADD COLUMN summed boolean NOT NULL DEFAULT 0",
                "UPDATE completions SET summed = 1",
            ],
        };
        crate::run_all(manager, mark).await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX completions_late_idx ON completions (user_id) WHERE NOT summed",
                "INSERT INTO completion_days (user_id, subject, local_on, count) \
                 SELECT user_id, subject, local_on, sum(delta) FROM completions GROUP BY user_id, subject, local_on",
                // deleted_at for SQLite, which looks at it again, in the row otherwise.
                "CREATE INDEX IF NOT EXISTS tasks_figures_idx ON tasks (user_id, status, priority, category, deleted_at) \
                 WHERE deleted_at IS NULL",
                "CREATE INDEX IF NOT EXISTS reminders_figures_idx ON reminders (user_id, status, scheduled_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(
            manager,
            &[
                "DROP INDEX reminders_figures_idx",
                "DROP INDEX tasks_figures_idx",
                "DROP INDEX completions_late_idx",
                "ALTER TABLE completions DROP COLUMN summed",
            ],
        )
        .await?;
        crate::drop_tables(manager, &["completion_days"]).await
    }
}
