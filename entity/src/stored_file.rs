//! An object in storage. The row is written before the object and goes after it, so that none is ever unknown; it
//! outlives its owner, so that the bytes of an account that is gone go too.

use sea_orm::entity::prelude::*;

use crate::{AttachmentId, StoredFileId, UserId};

/// What is to become of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// Being written by a worker; whoever does not come back for it loses it.
    #[sea_orm(string_value = "WRITING")]
    Writing,
    /// Belongs to an attachment.
    #[sea_orm(string_value = "KEPT")]
    Kept,
    /// To be removed. Nothing leads back from here.
    #[sea_orm(string_value = "DOOMED")]
    Doomed,
}

/// The columns of `stored_files`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stored_files")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: StoredFileId,
    /// Whose it is, or was: the account may be gone.
    pub user_id: UserId,
    /// What it belongs to. None: nothing any more.
    pub attachment_id: Option<AttachmentId>,
    pub state: State,
    /// Until when a presigned URL may write it. None: there is no such URL.
    pub writable_until: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

impl Model {
    /// Its key in storage.
    pub fn key(&self) -> String {
        key_of(self.id)
    }
}

/// What the keys of objects begin with.
pub const PREFIX: &str = "files/";

/// The key of an object in storage.
pub fn key_of(id: StoredFileId) -> String {
    format!("{PREFIX}{id}")
}

/// The object that a key stands for. None: no key of ours.
pub fn of_key(key: &str) -> Option<StoredFileId> {
    key.strip_prefix(PREFIX)?.parse().ok()
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
