//! Background work: every room's jobs, and the housekeeping.

use std::{sync::Arc, time::Duration};

use entity::idempotency_key;
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
        if let Err(fault) = sweep(platform).await {
            tracing::warn!(?fault, "the housekeeping failed; it is tried again");
        }
        let wait = SWEEP_EVERY.mul_f64(platform.random.jitter(0.2));
        if stop.run_until_cancelled(platform.clock.sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Forgets what is past its time.
///
/// # Errors
/// When the database fails.
pub async fn sweep(platform: &Platform) -> Result<(), Fault> {
    notifications::sweep(platform).await?;
    accounts::sweep(platform).await?;
    tasks::sweep(platform).await?;
    attachments::sweep(platform).await?;
    let lifetime = span(platform.config.limits.idempotency_lifetime);
    let forgotten = idempotency_key::Column::CreatedAt.lt(platform.clock.now() - lifetime);
    platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            Ok(idempotency_key::Entity::delete_many().filter(forgotten).exec(&*tx).await.map(drop)?)
        })
        .await
}
