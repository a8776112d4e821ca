//! Files that hang on tasks.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The tables as they were before anything could be uploaded.
pub(crate) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("attachments")
                .col(uuid("id").primary_key())
                .col(uuid("user_id"))
                .col(uuid("task_id"))
                .col(text("file_name"))
                .col(text("content_type"))
                .col(big_integer("size_bytes"))
                .col(big_integer_null("optimised_size_bytes"))
                .col(text("status"))
                .col(text_null("rejection"))
                .col(text("storage_key"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut crate::cascades("attachments", "user_id", "users"))
                .foreign_key(&mut crate::cascades("attachments", "task_id", "tasks"))
                .to_owned(),
        )
        .await?;
    crate::run_all(
        manager,
        &[
            "CREATE INDEX attachments_task_idx ON attachments (task_id, created_at, id)",
            "CREATE INDEX attachments_user_idx ON attachments (user_id)",
        ],
    )
    .await
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["attachments"]).await
    }
}
