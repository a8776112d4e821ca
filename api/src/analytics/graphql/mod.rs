//! Analytics as the schema shows them.

mod types;

use std::sync::Arc;

use async_graphql::{Context, Object};
use chrono::{NaiveDate, Weekday};
use tokio::sync::OnceCell;

pub use self::types::{
    CategoryShare, DayCount, SeriesBucket, SeriesGranularity, Streak, TaskPriorityCounts, TaskStatusCounts, WeekCount,
};
use super::{
    Figures,
    buckets::{self, Bucket, Granularity},
    figures::{Days, Reminders, Tasks},
    locale, share,
};
use crate::{
    accounts::{self, graphql::User},
    platform::{Platform, calendar, error::Fault, scalars::Date, walk::Walked},
};

/// Days of `daily`, today included.
const DAYS: u16 = 7;
/// Weeks of `weekly`, the current one included.
const WEEKS: u16 = 4;

/// Lists that are in memory as a whole, with the most items that each may have: what the guard weighs them by.
pub const LISTS: &[(&str, usize)] = &[
    ("daily", DAYS as usize),
    ("weekly", WEEKS as usize),
    ("categories", super::figures::MOST_CATEGORIES),
    ("series", buckets::MOST as usize),
];

/// The numbers of a person: plugged onto `User`.
pub struct UserAnalytics(pub User);

#[Object]
impl UserAnalytics {
    /// What the viewer has done, in numbers. Each is computed only when it is selected. An answer may be kept for up to
    /// five minutes, but never longer than until the viewer changes something that it counts, a reminder becomes
    /// overdue, or their day ends.
    async fn analytics(&self) -> Analytics {
        Analytics(Arc::new(Seen { user: self.0.clone(), when: OnceCell::new(), parts: Parts::default() }))
    }
}

/// What a person has done, in numbers. (The schema takes its text from the `impl`.)
#[derive(Clone)]
pub struct Analytics(Arc<Seen>);

/// What was read for an answer, each part once, so that the fields of one answer agree.
struct Seen {
    user: User,
    when: OnceCell<When>,
    parts: Parts,
}

#[derive(Default)]
struct Parts {
    tasks: OnceCell<Arc<Tasks>>,
    reminders: OnceCell<Reminders>,
    days: OnceCell<Arc<Days>>,
}

/// Which day it is for the person, and on which one their weeks begin.
#[derive(Clone, Copy)]
struct When {
    today: NaiveDate,
    first_weekday: Weekday,
}

fn figures<'a>(ctx: &Context<'a>) -> &'a Figures {
    ctx.data_unchecked::<Arc<Figures>>()
}

impl Seen {
    async fn when(&self, ctx: &Context<'_>) -> Result<When, Fault> {
        let look = async || {
            let platform = ctx.data_unchecked::<Platform>();
            let person = self.user.row(ctx).await?;
            let zone = accounts::zone_of(platform, person);
            let first_weekday = person.locale.as_deref().map_or(Weekday::Mon, locale::first_weekday);
            Ok(When { today: calendar::local_day(platform.clock.now(), &zone), first_weekday })
        };
        self.when.get_or_try_init(look).await.copied()
    }

    async fn tasks(&self, ctx: &Context<'_>) -> Result<&Tasks, Fault> {
        let read = || figures(ctx).tasks(self.user.user_id);
        self.parts.tasks.get_or_try_init(read).await.map(|tasks| &**tasks)
    }

    async fn reminders(&self, ctx: &Context<'_>) -> Result<Reminders, Fault> {
        self.parts.reminders.get_or_try_init(|| figures(ctx).reminders(self.user.user_id)).await.copied()
    }

    async fn days(&self, ctx: &Context<'_>) -> Result<&Days, Fault> {
        let read = async || figures(ctx).days(self.user.user_id, self.when(ctx).await?.today).await;
        self.parts.days.get_or_try_init(read).await.map(|days| &**days)
    }

    async fn filled(&self, ctx: &Context<'_>, mut buckets: Vec<Bucket>) -> Result<Vec<Bucket>, Fault> {
        let days = &self.days(ctx).await?.days;
        let first = buckets.first().map_or(days.len(), |first| days.partition_point(|(day, _)| *day < first.from));
        buckets::fill(&mut buckets, days[first..].iter().copied());
        Ok(buckets)
    }
}

/// What a person has done, in numbers.
///
/// Completed reminders are counted by an append-only log, on the local day on which they were completed, in the time
/// zone that was in force for the person then. So:
///
/// - Travelling, or choosing another `timeZone`, moves nothing that was done before; only today, which ends `daily` and
///   `weekly` and which `streak` looks from, follows the new zone at once. West over the date line a day is lived twice
///   and what was done may lie on a day that is still to come: it counts for `streak` and within `series`. East over it
///   a day may be missing, and a streak ends there.
/// - Days on which clocks change are days like others, of 23 or 25 hours.
/// - Deleting a task or a reminder changes nothing that was done: days, streaks and `remindersCompleted` stay. The
///   figures about tasks (`tasks`, `categories`, `completionRate`) are of the tasks that are there, not the deleted ones.
/// - Reopening a reminder takes its completion back, on the day on which it was counted; completing it again counts on
///   the day of that.
/// - Weeks begin on the first day of the week of the person's `locale` (CLDR; its keyword `fw` goes before), on Monday
///   when they chose none.
#[Object]
impl Analytics {
    /// How much there is, and how much is done.
    async fn totals(&self) -> AnalyticsTotals {
        AnalyticsTotals(self.0.clone())
    }

    /// Completed reminders on each of the last 7 local days, today included; the earliest first, zeros included.
    async fn daily(&self, ctx: &Context<'_>) -> Result<Walked<Vec<DayCount>>, Fault> {
        let buckets = buckets::daily(self.0.when(ctx).await?.today, DAYS);
        let days = self.0.filled(ctx, buckets).await?;
        let shown = |day: Bucket| DayCount { date: Date(day.starts_on), completed: day.count };
        Ok(Walked(days.into_iter().map(shown).collect()))
    }

    /// Completed reminders in each of the last 4 calendar weeks, the current one included; the earliest first, zeros
    /// included.
    async fn weekly(&self, ctx: &Context<'_>) -> Result<Walked<Vec<WeekCount>>, Fault> {
        let When { today, first_weekday } = self.0.when(ctx).await?;
        let weeks = self.0.filled(ctx, buckets::weekly(today, WEEKS, first_weekday)).await?;
        let shown = |week: Bucket| WeekCount { starts_on: Date(week.starts_on), completed: week.count };
        Ok(Walked(weeks.into_iter().map(shown).collect()))
    }

    /// How the tasks that are not deleted divide over categories; those with the most first, equal ones by name, 200 at
    /// most.
    async fn categories(&self, ctx: &Context<'_>) -> Result<Walked<Vec<CategoryShare>>, Fault> {
        let tasks = self.0.tasks(ctx).await?;
        let shown = |share: &share::Share| CategoryShare {
            category: share.category.clone(),
            count: share.count,
            share: share.share,
        };
        Ok(Walked(tasks.categories.iter().map(shown).collect()))
    }

    /// Which part of the tasks that are not deleted is completed, from 0 to 1. Null: there are no tasks.
    async fn completion_rate(&self, ctx: &Context<'_>) -> Result<Option<f64>, Fault> {
        let tasks = self.0.tasks(ctx).await?;
        Ok(share::completion_rate(tasks.by_status[2], tasks.all))
    }

    /// Consecutive local days on each of which a reminder was completed.
    async fn streak(&self, ctx: &Context<'_>) -> Result<Walked<Streak>, Fault> {
        let streak = self.0.days(ctx).await?.streak;
        Ok(Walked(Streak {
            active: streak.active,
            longest: streak.longest,
            started_on: streak.started_on.map(Date),
            ends_on: streak.ends_on.map(Date),
        }))
    }

    /// Completed reminders in each day, week or month of any span; the earliest first, zeros included. At most 400 of
    /// them: BAD_REQUEST beyond, and when the span ends before it begins.
    async fn series(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first local day that is counted.")] from: Date,
        #[graphql(desc = "The last local day that is counted.")] to: Date,
        #[graphql(default, desc = "How the span is cut.")] by: SeriesGranularity,
    ) -> Result<Walked<Vec<SeriesBucket>>, Fault> {
        if from > to {
            return Err(Fault::BadRequest("`from` must not lie after `to`: give the earlier day as `from`.".into()));
        }
        let granularity = match by {
            SeriesGranularity::Day => Granularity::Day,
            SeriesGranularity::Week => Granularity::Week(self.0.when(ctx).await?.first_weekday),
            SeriesGranularity::Month => Granularity::Month,
        };
        let buckets = buckets::between(from.0, to.0, granularity).map_err(|too_many| {
            Fault::BadRequest(format!("This series would have {too_many}: give a shorter span, or a coarser `by`."))
        })?;
        let shown = |bucket: Bucket| SeriesBucket {
            starts_on: Date(bucket.starts_on),
            from: Date(bucket.from),
            to: Date(bucket.to),
            completed: bucket.count,
        };
        Ok(Walked(self.0.filled(ctx, buckets).await?.into_iter().map(shown).collect()))
    }
}

/// How much there is, and how much is done.
pub struct AnalyticsTotals(Arc<Seen>);

/// How much there is, and how much is done.
#[Object]
impl AnalyticsTotals {
    /// Tasks that are not deleted.
    async fn tasks(&self, ctx: &Context<'_>) -> Result<u32, Fault> {
        Ok(self.0.tasks(ctx).await?.all)
    }

    /// The same by where they stand.
    async fn tasks_by_status(&self, ctx: &Context<'_>) -> Result<Walked<TaskStatusCounts>, Fault> {
        let [todo, in_progress, completed] = self.0.tasks(ctx).await?.by_status;
        Ok(Walked(TaskStatusCounts { todo, in_progress, completed }))
    }

    /// The same by how much they matter.
    async fn tasks_by_priority(&self, ctx: &Context<'_>) -> Result<Walked<TaskPriorityCounts>, Fault> {
        let [low, medium, high] = self.0.tasks(ctx).await?.by_priority;
        Ok(Walked(TaskPriorityCounts { low, medium, high }))
    }

    /// Reminders that were ever completed and not reopened, deleted ones included: the sum of all days.
    async fn reminders_completed(&self, ctx: &Context<'_>) -> Result<u32, Fault> {
        Ok(self.0.days(ctx).await?.completed)
    }

    /// Pending reminders whose moment lies ahead.
    async fn reminders_upcoming(&self, ctx: &Context<'_>) -> Result<u32, Fault> {
        Ok(self.0.reminders(ctx).await?.upcoming)
    }

    /// Pending reminders whose moment has passed.
    async fn reminders_overdue(&self, ctx: &Context<'_>) -> Result<u32, Fault> {
        Ok(self.0.reminders(ctx).await?.overdue)
    }
}
