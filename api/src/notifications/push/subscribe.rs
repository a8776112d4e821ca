//! Registering a browser, and taking it back.

use entity::{PushSubscriptionId, UserId, push_subscription as row, session};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use crate::platform::{
    Platform,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    push::Field,
    viewer::Viewer,
};

/// What `pushManager.subscribe` gives in a browser.
pub(super) struct Browser {
    pub(super) endpoint: String,
    pub(super) p256dh: String,
    pub(super) auth: String,
}

/// Registers a browser; one that is registered already gets its new keys.
pub(super) async fn subscribe(platform: &Platform, viewer: Viewer, browser: Browser) -> Result<row::Model, Refusal> {
    let Browser { endpoint, p256dh, auth } = browser;
    let parsed = platform.pusher.subscription(&endpoint, &p256dh, &auth).map_err(|mistake| {
        let field = match mistake.field {
            Field::Endpoint => "endpoint",
            Field::P256dh => "p256dh",
            Field::Auth => "auth",
        };
        UserError::at(field, Code::InvalidValue, mistake.reason)
    })?;
    let endpoint = parsed.endpoint().to_owned();
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let new = row::ActiveModel {
                id: Set(PushSubscriptionId::from_uuid(parts.new_uuid())),
                user_id: Set(viewer.user_id),
                session_id: Set(viewer.session_id),
                endpoint: Set(endpoint),
                p256dh: Set(p256dh),
                auth: Set(auth),
                refusals: Set(0),
                created_at: Set(parts.clock.now()),
                last_used_at: Set(None),
            };
            let again = OnConflict::columns([row::Column::UserId, row::Column::Endpoint])
                .update_columns([row::Column::SessionId, row::Column::P256dh, row::Column::Auth, row::Column::Refusals])
                .to_owned();
            let made = row::Entity::insert(new).on_conflict(again).exec_with_returning(&*tx).await?;
            // The ones that were registered longest ago make room.
            let all = row::Entity::visible_to(viewer.user_id).order_by_desc(row::Column::CreatedAt).all(&*tx).await?;
            let over = all.iter().filter(|it| it.id != made.id).skip(parts.config.push.per_user.saturating_sub(1));
            let over: Vec<_> = over.map(|it| it.id).collect();
            if !over.is_empty() {
                row::Entity::delete_many().filter(row::Column::Id.is_in(over)).exec(&*tx).await?;
            }
            Ok(made)
        })
        .await
}

/// Takes a browser's registration back.
pub(super) async fn unsubscribe(
    platform: &Platform,
    viewer: Viewer,
    id: PushSubscriptionId,
) -> Result<PushSubscriptionId, Refusal> {
    platform
        .db
        .write(move |tx| async move {
            let gone = row::Entity::delete_many()
                .filter(row::Column::Id.eq(id))
                .filter(row::Column::UserId.eq(viewer.user_id))
                .exec(&*tx)
                .await?;
            if gone.rows_affected == 0 { Err(Fault::NotFound("push subscription").into()) } else { Ok(id) }
        })
        .await
}

/// The registered browsers of a person whose sessions were not ended, the oldest first.
pub(super) fn of(user: UserId) -> Select<row::Entity> {
    let ended = Query::select()
        .column(session::Column::Id)
        .from(session::Entity)
        .and_where(Expr::col((session::Entity, session::Column::UserId)).eq(user))
        .and_where(Expr::col((session::Entity, session::Column::RevokedAt)).is_not_null())
        .to_owned();
    row::Entity::visible_to(user)
        .filter(row::Column::SessionId.not_in_subquery(ended))
        .order_by_asc(row::Column::CreatedAt)
        .limit(100)
}

/// Forgets browsers that are gone, and remembers which took a message and which push services refused us.
pub(super) struct Learned {
    pub(super) taken: Vec<PushSubscriptionId>,
    pub(super) refused: Vec<PushSubscriptionId>,
    pub(super) gone: Vec<PushSubscriptionId>,
}

impl Learned {
    /// Writes it down.
    pub(super) async fn keep(self, platform: &Platform) -> Result<(), Fault> {
        let Self { taken, refused, gone } = self;
        let now = platform.clock.now();
        platform
            .db
            .write(move |tx| async move {
                if !gone.is_empty() {
                    row::Entity::delete_many().filter(row::Column::Id.is_in(gone)).exec(&*tx).await?;
                }
                if !taken.is_empty() {
                    row::Entity::update_many()
                        .col_expr(row::Column::LastUsedAt, Expr::value(now))
                        .col_expr(row::Column::Refusals, Expr::value(0))
                        .filter(row::Column::Id.is_in(taken))
                        .exec(&*tx)
                        .await?;
                }
                if !refused.is_empty() {
                    row::Entity::update_many()
                        .col_expr(row::Column::Refusals, Expr::col(row::Column::Refusals).add(1))
                        .filter(row::Column::Id.is_in(refused))
                        .exec(&*tx)
                        .await?;
                }
                Ok(())
            })
            .await
    }
}
