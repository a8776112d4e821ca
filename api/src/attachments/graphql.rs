//! Attachments as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject, dataloader::DataLoader, parser::types::SelectionSet};
use entity::{AttachmentId, UserId, attachment as row};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QueryResult};

use super::loaders::{AttachmentLoader, AttachmentsOf};
use crate::{
    platform::{
        Platform,
        error::Fault,
        fields::Cells,
        page::{Connection, Key, KeyKind, Listed, Page, PageArguments, Position},
        scalars::{Cursor, DateTime},
        walk::{Walk, Walked, Writer},
    },
    tasks::Task,
};

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

/// A file that hangs on a task.
#[derive(Clone, Debug, SimpleObject)]
pub struct Attachment {
    /// `attachment_…`
    pub id: ID,
    /// The name it came with.
    file_name: String,
    /// Its MIME type, as found in its bytes.
    content_type: String,
    /// Its size as it came, in bytes.
    size_bytes: i32,
    /// Its size after optimising, in bytes. Null: it was not optimised.
    optimised_size_bytes: Option<i32>,
    /// How far it has come.
    status: AttachmentStatus,
    /// Why it was refused. Null unless REJECTED.
    rejection: Option<String>,
    /// When it was announced.
    created_at: DateTime,
    #[graphql(skip)]
    attachment_id: AttachmentId,
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
            status: cells.take::<row::Status>()?.into(),
            rejection: cells.take()?,
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
            file_name: row.file_name,
            content_type: row.content_type,
            size_bytes: int(row.size_bytes),
            optimised_size_bytes: row.optimised_size_bytes.map(int),
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
        #[graphql(desc = "The first so many, 20 by default, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many.")] last: Option<i32>,
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
