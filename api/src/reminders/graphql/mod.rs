//! Reminders as the schema shows them.

pub mod change;

use std::{sync::Arc, time::Duration};

use async_graphql::{
    ComplexObject, Context, Enum, ID, Object, SimpleObject, dataloader::DataLoader, parser::types::SelectionSet,
};
use entity::{ReminderId, TaskId, UserId, delivery, reminder as row};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QueryResult};

pub use self::change::{ReminderCreateInput, ReminderMutations};
use super::{
    list::{self, ReminderFilter, ReminderOrder},
    loaders::{DeliveriesOf, ReminderLoader, RemindersOf, connection},
};
use crate::{
    platform::{
        Platform,
        clock::Instant,
        error::Fault,
        fields::Cells,
        input,
        page::{Connection, Key, KeyKind, Listed, Page, PageArguments, Position},
        scalars::{Cursor, DateTime},
        viewer::Caller,
        walk::{Walk, Walked, Writer},
    },
    tasks::{
        Task,
        loaders::{TaskLoader, TaskWithId},
    },
};

/// By which way besides the app a reminder goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::reminder::Kind")]
pub enum ReminderType {
    /// By mail, the person's emailLeadMinutes before its moment.
    #[default]
    Email,
    /// By web push, at its moment.
    Push,
    /// By both.
    Both,
}

/// Where a reminder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::reminder::Status")]
pub enum ReminderStatus {
    /// To be kept. It stays so after its delivery, until the person completes it.
    Pending,
    /// Done.
    Completed,
    /// No longer wanted: its task was completed or deleted.
    Cancelled,
}

/// The way by which a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::delivery::Channel")]
pub enum DeliveryChannel {
    /// The list of notifications, and the live stream.
    InApp,
    /// A mail.
    Email,
    /// A push message of the browser.
    Push,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::delivery::State")]
pub enum DeliveryState {
    /// Waits for its moment, or for its next attempt.
    Pending,
    /// Handed over.
    Sent,
    /// Given up; `error` says why.
    Failed,
    /// No longer wanted: the reminder was completed, cancelled or moved before.
    Cancelled,
    /// Had nowhere to go, or is muted; `error` says why.
    Skipped,
    /// The person's quiet hours hold it until `nextAttemptAt`.
    Held,
}

/// What became of one channel's delivery.
#[derive(Clone, Debug, SimpleObject)]
pub struct Delivery {
    /// The way.
    channel: DeliveryChannel,
    /// Where it stands.
    state: DeliveryState,
    /// The channel's own moment; of what quiet hours held, their end.
    due_at: DateTime,
    /// Tries that a server answered; one that could not be reached costs none.
    attempts: i32,
    /// When it is tried next. Null: it is not.
    next_attempt_at: Option<DateTime>,
    /// When it was handed over. Null: it was not.
    sent_at: Option<DateTime>,
    /// How long after its moment it was handed over, in milliseconds. Null: it was not.
    lateness_ms: Option<i32>,
    /// Whether it was handed over late: more than a minute after its moment (a setting of the server).
    late: bool,
    /// The last error. Null: there was none.
    error: Option<String>,
}

impl Delivery {
    fn of(row: delivery::Model, late_after: Duration) -> Self {
        let lateness = row.sent_at.map(|sent_at| (sent_at - row.due_at).num_milliseconds().max(0));
        let late = lateness.is_some_and(|ms| ms as u128 > late_after.as_millis());
        Self {
            channel: row.channel.into(),
            state: row.state.into(),
            due_at: DateTime(row.due_at),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(DateTime),
            sent_at: row.sent_at.map(DateTime),
            late,
            lateness_ms: lateness.map(|ms| i32::try_from(ms).unwrap_or(i32::MAX)),
            error: row.error,
        }
    }
}

/// A moment at which the viewer asked to be told.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct Reminder {
    /// `reminder_…`
    pub id: ID,
    /// At most 500 characters. Null: none; it then belongs to a task.
    message: Option<String>,
    /// Its moment.
    scheduled_at: DateTime,
    /// By which way besides the app it goes out.
    #[graphql(name = "type")]
    kind: ReminderType,
    /// Where it stands.
    status: ReminderStatus,
    /// Whether its moment has passed while it is pending.
    overdue: bool,
    /// Whether it completes by itself once it is delivered.
    complete_on_delivery: bool,
    /// When it was completed. Null: it is not.
    completed_at: Option<DateTime>,
    /// When it was cancelled. Null: it is not.
    cancelled_at: Option<DateTime>,
    /// Counts changes, from 1.
    version: i32,
    /// When it was made.
    created_at: DateTime,
    /// When it was changed last.
    updated_at: DateTime,
    #[graphql(skip)]
    reminder_id: ReminderId,
    #[graphql(skip)]
    task_id: Option<TaskId>,
    /// Which round of deliveries is the present one.
    #[graphql(skip)]
    round: i32,
}

impl Reminder {
    /// The reminder as it is at this moment.
    pub fn at(row: row::Model, now: Instant) -> Self {
        Self {
            id: ID(row.id.to_string()),
            message: row.message,
            scheduled_at: DateTime(row.scheduled_at),
            kind: row.kind.into(),
            status: row.status.into(),
            overdue: row.status == row::Status::Pending && row.scheduled_at < now,
            complete_on_delivery: row.completes_on_delivery,
            completed_at: row.completed_at.map(DateTime),
            cancelled_at: row.cancelled_at.map(DateTime),
            version: row.version,
            created_at: DateTime(row.created_at),
            updated_at: DateTime(row.updated_at),
            reminder_id: row.id,
            task_id: row.task_id,
            round: row.round,
        }
    }

    /// A reminder of a task as far as it is shown: `row` begins with task, id, moment and status.
    pub(super) fn shown(task: TaskId, row: &QueryResult, mut cells: Cells<'_>, now: Instant) -> Result<Self, DbErr> {
        let id: ReminderId = row.try_get_by_index(1)?;
        let scheduled_at: Instant = row.try_get_by_index(2)?;
        let status: row::Status = row.try_get_by_index(3)?;
        Ok(Self {
            id: ID(id.to_string()),
            scheduled_at: DateTime(scheduled_at),
            status: status.into(),
            overdue: status == row::Status::Pending && scheduled_at < now,
            message: cells.take()?,
            kind: cells.take::<row::Kind>()?.into(),
            complete_on_delivery: cells.take()?,
            completed_at: cells.take::<Option<Instant>>()?.map(DateTime),
            cancelled_at: cells.take::<Option<Instant>>()?.map(DateTime),
            version: cells.take()?,
            created_at: DateTime(cells.take()?),
            updated_at: DateTime(cells.take()?),
            // Each of the two fields of the ledger needs it.
            round: cells.take::<i32>()?.max(cells.take()?),
            reminder_id: id,
            task_id: Some(task),
        })
    }

    /// Where it stands among the reminders of its task.
    pub(super) fn position(&self) -> Position {
        Position { key: Key::at(self.scheduled_at.0), id: self.reminder_id.uuid() }
    }
}

#[ComplexObject]
impl Reminder {
    /// The task that it belongs to. Null: it stands alone, or its task is deleted.
    async fn task(&self, ctx: &Context<'_>) -> Result<Option<Task>, Fault> {
        let Some(task_id) = self.task_id else { return Ok(None) };
        let loader = ctx.data_unchecked::<DataLoader<TaskLoader>>();
        loader.load_one(TaskWithId(task_id)).await.map_err(Fault::shared)
    }

    /// What became of each channel in its present round; moving a reminder begins a new round.
    async fn deliveries(&self, ctx: &Context<'_>) -> Result<Vec<Delivery>, Fault> {
        let late_after = ctx.data_unchecked::<Platform>().config.limits.reminder_late_after;
        Ok(self.ledger(ctx).await?.into_iter().map(|row| Delivery::of(row, late_after)).collect())
    }

    /// Why it did not reach the person by every way that was asked for, in words for them. Null: it did, or its time
    /// has not come.
    async fn why_not_delivered(&self, ctx: &Context<'_>) -> Result<Option<String>, Fault> {
        let now = ctx.data_unchecked::<Platform>().clock.now();
        Ok(list::why_not_delivered(self.status, self.scheduled_at.0, &self.ledger(ctx).await?, now))
    }
}

impl Reminder {
    async fn ledger(&self, ctx: &Context<'_>) -> Result<Vec<delivery::Model>, Fault> {
        let loader = ctx.data_unchecked::<DataLoader<ReminderLoader>>();
        let mut rows =
            loader.load_one(DeliveriesOf(self.reminder_id)).await.map_err(Fault::shared)?.unwrap_or_default();
        rows.retain(|delivery| delivery.round == self.round);
        Ok(rows)
    }
}

impl Walk for Reminder {
    const TYPE: &'static str = "Reminder";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        let instant = |out: &mut Writer<'_>, at: DateTime| out.plain(DateTime::text(at.0));
        match field {
            "id" => out.plain(&self.id.0),
            "message" => out.option(self.message.as_deref(), Writer::string),
            "scheduledAt" => instant(out, self.scheduled_at),
            "type" => out.plain(match self.kind {
                ReminderType::Email => "EMAIL",
                ReminderType::Push => "PUSH",
                ReminderType::Both => "BOTH",
            }),
            "status" => out.plain(match self.status {
                ReminderStatus::Pending => "PENDING",
                ReminderStatus::Completed => "COMPLETED",
                ReminderStatus::Cancelled => "CANCELLED",
            }),
            "overdue" => out.bare(self.overdue),
            "completeOnDelivery" => out.bare(self.complete_on_delivery),
            "completedAt" => out.option(self.completed_at, instant),
            "cancelledAt" => out.option(self.cancelled_at, instant),
            "version" => out.bare(self.version),
            "createdAt" => instant(out, self.created_at),
            "updatedAt" => instant(out, self.updated_at),
            _ => false,
        }
    }
}

impl Listed for Reminder {
    const CONNECTION: &'static str = "ReminderConnection";
    const EDGE: &'static str = "ReminderEdge";
}

/// What a task has of reminders: plugged onto `Task`.
pub struct TaskReminders(pub Task);

#[Object]
impl TaskReminders {
    /// The task's reminders, the earliest first.
    async fn reminders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 20 by default, 100 at most; else BAD_REQUEST.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many: 100 at most, and not with `first`; else BAD_REQUEST.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<Walked<Arc<Connection<Reminder>>>, Fault> {
        let arguments = PageArguments { first, after, last, before };
        if arguments.is_default()
            && let Some(fetched) = self.0.extras.get("reminders")
        {
            return Ok(Walked(fetched));
        }
        let platform = ctx.data_unchecked::<Platform>();
        let loader = ctx.data_unchecked::<DataLoader<ReminderLoader>>();
        let rows = loader.load_one(RemindersOf(self.0.task_id)).await.map_err(Fault::shared)?;
        let page = Page::parse(&arguments, "scheduled", KeyKind::Instant, &platform.config.limits)?;
        Ok(Walked(Arc::new(connection(&page, rows.unwrap_or_default(), platform.clock.now()))))
    }
}

/// The queries of reminders.
#[derive(Default)]
pub struct ReminderQueries;

#[Object]
impl ReminderQueries {
    /// One of the viewer's reminders. Null: there is none such for them.
    async fn reminder(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "`reminder_…`")] id: ID,
    ) -> Result<Option<Reminder>, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let id = input::query_id("id", &id)?;
        Ok(reminders_of(ctx.data_unchecked::<Platform>(), viewer.user_id, vec![id]).await?.pop())
    }
}

/// What a person has of reminders: plugged onto `User`.
pub struct UserReminders(pub UserId);

#[Object]
impl UserReminders {
    /// The viewer's reminders, the earliest first unless asked otherwise.
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the field in the schema")]
    async fn reminders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 20 by default, 100 at most; else BAD_REQUEST.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "The last so many: 100 at most, and not with `first`; else BAD_REQUEST.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
        #[graphql(desc = "Only those.")] filter: Option<ReminderFilter>,
        #[graphql(desc = "Which way the list runs.", default)] order_by: ReminderOrder,
    ) -> Result<Walked<Connection<Reminder>>, Fault> {
        let platform = ctx.data_unchecked::<Platform>();
        let arguments = PageArguments { first, after, last, before };
        let counts = ctx.look_ahead().field("totalCount").exists();
        list::list(platform, self.0, &arguments, filter.as_ref(), order_by, counts).await.map(Walked)
    }
}

/// The reminders of a person among these, in any order: what is not theirs is not there.
pub async fn reminders_of(platform: &Platform, user: UserId, ids: Vec<ReminderId>) -> Result<Vec<Reminder>, Fault> {
    let found = row::Entity::visible_to(user).filter(row::Column::Id.is_in(ids)).all(platform.db.read()).await?;
    let now = platform.clock.now();
    Ok(found.into_iter().map(|row| Reminder::at(row, now)).collect())
}
