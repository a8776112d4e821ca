//! Forgetting what is older than it is kept.

use entity::{notification as row, notification_event as event, notification_event::Kind};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};

use super::record::{announce, hold};
use crate::platform::{Platform, clock::span, error::Fault};

/// How many notifications one transaction sweeps.
const BATCH: u64 = 500;
/// How many events one transaction sweeps: after a long pause there are more than one statement may take.
const EVENTS: u64 = 10_000;

/// Deletes notifications past `NOTIFICATION_LIFETIME` (with the counts that go with them) and events past
/// `EVENT_LIFETIME`.
///
/// # Errors
/// When the database fails.
pub async fn sweep(platform: &Platform) -> Result<(), Fault> {
    let ago = |lifetime| platform.clock.now() - span(lifetime);
    let limits = &platform.config.limits;
    let (oldest, oldest_event) = (ago(limits.notification_lifetime), ago(limits.event_lifetime));
    loop {
        let parts = platform.clone();
        let swept = platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                let old = row::Entity::find().filter(row::Column::CreatedAt.lt(oldest)).limit(BATCH).all(&*tx).await?;
                let ids: Vec<_> = old.iter().map(|row| row.id).collect();
                for person in old.iter().map(|row| row.user_id).collect::<std::collections::BTreeSet<_>>() {
                    hold(&tx, person).await?;
                }
                // Counted by what this statement deletes: another instance may sweep the same rows right now.
                let deleted =
                    row::Entity::delete_many().filter(row::Column::Id.is_in(ids)).exec_with_returning(&*tx).await?;
                let mut by_person = std::collections::BTreeMap::<_, Vec<_>>::new();
                let swept = deleted.len();
                for row in deleted {
                    let change = (Kind::Deleted, Some(row.id), if row.read_at.is_none() { -1 } else { 0 });
                    by_person.entry(row.user_id).or_default().push(change);
                }
                for (user_id, changes) in by_person {
                    announce(&parts, &tx, user_id, changes).await?;
                }
                Ok(swept)
            })
            .await?;
        if swept == 0 {
            break;
        }
    }
    loop {
        let swept = platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                let key = [event::Column::UserId, event::Column::Seq];
                let old = event::Entity::find().select_only().columns(key);
                let old = old.filter(event::Column::CreatedAt.lt(oldest_event)).limit(EVENTS).into_query();
                let among = Expr::tuple(key.map(Expr::col)).in_subquery(old);
                Ok(event::Entity::delete_many().filter(among).exec(&*tx).await?.rows_affected)
            })
            .await?;
        if swept < EVENTS {
            return Ok(());
        }
    }
}
