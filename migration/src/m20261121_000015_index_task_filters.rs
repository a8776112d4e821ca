//! Tasks by what they are filtered by: with these a page costs the same however many tasks a person has.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(
            manager,
            &[
                "CREATE INDEX tasks_status_created_idx ON tasks (user_id, status, created_at, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_status_due_idx ON tasks (user_id, status, due_key, id) WHERE deleted_at IS NULL",
                "CREATE INDEX tasks_category_idx ON tasks (user_id, category, created_at, id) WHERE deleted_at IS NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(
            manager,
            &[
                "DROP INDEX tasks_category_idx",
                "DROP INDEX tasks_status_due_idx",
                "DROP INDEX tasks_status_created_idx",
            ],
        )
        .await
    }
}
