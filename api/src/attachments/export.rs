//! What is known of a person's files, for the export of their account.

use entity::{UserId, attachment};
use futures_util::stream::BoxStream;
use sea_orm::ActiveEnum;
use serde_json::{Value as Json, json};

use crate::platform::{Platform, error::Fault, export::pages, scalars::DateTime};

/// The attachments, without the files themselves.
pub fn export(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    let all = attachment::Entity::visible_to(user);
    pages(
        platform,
        all,
        attachment::Column::Id,
        |file| file.id.uuid(),
        |file| {
            json!({
                "id": file.id.to_string(), "taskId": file.task_id.map(|id| id.to_string()), "fileName": file.file_name,
                "contentType": file.content_type, "sizeBytes": file.size_bytes,
                "optimisedSizeBytes": file.optimised_size_bytes, "status": file.status.to_value(),
                "createdAt": DateTime::text(file.created_at),
            })
        },
    )
}
