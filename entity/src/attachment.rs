//! A file that hangs on a task, or a person's avatar. The bytes lie in object storage: see [`crate::stored_file`].

use sea_orm::entity::prelude::*;

use crate::{AttachmentId, StoredFileId, TaskId, UserId};

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
    /// The task that it hangs on. None: it is an avatar.
    pub task_id: Option<TaskId>,
    /// What one request announced together: what an idempotency key finds again.
    pub batch_id: Uuid,
    /// Its place in that request, from 0.
    pub position: i16,
    /// The name it came with.
    pub file_name: String,
    /// MIME type: as announced, and as found in the bytes once they were looked at.
    pub content_type: String,
    /// Size as it came, in bytes.
    pub size_bytes: i64,
    /// SHA-256 of the file as it came.
    pub sha256: Vec<u8>,
    /// Size after optimising, in bytes. None: not optimised.
    pub optimised_size_bytes: Option<i64>,
    /// What it takes of its owner's space, in bytes: what was announced, then what is kept; 0 once it was refused.
    pub charged_bytes: i64,
    /// Width in pixels. None: no image, or not looked at yet.
    pub width: Option<i32>,
    /// Height in pixels. None: no image, or not looked at yet.
    pub height: Option<i32>,
    pub status: Status,
    /// Why it was rejected, for a person. None unless REJECTED.
    pub rejection: Option<String>,
    /// Where the bytes arrive. None: they are taken over, or refused.
    pub incoming_id: Option<StoredFileId>,
    /// What is downloaded. None unless READY.
    pub file_id: Option<StoredFileId>,
    /// The small picture. None: no image, or not READY.
    pub thumbnail_id: Option<StoredFileId>,
    /// The number of its last change among its owner's attachments: see [`crate::storage_counter`].
    pub seq: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
