//! Mails about accounts, forgotten passwords, and changes of address.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("account_mails")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("kind"))
                    .col(text("email"))
                    .col(text("name"))
                    .col(uuid_null("subject_id"))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("password_resets")
                    .col(uuid("id").primary_key())
                    .col(text("email_key"))
                    .col(binary("token_hash").unique_key())
                    .col(timestamp_with_time_zone("expires_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("email_changes")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("old_email"))
                    .col(binary("undo_hash").unique_key())
                    .col(timestamp_with_time_zone("expires_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("email_changes", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX account_mails_user_idx ON account_mails (user_id)",
                "CREATE INDEX password_resets_email_idx ON password_resets (email_key)",
                "CREATE INDEX password_resets_age_idx ON password_resets (expires_at)",
                "CREATE INDEX email_changes_user_idx ON email_changes (user_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["email_changes", "password_resets", "account_mails"]).await
    }
}
