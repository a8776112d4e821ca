//! The edges of a page of tasks are found by person and task: with an index by person alone, SQLite reads everything
//! that the person has, because it thinks little of lists of ids.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(
            manager,
            &[
                "CREATE INDEX reminders_user_task_idx ON reminders (user_id, task_id, scheduled_at, id)",
                "CREATE INDEX attachments_user_task_idx ON attachments (user_id, task_id, created_at, id)",
                "DROP INDEX attachments_user_idx",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(
            manager,
            &[
                "CREATE INDEX attachments_user_idx ON attachments (user_id)",
                "DROP INDEX attachments_user_task_idx",
                "DROP INDEX reminders_user_task_idx",
            ],
        )
        .await
    }
}
