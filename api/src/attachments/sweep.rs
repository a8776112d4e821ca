//! What was never finished, and what lost its owner or its row.
//! Promise: nothing live is ever removed. What has a row goes by its row; what has none must be old besides.

use std::{collections::HashSet, time::Duration};

use entity::{
    StoredFileId, UserId, attachment as row, job,
    stored_file::{self, PREFIX},
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};
use uuid::Uuid;

use super::{
    process::{PROCESS, reject_in},
    remove::{self, REMOVE},
    store,
};
use crate::platform::{
    Platform,
    clock::{Instant, span},
    db::Tx,
    error::Fault,
    jobs::{self, Engine, Failure, Held, NewJob},
};

/// The job that looks through the whole bucket.
const SWEEP: &str = "storage.sweep";
/// Rows that are looked at at once.
const BATCH: u64 = 500;

/// Registers what this file does in the background.
pub(super) fn register(engine: &mut Engine) {
    engine.singles(SWEEP, look_through);
}

/// Forgets uploads that were never finished, has objects removed that lost their owner, and sees that the whole bucket
/// is looked through now and then. May run on several instances at once.
///
/// # Errors
/// When the database fails.
pub async fn sweep(platform: &Platform) -> Result<(), Fault> {
    unfinished(platform).await?;
    lost(platform).await?;
    let there = job::Entity::find().filter(job::Column::SubjectId.eq(Uuid::nil())).filter(job::Column::Kind.eq(SWEEP));
    let there = there.one(platform.db.read()).await?;
    if there.is_none_or(|job| job.state == job::State::Dead) {
        let parts = platform.clone();
        let first = parts.clock.after(parts.config.storage.sweep_every);
        platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move { Ok(jobs::enqueue(&parts, &tx, &[next(first)]).await?) })
            .await?;
    }
    Ok(())
}

/// Lets the objects that this database does not know be for so long.
///
/// # Errors
/// When the database fails.
pub async fn put_off_sweep(platform: &Platform, tx: &Tx, by: Duration) -> Result<(), Fault> {
    // There is one, which starts anew by this; or it is planned here instead of by the server.
    Ok(jobs::enqueue(platform, tx, &[next(platform.clock.after(by))]).await?)
}

fn next(due_at: Instant) -> NewJob {
    NewJob { kind: SWEEP, subject_id: Uuid::nil(), user_id: None, due_at }
}

/// Uploads that were announced and never came, avatars that were refused, and files that nobody looks at any more.
async fn unfinished(platform: &Platform) -> Result<(), Fault> {
    // Written out, so that SQLite's planner sees that the partial indexes fit.
    clear(platform, "status = 'PENDING'").await?;
    // A refused file of a task is shown there; a refused avatar nowhere.
    clear(platform, "status = 'REJECTED' AND task_id IS NULL").await?;
    let stuck = row::Entity::find()
        .filter(Expr::cust("status = 'PROCESSING'"))
        .filter(row::Column::UpdatedAt.lt(platform.clock.now() - span(platform.config.storage.write_time)))
        .filter(Expr::not_exists(at_work(PROCESS, (row::Entity, row::Column::Id))))
        .limit(BATCH)
        .all(platform.db.read())
        .await?;
    for file in stuck {
        let (parts, why) = (platform.clone(), "This file could not be processed. Upload it again.".to_owned());
        platform.db.write(move |tx| async move { reject_in(&parts, &tx, file.id, why).await }).await?;
    }
    Ok(())
}

/// Removes the attachments that are so, and older than an upload may take.
async fn clear(platform: &Platform, so: &'static str) -> Result<(), Fault> {
    let before = platform.clock.now() - span(platform.config.storage.upload_lifetime);
    loop {
        let over = row::Entity::find()
            .filter(row::Column::CreatedAt.lt(before))
            .filter(Expr::cust(so))
            .order_by_asc(row::Column::CreatedAt)
            .limit(BATCH)
            .all(platform.db.read())
            .await?;
        let people: HashSet<UserId> = over.iter().map(|file| file.user_id).collect();
        for person in people {
            let ids = over.iter().filter(|file| file.user_id == person).map(|file| file.id);
            // Looked at again while they are held: one may have come after all.
            let still = row::Entity::visible_to(person).filter(row::Column::Id.is_in(ids)).filter(Expr::cust(so));
            remove::remove(platform, person, still).await?;
        }
        if (over.len() as u64) < BATCH {
            return Ok(());
        }
    }
}

/// The query for a job of this kind about a row that is not put aside.
fn at_work(kind: &'static str, subject: impl sea_orm::sea_query::IntoColumnRef) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(job::Entity)
        .and_where(Expr::col((job::Entity, job::Column::SubjectId)).eq(Expr::col(subject)))
        .and_where(Expr::col((job::Entity, job::Column::Kind)).eq(kind))
        .and_where(Expr::col((job::Entity, job::Column::State)).ne(job::State::Dead))
        .to_owned()
}

/// Objects that should have gone and that no job is after.
async fn lost(platform: &Platform) -> Result<(), Fault> {
    loop {
        let found = stored_file::Entity::find()
            .filter(Expr::cust("(attachment_id IS NULL OR state <> 'KEPT')"))
            .filter(Expr::not_exists(at_work(REMOVE, (stored_file::Entity, stored_file::Column::Id))))
            .order_by_asc(stored_file::Column::Id)
            .limit(BATCH)
            .all(platform.db.read())
            .await?;
        if found.is_empty() {
            return Ok(());
        }
        let (parts, count) = (platform.clone(), found.len() as u64);
        platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                let ids: Vec<StoredFileId> = found.iter().map(|file| file.id).collect();
                store::remove_at(&parts, &tx, &ids, parts.clock.now()).await
            })
            .await?;
        if count < BATCH {
            return Ok(());
        }
    }
}

/// Looks through the bucket for objects that have no row, and comes back tomorrow.
async fn look_through(platform: Platform, job: Held) -> Result<(), Failure> {
    let before = platform.clock.now() - span(platform.config.storage.orphan_age);
    let (mut after, mut removed) = (None, 0);
    loop {
        let page = platform.storage.list(PREFIX, after.clone()).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        // What is not named by us is not ours.
        let old: Vec<StoredFileId> = page
            .iter()
            .filter(|object| object.modified_at < before)
            .filter_map(|object| stored_file::of_key(&object.key))
            .collect();
        let known = stored_file::Entity::find().filter(stored_file::Column::Id.is_in(old.iter().copied()));
        let known: HashSet<StoredFileId> =
            known.all(platform.db.read()).await.map_err(Fault::from)?.into_iter().map(|file| file.id).collect();
        for id in old.into_iter().filter(|id| !known.contains(id)) {
            platform.storage.delete(&stored_file::key_of(id)).await?;
            removed += 1;
        }
    }
    if removed > 0 {
        tracing::warn!(removed, "objects that nobody knew were removed from storage");
    }
    let parts = platform.clone();
    let tomorrow = parts.clock.after(parts.config.storage.sweep_every);
    let done = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        if jobs::finish_one(&tx, &job).await? {
            jobs::enqueue(&parts, &tx, &[next(tomorrow)]).await?;
        }
        Ok(())
    });
    Ok(done.await?)
}
