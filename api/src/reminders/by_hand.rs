//! Deliveries that are settled by hand: shown in the app, and not sent.
//! Promise: the ledger says of each why it was not sent; what quiet hours would still have held then is left to go out.

use entity::DeliveryId;

use super::{
    digest,
    dispatch::{EMAIL, IN_APP, PUSH, complete_delivered, deliver, pending},
    ledger,
};
use crate::{
    accounts,
    platform::{
        Platform,
        db::Tx,
        error::Fault,
        jobs::{self, ByHand, Held},
    },
};

/// What was settled by hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settled {
    /// Deliveries that are shown in the app now.
    pub shown: u64,
    /// Mails and push messages that are not sent.
    pub unsent: u64,
    /// People whose digests are taken for mailed.
    pub digests: u64,
}

/// Settles what was due by then.
///
/// # Errors
/// When the database fails.
pub async fn settle_by_hand(platform: &Platform, tx: &Tx, by: &ByHand<'_>) -> Result<Settled, Fault> {
    let mut settled = Settled::default();
    for kind in [EMAIL, PUSH] {
        let mut after = None;
        loop {
            let due = by.jobs(tx, kind, after).await?;
            let Some(last) = due.last() else { break };
            after = Some(last.id);
            settled.unsent += skip(platform, tx, due, by).await?;
        }
    }
    let mut after = None;
    loop {
        let mut due = by.jobs(tx, IN_APP, after).await?;
        let Some(last) = due.last() else { break };
        after = Some(last.id);
        due.sort_by_key(|job| job.due_at);
        settled.shown += due.len() as u64;
        deliver(platform.clone(), tx.clone(), due).await?;
    }
    settled.digests = digest::settle_by_hand(platform, tx, by).await?;
    Ok(settled)
}

/// Ends the jobs and closes their deliveries. How many.
async fn skip(platform: &Platform, tx: &Tx, due: Vec<Held>, by: &ByHand<'_>) -> Result<u64, Fault> {
    let due = accounts::not_held(platform, tx, due, by).await?;
    jobs::finish(tx, &due).await?;
    let wanted = pending(tx, due.iter().map(|job| DeliveryId::from_uuid(job.subject_id)).collect()).await?;
    let ids: Vec<DeliveryId> = wanted.iter().map(|(delivery, _)| delivery.id).collect();
    let (count, now) = (ids.len() as u64, platform.clock.now());
    ledger::skipped(tx, &ids, by.why, now).await?;
    for (delivery, reminder) in wanted {
        // On the day on which it was due, not on that of the restoring.
        complete_delivered(platform, tx, vec![reminder], delivery.due_at.min(by.until)).await?;
    }
    Ok(count)
}
