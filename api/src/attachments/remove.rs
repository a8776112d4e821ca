//! Attachments that go, and the objects that go after them, even when storage is away at that moment.
//! Promise: an object is removed only when its row says that it is given up, and its row goes only when the object is
//! gone. Nothing that belongs to an attachment is ever given up.

use entity::{
    AttachmentId, StoredFileId, UserId, attachment as row,
    stored_file::{self, State},
};
use futures_util::future::BoxFuture;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, sea_query::LockType};

use super::{process::PROCESS, store};
use crate::platform::{
    Platform,
    clock::span,
    db::Tx,
    error::{Fault, Refusal},
    facts::{AccountDeleted, TaskChange, TaskChanged},
    jobs::{self, Engine, Failure, Held},
    viewer::Viewer,
};

/// The job that removes an object.
pub(super) const REMOVE: &str = "file.remove";

/// Registers what this file does in the background.
pub(super) fn register(engine: &mut Engine) {
    engine.singles(REMOVE, remove_object);
}

/// Deletes an attachment of the viewer's, whatever its state.
pub(super) async fn delete(platform: &Platform, viewer: Viewer, id: AttachmentId) -> Result<AttachmentId, Refusal> {
    let mine = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.eq(id));
    let gone = remove(platform, viewer.user_id, mine).await?;
    if gone == 0 { Err(Fault::NotFound("attachment").into()) } else { Ok(id) }
}

/// Deletes the viewer's avatar, and those on their way to become it. Whether there was any.
pub(super) async fn delete_avatar(platform: &Platform, viewer: Viewer) -> Result<bool, Refusal> {
    let mine = row::Entity::visible_to(viewer.user_id).filter(row::Column::TaskId.is_null());
    Ok(remove(platform, viewer.user_id, mine).await? > 0)
}

/// Removes the attachments of a query, all of one person. Gives their number.
pub(super) async fn remove(
    platform: &Platform,
    user_id: UserId,
    which: sea_orm::Select<row::Entity>,
) -> Result<usize, Fault> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            store::lock(&tx, user_id).await?;
            let files = store::held(&tx, which).await?;
            remove_in(&parts, &tx, user_id, &files).await?;
            Ok(files.len())
        })
        .await
}

/// Removes attachments of one person, whose counter is held.
pub(super) async fn remove_in(
    platform: &Platform,
    tx: &Tx,
    user_id: UserId,
    files: &[row::Model],
) -> Result<(), Fault> {
    if files.is_empty() {
        return Ok(());
    }
    let ids: Vec<AttachmentId> = files.iter().map(|file| file.id).collect();
    let subjects: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    jobs::cancel(tx, &[PROCESS], &subjects).await?;
    store::doom(platform, tx, store::of(&ids)).await?;
    row::Entity::delete_many().filter(row::Column::Id.is_in(ids)).exec(&**tx).await?;
    store::hold(tx, user_id, -files.iter().map(|file| file.charged_bytes).sum::<i64>(), 1).await?;
    Ok(())
}

/// An avatar is ready: those from before it go. One that was overtaken by a later one goes itself.
pub(super) async fn older_avatars(platform: &Platform, tx: &Tx, ready: &row::Model) -> Result<(), Fault> {
    let done = Condition::any()
        .add(row::Column::Status.eq(row::Status::Ready))
        .add(row::Column::Status.eq(row::Status::Rejected));
    let all = row::Entity::visible_to(ready.user_id).filter(row::Column::TaskId.is_null()).filter(done);
    let all = store::held(tx, all).await?;
    let age = |file: &row::Model| (file.created_at, file.id);
    let latest = all.iter().filter(|file| file.status == row::Status::Ready).map(age).max();
    let over: Vec<row::Model> = all.into_iter().filter(|file| Some(age(file)) < latest).collect();
    remove_in(platform, tx, ready.user_id, &over).await
}

/// The files of a task that is purged go with it, in the transaction that purges it.
pub fn on_task_changed<'a>(platform: &'a Platform, tx: &'a Tx, fact: TaskChanged) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        match fact.change {
            // A deleted task can be restored, with its files.
            TaskChange::Completed | TaskChange::Reopened | TaskChange::Deleted | TaskChange::Restored => Ok(()),
            TaskChange::Purged => {
                let of_task = row::Entity::visible_to(fact.user_id).filter(row::Column::TaskId.eq(fact.task_id));
                if of_task.clone().limit(1).one(&**tx).await?.is_none() {
                    return Ok(());
                }
                store::hold(tx, fact.user_id, 0, 0).await?;
                let files = store::held(tx, of_task).await?;
                remove_in(platform, tx, fact.user_id, &files).await
            }
        }
    })
}

/// The objects of an account that is deleted are given up; its rows go by their foreign keys.
pub fn on_account_deleted<'a>(
    platform: &'a Platform,
    tx: &'a Tx,
    fact: AccountDeleted,
) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        // Nothing of theirs begins meanwhile: whoever uploads holds this, or fails for want of a person.
        store::hold(tx, fact.user_id, 0, 0).await?;
        store::doom(platform, tx, Condition::all().add(stored_file::Column::UserId.eq(fact.user_id))).await
    })
}

async fn remove_object(platform: Platform, job: Held) -> Result<(), Failure> {
    let id = StoredFileId::from_uuid(job.subject_id);
    let parts = platform.clone();
    let given_up = platform.db.write::<_, Fault, _, _>(move |tx| async move { give_up(&parts, &tx, id).await });
    if given_up.await? {
        platform.storage.delete(&stored_file::key_of(id)).await?;
    }
    let parts = platform.clone();
    let forgotten = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        // The row before the job, as whoever keeps an object does.
        let held = stored_file::Entity::find_by_id(id).lock(LockType::Update).one(&*tx).await?;
        if jobs::finish_one(&tx, &job).await? {
            forget(&parts, &tx, held).await?;
        }
        Ok(())
    });
    Ok(forgotten.await?)
}

/// Gives an object up unless it is kept by now. Once committed, nobody can keep it any more.
async fn give_up(platform: &Platform, tx: &Tx, id: StoredFileId) -> Result<bool, Fault> {
    let held = stored_file::Entity::find_by_id(id).lock(LockType::Update).one(&**tx).await?;
    let Some(file) = held else { return Ok(false) };
    match (file.state, file.attachment_id) {
        (State::Kept, Some(_)) => return Ok(false),
        (State::Doomed, _) => return Ok(true),
        (State::Kept, None) | (State::Writing, _) => {}
    }
    tracing::info!(file = %id, age_s = (platform.clock.now() - file.created_at).num_seconds(), "nobody came back for a file");
    let doomed = stored_file::ActiveModel { id: Set(id), state: Set(State::Doomed), ..Default::default() };
    stored_file::Entity::update(doomed).exec(&**tx).await?;
    Ok(true)
}

/// Forgets an object that is gone. One that a link may still write is removed once more when the link is over.
async fn forget(platform: &Platform, tx: &Tx, held: Option<stored_file::Model>) -> Result<(), Fault> {
    let Some(file) = held.filter(|file| file.state == State::Doomed) else { return Ok(()) };
    let late = span(platform.config.storage.upload_late);
    match file.writable_until.map(|until| until + late) {
        Some(again) if again > platform.clock.now() => store::remove_at(platform, tx, &[file.id], again).await,
        _ => {
            stored_file::Entity::delete_by_id(file.id).exec(&**tx).await?;
            Ok(())
        }
    }
}
