//! Attachments as the schema shows them.

pub mod change;

use std::sync::Arc;

use async_graphql::{
    ComplexObject, Context, Enum, ID, Object, SimpleObject, Subscription, dataloader::DataLoader,
    parser::types::SelectionSet,
};
use entity::{
    AttachmentId, StoredFileId, TaskId, UserId, attachment as row, storage_counter as counter, stored_file::key_of,
};
use futures_util::{Stream, StreamExt};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult};

pub use self::change::AttachmentMutations;
use super::{
    live::{self, AttachmentEvent},
    loaders::{AttachmentLoader, AttachmentsOf},
    rules,
};
use crate::{
    platform::{
        Platform,
        error::Fault,
        fields::Cells,
        page::{Connection, Key, KeyKind, Listed, Page, PageArguments, Position},
        scalars::{Cursor, DateTime, Url},
        storage::Disposition,
        viewer::Caller,
        walk::{Walk, Walked, Writer},
    },
    tasks::{
        Task,
        loaders::{TaskLoader, TaskWithId},
    },
};
use media::kind::Kind;

/// How far a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::attachment::Status")]
pub enum AttachmentStatus {
    /// Announced; its bytes have not arrived.
    Pending,
    /// Arrived; being looked at and optimised.
    Processing,
    /// Can be downloaded.
    Ready,
    /// Refused, with a reason; its bytes are gone.
    Rejected,
}

/// A file that hangs on a task, or the avatar of a person.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct Attachment {
    /// `attachment_…`
    pub id: ID,
    /// The name it came with.
    file_name: String,
    /// Its MIME type: as announced, and as found in its bytes once it is READY (a photo becomes image/webp).
    content_type: String,
    /// Its size as it came, in bytes.
    size_bytes: i32,
    /// Its size after optimising, in bytes. Null: it is kept as it came, or not READY yet.
    optimised_size_bytes: Option<i32>,
    /// Width in pixels of what is downloaded. Null: it is no image, or not READY yet.
    width: Option<i32>,
    /// Height in pixels of what is downloaded. Null: it is no image, or not READY yet.
    height: Option<i32>,
    /// How far it has come.
    status: AttachmentStatus,
    /// Why it was refused. Null unless REJECTED.
    rejection: Option<String>,
    /// When it was announced.
    created_at: DateTime,
    #[graphql(skip)]
    attachment_id: AttachmentId,
    #[graphql(skip)]
    task_id: Option<TaskId>,
    #[graphql(skip)]
    links: Links,
}

/// What links to a file are made of.
#[derive(Clone, Debug, Default)]
struct Links {
    file: Option<StoredFileId>,
    thumbnail: Option<StoredFileId>,
    name: String,
    content_type: String,
}

#[ComplexObject]
impl Attachment {
    /// Where it can be downloaded from for the next 15 minutes, under its name: `photo.jpg` that became a WebP is
    /// `photo.webp`. A browser shows images and saves everything else. Null unless READY.
    async fn download_url(&self, ctx: &Context<'_>) -> Result<Option<Url>, Fault> {
        let Links { file: Some(file), name, content_type, .. } = &self.links else { return Ok(None) };
        let kind = Kind::from_content_type(content_type);
        let name = kind.map_or_else(|| name.clone(), |kind| rules::download_name(name, kind));
        let shown = kind.is_some_and(Kind::is_image);
        let disposition = if shown { Disposition::Inline(&name) } else { Disposition::Attachment(&name) };
        link(ctx, *file, content_type, disposition).await.map(Some)
    }

    /// Where a small picture of it (320 pixels at most) is for the next 15 minutes. Null unless it is a READY image.
    async fn thumbnail_url(&self, ctx: &Context<'_>) -> Result<Option<Url>, Fault> {
        let Some(file) = self.links.thumbnail else { return Ok(None) };
        let name = rules::download_name(&self.links.name, Kind::Webp);
        link(ctx, file, Kind::Webp.content_type(), Disposition::Inline(&name)).await.map(Some)
    }

    /// The task that it hangs on. Null: it is an avatar, or the task is deleted.
    async fn task(&self, ctx: &Context<'_>) -> Result<Option<Task>, Fault> {
        let Some(task_id) = self.task_id else { return Ok(None) };
        ctx.data_unchecked::<Caller>().viewer()?;
        let loader = ctx.data_unchecked::<DataLoader<TaskLoader>>();
        loader.load_one(TaskWithId(task_id)).await.map_err(Fault::shared)
    }
}

async fn link(
    ctx: &Context<'_>,
    file: StoredFileId,
    content_type: &str,
    disposition: Disposition<'_>,
) -> Result<Url, Fault> {
    let platform = ctx.data_unchecked::<Platform>();
    let lifetime = platform.config.storage.download_link_lifetime;
    Ok(Url(platform.storage.presign_get(&key_of(file), content_type, disposition, lifetime).await?))
}

impl Attachment {
    /// An attachment as far as it is shown: `row` begins with task, id and moment.
    pub(super) fn shown(row: &QueryResult, mut cells: Cells<'_>) -> Result<Self, DbErr> {
        let id: AttachmentId = row.try_get_by_index(1)?;
        Ok(Self {
            id: ID(id.to_string()),
            created_at: DateTime(row.try_get_by_index(2)?),
            file_name: cells.take()?,
            content_type: cells.take()?,
            size_bytes: int(cells.take()?),
            optimised_size_bytes: cells.take::<Option<i64>>()?.map(int),
            width: cells.take()?,
            height: cells.take()?,
            status: cells.take::<row::Status>()?.into(),
            rejection: cells.take()?,
            task_id: cells.take()?,
            links: Links {
                file: cells.take()?,
                content_type: cells.take()?,
                thumbnail: cells.take()?,
                // Each of the two links needs the name.
                name: [cells.take::<String>()?, cells.take::<String>()?].into_iter().max().unwrap_or_default(),
            },
            attachment_id: id,
        })
    }

    /// Where it stands among the attachments of its task.
    pub(super) fn position(&self) -> Position {
        Position { key: Key::at(self.created_at.0), id: self.attachment_id.uuid() }
    }
}

impl From<row::Model> for Attachment {
    fn from(row: row::Model) -> Self {
        Self {
            id: ID(row.id.to_string()),
            task_id: row.task_id,
            links: Links {
                file: row.file_id,
                thumbnail: row.thumbnail_id,
                name: row.file_name.clone(),
                content_type: row.content_type.clone(),
            },
            file_name: row.file_name,
            content_type: row.content_type,
            size_bytes: int(row.size_bytes),
            optimised_size_bytes: row.optimised_size_bytes.map(int),
            width: row.width,
            height: row.height,
            status: row.status.into(),
            rejection: row.rejection,
            created_at: DateTime(row.created_at),
            attachment_id: row.id,
        }
    }
}

/// A file is far smaller than where GraphQL's Int ends.
fn int(bytes: i64) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

impl Walk for Attachment {
    const TYPE: &'static str = "Attachment";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "id" => out.plain(&self.id.0),
            "fileName" => out.string(&self.file_name),
            "contentType" => out.string(&self.content_type),
            "sizeBytes" => out.bare(self.size_bytes),
            "optimisedSizeBytes" => out.option(self.optimised_size_bytes, Writer::bare),
            "width" => out.option(self.width, Writer::bare),
            "height" => out.option(self.height, Writer::bare),
            "status" => out.plain(match self.status {
                AttachmentStatus::Pending => "PENDING",
                AttachmentStatus::Processing => "PROCESSING",
                AttachmentStatus::Ready => "READY",
                AttachmentStatus::Rejected => "REJECTED",
            }),
            "rejection" => out.option(self.rejection.as_deref(), Writer::string),
            "createdAt" => out.plain(DateTime::text(self.created_at.0)),
            _ => false,
        }
    }
}

impl Listed for Attachment {
    const CONNECTION: &'static str = "AttachmentConnection";
    const EDGE: &'static str = "AttachmentEdge";
}

/// What a task has of attachments: plugged onto `Task`.
pub struct TaskAttachments(pub Task);

#[Object]
impl TaskAttachments {
    /// The task's files, the oldest first.
    async fn attachments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 20 by default, 100 at most; else BAD_REQUEST.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many: 100 at most, and not with `first`; else BAD_REQUEST.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<Walked<Arc<Connection<Attachment>>>, Fault> {
        let arguments = PageArguments { first, after, last, before };
        if arguments.is_default()
            && let Some(fetched) = self.0.extras.get("attachments")
        {
            return Ok(Walked(fetched));
        }
        let loader = ctx.data_unchecked::<DataLoader<AttachmentLoader>>();
        let rows = loader.load_one(AttachmentsOf(self.0.task_id)).await.map_err(Fault::shared)?;
        let limits = &ctx.data_unchecked::<Platform>().config.limits;
        let page = Page::parse(&arguments, "created", KeyKind::Instant, limits)?;
        Ok(Walked(Arc::new(connection(&page, rows.unwrap_or_default()))))
    }
}

/// The connection of a task's attachments, which are wholly in memory.
pub(super) fn connection(page: &Page, rows: Vec<row::Model>) -> Connection<Attachment> {
    let position = |row: &row::Model| Position { key: Key::at(row.created_at), id: row.id.uuid() };
    page.connection_of_all(rows, position, Attachment::from)
}

/// The attachments of a person among these, in any order: what is not theirs is not there.
pub async fn attachments_of(
    platform: &Platform,
    user: UserId,
    ids: Vec<AttachmentId>,
) -> Result<Vec<Attachment>, Fault> {
    let found = row::Entity::visible_to(user).filter(row::Column::Id.is_in(ids)).all(platform.db.read()).await?;
    Ok(found.into_iter().map(Into::into).collect())
}

/// The space that a person's files take, those of deleted tasks too.
#[derive(Clone, Debug, SimpleObject)]
pub struct StorageUse {
    /// Bytes that are taken, or reserved for uploads that are announced. A whole number (an Int would end at 2 GB).
    used_bytes: f64,
    /// Bytes that may be taken. A whole number.
    limit_bytes: f64,
    /// Its place in `attachmentEvents`, of the same moment: subscribe with it as `after`, before or after uploading,
    /// and no change is missed.
    cursor: Cursor,
}

/// What a person has of files: plugged onto `User`.
pub struct UserAttachments(pub UserId);

#[Object]
impl UserAttachments {
    /// The picture of oneself. Null: there is none.
    async fn avatar(&self, ctx: &Context<'_>) -> Result<Option<Attachment>, Fault> {
        let latest = row::Entity::visible_to(self.0)
            .filter(row::Column::TaskId.is_null())
            .filter(row::Column::Status.eq(row::Status::Ready))
            .order_by_desc(row::Column::CreatedAt);
        Ok(latest.one(ctx.data_unchecked::<Platform>().db.read()).await?.map(Into::into))
    }

    /// The space that the viewer's files take.
    async fn storage(&self, ctx: &Context<'_>) -> Result<StorageUse, Fault> {
        let platform = ctx.data_unchecked::<Platform>();
        let counter = counter::Entity::find_by_id(self.0).one(platform.db.read()).await?;
        let (used, last) = counter.map_or((0, 0), |counter| (counter.used_bytes, counter.last_seq));
        Ok(StorageUse {
            used_bytes: used as f64,
            limit_bytes: platform.config.storage.per_user as f64,
            cursor: Cursor(last.to_string()),
        })
    }
}

/// The subscriptions of attachments.
#[derive(Default)]
pub struct AttachmentSubscriptions;

#[Subscription]
impl AttachmentSubscriptions {
    /// The viewer's attachments as they change: PENDING, PROCESSING, READY or REJECTED. Each comes as it is now, so that
    /// a state which lasted a moment may be skipped. With `after` it goes on from that cursor; without, it begins now.
    /// What was deleted is not told.
    async fn attachment_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The cursor of the last event that was seen, however old: what changed since comes first. One from before our service was restored from a backup is CURSOR_EXPIRED: begin anew then from the cursor of `storage`."
        )]
        after: Option<Cursor>,
    ) -> Result<impl Stream<Item = Result<AttachmentEvent, Fault>>, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let platform = ctx.data_unchecked::<Platform>().clone();
        // In room of its own, which a stream that waits does not keep.
        Ok(Box::pin(live::events(platform, viewer, after)).await?.boxed())
    }
}
