//! An index of a person's deleted tasks, in the order in which their list shows them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX IF NOT EXISTS tasks_deleted_by_user_idx ON tasks (user_id, deleted_at, id) \
                     WHERE deleted_at IS NOT NULL";
        crate::run_all(manager, &[index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(manager, &["DROP INDEX tasks_deleted_by_user_idx"]).await
    }
}
