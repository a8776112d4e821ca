//! Rows of files, for cases that are not about uploading them.

use chrono::{DateTime, Utc};
use entity::{AttachmentId, TaskId, UserId, attachment as row};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

/// A photo of a task, ready.
pub fn attachment(id: Uuid, user_id: UserId, task_id: TaskId, at: DateTime<Utc>) -> row::ActiveModel {
    row::ActiveModel {
        id: Set(AttachmentId::from_uuid(id)),
        user_id: Set(user_id),
        task_id: Set(Some(task_id)),
        batch_id: Set(id),
        position: Set(0),
        file_name: Set("photo \"1\".webp".into()),
        content_type: Set("image/webp".into()),
        size_bytes: Set(123_456),
        sha256: Set(vec![0; 32]),
        optimised_size_bytes: Set(Some(23_456)),
        charged_bytes: Set(0),
        width: Set(Some(1_920)),
        height: Set(Some(1_080)),
        status: Set(row::Status::Ready),
        rejection: Set(None),
        incoming_id: Set(None),
        file_id: Set(None),
        thumbnail_id: Set(None),
        seq: Set(0),
        created_at: Set(at),
        updated_at: Set(at),
    }
}
