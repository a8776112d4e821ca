//! Listing a person's reminders, and saying in words why one did not reach them.

use async_graphql::{Enum, InputObject};
use entity::{
    UserId,
    delivery::{self, Channel, State},
    reminder::{self as row, Status},
};
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter};

use super::graphql::{Reminder, ReminderStatus, ReminderType};
use crate::platform::{
    Platform,
    clock::Instant,
    error::Fault,
    page::{Connection, Key, KeyKind, Ordering, Page, PageArguments, Position},
    scalars::DateTime,
};

/// Which way the list runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum ReminderOrder {
    /// By moment, the earliest first.
    #[default]
    ScheduledAtAsc,
    /// By moment, the latest first.
    ScheduledAtDesc,
}

/// Which reminders are listed. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub(super) struct ReminderFilter {
    /// One of these; an empty list matches nothing.
    pub status: Option<Vec<ReminderStatus>>,
    /// One of these; an empty list matches nothing.
    #[graphql(name = "type")]
    pub kind: Option<Vec<ReminderType>>,
    /// Its moment is this one or after it.
    pub scheduled_from: Option<DateTime>,
    /// Its moment is before this one.
    pub scheduled_before: Option<DateTime>,
    /// Whether its moment has passed while it is pending.
    pub overdue: Option<bool>,
}

impl ReminderFilter {
    fn condition(&self, now: Instant) -> Condition {
        // Destructured whole, so that a new field cannot be forgotten.
        let Self { status, kind, scheduled_from, scheduled_before, overdue } = self;
        let late =
            || Condition::all().add(row::Column::Status.eq(Status::Pending)).add(row::Column::ScheduledAt.lt(now));
        let statuses = status.as_ref().map(|all| row::Column::Status.is_in(all.iter().map(|s| Status::from(*s))));
        let kinds = kind.as_ref().map(|all| row::Column::Kind.is_in(all.iter().map(|k| row::Kind::from(*k))));
        Condition::all()
            .add_option(statuses)
            .add_option(kinds)
            .add_option(scheduled_from.map(|at| row::Column::ScheduledAt.gte(at.0)))
            .add_option(scheduled_before.map(|at| row::Column::ScheduledAt.lt(at.0)))
            .add_option(overdue.map(|overdue| if overdue { late() } else { late().not() }))
    }
}

/// A page of a person's reminders.
pub(super) async fn list(
    platform: &Platform,
    user: UserId,
    arguments: &PageArguments,
    filter: Option<&ReminderFilter>,
    order: ReminderOrder,
    counts: bool,
) -> Result<Connection<Reminder>, Fault> {
    let now = platform.clock.now();
    let page = Page::parse(arguments, "scheduled", KeyKind::Instant, &platform.config.limits)?;
    let descending = order == ReminderOrder::ScheduledAtDesc;
    let ordering = Ordering { name: "scheduled", column: row::Column::ScheduledAt, kind: KeyKind::Instant, descending };
    let mut mine = row::Entity::visible_to(user);
    if let Some(filter) = filter {
        mine = mine.filter(filter.condition(now));
    }
    let rows = page.select(mine.clone(), ordering, row::Column::Id).all(platform.db.read()).await?;
    let position = |row: &row::Model| Position { key: Key::at(row.scheduled_at), id: row.id.uuid() };
    let mut connection = page.connection(rows, position, |row| Reminder::at(row, now));
    if counts {
        connection.total_count = Some(mine.count(platform.db.read()).await? as i64);
    }
    Ok(connection)
}

/// Why a reminder did not reach its person, in words for them. None: it did, or its time has not come.
pub(super) fn why_not_delivered(
    status: ReminderStatus,
    scheduled_at: Instant,
    ledger: &[delivery::Model],
    now: Instant,
) -> Option<String> {
    if status == ReminderStatus::Cancelled {
        return Some("It was cancelled, or its task was completed or deleted before its moment.".into());
    }
    let missing: Vec<String> = ledger.iter().filter_map(|delivery| missed(delivery, now)).collect();
    if !missing.is_empty() {
        return Some(missing.join(" "));
    }
    let over = scheduled_at <= now && ledger.is_empty();
    over.then(|| "Its moment had passed when it was reopened. Snooze it to be reminded again.".into())
}

fn missed(delivery: &delivery::Model, now: Instant) -> Option<String> {
    let way = match delivery.channel {
        Channel::InApp => "In the app",
        Channel::Email => "By mail",
        Channel::Push => "By push",
    };
    let because = delivery.error.as_deref().unwrap_or("the reason is not known.");
    match delivery.state {
        State::Sent => None,
        State::Failed => Some(format!("{way}: given up. {because} Send it again with deliveryRetry.")),
        State::Skipped => Some(format!("{way}: {because}")),
        State::Cancelled => Some(format!("{way}: it was no longer wanted.")),
        State::Held => Some(
            format!(
                "{way}: your quiet hours hold it; it comes when they end. {}",
                delivery.error.as_deref().unwrap_or_default()
            )
            .trim_end()
            .to_owned(),
        ),
        State::Pending if delivery.due_at <= now && delivery.error.is_some() => {
            Some(format!("{way}: not yet; it is tried again. {because}"))
        }
        State::Pending => None,
    }
}
