//! A file that hangs on a task. The bytes lie in object storage under `storage_key`.

use sea_orm::entity::prelude::*;

use crate::{AttachmentId, TaskId, UserId};

/// How far a file has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// Announced; its bytes have not been confirmed.
    #[default]
    #[sea_orm(string_value = "PENDING")]
    Pending,
    /// Arrived; being looked at and optimised.
    #[sea_orm(string_value = "PROCESSING")]
    Processing,
    /// Can be downloaded.
    #[sea_orm(string_value = "READY")]
    Ready,
    /// Refused, with a reason; its bytes are gone.
    #[sea_orm(string_value = "REJECTED")]
    Rejected,
}

/// The columns of `attachments`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AttachmentId,
    pub user_id: UserId,
    pub task_id: TaskId,
    /// The name it came with.
    pub file_name: String,
    /// MIME type, as found in the bytes once they arrived.
    pub content_type: String,
    /// Size as it came, in bytes.
    pub size_bytes: i64,
    /// Size after optimising, in bytes. None: not optimised.
    pub optimised_size_bytes: Option<i64>,
    pub status: Status,
    /// Why it was rejected, for a person. None unless REJECTED.
    pub rejection: Option<String>,
    pub storage_key: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
