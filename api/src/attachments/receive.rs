//! Files that come through the API (GraphQL multipart requests): the edge spools them, this room puts them.
//! Promise: from here on they go the same way as those that a browser put by a presigned URL.

use std::sync::Arc;

use entity::{
    AttachmentId,
    attachment::{self as row, Status},
    stored_file::key_of,
};
use futures_util::future::try_join_all;
use tracing::Instrument;

use super::{
    rules::{self, FileName},
    upload::{self, Batch, NewFile, Target},
};
use crate::platform::{
    Platform,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    idempotency::IdempotencyKey,
    input::Mistakes,
    limiter::Limit,
    scalars::Upload,
    secret::hex,
    spool::Spool,
    viewer::Viewer,
};

/// A file of a multipart request.
#[derive(Clone, Debug)]
pub struct Received {
    /// As the client named it.
    pub name: String,
    /// As the client claims; empty when it does not know.
    pub content_type: String,
    pub spool: Spool,
}

/// The files of a request, in the order of its map. None in a request that is not multipart.
#[derive(Clone, Debug, Default)]
pub struct Uploads(pub Arc<Vec<Received>>);

impl Uploads {
    fn get(&self, field: &str, upload: Upload) -> Result<&Received, UserError> {
        self.0.get(upload.0).ok_or_else(|| {
            let message = "Send the file in a multipart request (graphql-multipart-request-spec).";
            UserError::at(field, Code::InvalidValue, message)
        })
    }
}

/// Counts a request that brings or announces files, before they are read.
///
/// # Errors
/// RATE_LIMITED when there were too many.
pub async fn may_upload(platform: &Platform, viewer: Viewer) -> Result<(), Fault> {
    let config = &platform.config.storage;
    let limit = Limit { name: "upload", most: config.upload_limit, window: config.upload_window };
    platform.limiter.take(limit, &[(viewer.user_id.to_string(), 1)]).await?.keep().await;
    Ok(())
}

/// Stores the files of a request and has them looked at.
pub(super) async fn receive(
    platform: &Platform,
    viewer: Viewer,
    target: Target,
    files: Vec<(String, Received)>,
    key: Option<String>,
) -> Result<Vec<row::Model>, Refusal> {
    let mut mistakes = Mistakes::default();
    // What makes a request the same is what its files are called and hold.
    let seen = || files.iter().map(|(_, file)| (file.name.clone(), hex(&file.spool.sha256))).collect::<Vec<_>>();
    let key = mistakes.take(IdempotencyKey::parse(key, || format!("upload {target:?} {:?}", seen())));
    let mut new = Vec::with_capacity(files.len());
    for (field, file) in &files {
        new.extend(mistakes.take(parse(platform, field, file)));
    }
    mistakes.none()?;
    let key = key.flatten();
    let parts = platform.clone();
    // In a task of its own: a client that hangs up must not leave half of it behind.
    let storing = async move {
        // A PUT that is given up may still arrive: the object is removed once more after this.
        let writable_until = Some(parts.clock.after(parts.config.storage.write_time));
        let batch = Batch { target, files: new, key: key.clone(), writable_until };
        let announced = upload::announce(&parts, viewer, batch).await?;
        // The same key again: those that arrived before are not put again.
        let waiting: Vec<&row::Model> = announced.iter().filter(|file| file.status == Status::Pending).collect();
        if waiting.is_empty() {
            return Ok(announced);
        }
        if let Err(fault) = try_join_all(waiting.iter().map(|file| put(&parts, file, &files))).await {
            if let Some(first) = announced.first() {
                upload::take_back(&parts, viewer, first.batch_id, key).await;
            }
            return Err(fault.into());
        }
        let begun = upload::begin(&parts, viewer, announced.iter().map(|file| file.id).collect()).await?;
        // Somebody deleted them meanwhile.
        if begun.len() < announced.len() { Err(Fault::NotFound("attachment").into()) } else { Ok(begun) }
    };
    let stored = tokio::spawn(storing.in_current_span()).await;
    stored.unwrap_or_else(|died| Err(Fault::Internal(format!("storing files died: {died}")).into()))
}

fn parse(platform: &Platform, field: &str, file: &Received) -> Result<NewFile, UserError> {
    let name = FileName::parse(field, &file.name)?;
    let kind = rules::claimed(field, &file.content_type, &name)?;
    let size = rules::size(field, file.spool.length, platform.config.storage.file_limit)?;
    Ok(NewFile { id: AttachmentId::from_uuid(platform.new_uuid()), name, kind, size, sha256: file.spool.sha256 })
}

async fn put(platform: &Platform, file: &row::Model, files: &[(String, Received)]) -> Result<(), Fault> {
    let lost = || Fault::Internal(format!("{} is not among the files of its request", file.id));
    let (_, received) = files.iter().find(|(_, it)| it.spool.sha256[..] == file.sha256).ok_or_else(lost)?;
    let key = key_of(file.incoming_id.ok_or_else(lost)?);
    Ok(platform.storage.put(&key, &file.content_type, &received.spool).await?)
}

/// The files of this request that an input names, each by its place in the input.
pub(super) fn named(
    uploads: Option<&Uploads>,
    files: Vec<(String, Upload)>,
) -> Result<Vec<(String, Received)>, Refusal> {
    let (none, mut mistakes) = (Uploads::default(), Mistakes::default());
    let uploads = uploads.unwrap_or(&none);
    let mut found = Vec::with_capacity(files.len());
    for (field, file) in files {
        let received = mistakes.take(uploads.get(&field, file).cloned());
        found.extend(received.map(|received| (field, received)));
    }
    mistakes.none()?;
    Ok(found)
}
