//! Marking notifications as read.

use entity::{NotificationId, UserId, notification as row, notification_event::Kind};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::record::{announce, hold};
use crate::platform::{
    Platform,
    db::Tx,
    error::{Fault, Refusal},
    viewer::Viewer,
};

/// Marks one as read; one that is read already stays as it is.
pub(super) async fn mark_read(platform: &Platform, viewer: Viewer, id: NotificationId) -> Result<row::Model, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            hold(&tx, viewer.user_id).await?;
            let marked = row::Entity::update_many()
                .col_expr(row::Column::ReadAt, Expr::value(parts.clock.now()))
                .filter(row::Column::Id.eq(id))
                .filter(row::Column::UserId.eq(viewer.user_id))
                .filter(row::Column::ReadAt.is_null())
                .exec_with_returning(&*tx)
                .await?;
            if let Some(marked) = marked.into_iter().next() {
                announce(&parts, &tx, viewer.user_id, vec![(Kind::Read, Some(id), -1)]).await?;
                return Ok(marked);
            }
            let before = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.eq(id)).one(&*tx).await?;
            before.ok_or(Fault::NotFound("notification").into())
        })
        .await
}

/// Marks all as read. Gives their number.
pub(super) async fn mark_all_read(platform: &Platform, viewer: Viewer) -> Result<i32, Refusal> {
    let parts = platform.clone();
    let marked = platform.db.write(move |tx| async move { mark_all_read_in(&parts, &tx, viewer.user_id).await });
    marked.await.map_err(|fault: Fault| fault.into())
}

/// Marks all of a person's as read in a transaction of the caller's. Gives their number.
///
/// # Errors
/// When the database fails.
pub async fn mark_all_read_in(platform: &Platform, tx: &Tx, user_id: UserId) -> Result<i32, Fault> {
    hold(tx, user_id).await?;
    let marked = row::Entity::update_many()
        .col_expr(row::Column::ReadAt, Expr::value(platform.clock.now()))
        .filter(row::Column::UserId.eq(user_id))
        .filter(row::Column::ReadAt.is_null())
        .exec(&**tx)
        .await?;
    let count = i32::try_from(marked.rows_affected).unwrap_or(i32::MAX);
    if count > 0 {
        announce(platform, tx, user_id, vec![(Kind::Read, None, -count)]).await?;
    }
    Ok(count)
}
