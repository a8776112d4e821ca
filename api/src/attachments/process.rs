//! Looking at what arrived: what it is, what is made of it, and where it stands then. Done by a job, so that the upload
//! waits for nothing and a crash loses nothing.
//! Promise: what is served was looked at byte by byte, and lies under a key that nobody else can write.

use std::sync::Arc;

use entity::{
    AttachmentId, StoredFileId,
    attachment::{self as row, Status},
    stored_file::{self, State, key_of},
};
use futures_util::future::BoxFuture;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr,
};
use tokio::sync::Semaphore;

use super::{
    remove::{self, REMOVE},
    store,
};
use crate::platform::{
    Platform,
    db::Tx,
    error::Fault,
    jobs::{self, Engine, Failed, Failure, Held},
    spool::Spool,
    storage::StorageError,
};
use media::{
    inspect::{Rejection, inspect},
    kind::Kind,
    optimise::{Bounds, Picture, optimise},
};

/// The job that looks at an attachment.
pub(super) const PROCESS: &str = "attachment.process";

/// Registers what this file does in the background.
pub(super) fn register(engine: &mut Engine, platform: &Platform) {
    let permits = Arc::new(Semaphore::new(platform.config.storage.image_permits));
    engine
        .singles(PROCESS, move |platform, job| process(platform, job, permits.clone()))
        .when_failed(give_up)
        .rooms_first();
}

/// What came of looking at a file.
enum Looked {
    /// Kept as it came.
    AsItIs(Kind),
    /// An image, made anew or stripped.
    Picture(Box<Picture>),
    /// Not to be kept.
    Refused(String),
}

/// Objects that were put for an attachment.
struct Outcome {
    kind: Kind,
    file: StoredFileId,
    thumbnail: Option<StoredFileId>,
    /// What is kept of it, in bytes.
    kept: i64,
    optimised: bool,
    size: Option<(u32, u32)>,
}

async fn process(platform: Platform, job: Held, permits: Arc<Semaphore>) -> Result<(), Failure> {
    let id = AttachmentId::from_uuid(job.subject_id);
    let found = row::Entity::find_by_id(id).one(platform.db.read()).await.map_err(Fault::from)?;
    let wanted = found.and_then(|file| match (file.status, file.incoming_id) {
        (Status::Processing, Some(incoming)) => Some((file, incoming)),
        _ => None,
    });
    let Some((file, incoming)) = wanted else {
        return Ok(platform
            .db
            .write::<_, Fault, _, _>(|tx| async move { Ok(jobs::finish_one(&tx, &job).await.map(drop)?) })
            .await?);
    };
    let spool = match fetch(&platform, &file, incoming).await? {
        Ok(spool) => spool,
        Err(refused) => return reject(&platform, job, id, refused).await,
    };
    match look(&platform, &file, &spool, &permits).await? {
        Looked::Refused(why) => reject(&platform, job, id, why).await,
        Looked::AsItIs(kind) => {
            let [object] = write(&platform, &file).await?;
            platform.storage.put(&object.key(), kind.content_type(), &spool).await?;
            let kept = file.size_bytes;
            let outcome = Outcome { kind, file: object.id, thumbnail: None, kept, optimised: false, size: None };
            accept(&platform, job, id, outcome).await
        }
        Looked::Picture(picture) => {
            let outcome = put_picture(&platform, &file, *picture).await?;
            accept(&platform, job, id, outcome).await
        }
    }
}

/// The bytes as they were announced, or why not.
async fn fetch(
    platform: &Platform,
    file: &row::Model,
    incoming: StoredFileId,
) -> Result<Result<Spool, String>, Failure> {
    let (folder, most) = (&platform.config.server.data_dir, platform.config.storage.file_limit);
    match platform.storage.fetch(&key_of(incoming), folder, most).await {
        Ok(spool) if i64::try_from(spool.length) == Ok(file.size_bytes) && spool.sha256[..] == file.sha256 => {
            Ok(Ok(spool))
        }
        Ok(_) | Err(StorageError::Broken) => Ok(Err("These are not the bytes that were announced.".into())),
        Err(StorageError::Missing) => Ok(Err("The bytes are gone. Upload the file again.".into())),
        Err(error @ StorageError::Unavailable(_)) => Err(error.into()),
    }
}

/// Finds out what a file is and what is made of it.
async fn look(platform: &Platform, file: &row::Model, spool: &Spool, permits: &Semaphore) -> Result<Looked, Failure> {
    let unknown = || Fault::Internal(format!("{} is of no type that is taken", file.id));
    let claimed = Kind::from_content_type(&file.content_type).ok_or_else(unknown)?;
    let (name, mut reader, length) = (file.file_name.clone(), spool.reader(), spool.length);
    let inspected = blocking(move || {
        // Whoever sends a file that finds a defect of ours gets an answer, and not a job that is tried for ever.
        let looking = std::panic::AssertUnwindSafe(|| inspect(&mut reader, length, &name, claimed));
        let unreadable = || Ok(Err(Rejection::from("This file cannot be read. Save it anew, and upload that.")));
        std::panic::catch_unwind(looking).unwrap_or_else(|_| unreadable())
    });
    let kind = match inspected.await?.map_err(|error| Fault::Unavailable(format!("the spool: {error}")))? {
        Ok(kind) => kind,
        Err(Rejection(why)) => return Ok(Looked::Refused(why.into_owned())),
    };
    if !kind.is_image() {
        return Ok(match file.task_id {
            Some(_) => Looked::AsItIs(kind),
            None => Looked::Refused("An avatar must be an image: JPEG, PNG, GIF or WebP.".into()),
        });
    }
    // Waiting for its turn costs an image none of its time.
    let _turn = permits.acquire().await.map_err(|error| Fault::Internal(error.to_string()))?;
    let (bounds, reader) = (bounds(platform), spool.reader());
    let optimising = blocking(move || {
        let bytes = read_whole(reader)?;
        Ok::<_, std::io::Error>(optimise(bytes, kind, &bounds))
    });
    Ok(match optimising.await?.map_err(|error| Fault::Unavailable(format!("the spool: {error}")))? {
        Ok(picture) => Looked::Picture(Box::new(picture)),
        Err(Rejection(why)) => Looked::Refused(why.into_owned()),
    })
}

fn read_whole(mut reader: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bounds(platform: &Platform) -> Bounds {
    let config = &platform.config.storage;
    Bounds {
        pixels: config.image_pixels,
        memory: config.image_memory,
        time: config.image_time,
        width: config.image_width,
        height: config.image_height,
        thumbnail: config.thumbnail_size,
        quality: config.image_quality as f32,
    }
}

/// Runs what takes a core for a while, off the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|died| Fault::Internal(format!("looking at a file died: {died}")))
}

async fn put_picture(platform: &Platform, file: &row::Model, picture: Picture) -> Result<Outcome, Failure> {
    let [whole, thumbnail] = write(platform, file).await?;
    let kept = i64::try_from(picture.bytes.len()).unwrap_or(i64::MAX);
    platform.storage.put_bytes(&whole.key(), picture.kind.content_type(), picture.bytes.into()).await?;
    platform.storage.put_bytes(&thumbnail.key(), Kind::Webp.content_type(), picture.thumbnail.into()).await?;
    Ok(Outcome {
        kind: picture.kind,
        file: whole.id,
        thumbnail: Some(thumbnail.id),
        kept,
        optimised: picture.changed || kept != file.size_bytes,
        size: Some((picture.width, picture.height)),
    })
}

/// Writes down objects that are about to be put, and has them removed should nobody come back for them.
async fn write<const N: usize>(platform: &Platform, file: &row::Model) -> Result<[stored_file::Model; N], Fault> {
    let objects: [_; N] =
        std::array::from_fn(|_| store::new_file(platform, file.user_id, file.id, State::Writing, None));
    let (parts, written) = (platform.clone(), objects.clone());
    platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            let ids: Vec<StoredFileId> = written.iter().map(|object| object.id).collect();
            store::write_down(&tx, &written).await?;
            store::remove_at(&parts, &tx, &ids, parts.clock.after(parts.config.storage.write_time)).await
        })
        .await?;
    Ok(objects)
}

/// The attachment, held with its person's counter; none when it is no longer to be looked at.
async fn hold(tx: &Tx, id: AttachmentId) -> Result<Option<row::Model>, Fault> {
    let Some(there) = row::Entity::find_by_id(id).one(&**tx).await? else { return Ok(None) };
    // The account may be gone by now, and the file with it.
    match store::lock(tx, there.user_id).await {
        Err(Fault::Unauthenticated) => return Ok(None),
        locked => locked?,
    }
    let held = store::held(tx, row::Entity::find().filter(row::Column::Id.eq(id))).await?;
    Ok(held.into_iter().find(|file| file.status == Status::Processing))
}

async fn accept(platform: &Platform, job: Held, id: AttachmentId, outcome: Outcome) -> Result<(), Failure> {
    let parts = platform.clone();
    let kept = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        // The person's counter and the file before the job, as whoever deletes files does.
        let file = hold(&tx, id).await?;
        if !jobs::finish_one(&tx, &job).await? {
            return Ok(());
        }
        // Deleted meanwhile: what was put is removed in its time.
        let Some(file) = file else { return Ok(()) };
        let objects: Vec<StoredFileId> = std::iter::once(outcome.file).chain(outcome.thumbnail).collect();
        let claimed = stored_file::Entity::update_many()
            .col_expr(stored_file::Column::State, Expr::value(State::Kept))
            .filter(stored_file::Column::Id.is_in(objects.iter().copied()))
            .filter(stored_file::Column::State.eq(State::Writing))
            .exec(&*tx)
            .await?;
        if claimed.rows_affected != objects.len() as u64 {
            return Err(Fault::Unavailable("it took so long that what was put is given up".into()));
        }
        let subjects: Vec<_> = objects.iter().map(|object| object.uuid()).collect();
        jobs::cancel(&tx, &[REMOVE], &subjects).await?;
        let incoming: Vec<StoredFileId> = file.incoming_id.into_iter().collect();
        store::doom(&parts, &tx, sea_orm::Condition::all().add(stored_file::Column::Id.is_in(incoming))).await?;
        let counter = store::hold(&tx, file.user_id, outcome.kept - file.charged_bytes, 1).await?;
        let task_id = file.task_id;
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        let mut done = file.into_active_model();
        done.status = Set(Status::Ready);
        done.content_type = Set(outcome.kind.content_type().to_owned());
        done.optimised_size_bytes = Set(outcome.optimised.then_some(outcome.kept));
        done.charged_bytes = Set(outcome.kept);
        done.width = Set(outcome.size.map(|(width, _)| side(width)));
        done.height = Set(outcome.size.map(|(_, height)| side(height)));
        done.incoming_id = Set(None);
        done.file_id = Set(Some(outcome.file));
        done.thumbnail_id = Set(outcome.thumbnail);
        done.seq = Set(counter.last_seq);
        done.updated_at = Set(parts.clock.now());
        let done = done.update(&*tx).await?;
        if task_id.is_none() { remove::older_avatars(&parts, &tx, &done).await } else { Ok(()) }
    });
    Ok(kept.await?)
}

async fn reject(platform: &Platform, job: Held, id: AttachmentId, why: String) -> Result<(), Failure> {
    let parts = platform.clone();
    let rejected = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        let file = hold(&tx, id).await?;
        if jobs::finish_one(&tx, &job).await? { reject_held(&parts, &tx, file, why).await } else { Ok(()) }
    });
    Ok(rejected.await?)
}

/// Refuses an attachment: its bytes go, its row says why, and it takes no space.
pub(super) async fn reject_in(platform: &Platform, tx: &Tx, id: AttachmentId, why: String) -> Result<(), Fault> {
    let held = hold(tx, id).await?;
    reject_held(platform, tx, held, why).await
}

async fn reject_held(platform: &Platform, tx: &Tx, held: Option<row::Model>, why: String) -> Result<(), Fault> {
    let Some(file) = held else { return Ok(()) };
    store::doom(platform, tx, store::of(&[file.id])).await?;
    let counter = store::hold(tx, file.user_id, -file.charged_bytes, 1).await?;
    let mut refused = file.into_active_model();
    refused.status = Set(Status::Rejected);
    refused.rejection = Set(Some(why));
    refused.charged_bytes = Set(0);
    refused.incoming_id = Set(None);
    refused.seq = Set(counter.last_seq);
    refused.updated_at = Set(platform.clock.now());
    refused.update(&**tx).await?;
    Ok(())
}

/// The job is put aside: the person is told, rather than left to wait.
fn give_up<'a>(platform: &'a Platform, tx: &'a Tx, failed: &'a Failed) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        if failed.next_attempt_at.is_some() {
            return Ok(());
        }
        let why = "This file could not be processed. Try another one.".to_owned();
        reject_in(platform, tx, AttachmentId::from_uuid(failed.job.subject_id), why).await
    })
}
