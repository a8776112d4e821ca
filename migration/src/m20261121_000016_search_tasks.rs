//! The words of tasks, so that they can be searched: full text of PostgreSQL (GIN), or FTS5 of SQLite. Each term begins
//! with its owner, so that a search reads nothing of anybody else's, however much there is.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == sea_orm::DatabaseBackend::Postgres {
            return crate::run_all(
                manager,
                &[
                    "CREATE TABLE task_search (
                       task_id uuid PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE, terms tsvector NOT NULL)",
                    // Without a pending list, which a search would have to read from end to end.
                    "CREATE INDEX task_search_terms_idx ON task_search USING gin (terms) WITH (fastupdate = off)",
                ],
            )
            .await;
        }
        crate::run_all(
            manager,
            &[
                // FTS5 knows rows by number.
                "CREATE TABLE task_search_docs (
                   id INTEGER PRIMARY KEY, task_id BLOB NOT NULL UNIQUE REFERENCES tasks (id) ON DELETE CASCADE)",
                "CREATE VIRTUAL TABLE task_search USING fts5(
                   terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')",
                "CREATE TRIGGER task_search_docs_gone AFTER DELETE ON task_search_docs
                   BEGIN DELETE FROM task_search WHERE rowid = old.id; END",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == sea_orm::DatabaseBackend::Postgres {
            return crate::drop_tables(manager, &["task_search"]).await;
        }
        crate::drop_tables(manager, &["task_search_docs", "task_search"]).await
    }
}
