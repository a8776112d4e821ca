//! What uploads need: attachments with all that is known of them, the objects in storage, and each person's space.
//! Attachments are made anew: before this there was no way to upload any.

use sea_orm_migration::{prelude::*, schema::*};

use crate::m20261121_000004_create_attachments as before;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["attachments"]).await?;
        for table in [attachments(), stored_files(), storage_counters()] {
            manager.create_table(table).await?;
        }
        crate::run_all(
            manager,
            &[
                "CREATE INDEX attachments_task_idx ON attachments (task_id, created_at, id)",
                "CREATE INDEX attachments_user_task_idx ON attachments (user_id, task_id, created_at, id)",
                "CREATE INDEX attachments_user_seq_idx ON attachments (user_id, seq)",
                "CREATE INDEX attachments_user_batch_idx ON attachments (user_id, batch_id)",
                "CREATE INDEX attachments_avatar_idx ON attachments (user_id, created_at) WHERE task_id IS NULL",
                "CREATE INDEX attachments_unfinished_idx ON attachments (created_at) WHERE status = 'PENDING'",
                "CREATE INDEX attachments_refused_idx ON attachments (created_at)
                   WHERE status = 'REJECTED' AND task_id IS NULL",
                "CREATE INDEX attachments_processing_idx ON attachments (updated_at) WHERE status = 'PROCESSING'",
                "CREATE INDEX stored_files_attachment_idx ON stored_files (attachment_id)",
                "CREATE INDEX stored_files_user_idx ON stored_files (user_id)",
                "CREATE INDEX stored_files_lost_idx ON stored_files (id) WHERE attachment_id IS NULL OR state <> 'KEPT'",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_tables(manager, &["stored_files", "storage_counters", "attachments"]).await?;
        before::create(manager).await?;
        // As they were after m20261121_000014.
        crate::run_all(
            manager,
            &[
                "CREATE INDEX attachments_user_task_idx ON attachments (user_id, task_id, created_at, id)",
                "DROP INDEX attachments_user_idx",
            ],
        )
        .await
    }
}

fn attachments() -> TableCreateStatement {
    Table::create()
        .table("attachments")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid_null("task_id"))
        .col(uuid("batch_id"))
        .col(small_integer("position"))
        .col(text("file_name"))
        .col(text("content_type"))
        .col(big_integer("size_bytes"))
        .col(blob("sha256"))
        .col(big_integer_null("optimised_size_bytes"))
        .col(big_integer("charged_bytes"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        .col(text("status"))
        .col(text_null("rejection"))
        .col(uuid_null("incoming_id"))
        .col(uuid_null("file_id"))
        .col(uuid_null("thumbnail_id"))
        .col(big_integer("seq"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut crate::cascades("attachments", "user_id", "users"))
        .foreign_key(&mut crate::cascades("attachments", "task_id", "tasks"))
        .to_owned()
}

/// Without a foreign key to its person: it goes after them, when its object is gone.
fn stored_files() -> TableCreateStatement {
    let owner = &mut crate::references("stored_files", "attachment_id", "attachments", ForeignKeyAction::SetNull);
    Table::create()
        .table("stored_files")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid_null("attachment_id"))
        .col(text("state"))
        .col(timestamp_with_time_zone_null("writable_until"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(owner)
        .to_owned()
}

fn storage_counters() -> TableCreateStatement {
    Table::create()
        .table("storage_counters")
        .col(uuid("user_id").primary_key())
        .col(big_integer("last_seq"))
        .col(big_integer("used_bytes"))
        .foreign_key(&mut crate::cascades("storage_counters", "user_id", "users"))
        .to_owned()
}
