//! Everything a person has here, for the export of their account: deleted tasks too, as long as they are kept.

use entity::{UserId, completion, task};
use futures_util::stream::BoxStream;
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value as Json, json};

use crate::platform::{Platform, error::Fault, export::pages, scalars::DateTime};

/// The tasks.
pub fn export(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    let all = task::Entity::find().filter(task::Column::UserId.eq(user));
    pages(platform, all, task::Column::Id, |task| task.id.uuid(), shown)
}

/// The completion log.
pub fn export_completions(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    let all = completion::Entity::visible_to(user);
    pages(
        platform,
        all,
        completion::Column::Id,
        |entry| entry.id.uuid(),
        |entry| {
            json!({
                "id": entry.id.to_string(), "subject": entry.subject.to_value(), "subjectId": entry.subject_id.to_string(),
                "delta": entry.delta, "completedAt": DateTime::text(entry.completed_at),
                "localOn": entry.local_on.to_string(), "timeZone": entry.time_zone,
            })
        },
    )
}

fn shown(task: task::Model) -> Json {
    let at = DateTime::text;
    json!({
        "id": task.id.to_string(), "title": task.title, "description": task.description, "link": task.link,
        "dueAt": task.due_at.map(at), "dueOn": task.due_on.map(|day| day.to_string()),
        "priority": format!("{:?}", task.priority).to_uppercase(), "category": task.category,
        "status": task.status.to_value(), "completedAt": task.completed_at.map(at), "version": task.version,
        "createdAt": at(task.created_at), "updatedAt": at(task.updated_at), "deletedAt": task.deleted_at.map(at),
    })
}
