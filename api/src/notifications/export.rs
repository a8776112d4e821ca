//! Everything a person has here, for the export of their account.

use entity::{UserId, notification};
use futures_util::stream::BoxStream;
use sea_orm::ActiveEnum;
use serde_json::{Value as Json, json};

use crate::platform::{Platform, error::Fault, export::pages, scalars::DateTime};

/// The notifications.
pub fn export(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    let all = notification::Entity::visible_to(user);
    pages(
        platform,
        all,
        notification::Column::Id,
        |it| it.id.uuid(),
        |it| {
            let at = DateTime::text;
            json!({
                "id": it.id.to_string(), "type": it.kind.to_value(), "title": it.title, "message": it.message,
                "taskId": it.task_id.map(|id| id.to_string()), "reminderId": it.reminder_id.map(|id| id.to_string()),
                "readAt": it.read_at.map(at), "createdAt": at(it.created_at),
            })
        },
    )
}
