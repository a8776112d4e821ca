//! An index of the jobs that were put aside: few, counted again and again, and never to be looked for among all others.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(manager, &["CREATE INDEX IF NOT EXISTS jobs_dead_idx ON jobs (kind) WHERE state = 'DEAD'"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(manager, &["DROP INDEX jobs_dead_idx"]).await
    }
}
