//! Profiles, and what sessions remember of when they were proven.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const PROFILE: [&str; 4] = ["username", "username_key", "bio", "locale"];
const PROVEN: [&str; 2] = ["authenticated_at", "access_expires_at"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in PROFILE {
            manager.alter_table(Table::alter().table("users").add_column(text_null(column)).to_owned()).await?;
        }
        for column in PROVEN {
            // Sessions from before were proven long ago.
            let column = timestamp_with_time_zone(column).default("1970-01-01 00:00:00+00:00").to_owned();
            manager.alter_table(Table::alter().table("sessions").add_column(column).to_owned()).await?;
        }
        crate::run_all(
            manager,
            &[
                "CREATE UNIQUE INDEX users_username_key ON users (username_key)",
                "CREATE INDEX sessions_live_idx ON sessions (user_id, last_used_at) WHERE revoked_at IS NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_all(manager, &["DROP INDEX users_username_key", "DROP INDEX sessions_live_idx"]).await?;
        for column in PROVEN {
            manager.alter_table(Table::alter().table("sessions").drop_column(column).to_owned()).await?;
        }
        for column in PROFILE {
            manager.alter_table(Table::alter().table("users").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
