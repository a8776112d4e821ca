//! The append-only completion log.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("completions")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("subject"))
                    .col(uuid("subject_id"))
                    .col(small_integer("delta"))
                    .col(timestamp_with_time_zone("completed_at"))
                    .col(date("local_on"))
                    .col(text("time_zone"))
                    .foreign_key(&mut crate::cascades("completions", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX completions_day_idx ON completions (user_id, subject, local_on)",
                "CREATE INDEX completions_subject_idx ON completions (subject_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["completions"]).await
    }
}
