//! Second factors, and what waits for a code.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("second_factors")
                    .col(uuid("user_id").primary_key())
                    .col(uuid("seed_id"))
                    .col(text("method"))
                    .col(big_integer("last_step").default(0))
                    .col(integer("recovery_generation").default(0))
                    .col(integer("recovery_used").default(0))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("second_factors", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("challenges")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("purpose"))
                    .col(text("method"))
                    .col(uuid_null("session_id"))
                    .col(text_null("new_email"))
                    .col(boolean("remembered").default(false))
                    .col(integer("tries").default(0))
                    .col(timestamp_with_time_zone("code_sent_at"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("challenges", "user_id", "users"))
                    .foreign_key(&mut crate::cascades("challenges", "session_id", "sessions"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX challenges_user_idx ON challenges (user_id, purpose, code_sent_at)",
                "CREATE INDEX challenges_session_idx ON challenges (session_id) WHERE session_id IS NOT NULL",
                "CREATE INDEX challenges_age_idx ON challenges (expires_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["challenges", "second_factors"]).await
    }
}
