//! Forgetting what is past its time.

use entity::{account_mail, challenge, email_change, oidc_round, password_reset, pending_registration, session};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use crate::platform::{Platform, clock::span, error::Fault};

/// Sweeps; may run on several instances at once.
///
/// # Errors
/// When the database fails.
pub async fn sweep(platform: &Platform) -> Result<(), Fault> {
    let now = platform.clock.now();
    let ago = |lifetime| now - span(lifetime);
    let over = ago(platform.config.limits.sweep_after);
    // A mail is tried for so long; a row that is still there then will never be sent.
    let unsent = ago(platform.config.jobs.give_up_after + platform.config.limits.sweep_after);
    platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            pending_registration::Entity::delete_many()
                .filter(pending_registration::Column::CodeExpiresAt.lt(over))
                .exec(&*tx)
                .await?;
            let ended = Condition::any()
                .add(session::Column::ExpiresAt.lt(over))
                .add(session::Column::EndsAt.lt(over))
                .add(session::Column::RevokedAt.lt(over));
            session::Entity::delete_many().filter(ended).exec(&*tx).await?;
            challenge::Entity::delete_many().filter(challenge::Column::ExpiresAt.lt(over)).exec(&*tx).await?;
            password_reset::Entity::delete_many().filter(password_reset::Column::ExpiresAt.lt(over)).exec(&*tx).await?;
            email_change::Entity::delete_many().filter(email_change::Column::ExpiresAt.lt(over)).exec(&*tx).await?;
            oidc_round::Entity::delete_many().filter(oidc_round::Column::ExpiresAt.lt(now)).exec(&*tx).await?;
            account_mail::Entity::delete_many().filter(account_mail::Column::CreatedAt.lt(unsent)).exec(&*tx).await?;
            Ok(())
        })
        .await
}
