//! What was never finished, and what lost its owner or its row.
//! Promise: nothing live is ever removed. What has a row goes by its row; what has none must be old besides.

use std::collections::HashSet;

use chrono::TimeDelta;
use entity::{
    StoredFileId, UserId,
    attachment::{self as row, Status},
    job,
    stored_file::{self, PREFIX, State},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{
    remove::{self, REMOVE},
    store,
};
use crate::platform::{
    Platform,
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
    let there = job::Entity::find().filter(job::Column::Kind.eq(SWEEP)).one(platform.db.read()).await?;
    if there.is_none_or(|job| job.state == job::State::Dead) {
        let parts = platform.clone();
        let first = store::after(&parts, platform.config.storage.sweep_every);
        platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move { Ok(jobs::enqueue(&parts, &tx, &[next(first)]).await?) })
            .await?;
    }
    Ok(())
}

/// A setting's span of time.
pub(super) fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn next(due_at: crate::platform::clock::Instant) -> NewJob {
    NewJob { kind: SWEEP, subject_id: Uuid::nil(), user_id: None, due_at }
}

/// Uploads that were announced and never came, and avatars that were refused.
async fn unfinished(platform: &Platform) -> Result<(), Fault> {
    let before = platform.clock.now() - span(platform.config.storage.upload_lifetime);
    let never_came = row::Column::Status.eq(Status::Pending);
    // A refused file of a task is shown there; a refused avatar nowhere.
    let refused = Condition::all().add(row::Column::Status.eq(Status::Rejected)).add(row::Column::TaskId.is_null());
    loop {
        let over = row::Entity::find()
            .filter(row::Column::CreatedAt.lt(before))
            .filter(Condition::any().add(never_came.clone()).add(refused.clone()))
            .order_by_asc(row::Column::CreatedAt)
            .limit(BATCH)
            .all(platform.db.read())
            .await?;
        let people: HashSet<UserId> = over.iter().map(|file| file.user_id).collect();
        for person in people {
            let ids = over.iter().filter(|file| file.user_id == person).map(|file| file.id);
            // Looked at again while they are held: one may have come after all.
            let still = row::Entity::visible_to(person)
                .filter(row::Column::Id.is_in(ids))
                .filter(Condition::any().add(never_came.clone()).add(refused.clone()));
            remove::remove(platform, person, still).await?;
        }
        if (over.len() as u64) < BATCH {
            return Ok(());
        }
    }
}

/// Objects that should have gone and that no job is after.
async fn lost(platform: &Platform) -> Result<(), Fault> {
    let at_work = Query::select()
        .expr(Expr::val(1))
        .from(job::Entity)
        .and_where(
            Expr::col((job::Entity, job::Column::SubjectId)).equals((stored_file::Entity, stored_file::Column::Id)),
        )
        .and_where(Expr::col((job::Entity, job::Column::Kind)).eq(REMOVE))
        .and_where(Expr::col((job::Entity, job::Column::State)).ne(job::State::Dead))
        .to_owned();
    let owned_by_none = Condition::any()
        .add(stored_file::Column::AttachmentId.is_null())
        .add(stored_file::Column::State.ne(State::Kept));
    loop {
        let found = stored_file::Entity::find()
            .filter(owned_by_none.clone())
            .filter(Expr::not_exists(at_work.clone()))
            .order_by_asc(stored_file::Column::Id)
            .limit(BATCH)
            .all(platform.db.read())
            .await?;
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
    let tomorrow = store::after(&parts, platform.config.storage.sweep_every);
    let done = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        if !jobs::finish(&tx, std::slice::from_ref(&job)).await?.is_empty() {
            jobs::enqueue(&parts, &tx, &[next(tomorrow)]).await?;
        }
        Ok(())
    });
    Ok(done.await?)
}
