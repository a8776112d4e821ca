//! What a person wishes of notifications: by which ways, when not, and a digest in the morning; with what waits to go
//! out and the last day that was digested.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("notification_choices")
                    .col(uuid("user_id"))
                    .col(text("kind"))
                    .col(text("channel"))
                    .col(boolean("wanted"))
                    .primary_key(Index::create().col("user_id").col("kind").col("channel"))
                    .foreign_key(&mut crate::cascades("notification_choices", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("messages")
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(text("kind"))
                    .col(text("channel"))
                    .col(boolean("of_delivery"))
                    .col(text("title"))
                    .col(text("message"))
                    .col(timestamp_with_time_zone("due_at"))
                    .col(text_null("folded_by"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut crate::cascades("messages", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("digests")
                    .col(uuid("user_id").primary_key())
                    .col(date("last_on"))
                    .col(uuid("mail_id"))
                    .foreign_key(&mut crate::cascades("digests", "user_id", "users"))
                    .to_owned(),
            )
            .await?;
        // Whoever is here already gets a digest at five, as somebody new does. Their first job only begins the count
        // of days: nobody is mailed because of an upgrade.
        let postgres = manager.get_database_backend() == sea_orm::DatabaseBackend::Postgres;
        let (id, now) = if postgres {
            ("gen_random_uuid()", "CURRENT_TIMESTAMP")
        } else {
            // As instants are written there.
            ("randomblob(16)", "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')")
        };
        let begin = format!(
            "INSERT INTO jobs (id, kind, subject_id, user_id, state, available_at, due_at, fence, attempts, crashes, created_at) \
             SELECT {id}, 'reminders.digest', id, id, 'READY', {now}, {now}, 0, 0, 0, {now} FROM users"
        );
        crate::run_all(
            manager,
            &[
                if postgres {
                    "ALTER TABLE jobs ADD COLUMN first_failed_at timestamp with time zone"
                } else {
                    "ALTER TABLE jobs ADD COLUMN first_failed_at timestamp_with_timezone_text"
                },
                "ALTER TABLE users ADD COLUMN digest_minute integer DEFAULT 300",
                "ALTER TABLE users ADD COLUMN quiet_from_minute integer",
                "ALTER TABLE users ADD COLUMN quiet_to_minute integer",
                "CREATE INDEX messages_user_idx ON messages (user_id, folded_by)",
                &begin,
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(
            manager,
            &[
                "DELETE FROM jobs WHERE kind IN ('reminders.digest', 'reminders.digest_mail', 'notifications.email', \
                 'notifications.push', 'notifications.fold_email', 'notifications.fold_push')",
                "ALTER TABLE users DROP COLUMN quiet_to_minute",
                "ALTER TABLE users DROP COLUMN quiet_from_minute",
                "ALTER TABLE users DROP COLUMN digest_minute",
                "ALTER TABLE jobs DROP COLUMN first_failed_at",
            ],
        )
        .await?;
        crate::drop_tables(manager, &["digests", "messages", "notification_choices"]).await
    }
}
