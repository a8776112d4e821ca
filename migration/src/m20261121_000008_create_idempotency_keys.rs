//! What the idempotency keys of clients made.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("idempotency_keys")
                    .col(uuid("user_id"))
                    .col(text("key"))
                    .col(binary("fingerprint"))
                    .col(uuid("object_id"))
                    .col(timestamp_with_time_zone("created_at"))
                    .primary_key(Index::create().col("user_id").col("key"))
                    .foreign_key(&mut crate::cascades("idempotency_keys", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(manager, &["CREATE INDEX idempotency_keys_age_idx ON idempotency_keys (created_at)"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["idempotency_keys"]).await
    }
}
