//! Sessions: one row a login.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("sessions")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(big_integer("refresh_counter").default(0))
                    .col(binary("refresh_hash"))
                    .col(binary_null("previous_refresh_hash"))
                    .col(timestamp_with_time_zone("rotated_at"))
                    .col(boolean("remembered").default(false))
                    .col(text("device"))
                    .col(text("ip"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("last_used_at"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .col(timestamp_with_time_zone("ends_at"))
                    .col(timestamp_with_time_zone_null("revoked_at"))
                    .foreign_key(&mut crate::cascades("sessions", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(manager, &["CREATE INDEX sessions_user_idx ON sessions (user_id, created_at)"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["sessions"]).await
    }
}
