//! What this room knows of a person, for the export of their account. Nothing that opens anything is in it.

use entity::{UserId, email_change, identity, second_factor, session};
use futures_util::stream::{self, BoxStream, StreamExt};
use sea_orm::{ActiveEnum, EntityTrait, QueryOrder};
use serde_json::{Value as Json, json};

use crate::platform::{Platform, error::Fault, scalars::DateTime};

/// The person, and the ways in.
pub fn export(platform: Platform, user: UserId) -> BoxStream<'static, Result<Json, Fault>> {
    stream::once(async move { gather(&platform, user).await }).boxed()
}

async fn gather(platform: &Platform, user: UserId) -> Result<Json, Fault> {
    let db = platform.db.read();
    let person = super::person(db, user).await?;
    let sessions = session::Entity::visible_to(user).order_by_asc(session::Column::CreatedAt).all(db).await?;
    let identities = identity::Entity::visible_to(user).order_by_asc(identity::Column::CreatedAt).all(db).await?;
    let changes = email_change::Entity::visible_to(user).order_by_asc(email_change::Column::CreatedAt).all(db).await?;
    let factor = second_factor::Entity::find_by_id(user).one(db).await?;
    let at = |instant| DateTime::text(instant);
    Ok(json!({
        "id": person.id.to_string(), "name": person.name, "email": person.email, "username": person.username,
        "bio": person.bio, "locale": person.locale, "timeZone": person.time_zone,
        "emailLeadMinutes": person.email_lead_minutes, "morningDigestMinute": person.digest_minute,
        "quietFromMinute": person.quiet_from_minute, "quietToMinute": person.quiet_to_minute,
        "hasPassword": person.password_hash.is_some(),
        "createdAt": at(person.created_at), "updatedAt": at(person.updated_at),
        "secondFactor": factor.map(|it| json!({ "method": it.method.to_value(), "enabledAt": at(it.created_at) })),
        "sessions": sessions.into_iter().map(|it| json!({
            "id": it.id.to_string(), "device": it.device, "ip": it.ip, "createdAt": at(it.created_at),
            "lastUsedAt": at(it.last_used_at), "expiresAt": at(it.expires_at), "endedAt": it.revoked_at.map(at),
        })).collect::<Vec<_>>(),
        "identities": identities.into_iter().map(|it| json!({
            "id": it.id.to_string(), "issuer": it.issuer, "subject": it.subject, "email": it.email,
            "createdAt": at(it.created_at),
        })).collect::<Vec<_>>(),
        "addressChanges": changes.into_iter().map(|it| json!({
            "oldEmail": it.old_email, "changedAt": at(it.created_at),
        })).collect::<Vec<_>>(),
    }))
}
