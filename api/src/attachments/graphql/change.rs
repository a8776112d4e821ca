//! What can be done with attachments.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use entity::{
    AttachmentId, TaskId,
    attachment::{self as row, Status},
    stored_file::key_of,
};

use super::Attachment;
use crate::{
    accounts::graphql::User,
    attachments::{
        receive::{self, Uploads, may_upload},
        remove,
        rules::{self, FileName},
        upload::{self, Batch, NewFile, Target},
    },
    payload,
    platform::{
        Platform,
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        idempotency::IdempotencyKey,
        input::{self, Mistakes},
        scalars::{DateTime, Upload, Url},
        storage::PutGrant,
        viewer::{Caller, Viewer},
    },
};

/// A file that is to be put into storage: JPEG, PNG, GIF, WebP, PDF, Word, Excel, PowerPoint or plain text, of 1 byte
/// to 10 MB (10,000,000 bytes).
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentFileInput {
    /// An id that the client made, so that it can be shown before the answer is there: a TypeID, `attachment_` and a
    /// UUIDv7 in 26 characters of Crockford's base 32, in lower case (npm `typeid-js` makes them), like
    /// `attachment_01h2xcejqtf2nbrexx3vqjhp41`.
    pub id: Option<ID>,
    /// 1–255 characters, without a folder.
    pub file_name: String,
    /// Its MIME type, as the browser tells it; empty where it does not know: then the name's ending decides. What the
    /// file is, is read from its bytes.
    pub content_type: String,
    /// Its size in bytes, exactly: 1 to 10,000,000.
    pub size_bytes: i32,
    /// Its SHA-256, in 64 hexadecimal digits: storage takes no other bytes.
    pub sha256: String,
}

/// Files that are to hang on a task.
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentUploadsCreateInput {
    /// `task_…`
    pub task_id: ID,
    /// 1–10 files.
    pub files: Vec<AttachmentFileInput>,
    /// 1–64 characters: the same key with the same input (client-made ids belong to it) gives the same attachments
    /// again, for 24 hours, with new links. With other input, or for another mutation: IDEMPOTENCY_MISMATCH.
    pub idempotency_key: Option<String>,
}

/// A picture of oneself.
#[derive(Clone, Debug, InputObject)]
pub struct AvatarUploadCreateInput {
    /// A JPEG, PNG, GIF or WebP.
    pub file: AttachmentFileInput,
    /// 1–64 characters: the same key with the same input (a client-made `id` belongs to it) gives the same attachment
    /// again, for 24 hours, with a new link. With other input, or for another mutation: IDEMPOTENCY_MISMATCH.
    pub idempotency_key: Option<String>,
}

/// Which file has arrived.
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentUploadCompleteInput {
    /// `attachment_…`
    pub id: ID,
}

/// Files of this multipart request that are to hang on a task: JPEG, PNG, GIF, WebP, PDF, Word, Excel, PowerPoint or
/// plain text, each of 1 byte to 10 MB (10,000,000 bytes).
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentsCreateInput {
    /// `task_…`
    pub task_id: ID,
    /// 1–10 files.
    pub files: Vec<Upload>,
    /// 1–64 characters: the same key with the same files for the same task gives the same attachments again, for 24
    /// hours. With other input, or for another mutation: IDEMPOTENCY_MISMATCH.
    pub idempotency_key: Option<String>,
}

/// A picture of oneself, in this multipart request.
#[derive(Clone, Debug, InputObject)]
pub struct AvatarCreateInput {
    /// A JPEG, PNG, GIF or WebP.
    pub file: Upload,
    /// 1–64 characters: the same key with the same file gives the same attachment again, for 24 hours. With another
    /// file, or for another mutation: IDEMPOTENCY_MISMATCH.
    pub idempotency_key: Option<String>,
}

/// Which file is to go.
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentDeleteInput {
    /// `attachment_…`
    pub id: ID,
}

/// A header of an HTTP request.
#[derive(Clone, Debug, SimpleObject)]
pub struct HttpHeader {
    /// Its name, in lower case.
    name: String,
    /// Its value, as it must be sent.
    value: String,
}

/// Where a file is to be put.
#[derive(Clone, Debug, SimpleObject)]
pub struct AttachmentUpload {
    /// The attachment, which waits for its bytes.
    attachment: Attachment,
    /// PUT the file here, then say so by attachmentUploadComplete. Null: its bytes have arrived already (an
    /// idempotencyKey was used again).
    url: Option<Url>,
    /// Headers that must come with the PUT, exactly so: they are signed. A browser sets content-length by itself.
    headers: Vec<HttpHeader>,
    /// Until when the link is good. Null: there is none.
    expires_at: Option<DateTime>,
}

payload! {
    /// Where files are to be put.
    AttachmentUploadsCreatePayload {
        /// One for each file. Null: there are userErrors.
        uploads: Vec<AttachmentUpload>
    }
}

payload! {
    /// Where a picture is to be put.
    AvatarUploadCreatePayload {
        /// Where. Null: there are userErrors.
        upload: AttachmentUpload
    }
}

payload! {
    /// What came of saying that a file has arrived.
    AttachmentUploadCompletePayload {
        /// The attachment as it is now. Null: there are userErrors.
        attachment: Attachment
    }
}

payload! {
    /// What came of sending files.
    AttachmentsCreatePayload {
        /// The attachments, being looked at. Null: there are userErrors.
        attachments: Vec<Attachment>
    }
}

payload! {
    /// What came of sending a picture.
    AvatarCreatePayload {
        /// The picture, being looked at. Null: there are userErrors.
        attachment: Attachment
    }
}

payload! {
    /// What came of deleting a file.
    AttachmentDeletePayload {
        /// The id of what is gone. Null: there are userErrors.
        deleted_attachment_id: ID,
        /// The person, of whom the space taken is different now (`storage`). Null: there are userErrors.
        user: User
    }
}

payload! {
    /// What came of deleting the picture.
    AvatarDeletePayload {
        /// Whether there was one. Null: there are userErrors.
        deleted: bool,
        /// The person, of whom `avatar` and the space taken are different now. Null: there are userErrors.
        user: User
    }
}

/// The mutations of attachments.
#[derive(Default)]
pub struct AttachmentMutations;

#[Object]
impl AttachmentMutations {
    /// Announces files that the browser puts into storage itself, and says where. The links are good for 15 minutes;
    /// what is not completed within 24 hours is forgotten.
    async fn attachment_uploads_create(
        &self,
        ctx: &Context<'_>,
        input: AttachmentUploadsCreateInput,
    ) -> Result<AttachmentUploadsCreatePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let request = format!("attachmentUploadsCreate {input:?}");
        let AttachmentUploadsCreateInput { task_id, files, idempotency_key } = input;
        let target = input::id::<TaskId>("taskId", &task_id).map(Target::Task);
        let uploads = announce(platform, viewer, target, listed(files), idempotency_key, request).await;
        AttachmentUploadsCreatePayload::answer(uploads)
    }

    /// Says that a file has been put: it is PROCESSING then, and READY or REJECTED soon after (see attachmentEvents).
    async fn attachment_upload_complete(
        &self,
        ctx: &Context<'_>,
        input: AttachmentUploadCompleteInput,
    ) -> Result<AttachmentUploadCompletePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let completed = match input::id::<AttachmentId>("id", &input.id) {
            Ok(id) => upload::complete(platform, viewer, id).await,
            Err(mistake) => Err(mistake.into()),
        };
        AttachmentUploadCompletePayload::answer(completed.map(Into::into))
    }

    /// Hangs the files of this multipart request on a task. They are PROCESSING then, and READY or REJECTED soon after
    /// (see attachmentEvents).
    async fn attachments_create(
        &self,
        ctx: &Context<'_>,
        input: AttachmentsCreateInput,
    ) -> Result<AttachmentsCreatePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let AttachmentsCreateInput { task_id, files, idempotency_key } = input;
        let target = input::id::<TaskId>("taskId", &task_id).map(Target::Task);
        let created = receive(ctx, platform, viewer, target, listed(files), idempotency_key).await;
        AttachmentsCreatePayload::answer(created.map(|rows| rows.into_iter().map(Into::into).collect()))
    }

    /// Deletes a file, in whatever state it is.
    async fn attachment_delete(
        &self,
        ctx: &Context<'_>,
        input: AttachmentDeleteInput,
    ) -> Result<AttachmentDeletePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let deleted = match input::id::<AttachmentId>("id", &input.id) {
            Ok(id) => remove::delete(platform, viewer, id).await,
            Err(mistake) => Err(mistake.into()),
        };
        AttachmentDeletePayload::answer(deleted.map(|id| ID(id.to_string())), User::with_id(viewer.user_id))
    }

    /// Announces a picture of oneself that the browser puts into storage itself, and says where. It is the avatar once
    /// it is READY; the one before stays until then.
    async fn avatar_upload_create(
        &self,
        ctx: &Context<'_>,
        input: AvatarUploadCreateInput,
    ) -> Result<AvatarUploadCreatePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let request = format!("avatarUploadCreate {input:?}");
        let AvatarUploadCreateInput { file, idempotency_key } = input;
        let uploads = announce(platform, viewer, Ok(Target::Avatar), single(file), idempotency_key, request).await;
        let first = uploads.and_then(|uploads| uploads.into_iter().next().ok_or(Fault::NotFound("attachment").into()));
        AvatarUploadCreatePayload::answer(first)
    }

    /// Takes the picture of this multipart request. It is the avatar once it is READY; the one before stays until then.
    async fn avatar_create(&self, ctx: &Context<'_>, input: AvatarCreateInput) -> Result<AvatarCreatePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let AvatarCreateInput { file, idempotency_key } = input;
        let created = receive(ctx, platform, viewer, Ok(Target::Avatar), single(file), idempotency_key).await;
        let first = created.and_then(|rows| rows.into_iter().next().ok_or(Fault::NotFound("attachment").into()));
        AvatarCreatePayload::answer(first.map(Into::into))
    }

    /// Deletes the picture of oneself, and any that is on its way.
    async fn avatar_delete(&self, ctx: &Context<'_>) -> Result<AvatarDeletePayload, Fault> {
        let (platform, viewer) = asked(ctx)?;
        let deleted = remove::delete_avatar(platform, viewer).await;
        AvatarDeletePayload::answer(deleted, User::with_id(viewer.user_id))
    }
}

fn asked<'a>(ctx: &Context<'a>) -> Result<(&'a Platform, Viewer), Fault> {
    Ok((ctx.data_unchecked::<Platform>(), ctx.data_unchecked::<Caller>().viewer()?))
}

/// The files of a list, each with its place in the input.
fn listed<T>(files: Vec<T>) -> Vec<(String, T)> {
    files.into_iter().enumerate().map(|(index, file)| (format!("files.{index}"), file)).collect()
}

/// The one file of an input, with its place.
fn single<T>(file: T) -> Vec<(String, T)> {
    vec![("file".to_owned(), file)]
}

/// Announces files and signs where they go.
async fn announce(
    platform: &Platform,
    viewer: Viewer,
    target: Result<Target, UserError>,
    files: Vec<(String, AttachmentFileInput)>,
    key: Option<String>,
    request: String,
) -> Result<Vec<AttachmentUpload>, Refusal> {
    let mut mistakes = Mistakes::default();
    let target = mistakes.take(target);
    let key = mistakes.take(IdempotencyKey::parse(key, || request));
    mistakes.take(count(platform, files.len()));
    let mut new = Vec::with_capacity(files.len());
    for (field, file) in files {
        new.extend(parse(platform, &field, file, &mut mistakes));
    }
    mistakes.none()?;
    let (Some(target), Some(key)) = (target, key) else {
        return Err(Fault::Internal("an input without mistakes has every field".into()).into());
    };
    may_upload(platform, viewer).await?;
    let expires_at = platform.clock.now() + platform.config.storage.upload_link_lifetime;
    let batch = Batch { target, files: new, key, writable_until: Some(expires_at) };
    let mut uploads = Vec::with_capacity(batch.files.len());
    for file in upload::announce(platform, viewer, batch).await? {
        uploads.push(sign(platform, file, DateTime(expires_at)).await?);
    }
    Ok(uploads)
}

fn count(platform: &Platform, files: usize) -> Result<(), UserError> {
    let limit = platform.config.storage.files_per_request;
    match files {
        0 => Err(UserError::at("files", Code::TooShort, "Give at least one file.")),
        _ if files > limit => {
            Err(UserError::at("files", Code::TooLong, format!("Give at most {limit} files ({files} now).")))
        }
        _ => Ok(()),
    }
}

fn parse(platform: &Platform, field: &str, file: AttachmentFileInput, mistakes: &mut Mistakes) -> Option<NewFile> {
    let at = |name: &str| format!("{field}.{name}");
    let id = mistakes.take(match &file.id {
        Some(id) => input::id::<AttachmentId>(&at("id"), id),
        None => Ok(AttachmentId::from_uuid(platform.new_uuid())),
    });
    let name = mistakes.take(FileName::parse(&at("fileName"), &file.file_name));
    let bytes = u64::try_from(file.size_bytes).unwrap_or(0);
    let size = mistakes.take(rules::size(&at("sizeBytes"), bytes, platform.config.storage.file_limit));
    let sha256 = mistakes.take(rules::sha256(&at("sha256"), &file.sha256));
    let name = name?;
    let kind = mistakes.take(rules::claimed(&at("contentType"), &file.content_type, &name));
    Some(NewFile { id: id?, name, kind: kind?, size: size?, sha256: sha256? })
}

async fn sign(platform: &Platform, file: row::Model, expires_at: DateTime) -> Result<AttachmentUpload, Fault> {
    let (Status::Pending, Some(incoming)) = (file.status, file.incoming_id) else {
        return Ok(AttachmentUpload { attachment: file.into(), url: None, headers: Vec::new(), expires_at: None });
    };
    let grant = PutGrant {
        key: &key_of(incoming),
        content_type: &file.content_type,
        length: u64::try_from(file.size_bytes).unwrap_or(0),
        sha256: &file.sha256,
        lifetime: platform.config.storage.upload_link_lifetime,
    };
    let signed = platform.storage.presign_put(grant).await?;
    Ok(AttachmentUpload {
        attachment: file.into(),
        url: Some(Url(signed.url)),
        headers: signed.headers.into_iter().map(|(name, value)| HttpHeader { name, value }).collect(),
        expires_at: Some(expires_at),
    })
}

/// Takes files of this request.
async fn receive(
    ctx: &Context<'_>,
    platform: &Platform,
    viewer: Viewer,
    target: Result<Target, UserError>,
    files: Vec<(String, Upload)>,
    key: Option<String>,
) -> Result<Vec<row::Model>, Refusal> {
    let mut mistakes = Mistakes::default();
    let target = mistakes.take(target);
    mistakes.take(count(platform, files.len()));
    mistakes.none()?;
    let Some(target) = target else {
        return Err(Fault::Internal("an input without mistakes has every field".into()).into());
    };
    let files = receive::named(ctx.data_opt::<Uploads>(), files)?;
    receive::receive(platform, viewer, target, files, key).await
}
