//! Telling a person that one of their sessions was ended because its token came twice.

use entity::notification;
use futures_util::future::BoxFuture;

use super::record::{NewNotification, record};
use crate::platform::{Platform, db::Tx, error::Fault, facts::SessionStolen};

/// Handles the fact in the transaction that ended the session.
pub fn on_session_stolen<'a>(
    platform: &'a Platform,
    tx: &'a Tx,
    fact: SessionStolen,
) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        let new = NewNotification {
            user_id: fact.user_id,
            kind: notification::Kind::General,
            title: "Session Ended".into(),
            message: "A session was used from two places with the same token and was ended for your safety.".into(),
            task_id: None,
            reminder_id: None,
            cause: format!("stolen {}", fact.session_id),
        };
        record(platform, tx, vec![new]).await.map(drop).map_err(Fault::from)
    })
}
