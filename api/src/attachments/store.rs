//! The rows of attachments, of their objects, and of each person's space.
//! Promise: whoever changes a person's attachments holds that person's counter, so the sum is always the sum, and
//! changes are seen in the order of their numbers.

use entity::{
    AttachmentId, StoredFileId, UserId, attachment as row, storage_counter as counter,
    stored_file::{self, State},
    user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, LockType, OnConflict},
};

use super::remove::REMOVE;
use crate::platform::{
    Platform,
    bus::Hint,
    clock::Instant,
    db::Tx,
    error::Fault,
    jobs::{self, NewJob},
};

/// Rows that are written by one statement.
const CHUNK: usize = 500;

/// Sees that the account is there and stays until the end of the transaction. The first thing in it: whoever deletes an
/// account holds it first too, so that nobody waits in a circle.
pub(super) async fn enter(tx: &Tx, user_id: UserId) -> Result<(), Fault> {
    let there = user::Entity::find_by_id(user_id).select_only().column(user::Column::Id).lock(LockType::KeyShare);
    let there: Option<UserId> = there.into_tuple().one(&**tx).await?;
    there.map(drop).ok_or(Fault::Unauthenticated)
}

/// Holds everything of a person's files: the account, and the counter.
pub(super) async fn lock(tx: &Tx, user_id: UserId) -> Result<(), Fault> {
    enter(tx, user_id).await?;
    hold(tx, user_id, 0, 0).await.map(drop)
}

/// Holds the person's counter until the end of the transaction, adds to what they use, and takes `changes` numbers.
/// Gives the counter as it is then: the numbers are the last ones.
pub(super) async fn hold(tx: &Tx, user_id: UserId, bytes: i64, changes: i64) -> Result<counter::Model, Fault> {
    let add = |column, by: i64| Expr::col((counter::Entity, column)).add(by);
    let grow = OnConflict::column(counter::Column::UserId)
        .value(counter::Column::LastSeq, add(counter::Column::LastSeq, changes))
        .value(counter::Column::UsedBytes, add(counter::Column::UsedBytes, bytes))
        .to_owned();
    let first = counter::ActiveModel { user_id: Set(user_id), last_seq: Set(changes), used_bytes: Set(bytes) };
    let counter = counter::Entity::insert(first).on_conflict(grow).exec_with_returning(&**tx).await?;
    if changes > 0 {
        tx.hint_after_commit(Hint::Person(user_id));
    }
    Ok(counter)
}

/// The attachments of a query, held in the order of their ids. The person's counter is held already.
pub(super) async fn held(tx: &Tx, query: Select<row::Entity>) -> Result<Vec<row::Model>, Fault> {
    Ok(query.order_by_asc(row::Column::Id).lock(LockType::NoKeyUpdate).all(&**tx).await?)
}

/// An object that is to be written for an attachment.
pub(super) fn new_file(
    platform: &Platform,
    user_id: UserId,
    attachment_id: AttachmentId,
    state: State,
    writable_until: Option<Instant>,
) -> stored_file::Model {
    stored_file::Model {
        id: StoredFileId::from_uuid(platform.new_uuid()),
        user_id,
        attachment_id: Some(attachment_id),
        state,
        writable_until,
        created_at: platform.clock.now(),
    }
}

/// Writes objects down, before they are put.
pub(super) async fn write_down(tx: &Tx, files: &[stored_file::Model]) -> Result<(), Fault> {
    for files in files.chunks(CHUNK) {
        let rows = files.iter().cloned().map(|file| stored_file::ActiveModel::from(file).reset_all());
        stored_file::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    }
    Ok(())
}

/// Gives up the objects of a query that nobody is writing: they are removed after the commit, until it is done.
pub(super) async fn doom(platform: &Platform, tx: &Tx, which: sea_orm::Condition) -> Result<(), Fault> {
    let doomed = stored_file::Entity::update_many()
        .col_expr(stored_file::Column::State, Expr::value(State::Doomed))
        .filter(stored_file::Column::State.eq(State::Kept))
        .filter(which)
        .exec_with_returning(&**tx)
        .await?;
    let ids: Vec<StoredFileId> = doomed.into_iter().map(|file| file.id).collect();
    remove_at(platform, tx, &ids, platform.clock.now()).await
}

/// Has objects removed at a moment, unless they are kept by then.
pub(super) async fn remove_at(platform: &Platform, tx: &Tx, ids: &[StoredFileId], at: Instant) -> Result<(), Fault> {
    for ids in ids.chunks(CHUNK) {
        // No person's jobs: they outlive the account.
        let job = |id: &StoredFileId| NewJob { kind: REMOVE, subject_id: id.uuid(), user_id: None, due_at: at };
        let jobs: Vec<NewJob> = ids.iter().map(job).collect();
        jobs::enqueue(platform, tx, &jobs).await?;
    }
    Ok(())
}

/// The condition that an object belongs to one of these.
pub(super) fn of(attachments: &[AttachmentId]) -> sea_orm::Condition {
    let mine = stored_file::Column::AttachmentId.is_in(attachments.iter().copied());
    sea_orm::Condition::all().add(mine)
}
