//! Notifications as the schema shows them.

pub mod preferences;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription, parser::types::SelectionSet};
use entity::{NotificationId, ReminderId, TaskId, UserId, notification as row, notification_counter as counter};
use futures_util::{Stream, StreamExt};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};

use self::preferences::{NotificationPreference, preferences_of};
use super::{
    delete,
    live::{self, NotificationEvent},
    read,
};
use crate::{
    accounts::graphql::User,
    payload,
    platform::{
        Platform,
        error::Fault,
        input,
        page::{Connection, Key, KeyKind, Listed, Ordering, Page, PageArguments, Position},
        scalars::{Cursor, DateTime},
        viewer::Caller,
        walk::{Walk, Walked, Writer},
    },
};

/// What a notification tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::notification::Kind")]
pub enum NotificationType {
    /// A task passed its due moment uncompleted.
    Overdue,
    /// A task is due soon.
    Upcoming,
    /// A reminder's moment has come.
    Reminder,
    /// Something else worth knowing.
    General,
}

impl NotificationType {
    fn name(self) -> &'static str {
        match self {
            Self::Overdue => "OVERDUE",
            Self::Upcoming => "UPCOMING",
            Self::Reminder => "REMINDER",
            Self::General => "GENERAL",
        }
    }
}

/// A notification in the viewer's list.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct Notification {
    /// `notification_…`
    pub id: ID,
    /// What it tells.
    #[graphql(name = "type")]
    kind: NotificationType,
    /// At most 200 characters.
    title: String,
    /// The text below the title.
    message: String,
    /// When it was read. Null: it is unread.
    read_at: Option<DateTime>,
    /// When it arrived.
    created_at: DateTime,
    /// The task that it is about.
    #[graphql(skip)]
    pub task_id: Option<TaskId>,
    /// The reminder that it tells of.
    #[graphql(skip)]
    pub reminder_id: Option<ReminderId>,
}

impl From<row::Model> for Notification {
    fn from(row: row::Model) -> Self {
        Self {
            id: ID(row.id.to_string()),
            kind: row.kind.into(),
            title: row.title,
            message: row.message,
            read_at: row.read_at.map(DateTime),
            created_at: DateTime(row.created_at),
            task_id: row.task_id,
            reminder_id: row.reminder_id,
        }
    }
}

impl Walk for Notification {
    const TYPE: &'static str = "Notification";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "id" => out.plain(&self.id.0),
            "type" => out.plain(self.kind.name()),
            "title" => out.string(&self.title),
            "message" => out.string(&self.message),
            "readAt" => out.option(self.read_at, |out, at| out.plain(DateTime::text(at.0))),
            "createdAt" => out.plain(DateTime::text(self.created_at.0)),
            _ => false,
        }
    }
}

impl Listed for Notification {
    const CONNECTION: &'static str = "NotificationConnection";
    const EDGE: &'static str = "NotificationEdge";
}

/// Which notifications are listed. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct NotificationFilter {
    /// One of these; an empty list matches nothing.
    #[graphql(name = "type")]
    kind: Option<Vec<NotificationType>>,
    /// Whether it is unread.
    unread: Option<bool>,
}

impl NotificationFilter {
    fn condition(self) -> Condition {
        // Destructured whole, so that a new field cannot be forgotten.
        let Self { kind, unread } = self;
        let read_at = row::Column::ReadAt;
        Condition::all()
            .add_option(kind.map(|all| row::Column::Kind.is_in(all.into_iter().map(row::Kind::from))))
            .add_option(unread.map(|unread| if unread { read_at.is_null() } else { read_at.is_not_null() }))
    }
}

/// How many notifications are shown when the client names no number.
const DEFAULT_PAGE: i32 = 50;

/// What a person has of notifications: plugged onto `User`.
pub struct UserNotifications(pub UserId);

#[Object]
impl UserNotifications {
    /// The viewer's notifications, the latest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 50 by default, 100 at most; else BAD_REQUEST.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many: 100 at most, and not with `first`; else BAD_REQUEST.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
        #[graphql(desc = "Only those.")] filter: Option<NotificationFilter>,
    ) -> Result<Walked<Connection<Notification>>, Fault> {
        let platform = ctx.data_unchecked::<Platform>();
        let first = first.or(last.is_none().then_some(DEFAULT_PAGE));
        let arguments = PageArguments { first, after, last, before };
        let page = Page::parse(&arguments, "created", KeyKind::Instant, &platform.config.limits)?;
        let ordering =
            Ordering { name: "created", column: row::Column::CreatedAt, kind: KeyKind::Instant, descending: true };
        let mine = row::Entity::visible_to(self.0).filter(filter.unwrap_or_default().condition());
        let rows = page.select(mine.clone(), ordering, row::Column::Id).all(platform.db.read()).await?;
        let position = |row: &row::Model| Position { key: Key::at(row.created_at), id: row.id.uuid() };
        let mut connection = page.connection(rows, position, Notification::from);
        if ctx.look_ahead().field("totalCount").exists() {
            connection.total_count = Some(mine.count(platform.db.read()).await? as i64);
        }
        Ok(Walked(connection))
    }

    /// By which ways the viewer hears of each type of notification.
    async fn notification_preferences(&self, ctx: &Context<'_>) -> Result<Vec<NotificationPreference>, Fault> {
        preferences_of(ctx.data_unchecked::<Platform>(), self.0).await
    }

    /// How many are unread, with its place in `notificationEvents`, both of one moment. Show it, and subscribe with the
    /// cursor as `after`: a badge that begins so misses nothing.
    async fn notification_badge(&self, ctx: &Context<'_>) -> Result<NotificationBadge, Fault> {
        let db = ctx.data_unchecked::<Platform>().db.read();
        let counter = counter::Entity::find_by_id(self.0).one(db).await?;
        let (unread_count, last) = counter.map_or((0, 0), |counter| (counter.unread, counter.last_seq));
        Ok(NotificationBadge { unread_count, cursor: Cursor(last.to_string()) })
    }

    /// How many of the viewer's notifications are unread.
    async fn unread_notification_count(&self, ctx: &Context<'_>) -> Result<i32, Fault> {
        let db = ctx.data_unchecked::<Platform>().db.read();
        let counter = counter::Entity::find_by_id(self.0).one(db).await?;
        Ok(counter.map_or(0, |counter| counter.unread))
    }
}

/// The number that a badge shows.
#[derive(SimpleObject)]
pub struct NotificationBadge {
    /// How many of the viewer's notifications are unread.
    unread_count: i32,
    /// The last event that it counts.
    cursor: Cursor,
}

/// Which notification was read.
#[derive(InputObject)]
pub struct NotificationMarkReadInput {
    /// `notification_…`
    id: ID,
}

payload! {
    /// What came of marking a notification as read.
    NotificationMarkReadPayload {
        /// The notification as it is now. Null: there are userErrors.
        notification: Notification,
        /// The person, of whom the unread count is different now. Null: there are userErrors.
        user: User
    }
}

/// Which notification is to go.
#[derive(InputObject)]
pub struct NotificationDeleteInput {
    /// `notification_…`
    id: ID,
}

payload! {
    /// What came of marking all as read.
    NotificationMarkAllReadPayload {
        /// How many were unread. Null: there are userErrors.
        marked_count: i32,
        /// The person, of whom the unread count is different now. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// What came of deleting a notification.
    NotificationDeletePayload {
        /// The id of what is gone. Null: there are userErrors.
        deleted_notification_id: ID,
        /// The person, of whom the list is different now, and the unread count if it was unread. Null: there are
        /// userErrors.
        user: User
    }
}

payload! {
    /// What came of deleting those that are read.
    NotificationClearPayload {
        /// How many are gone. Null: there are userErrors.
        deleted_count: i32,
        /// The person, of whom the list is different now. Null: there are userErrors.
        user: User
    }
}

/// The mutations of notifications.
#[derive(Default)]
pub struct NotificationMutations;

#[Object]
impl NotificationMutations {
    /// Marks a notification as read. One that is read already stays as it is.
    async fn notification_mark_read(
        &self,
        ctx: &Context<'_>,
        input: NotificationMarkReadInput,
    ) -> Result<NotificationMarkReadPayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let platform = ctx.data_unchecked::<Platform>();
        let marked = match input::id::<NotificationId>("id", &input.id) {
            Ok(id) => read::mark_read(platform, viewer, id).await,
            Err(mistake) => Err(mistake.into()),
        };
        NotificationMarkReadPayload::answer(marked.map(Into::into), User::with_id(viewer.user_id))
    }

    /// Marks all of the viewer's notifications as read.
    async fn notification_mark_all_read(&self, ctx: &Context<'_>) -> Result<NotificationMarkAllReadPayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let marked = read::mark_all_read(ctx.data_unchecked::<Platform>(), viewer).await;
        NotificationMarkAllReadPayload::answer(marked, User::with_id(viewer.user_id))
    }

    /// Deletes a notification, read or not.
    async fn notification_delete(
        &self,
        ctx: &Context<'_>,
        input: NotificationDeleteInput,
    ) -> Result<NotificationDeletePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let deleted = match input::id::<NotificationId>("id", &input.id) {
            Ok(id) => delete::delete(ctx.data_unchecked::<Platform>(), viewer, id).await,
            Err(mistake) => Err(mistake.into()),
        };
        NotificationDeletePayload::answer(deleted.map(|id| ID(id.to_string())), User::with_id(viewer.user_id))
    }

    /// Deletes the notifications that are read.
    async fn notification_clear(&self, ctx: &Context<'_>) -> Result<NotificationClearPayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let cleared = delete::clear(ctx.data_unchecked::<Platform>(), viewer).await;
        NotificationClearPayload::answer(cleared, User::with_id(viewer.user_id))
    }
}

/// The subscriptions of notifications.
#[derive(Default)]
pub struct NotificationSubscriptions;

#[Subscription]
impl NotificationSubscriptions {
    /// What happens to the viewer's notifications, each with the unread count right after it. With `after` it first
    /// replays what came after that cursor: nothing is lost and nothing comes twice. Without, it begins now.
    async fn notification_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The cursor of the last event that was seen. Events are kept for 7 days: with a cursor from before that, or from before our service was restored from a backup, it is CURSOR_EXPIRED. Read the list and notificationBadge then, and begin anew from the cursor of the badge."
        )]
        after: Option<Cursor>,
    ) -> Result<impl Stream<Item = Result<NotificationEvent, Fault>>, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let platform = ctx.data_unchecked::<Platform>().clone();
        // In room of its own, which a stream that waits does not keep.
        Ok(Box::pin(live::events(platform, viewer, after)).await?.boxed())
    }
}

/// The notifications of a person among these, in any order: what is not theirs is not there.
pub async fn notifications_of(
    platform: &Platform,
    user: UserId,
    ids: Vec<NotificationId>,
) -> Result<Vec<Notification>, Fault> {
    let found = row::Entity::visible_to(user).filter(row::Column::Id.is_in(ids)).all(platform.db.read()).await?;
    Ok(found.into_iter().map(Into::into).collect())
}
