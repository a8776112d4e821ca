//! Analytics as the schema shows them: what was selected is read first, and then written from memory along the selection.
//! (Kept figures are a hundred fields, and a future for each cost more than all that is done for them.)

mod seen;
mod types;

use std::sync::Arc;

use async_graphql::{
    Context, Object,
    parser::types::{Field, SelectionSet},
};

use self::seen::{DAYS, Parts, Seen, WEEKS};
pub use self::types::{
    CategoryShare, DayCount, SeriesBucket, SeriesGranularity, Streak, TaskPriorityCounts, TaskStatusCounts, WeekCount,
};
use super::buckets;
use crate::{
    accounts::graphql::User,
    platform::{
        error::Fault,
        scalars::Date,
        walk::{Walk, Walked, Writer},
    },
};

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
    /// five minutes, but no longer than until the viewer changes something that it counts (an instance that fails right
    /// after a change may not be able to say so), a reminder becomes overdue, or their day ends.
    async fn analytics(&self, ctx: &Context<'_>) -> Walked<Analytics> {
        let mut seen = Seen::of(self.0.clone());
        seen.read_selected(ctx).await;
        Walked(Analytics(Arc::new(seen)))
    }
}

/// What a person has done, in numbers. (The schema takes its text from the `impl`.)
#[derive(Clone)]
pub struct Analytics(Arc<Seen>);

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
    async fn daily(&self, ctx: &Context<'_>) -> Result<Vec<DayCount>, Fault> {
        Ok(self.0.days(ctx).await?.daily())
    }

    /// Completed reminders in each of the last 4 calendar weeks, the current one included; the earliest first, zeros
    /// included.
    async fn weekly(&self, ctx: &Context<'_>) -> Result<Vec<WeekCount>, Fault> {
        Ok(self.0.days(ctx).await?.weekly())
    }

    /// How the tasks that are not deleted divide over categories; those with the most first, equal ones by name, 200 at
    /// most.
    async fn categories(&self, ctx: &Context<'_>) -> Result<Vec<CategoryShare>, Fault> {
        Ok(self.0.tasks(ctx).await?.categories.iter().map(CategoryShare::from).collect())
    }

    /// Which part of the tasks that are not deleted is completed, from 0 to 1. Null: there are no tasks.
    async fn completion_rate(&self, ctx: &Context<'_>) -> Result<Option<f64>, Fault> {
        Ok(self.0.tasks(ctx).await?.completion_rate())
    }

    /// Consecutive local days on each of which a reminder was completed.
    async fn streak(&self, ctx: &Context<'_>) -> Result<Streak, Fault> {
        Ok(self.0.days(ctx).await?.days.streak.into())
    }

    /// Completed reminders in each day, week or month of any span; the earliest first, zeros included. At most 400 of
    /// them: BAD_REQUEST beyond, and when the span ends before it begins.
    async fn series(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first local day that is counted.")] from: Date,
        #[graphql(desc = "The last local day that is counted.")] to: Date,
        #[graphql(default, desc = "How the span is cut.")] by: SeriesGranularity,
    ) -> Result<Vec<SeriesBucket>, Fault> {
        self.0.days(ctx).await?.series(from, to, by)
    }
}

impl Walk for Analytics {
    const TYPE: &'static str = "Analytics";

    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        let Parts { tasks, days, .. } = self.0.in_memory();
        match (field, tasks, days) {
            ("totals", ..) => out.object(&AnalyticsTotals(self.0.clone()), set),
            ("daily", _, Some(days)) => out.list(&days.daily(), set),
            ("weekly", _, Some(days)) => out.list(&days.weekly(), set),
            ("streak", _, Some(days)) => out.object(&Streak::from(days.days.streak), set),
            ("categories", Some(tasks), _) => {
                let shown: Vec<CategoryShare> = tasks.categories.iter().map(CategoryShare::from).collect();
                out.list(&shown, set)
            }
            ("completionRate", Some(tasks), _) => out.option(tasks.completion_rate(), Writer::float),
            _ => false,
        }
    }

    fn write_argued(&self, field: &Field, out: &mut Writer<'_>) -> bool {
        let prepared = self.0.in_memory().series.iter().find(|(key, _)| *key == field.response_key().node);
        prepared.is_some_and(|(_, buckets)| out.list(buckets, &field.selection_set.node))
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
    async fn tasks_by_status(&self, ctx: &Context<'_>) -> Result<TaskStatusCounts, Fault> {
        Ok(self.0.tasks(ctx).await?.by_status.into())
    }

    /// The same by how much they matter.
    async fn tasks_by_priority(&self, ctx: &Context<'_>) -> Result<TaskPriorityCounts, Fault> {
        Ok(self.0.tasks(ctx).await?.by_priority.into())
    }

    /// Reminders that were ever completed and not reopened, deleted ones included: the sum of all days.
    async fn reminders_completed(&self, ctx: &Context<'_>) -> Result<u32, Fault> {
        Ok(self.0.days(ctx).await?.days.completed)
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

impl Walk for AnalyticsTotals {
    const TYPE: &'static str = "AnalyticsTotals";

    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        let Parts { tasks, reminders, days, .. } = self.0.in_memory();
        match (field, tasks, reminders, days) {
            ("tasks", Some(tasks), ..) => out.bare(tasks.all),
            ("tasksByStatus", Some(tasks), ..) => out.object(&TaskStatusCounts::from(tasks.by_status), set),
            ("tasksByPriority", Some(tasks), ..) => out.object(&TaskPriorityCounts::from(tasks.by_priority), set),
            ("remindersCompleted", _, _, Some(days)) => out.bare(days.days.completed),
            ("remindersUpcoming", _, Some(reminders), _) => out.bare(reminders.upcoming),
            ("remindersOverdue", _, Some(reminders), _) => out.bare(reminders.overdue),
            _ => false,
        }
    }
}
