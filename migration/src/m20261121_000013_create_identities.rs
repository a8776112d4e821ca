//! Accounts at OpenID providers, and people who are on their way there and back.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("identities")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("issuer"))
                    .col(text("subject"))
                    .col(text_null("email"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("identities", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("oidc_rounds")
                    .col(binary("state_hash").primary_key())
                    .col(binary("browser_hash"))
                    .col(text("purpose"))
                    .col(uuid_null("user_id"))
                    .col(uuid_null("session_id"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("oidc_rounds", "user_id", "users"))
                    .foreign_key(&mut crate::cascades("oidc_rounds", "session_id", "sessions"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE UNIQUE INDEX identities_subject_key ON identities (issuer, subject)",
                "CREATE INDEX identities_user_idx ON identities (user_id)",
                "CREATE INDEX oidc_rounds_user_idx ON oidc_rounds (user_id) WHERE user_id IS NOT NULL",
                "CREATE INDEX oidc_rounds_session_idx ON oidc_rounds (session_id) WHERE session_id IS NOT NULL",
                "CREATE INDEX oidc_rounds_age_idx ON oidc_rounds (expires_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["oidc_rounds", "identities"]).await
    }
}
