//! Announcing files, and saying that they have arrived.
//! Promise: space is taken before a byte comes, and no two uploads take the same last one.

use entity::{
    AttachmentId, TaskId,
    attachment::{self as row, Status},
    stored_file::{self, State},
    task,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use super::{process::PROCESS, rules::FileName, store};
use crate::platform::{
    Platform,
    clock::Instant,
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    idempotency::IdempotencyKey,
    jobs::{self, NewJob},
    viewer::Viewer,
};
use media::kind::Kind;

/// What files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// They hang on a task.
    Task(TaskId),
    /// It shows the person.
    Avatar,
}

/// A file to be, parsed.
#[derive(Clone, Debug)]
pub(super) struct NewFile {
    pub(super) id: AttachmentId,
    pub(super) name: FileName,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// Files that are announced together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) target: Target,
    pub(super) files: Vec<NewFile>,
    pub(super) key: Option<IdempotencyKey>,
    /// Until when a presigned URL may write them. None: we write them ourselves.
    pub(super) writable_until: Option<Instant>,
}

/// Writes a batch down, or finds the one that the same idempotency key made.
pub(super) async fn announce(platform: &Platform, viewer: Viewer, batch: Batch) -> Result<Vec<row::Model>, Refusal> {
    let parts = platform.clone();
    platform.db.write(move |tx| async move { announce_in(&parts, &tx, viewer, batch).await }).await
}

async fn announce_in(platform: &Platform, tx: &Tx, viewer: Viewer, batch: Batch) -> Result<Vec<row::Model>, Refusal> {
    store::enter(tx, viewer.user_id).await?;
    let now = platform.clock.now();
    let batch_id = platform.new_uuid();
    if let Some(key) = &batch.key
        && let Some(made) = key.claim(tx, viewer.user_id, batch_id, now).await?
    {
        let before = row::Entity::visible_to(viewer.user_id).filter(row::Column::BatchId.eq(made));
        let before = before.order_by_asc(row::Column::Position).all(&**tx).await?;
        if before.is_empty() {
            return Err(Fault::NotFound("attachment").into());
        }
        // The links are signed anew, and good for longer than the first.
        stored_file::Entity::update_many()
            .col_expr(stored_file::Column::WritableUntil, Expr::value(batch.writable_until))
            .filter(stored_file::Column::Id.is_in(before.iter().filter_map(|file| file.incoming_id)))
            .exec(&**tx)
            .await?;
        return Ok(before);
    }
    if let Target::Task(task_id) = batch.target {
        make_room(platform, tx, viewer, task_id, batch.files.len()).await?;
    }
    let bytes = |file: &NewFile| i64::try_from(file.size).unwrap_or(i64::MAX);
    let (total, count) = (batch.files.iter().map(bytes).sum(), batch.files.len() as i64);
    let counter = store::hold(tx, viewer.user_id, total, count).await?;
    let limit = platform.config.storage.per_user;
    if counter.used_bytes > i64::try_from(limit).unwrap_or(i64::MAX) {
        let free = limit.saturating_sub(u64::try_from(counter.used_bytes - total).unwrap_or(0));
        let message = format!("There is not enough space: {free} of {limit} bytes are free. Delete files first.");
        return Err(UserError::at("", Code::LimitReached, message).into());
    }
    let writable_until = batch.writable_until;
    let mut rows = Vec::with_capacity(batch.files.len());
    let mut objects = Vec::with_capacity(batch.files.len());
    for ((file, seq), position) in batch.files.into_iter().zip(counter.last_seq - count + 1..).zip(0..) {
        let object = store::new_file(platform, viewer.user_id, file.id, State::Kept, writable_until);
        let size = bytes(&file);
        rows.push(row::Model {
            id: file.id,
            user_id: viewer.user_id,
            task_id: if let Target::Task(id) = batch.target { Some(id) } else { None },
            batch_id,
            position,
            file_name: file.name.into_string(),
            content_type: file.kind.content_type().to_owned(),
            size_bytes: size,
            sha256: file.sha256.to_vec(),
            optimised_size_bytes: None,
            charged_bytes: size,
            width: None,
            height: None,
            status: Status::Pending,
            rejection: None,
            incoming_id: Some(object.id),
            file_id: None,
            thumbnail_id: None,
            seq,
            created_at: now,
            updated_at: now,
        });
        objects.push(object);
    }
    insert(tx, &rows).await?;
    store::write_down(tx, &objects).await?;
    Ok(rows)
}

async fn insert(tx: &Tx, rows: &[row::Model]) -> Result<(), Refusal> {
    let all = rows.iter().cloned().map(|row| row::ActiveModel::from(row).reset_all());
    match row::Entity::insert_many(all).exec_without_returning(&**tx).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                UserError::at("files", Code::Taken, "An attachment with this id exists. Make a new id.").into()
            }
            _ => error.into(),
        }),
    }
}

/// Sees that the task is the viewer's and has room. Holds its row, so that it cannot be filled or purged meanwhile.
async fn make_room(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    task_id: TaskId,
    wanted: usize,
) -> Result<(), Refusal> {
    let mine =
        task::Entity::visible_to(viewer.user_id).filter(task::Column::Id.eq(task_id)).lock(LockType::NoKeyUpdate);
    mine.one(&**tx).await?.ok_or(Fault::NotFound("task"))?;
    let limit = platform.config.storage.files_per_task;
    let there = row::Entity::visible_to(viewer.user_id).filter(row::Column::TaskId.eq(task_id)).count(&**tx).await?;
    if there + wanted as u64 > limit {
        let message = format!("A task has at most {limit} files ({there} now).");
        return Err(UserError::at("taskId", Code::LimitReached, message).into());
    }
    Ok(())
}

/// The viewer says that a file has been put: it is looked at if it has.
pub(super) async fn complete(platform: &Platform, viewer: Viewer, id: AttachmentId) -> Result<row::Model, Refusal> {
    let mine = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.eq(id));
    let there = mine.one(platform.db.read()).await?.ok_or(Fault::NotFound("attachment"))?;
    let (Status::Pending, Some(incoming)) = (there.status, there.incoming_id) else {
        // Saying it twice does no harm.
        return Ok(there);
    };
    let head = platform.storage.head(&entity::stored_file::key_of(incoming)).await.map_err(Fault::from)?;
    if head.and_then(|head| i64::try_from(head.length).ok()) != Some(there.size_bytes) {
        let message = "The file has not arrived. PUT it to the upload's URL with its headers first.";
        return Err(UserError::at("id", Code::WrongState, message).into());
    }
    let begun = begin(platform, viewer, vec![id]).await?;
    begun.into_iter().next().ok_or(Fault::NotFound("attachment").into())
}

/// The bytes of these, of one batch, are there: has them looked at. Gives them as they are now, in their order.
pub(super) async fn begin(
    platform: &Platform,
    viewer: Viewer,
    ids: Vec<AttachmentId>,
) -> Result<Vec<row::Model>, Refusal> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            store::enter(&tx, viewer.user_id).await?;
            let counter = store::hold(&tx, viewer.user_id, 0, ids.len() as i64).await?;
            let mine = || row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.is_in(ids.iter().copied()));
            let now = parts.clock.now();
            for (file, seq) in
                store::held(&tx, mine()).await?.into_iter().zip(counter.last_seq - ids.len() as i64 + 1..)
            {
                if file.status == Status::Pending {
                    set_processing(&parts, &tx, &file, seq, now).await?;
                }
            }
            Ok(mine().order_by_asc(row::Column::Position).all(&*tx).await?)
        })
        .await
}

async fn set_processing(platform: &Platform, tx: &Tx, file: &row::Model, seq: i64, now: Instant) -> Result<(), Fault> {
    row::Entity::update_many()
        .col_expr(row::Column::Status, Expr::value(Status::Processing))
        .col_expr(row::Column::Seq, Expr::value(seq))
        .col_expr(row::Column::UpdatedAt, Expr::value(now))
        .filter(row::Column::Id.eq(file.id))
        .exec(&**tx)
        .await?;
    let job = NewJob { kind: PROCESS, subject_id: file.id.uuid(), user_id: Some(file.user_id), due_at: now };
    Ok(jobs::enqueue(platform, tx, &[job]).await?)
}

/// A batch that cannot be stored is as if it had never been announced: its key may be used again.
pub(super) async fn take_back(platform: &Platform, viewer: Viewer, batch_id: Uuid, key: Option<IdempotencyKey>) {
    let parts = platform.clone();
    let taken_back = platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            store::lock(&tx, viewer.user_id).await?;
            let batch = row::Entity::visible_to(viewer.user_id).filter(row::Column::BatchId.eq(batch_id));
            let batch = store::held(&tx, batch.filter(row::Column::Status.eq(Status::Pending))).await?;
            super::remove::remove_in(&parts, &tx, viewer.user_id, &batch).await?;
            match key {
                Some(key) => key.forget(&tx, viewer.user_id).await,
                None => Ok(()),
            }
        })
        .await;
    if let Err(fault) = taken_back {
        tracing::warn!(?fault, "an upload that failed cannot be taken back; it is swept later");
    }
}
