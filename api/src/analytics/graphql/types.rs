//! What analytics answer with: plain values, which take the short way (see `platform::walk`).

use async_graphql::{Enum, SimpleObject, parser::types::SelectionSet};

use crate::{
    analytics::{
        share::{Share, UNCATEGORIZED},
        streak,
    },
    platform::{
        scalars::Date,
        walk::{Walk, Writer},
    },
};

/// How many tasks stand where.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct TaskStatusCounts {
    /// Not begun.
    pub(super) todo: u32,
    /// Begun.
    pub(super) in_progress: u32,
    /// Done.
    pub(super) completed: u32,
}

/// How many tasks matter how much.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct TaskPriorityCounts {
    /// Can wait.
    pub(super) low: u32,
    /// As most do.
    pub(super) medium: u32,
    /// Come first.
    pub(super) high: u32,
}

/// A local day, and what was done on it.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct DayCount {
    /// The day.
    pub(super) date: Date,
    /// Reminders completed on it.
    pub(super) completed: u32,
}

/// A calendar week, and what was done in it.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct WeekCount {
    /// Its first day.
    pub(super) starts_on: Date,
    /// Reminders completed in it.
    pub(super) completed: u32,
}

/// A category's part of the tasks.
#[derive(Clone, Debug, SimpleObject)]
pub struct CategoryShare {
    /// Its name; `Uncategorized` for tasks that have none.
    pub(super) category: String,
    /// Its name, as tasks have it. Null: those without a category, and those whose category is called Uncategorized.
    pub(super) name: Option<String>,
    /// How many tasks.
    pub(super) count: u32,
    /// The part of all tasks, above 0 and up to 1.
    pub(super) share: f64,
}

/// Runs of consecutive local days on each of which at least one reminder was completed.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct Streak {
    /// Days in the run that ends today or yesterday (what is done today need not be done yet); 0 when there is none.
    pub(super) active: u32,
    /// Days in the longest run ever, the active one included.
    pub(super) longest: u32,
    /// The first day of the active run. Null: there is no active run.
    pub(super) started_on: Option<Date>,
    /// The last day of the active run so far. Null: there is no active run.
    pub(super) ends_on: Option<Date>,
}

/// How a span of days is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum SeriesGranularity {
    /// Into days.
    #[default]
    Day,
    /// Into calendar weeks, which begin as the person's locale says.
    Week,
    /// Into calendar months.
    Month,
}

/// A day, week or month of a span, as far as it lies in the span.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct SeriesBucket {
    /// The day, or the first day of the calendar week or month; it may lie before the span.
    pub(super) starts_on: Date,
    /// The first day of it that is counted.
    pub(super) from: Date,
    /// The last day of it that is counted.
    pub(super) to: Date,
    /// Reminders completed on the days from `from` to `to`.
    pub(super) completed: u32,
}

impl From<[u32; 3]> for TaskStatusCounts {
    fn from([todo, in_progress, completed]: [u32; 3]) -> Self {
        Self { todo, in_progress, completed }
    }
}

impl From<[u32; 3]> for TaskPriorityCounts {
    fn from([low, medium, high]: [u32; 3]) -> Self {
        Self { low, medium, high }
    }
}

impl From<&Share> for CategoryShare {
    fn from(share: &Share) -> Self {
        let Share { category, count, share } = share;
        let name = (category != UNCATEGORIZED).then(|| category.clone());
        Self { category: category.clone(), name, count: *count, share: *share }
    }
}

impl From<streak::Streak> for Streak {
    fn from(streak: streak::Streak) -> Self {
        let streak::Streak { active, longest, started_on, ends_on } = streak;
        Self { active, longest, started_on: started_on.map(Date), ends_on: ends_on.map(Date) }
    }
}

impl Walk for TaskStatusCounts {
    const TYPE: &'static str = "TaskStatusCounts";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "todo" => out.bare(self.todo),
            "inProgress" => out.bare(self.in_progress),
            "completed" => out.bare(self.completed),
            _ => false,
        }
    }
}

impl Walk for TaskPriorityCounts {
    const TYPE: &'static str = "TaskPriorityCounts";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "low" => out.bare(self.low),
            "medium" => out.bare(self.medium),
            "high" => out.bare(self.high),
            _ => false,
        }
    }
}

impl Walk for DayCount {
    const TYPE: &'static str = "DayCount";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "date" => out.plain(self.date.0),
            "completed" => out.bare(self.completed),
            _ => false,
        }
    }
}

impl Walk for WeekCount {
    const TYPE: &'static str = "WeekCount";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "startsOn" => out.plain(self.starts_on.0),
            "completed" => out.bare(self.completed),
            _ => false,
        }
    }
}

impl Walk for CategoryShare {
    const TYPE: &'static str = "CategoryShare";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "category" => out.string(&self.category),
            "name" => out.option(self.name.as_deref(), Writer::string),
            "count" => out.bare(self.count),
            "share" => out.float(self.share),
            _ => false,
        }
    }
}

impl Walk for Streak {
    const TYPE: &'static str = "Streak";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "active" => out.bare(self.active),
            "longest" => out.bare(self.longest),
            "startedOn" => out.option(self.started_on, |out, day| out.plain(day.0)),
            "endsOn" => out.option(self.ends_on, |out, day| out.plain(day.0)),
            _ => false,
        }
    }
}

impl Walk for SeriesBucket {
    const TYPE: &'static str = "SeriesBucket";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "startsOn" => out.plain(self.starts_on.0),
            "from" => out.plain(self.from.0),
            "to" => out.plain(self.to.0),
            "completed" => out.bare(self.completed),
            _ => false,
        }
    }
}
