//! People with accounts, and registrations that wait for their code.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("users")
                    .col(uuid("id").primary_key())
                    .col(text("name"))
                    .col(text("email"))
                    .col(text_uniq("email_key"))
                    .col(text_null("password_hash"))
                    .col(text_null("time_zone"))
                    .col(integer("email_lead_minutes").default(60))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("pending_registrations")
                    .col(uuid("id").primary_key())
                    .col(text("name"))
                    .col(text("email"))
                    .col(text("email_key"))
                    .col(text("password_hash"))
                    .col(boolean("taken"))
                    .col(timestamp_with_time_zone("code_sent_at"))
                    .col(timestamp_with_time_zone("code_expires_at"))
                    .col(integer("tries").default(0))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX pending_registrations_email_idx ON pending_registrations (email_key, code_sent_at)",
                "CREATE INDEX pending_registrations_age_idx ON pending_registrations (code_expires_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["pending_registrations", "users"]).await
    }
}
