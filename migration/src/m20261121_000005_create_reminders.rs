//! Reminders and their delivery ledger.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("reminders")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(uuid_null("task_id"))
                    .col(text_null("message"))
                    .col(timestamp_with_time_zone("scheduled_at"))
                    .col(text("kind"))
                    .col(text("status"))
                    .col(boolean("completes_on_delivery").default(false))
                    .col(integer("round").default(1))
                    .col(timestamp_with_time_zone_null("completed_at"))
                    .col(timestamp_with_time_zone_null("cancelled_at"))
                    .col(boolean("ended_by_task").default(false))
                    .col(integer("version").default(1))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(&mut crate::cascades("reminders", "user_id", "users"))
                    .foreign_key(&mut crate::cascades("reminders", "task_id", "tasks"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("deliveries")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(uuid("reminder_id"))
                    .col(integer("round"))
                    .col(text("channel"))
                    .col(text("state"))
                    .col(timestamp_with_time_zone("due_at"))
                    .col(integer("attempts").default(0))
                    .col(timestamp_with_time_zone_null("next_attempt_at"))
                    .col(timestamp_with_time_zone_null("sent_at"))
                    .col(text_null("error"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(&mut crate::cascades("deliveries", "user_id", "users"))
                    .foreign_key(&mut crate::cascades("deliveries", "reminder_id", "reminders"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX reminders_task_idx ON reminders (task_id, scheduled_at, id)",
                "CREATE INDEX reminders_user_idx ON reminders (user_id, scheduled_at, id)",
                "CREATE UNIQUE INDEX deliveries_round_key ON deliveries (reminder_id, round, channel)",
                "CREATE INDEX deliveries_user_idx ON deliveries (user_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["deliveries", "reminders"]).await
    }
}
