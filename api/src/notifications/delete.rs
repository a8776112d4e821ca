//! Deleting notifications.

use entity::{NotificationId, notification as row, notification_event::Kind};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::record::{announce, hold};
use crate::platform::{
    Platform,
    error::{Fault, Refusal},
    viewer::Viewer,
};

/// Deletes one, read or not.
pub(super) async fn delete(platform: &Platform, viewer: Viewer, id: NotificationId) -> Result<NotificationId, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            hold(&tx, viewer.user_id).await?;
            let gone = row::Entity::delete_many()
                .filter(row::Column::Id.eq(id))
                .filter(row::Column::UserId.eq(viewer.user_id))
                .exec_with_returning(&*tx)
                .await?;
            let gone = gone.into_iter().next().ok_or(Fault::NotFound("notification"))?;
            let unread = if gone.read_at.is_none() { -1 } else { 0 };
            announce(&parts, &tx, viewer.user_id, vec![(Kind::Deleted, Some(id), unread)]).await?;
            Ok(id)
        })
        .await
}

/// Deletes those that are read. Gives their number.
pub(super) async fn clear(platform: &Platform, viewer: Viewer) -> Result<i32, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            hold(&tx, viewer.user_id).await?;
            let gone = row::Entity::delete_many()
                .filter(row::Column::UserId.eq(viewer.user_id))
                .filter(row::Column::ReadAt.is_not_null())
                .exec(&*tx)
                .await?;
            if gone.rows_affected > 0 {
                announce(&parts, &tx, viewer.user_id, vec![(Kind::Deleted, None, 0)]).await?;
            }
            Ok(i32::try_from(gone.rows_affected).unwrap_or(i32::MAX))
        })
        .await
}
