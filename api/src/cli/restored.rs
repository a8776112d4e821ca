//! `spacedly restored`: what a database that came from a backup cannot know.
//! Promise: what was due between the backup and the loss is shown in the app and not sent again; what was due later goes
//! out as ever. Done twice, it shows and settles nothing more. For a week no file is removed because this database does
//! not know it. And whoever follows a live stream with a cursor of before begins anew.

use std::time::Duration;

use chrono::DateTime;

use crate::{
    app::{App, Handed},
    attachments, notifications,
    platform::{Platform, clock::Instant, config::Config, error::Fault, jobs::ByHand, live::begin_era},
    reminders::{self, Settled},
    tasks,
};

/// What the ledger says.
const WHY: &str = "Our service was restored from a backup. This was probably sent before, so it was not sent again.";

/// How long files wait that the database does not know: until then a backup that knows more may turn up.
const SWEEP_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// Settles what was due before the loss, in one transaction, and tells how much it was.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn run(config: Config, lost_at: &str) -> Result<(), String> {
    let lost_at = DateTime::parse_from_rfc3339(lost_at)
        .map_err(|_| "--lost-at must be a moment like 2026-11-21T20:00:00Z".to_owned())?
        .to_utc();
    let app = App::build(config, Handed::default()).await?;
    if lost_at > app.platform.clock.now() {
        return Err("--lost-at lies ahead: give the moment at which the database was lost".into());
    }
    app.migrate().await?;
    let Settled { shown, unsent, digests } = settle(&app.platform, lost_at)
        .await
        .map_err(|fault| format!("the database did not take it, and nothing was changed: {fault:?}"))?;
    println!(
        "{unsent} mails and push messages are taken for sent: their people see why in the ledger of the reminder."
    );
    println!("{shown} reminders were put into their lists, and {digests} digests are taken for mailed.");
    println!("No file is removed from the bucket for 7 days because this database does not know it.");
    println!("Live streams begin anew: their clients read the state once more.");
    println!("Start the servers now.");
    Ok(())
}

async fn settle(platform: &Platform, lost_at: Instant) -> Result<Settled, Fault> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let by = ByHand { until: lost_at, of: None, why: WHY };
            notifications::settle_by_hand(&parts, &tx, &by).await?;
            tasks::settle_by_hand(&parts, &tx, &by).await?;
            let settled = reminders::settle_by_hand(&parts, &tx, &by).await?;
            // Files that came after the backup are in the bucket still, and this database knows none of them.
            attachments::put_off_sweep(&parts, &tx, SWEEP_AFTER).await?;
            // Events that were told after the backup are not known, and their numbers are given out again.
            let now = parts.clock.now();
            begin_era(&tx, now, "notification_counters", "unread").await?;
            begin_era(&tx, now, "storage_counters", "used_bytes").await?;
            Ok(settled)
        })
        .await
}
