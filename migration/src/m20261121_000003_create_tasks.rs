//! Tasks, with one index per order in which a person can list them.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("tasks")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("title"))
                    .col(text("title_key"))
                    .col(text_null("description"))
                    .col(text_null("link"))
                    .col(timestamp_with_time_zone_null("due_at"))
                    .col(date_null("due_on"))
                    .col(timestamp_with_time_zone("due_key"))
                    .col(small_integer("priority"))
                    .col(text_null("category"))
                    .col(text("status"))
                    .col(timestamp_with_time_zone_null("completed_at"))
                    .col(timestamp_with_time_zone_null("first_completed_at"))
                    .col(integer("version").default(1))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .col(timestamp_with_time_zone_null("deleted_at"))
                    .foreign_key(&mut crate::cascades("tasks", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        if manager.get_database_backend() == sea_orm::DatabaseBackend::Postgres {
            // Titles are ordered alike on both databases, and their index serves prefix searches.
            crate::run_all(manager, &[r#"ALTER TABLE tasks ALTER COLUMN title_key TYPE text COLLATE "C""#]).await?;
        }
        crate::run_all(
            manager,
            &[
                "CREATE INDEX tasks_created_idx ON tasks (user_id, created_at, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_updated_idx ON tasks (user_id, updated_at, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_due_idx ON tasks (user_id, due_key, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_priority_idx ON tasks (user_id, priority, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_title_idx ON tasks (user_id, title_key, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_deleted_idx ON tasks (deleted_at) WHERE deleted_at IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["tasks"]).await
    }
}
