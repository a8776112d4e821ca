//! Everything a person has here, for the export of their account.

use entity::{UserId, delivery, reminder};
use futures_util::stream::BoxStream;
use sea_orm::ActiveEnum;
use serde_json::{Value as Json, json};

use crate::platform::{Platform, error::Fault, export::pages, scalars::DateTime};

/// The reminders.
pub fn export(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    let all = reminder::Entity::visible_to(user);
    pages(
        platform,
        all,
        reminder::Column::Id,
        |reminder| reminder.id.uuid(),
        |reminder| {
            let at = DateTime::text;
            json!({
                "id": reminder.id.to_string(), "taskId": reminder.task_id.map(|id| id.to_string()),
                "message": reminder.message, "scheduledAt": at(reminder.scheduled_at), "type": reminder.kind.to_value(),
                "status": reminder.status.to_value(), "completeOnDelivery": reminder.completes_on_delivery,
                "completedAt": reminder.completed_at.map(at), "cancelledAt": reminder.cancelled_at.map(at),
                "version": reminder.version, "createdAt": at(reminder.created_at), "updatedAt": at(reminder.updated_at),
            })
        },
    )
}

/// What became of them.
pub fn export_deliveries(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    let all = delivery::Entity::visible_to(user);
    pages(
        platform,
        all,
        delivery::Column::Id,
        |delivery| delivery.id.uuid(),
        |delivery| {
            let at = DateTime::text;
            json!({
                "id": delivery.id.to_string(), "reminderId": delivery.reminder_id.to_string(), "round": delivery.round,
                "channel": delivery.channel.to_value(), "state": delivery.state.to_value(), "dueAt": at(delivery.due_at),
                "attempts": delivery.attempts, "sentAt": delivery.sent_at.map(at), "error": delivery.error,
            })
        },
    )
}
