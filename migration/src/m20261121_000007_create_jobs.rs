//! Background work that is written down.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("jobs")
                    .col(uuid("id").primary_key())
                    .col(text("kind"))
                    .col(uuid("subject_id"))
                    .col(uuid_null("user_id"))
                    .col(text("state"))
                    .col(timestamp_with_time_zone("available_at"))
                    .col(timestamp_with_time_zone("due_at"))
                    .col(big_integer("fence").default(0))
                    .col(integer("attempts").default(0))
                    .col(integer("crashes").default(0))
                    .col(text_null("last_error"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("jobs", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX jobs_available_idx ON jobs (kind, available_at) WHERE state <> 'DEAD'",
                "CREATE UNIQUE INDEX jobs_subject_key ON jobs (subject_id, kind)",
                "CREATE INDEX jobs_user_idx ON jobs (user_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["jobs"]).await
    }
}
