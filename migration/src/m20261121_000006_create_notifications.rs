//! Notifications, the per-person counter, and the live stream as it is kept.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("notifications")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("kind"))
                    .col(text("title"))
                    .col(text("message"))
                    .col(uuid_null("task_id"))
                    .col(uuid_null("reminder_id"))
                    .col(text("cause"))
                    .col(timestamp_with_time_zone_null("read_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("notifications", "user_id", "users"))
                    .foreign_key(&mut crate::references("notifications", "task_id", "tasks", ForeignKeyAction::SetNull))
                    .foreign_key(&mut crate::references(
                        "notifications",
                        "reminder_id",
                        "reminders",
                        ForeignKeyAction::SetNull,
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("notification_counters")
                    .col(uuid("user_id").primary_key())
                    .col(big_integer("last_seq").default(0))
                    .col(integer("unread").default(0))
                    .foreign_key(&mut crate::cascades("notification_counters", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("notification_events")
                    .col(uuid("user_id"))
                    .col(big_integer("seq"))
                    .col(text("kind"))
                    .col(uuid_null("notification_id"))
                    .col(integer("unread"))
                    .col(timestamp_with_time_zone("created_at"))
                    .primary_key(Index::create().col("user_id").col("seq"))
                    .foreign_key(&mut crate::cascades("notification_events", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        crate::run_all(
            manager,
            &[
                "CREATE INDEX notifications_list_idx ON notifications (user_id, created_at, id)",
                "CREATE UNIQUE INDEX notifications_cause_key ON notifications (user_id, cause)",
                "CREATE INDEX notifications_task_idx ON notifications (task_id) WHERE task_id IS NOT NULL",
                "CREATE INDEX notifications_reminder_idx ON notifications (reminder_id) WHERE reminder_id IS NOT NULL",
                "CREATE INDEX notifications_age_idx ON notifications (created_at)",
                "CREATE INDEX notification_events_age_idx ON notification_events (created_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["notification_events", "notification_counters", "notifications"]).await
    }
}
