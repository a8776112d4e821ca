//! Browsers that are registered for push messages.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("push_subscriptions")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(uuid("session_id"))
                    .col(text("endpoint"))
                    .col(text("p256dh"))
                    .col(text("auth"))
                    .col(integer("refusals").default(0))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("last_used_at"))
                    .foreign_key(&mut crate::cascades("push_subscriptions", "user_id", "users"))
                    .foreign_key(&mut crate::cascades("push_subscriptions", "session_id", "sessions"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE UNIQUE INDEX push_subscriptions_endpoint_key ON push_subscriptions (user_id, endpoint)",
                "CREATE INDEX push_subscriptions_session_idx ON push_subscriptions (session_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["push_subscriptions"]).await
    }
}
