//! Background work: every room's jobs, and the housekeeping.

use std::{sync::Arc, time::Duration};

use entity::idempotency_key;
use futures_util::future::BoxFuture;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts,
    app::App,
    attachments, notifications,
    platform::{Platform, clock::span, error::Fault, jobs::Engine},
    reminders, tasks,
};

/// How often the housekeeping runs.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Works until `stop`, then lets what runs finish.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut engine = Engine::new(app.platform.clone());
    accounts::register_jobs(&mut engine);
    notifications::register_jobs(&mut engine);
    attachments::register_jobs(&mut engine, &app.platform);
    tasks::register_jobs(&mut engine);
    reminders::register_jobs(&mut engine);
    tokio::join!(engine.run(stop.clone()), keep_house(&app.platform, stop));
}

/// Sweeps now and then. Every sweep may run on several instances at once: it only deletes what is past its time.
async fn keep_house(platform: &Platform, stop: CancellationToken) {
    loop {
        // What fails is told there, and tried again. A sweep that is left in the middle goes on next time.
        if stop.run_until_cancelled(sweep(platform)).await.is_none() {
            return;
        }
        let wait = SWEEP_EVERY.mul_f64(platform.random.jitter(0.2));
        if stop.run_until_cancelled(platform.clock.sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Forgets what is past its time. What cannot be forgotten in one room keeps no other from it.
///
/// # Errors
/// When the database fails: the first fault.
pub async fn sweep(platform: &Platform) -> Result<(), Fault> {
    let rooms: [(&str, BoxFuture<'_, Result<(), Fault>>); 5] = [
        ("notifications", Box::pin(notifications::sweep(platform))),
        ("accounts", Box::pin(accounts::sweep(platform))),
        ("tasks", Box::pin(tasks::sweep(platform))),
        ("attachments", Box::pin(attachments::sweep(platform))),
        ("idempotency keys", Box::pin(sweep_keys(platform))),
    ];
    let mut outcome = Ok(());
    for (room, sweep) in rooms {
        if let Err(fault) = sweep.await {
            tracing::warn!(room, ?fault, "the housekeeping failed; it is tried again");
            outcome = outcome.and(Err(fault));
        }
    }
    outcome
}

async fn sweep_keys(platform: &Platform) -> Result<(), Fault> {
    let lifetime = span(platform.config.limits.idempotency_lifetime);
    let forgotten = idempotency_key::Column::CreatedAt.lt(platform.clock.now() - lifetime);
    platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            Ok(idempotency_key::Entity::delete_many().filter(forgotten).exec(&*tx).await.map(drop)?)
        })
        .await
}
