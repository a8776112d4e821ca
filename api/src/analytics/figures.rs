//! What is counted of a person: three parts, each of one statement, each kept until it changes.
//! Promise: the cost does not grow with what a person has completed, only with the number of days on which they did, the
//! tasks that they have now, and the reminders that are open.

use std::sync::Arc;

use chrono::NaiveDate;
use entity::{
    UserId,
    completion::Subject,
    completion_day,
    reminder::{self, Status as ReminderStatus},
    task::{self, Priority, Status},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, Func, SimpleExpr},
};

use super::{
    share::{self, Share},
    streak::{self, Streak},
};
use crate::platform::{
    Platform,
    cache::{Cache, Computed, Kept},
    clock::Instant,
    error::Fault,
};

/// Categories that are told of; there may be as many as tasks.
pub(super) const MOST_CATEGORIES: usize = 200;

/// A person's tasks that are not deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tasks {
    /// All of them.
    pub all: u32,
    /// To do, in progress, completed.
    pub by_status: [u32; 3],
    /// Low, medium, high.
    pub by_priority: [u32; 3],
    /// The categories with the most tasks.
    pub categories: Vec<Share>,
}

impl Tasks {
    /// Which part of them is completed. None: there are none.
    pub(super) fn completion_rate(&self) -> Option<f64> {
        share::completion_rate(self.by_status[2], self.all)
    }
}

/// A person's reminders that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reminders {
    /// Their moment lies ahead.
    pub upcoming: u32,
    /// Their moment has passed.
    pub overdue: u32,
}

/// The days on which a person completed reminders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// Each with how many, ascending; none has 0.
    pub days: Vec<(NaiveDate, u32)>,
    /// How many on all of them.
    pub completed: u32,
    /// The streak, seen from the day that was asked for.
    pub streak: Streak,
}

/// Everybody's figures, as far as they are kept.
pub struct Figures {
    platform: Platform,
    tasks: Cache<(), Arc<Tasks>>,
    reminders: Cache<(), Reminders>,
    days: Cache<NaiveDate, Arc<Days>>,
}

impl Figures {
    /// Nobody's yet.
    pub fn new(platform: Platform) -> Self {
        let settings = &platform.config.analytics;
        // The days are the larger part by far.
        let kept = |part| Kept { longest: settings.cache, unheard: settings.unheard, bytes: settings.bytes / 4 * part };
        let (bus, clock) = (|| platform.bus.clone(), || platform.clock.clone());
        let tasks = Cache::new(bus(), clock(), kept(1), |tasks: &Arc<Tasks>| {
            let names = tasks.categories.iter().map(|share| share.category.len() + size_of::<Share>());
            size_of::<Tasks>() + names.sum::<usize>()
        });
        let reminders = Cache::new(bus(), clock(), kept(1), |_| size_of::<Reminders>());
        let days = Cache::new(bus(), clock(), kept(2), |days: &Arc<Days>| {
            size_of::<Days>() + size_of_val(days.days.as_slice())
        });
        Self { tasks, reminders, days, platform }
    }

    /// A person's tasks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tasks(&self, user: UserId) -> Result<Arc<Tasks>, Fault> {
        let compute =
            async { Ok(Computed { value: Arc::new(count_tasks(&self.platform, user).await?), wrong_from: None }) };
        self.tasks.get(user, (), compute).await
    }

    /// A person's open reminders.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reminders(&self, user: UserId) -> Result<Reminders, Fault> {
        let compute = async {
            let (value, wrong_from) = count_reminders(&self.platform, user).await?;
            Ok(Computed { value, wrong_from })
        };
        self.reminders.get(user, (), compute).await
    }

    /// The days on which a person completed reminders, seen from this one: kept under it, so that midnight and another
    /// zone make no difference to what is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn days(&self, user: UserId, today: NaiveDate) -> Result<Arc<Days>, Fault> {
        let compute = async {
            let days = read_days(&self.platform, user).await?;
            let streak = streak::streak(days.iter().map(|(day, _)| *day), today);
            let completed = days.iter().map(|(_, count)| count).sum();
            Ok(Computed { value: Arc::new(Days { days, completed, streak }), wrong_from: None })
        };
        self.days.get(user, today, compute).await
    }

    /// How often a part was there, or was being computed for somebody else.
    pub fn hits(&self) -> u64 {
        self.tasks.hits() + self.reminders.hits() + self.days.hits()
    }

    /// How often a part was computed.
    pub fn misses(&self) -> u64 {
        self.tasks.misses() + self.reminders.misses() + self.days.misses()
    }
}

async fn count_tasks(platform: &Platform, user: UserId) -> Result<Tasks, DbErr> {
    let groups: Vec<(Status, Priority, Option<String>, i64)> = task::Entity::visible_to(user)
        .select_only()
        .columns([task::Column::Status, task::Column::Priority, task::Column::Category])
        .column_as(Expr::cust("count(*)"), "count")
        .group_by(task::Column::Status)
        .group_by(task::Column::Priority)
        .group_by(task::Column::Category)
        .into_tuple()
        .all(platform.db.read())
        .await?;
    let mut tasks = Tasks::default();
    let mut by_category = Vec::with_capacity(groups.len());
    for (status, priority, category, count) in groups {
        let count = small(count);
        tasks.all += count;
        let by_status = match status {
            Status::Todo => 0,
            Status::InProgress => 1,
            Status::Completed => 2,
        };
        let by_priority = match priority {
            Priority::Low => 0,
            Priority::Medium => 1,
            Priority::High => 2,
        };
        tasks.by_status[by_status] += count;
        tasks.by_priority[by_priority] += count;
        by_category.push((category, count));
    }
    tasks.categories = share::distribution(by_category);
    tasks.categories.truncate(MOST_CATEGORIES);
    Ok(tasks)
}

/// With the moment at which the next one becomes overdue.
async fn count_reminders(platform: &Platform, user: UserId) -> Result<(Reminders, Option<Instant>), DbErr> {
    let now = platform.clock.now();
    let column = reminder::Column::ScheduledAt;
    let overdue: SimpleExpr = Expr::case(column.lt(now), 1).into();
    let upcoming: SimpleExpr = Expr::case(column.gte(now), Expr::col(column)).into();
    let query = reminder::Entity::visible_to(user)
        .filter(reminder::Column::Status.eq(ReminderStatus::Pending))
        .select_only()
        .expr(Expr::cust("count(*)"))
        .expr(Func::count(overdue))
        .expr(Func::min(upcoming));
    let Some(row) = platform.db.read().query_one(&query.into_query()).await? else { return Ok(Default::default()) };
    let (open, overdue) = (small(row.try_get_by_index(0)?), small(row.try_get_by_index(1)?));
    Ok((Reminders { upcoming: open - overdue, overdue }, row.try_get_by_index(2)?))
}

/// All days in one value: ten years are three thousand rows, and the way of a row through the driver costs more than the
/// row itself.
async fn read_days(platform: &Platform, user: UserId) -> Result<Vec<(NaiveDate, u32)>, DbErr> {
    let query = completion_day::Entity::visible_to(user)
        .filter(completion_day::Column::Subject.eq(Subject::Reminder))
        .filter(completion_day::Column::Count.gt(0))
        .select_only()
        .expr(Expr::cust("string_agg(CAST(local_on AS text) || '=' || CAST(\"count\" AS text), ',')"));
    let row = platform.db.read().query_one(&query.into_query()).await?;
    let all: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
    let Some(all) = all else { return Ok(Vec::new()) };
    let days: Option<Vec<_>> = all.split(',').map(parse_day).collect();
    let mut days = days.ok_or_else(|| DbErr::Type("a day of completion_days is not like 2027-03-14=2".into()))?;
    // The order is that of the index, which SQL does not promise.
    days.sort_unstable();
    Ok(days)
}

/// Of a day in ISO 8601 with how many.
fn parse_day(pair: &str) -> Option<(NaiveDate, u32)> {
    let (day, count) = pair.split_once('=')?;
    let (year, rest) = day.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let day = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    Some((day, count.parse().ok()?))
}

/// A count as the schema shows it. Nobody has more than four thousand million of anything.
fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or_default()
}
