//! The folder of the store: buckets, objects, and drafts of objects.
//! Promise: an object is written and synced as a draft, elsewhere, and renamed into place when it is whole. Whenever
//! the process or the machine dies there is the old object or the new one, and drafts are swept when it starts again.
//!
//! ```text
//! lock                                   held by every process that uses the folder
//! backup                                 held alone by a backup: no object is deleted meanwhile
//! drafts/<number>                        what is being stored
//! buckets/<bucket>/cors.json
//! buckets/<bucket>/objects/<2 hex>/=<key>
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use s3s::{S3Error, S3Result, dto::CORSConfiguration, path::check_bucket_name, s3_error};

use super::{
    draft::Draft,
    names::{self, Name},
    object::{self, Stored},
};

/// The folder of a store. Everything here blocks.
pub(super) struct Disk {
    folder: PathBuf,
    next_draft: AtomicU64,
    /// Shared; who holds it alone knows that every draft was left behind.
    _in_use: File,
}

const BACKUP: &str = "backup";
const DRAFTS: &str = "drafts";
const BUCKETS: &str = "buckets";
const OBJECTS: &str = "objects";
const CORS: &str = "cors.json";

impl Disk {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// When it cannot be used; in words for an operator.
    pub(super) fn open(folder: PathBuf) -> Result<Self, String> {
        let failed =
            |cause: io::Error| format!("the folder {} cannot be used to store objects: {cause}", folder.display());
        for part in [DRAFTS, BUCKETS] {
            fs::create_dir_all(folder.join(part)).map_err(failed)?;
        }
        let in_use = File::create(folder.join("lock")).map_err(failed)?;
        // Another process that is at work has drafts of its own: then somebody else sweeps, another time.
        if in_use.try_lock().is_ok() {
            sweep(&folder.join(DRAFTS)).map_err(failed)?;
            in_use.unlock().map_err(failed)?;
        }
        in_use.lock_shared().map_err(failed)?;
        open_lock(&folder).map_err(failed)?;
        let disk = Self { folder, next_draft: AtomicU64::new(0), _in_use: in_use };
        // Says now, and not at the first upload, that the disk is read-only.
        disk.draft().map(drop).map_err(|e| format!("{} cannot be written to: {e}", disk.folder.display()))?;
        Ok(disk)
    }

    /// Begins an object.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        loop {
            let number = self.next_draft.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(DRAFTS).join(number.to_string());
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Draft::new(file, path)),
                // Another process counts in the same folder.
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Makes a bucket.
    pub(super) fn create_bucket(&self, bucket: &str) -> S3Result {
        let folder = self.bucket_folder(bucket)?;
        match fs::create_dir(&folder) {
            Ok(()) => sync_folder(&self.folder.join(BUCKETS)).map_err(S3Error::internal_error),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Err(s3_error!(BucketAlreadyOwnedByYou)),
            Err(cause) => Err(S3Error::internal_error(cause)),
        }
    }

    /// The folder of a bucket.
    ///
    /// # Errors
    /// NoSuchBucket.
    pub(super) fn bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let folder = self.bucket_folder(bucket)?;
        if folder.is_dir() { Ok(folder) } else { Err(s3_error!(NoSuchBucket)) }
    }

    fn bucket_folder(&self, bucket: &str) -> S3Result<PathBuf> {
        // s3s has looked at the bucket of the path, but at no other.
        if !check_bucket_name(bucket) {
            return Err(s3_error!(InvalidBucketName));
        }
        Ok(self.folder.join(BUCKETS).join(bucket))
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let path = names::path_of(key).ok_or_else(|| s3_error!(KeyTooLongError))?;
        Ok(self.bucket(bucket)?.join(OBJECTS).join(path))
    }

    /// Opens an object.
    ///
    /// # Errors
    /// NoSuchBucket, NoSuchKey.
    pub(super) fn read(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        match File::open(self.object(bucket, key)?).and_then(object::open) {
            Ok(stored) => Ok(stored),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Err(s3_error!(NoSuchKey)),
            Err(cause) => Err(S3Error::internal_error(cause)),
        }
    }

    /// Puts a draft where its key says. `only_new`: unless there is an object already.
    ///
    /// # Errors
    /// NoSuchBucket; PreconditionFailed when there is one.
    pub(super) fn publish(&self, draft: Draft, bucket: &str, key: &str, only_new: bool) -> S3Result {
        let target = self.object(bucket, key)?;
        let folder = target.parent().unwrap_or(&target);
        create_folders(folder).map_err(S3Error::internal_error)?;
        match draft.move_to(&target, only_new) {
            Ok(()) => sync_folder(folder).map_err(S3Error::internal_error),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Err(s3_error!(PreconditionFailed)),
            Err(cause) => Err(S3Error::internal_error(cause)),
        }
    }

    /// Deletes an object. That there is none is no error: S3 has it so.
    ///
    /// # Errors
    /// SlowDown while a backup is taken.
    pub(super) fn delete(&self, bucket: &str, key: &str) -> S3Result {
        let path = self.object(bucket, key)?;
        let backup = open_lock(&self.folder).map_err(S3Error::internal_error)?;
        if backup.try_lock_shared().is_err() {
            return Err(s3_error!(SlowDown, "a backup is being taken: delete it later"));
        }
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(path.parent().unwrap_or(&path)).map_err(S3Error::internal_error),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(S3Error::internal_error(cause)),
        }
    }

    /// All keys of a bucket that begin with `prefix`, in the order of their bytes.
    pub(super) fn keys(&self, bucket: &str, prefix: &str) -> S3Result<Vec<String>> {
        let mut keys = Vec::new();
        let objects = self.bucket(bucket)?.join(OBJECTS);
        for fan in entries(&objects).map_err(S3Error::internal_error)? {
            collect(&objects.join(fan), "", prefix, &mut keys).map_err(S3Error::internal_error)?;
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The CORS configuration of a bucket; none was set: None.
    pub(super) fn cors(&self, bucket: &str) -> S3Result<Option<CORSConfiguration>> {
        match fs::read(self.bucket(bucket)?.join(CORS)) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(S3Error::internal_error),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(S3Error::internal_error(cause)),
        }
    }

    /// Sets the CORS configuration of a bucket.
    pub(super) fn set_cors(&self, bucket: &str, cors: &CORSConfiguration) -> S3Result {
        let folder = self.bucket(bucket)?;
        let text = serde_json::to_vec(cors).map_err(S3Error::internal_error)?;
        let write = || {
            let mut draft = self.draft()?;
            draft.append(&text)?;
            draft.move_to(&folder.join(CORS), false)?;
            sync_folder(&folder)
        };
        write().map_err(S3Error::internal_error)
    }
}

/// Nothing is deleted from the store in this folder, by any process, as long as what this gives is kept.
///
/// # Errors
/// When the folder cannot be written to.
pub(super) fn keep_all(folder: &Path) -> io::Result<File> {
    let backup = open_lock(folder)?;
    backup.lock()?;
    Ok(backup)
}

/// Opened anew for every use: a lock belongs to what was opened. Only to be read, for that is enough, and whoever takes
/// backups may be another user.
fn open_lock(folder: &Path) -> io::Result<File> {
    let path = folder.join(BACKUP);
    File::open(&path).or_else(|_| File::create(&path))
}

fn collect(folder: &Path, begun: &str, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
    for name in entries(folder)? {
        match names::read(&name) {
            Some(Name::Folder(piece)) => collect(&folder.join(&name), &format!("{begun}{piece}"), prefix, keys)?,
            Some(Name::File(piece)) => {
                let key = names::key_of(&format!("{begun}{piece}"));
                keys.extend(key.filter(|key| key.starts_with(prefix)));
            }
            None => {}
        }
    }
    Ok(())
}

/// The names in a folder; none when there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(cause),
    };
    // A name that is not UTF-8 is none of ours.
    entries.map(|entry| entry.map(|entry| entry.file_name().into_string().unwrap_or_default())).collect()
}

fn sweep(drafts: &Path) -> io::Result<()> {
    let left = entries(drafts)?;
    for name in &left {
        fs::remove_file(drafts.join(name))?;
    }
    if !left.is_empty() {
        tracing::info!(count = left.len(), "swept what was left of uploads that did not end");
    }
    Ok(())
}

/// Makes a folder and those above it. Each is synced into the one above: an object must not be lost with its folder.
fn create_folders(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            folder.parent().map_or(Err(cause), create_folders)?;
            create_folders(folder)
        }
        Err(cause) => Err(cause),
    }
}

/// Makes the names in a folder last.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened like a file.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
