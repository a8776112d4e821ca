//! What was read for one answer, each part once, so that the fields of one answer agree.

use std::sync::Arc;

use async_graphql::{Context, InputType, SelectionField};
use chrono::{NaiveDate, Weekday};
use tokio::sync::OnceCell;

use super::types::{DayCount, SeriesBucket, SeriesGranularity, WeekCount};
use crate::{
    accounts::{self, graphql::User},
    analytics::{
        Figures,
        buckets::{self, Bucket, Granularity},
        figures::{Days, Reminders, Tasks},
        locale,
    },
    platform::{Platform, calendar, error::Fault, scalars::Date},
};

/// Days of `daily`, today included.
pub(super) const DAYS: u16 = 7;
/// Weeks of `weekly`, the current one included.
pub(super) const WEEKS: u16 = 4;

/// What was read.
pub(super) struct Seen {
    user: User,
    tasks: OnceCell<Result<Arc<Tasks>, Fault>>,
    reminders: OnceCell<Result<Reminders, Fault>>,
    days: OnceCell<Result<Dated, Fault>>,
    series: Vec<(String, Vec<SeriesBucket>)>,
}

/// As much of it as is in memory.
pub(super) struct Parts<'a> {
    pub(super) tasks: Option<&'a Tasks>,
    pub(super) reminders: Option<&'a Reminders>,
    pub(super) days: Option<&'a Dated>,
    /// The series that were asked for, by their response keys.
    pub(super) series: &'a [(String, Vec<SeriesBucket>)],
}

/// The days on which something was completed, and how the person counts days.
pub(super) struct Dated {
    pub(super) days: Arc<Days>,
    today: NaiveDate,
    first_weekday: Weekday,
}

/// Which parts a selection needs.
#[derive(Default)]
struct Wanted {
    tasks: bool,
    reminders: bool,
    days: bool,
}

impl Wanted {
    fn by(field: SelectionField<'_>) -> Self {
        let mut wanted = Self::default();
        for field in field.selection_set() {
            match field.name() {
                "totals" => field.selection_set().for_each(|total| wanted.add(total.name())),
                name => wanted.add(name),
            }
        }
        wanted
    }

    fn add(&mut self, name: &str) {
        match name {
            "tasks" | "tasksByStatus" | "tasksByPriority" | "categories" | "completionRate" => self.tasks = true,
            "remindersUpcoming" | "remindersOverdue" => self.reminders = true,
            "remindersCompleted" | "daily" | "weekly" | "streak" | "series" => self.days = true,
            _ => {}
        }
    }
}

fn figures<'a>(ctx: &Context<'a>) -> &'a Figures {
    ctx.data_unchecked::<Arc<Figures>>()
}

impl Seen {
    /// Nothing yet.
    pub(super) fn of(user: User) -> Self {
        let (tasks, reminders, days) = Default::default();
        Self { user, tasks, reminders, days, series: Vec::new() }
    }

    /// Reads what the field that is being resolved has selected. What failed its own fields tell.
    pub(super) async fn read_selected(&mut self, ctx: &Context<'_>) {
        let wanted = Wanted::by(ctx.field());
        let tasks = async {
            if wanted.tasks {
                self.tasks(ctx).await.ok();
            }
        };
        let reminders = async {
            if wanted.reminders {
                self.reminders(ctx).await.ok();
            }
        };
        let days = async {
            if wanted.days {
                self.days(ctx).await.ok();
            }
        };
        tokio::join!(tasks, reminders, days);
        let Some(days) = self.in_memory().days else { return };
        let whole = ctx.field();
        let asked = whole.selection_set().filter(|field| field.name() == "series");
        let series: Vec<_> = asked
            .filter_map(|field| {
                let (from, to, by) = arguments(&field)?;
                let key = field.alias().unwrap_or(field.name()).to_owned();
                Some((key, days.series(from, to, by).ok()?))
            })
            .collect();
        self.series = series;
    }

    /// What is in memory.
    pub(super) fn in_memory(&self) -> Parts<'_> {
        Parts {
            tasks: self.tasks.get().and_then(|tasks| tasks.as_deref().ok()),
            reminders: self.reminders.get().and_then(|reminders| reminders.as_ref().ok()),
            days: self.days.get().and_then(|days| days.as_ref().ok()),
            series: &self.series,
        }
    }

    pub(super) async fn tasks(&self, ctx: &Context<'_>) -> Result<&Tasks, Fault> {
        let read = || figures(ctx).tasks(self.user.user_id);
        self.tasks.get_or_init(read).await.as_deref().map_err(Fault::clone)
    }

    pub(super) async fn reminders(&self, ctx: &Context<'_>) -> Result<Reminders, Fault> {
        self.reminders.get_or_init(|| figures(ctx).reminders(self.user.user_id)).await.clone()
    }

    pub(super) async fn days(&self, ctx: &Context<'_>) -> Result<&Dated, Fault> {
        let read = async || {
            let platform = ctx.data_unchecked::<Platform>();
            let person = self.user.row(ctx).await?;
            let zone = accounts::zone_of(platform, person);
            let today = calendar::local_day(platform.clock.now(), &zone);
            let first_weekday = person.locale.as_deref().map_or(Weekday::Mon, locale::first_weekday);
            Ok(Dated { days: figures(ctx).days(self.user.user_id, today).await?, today, first_weekday })
        };
        self.days.get_or_init(read).await.as_ref().map_err(Fault::clone)
    }
}

/// What a series was asked for. None: it does not fit, which its field tells.
fn arguments(field: &SelectionField<'_>) -> Option<(Date, Date, SeriesGranularity)> {
    let given = field.arguments().ok()?;
    let of = |name: &str| given.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    let day = |name| <Date as InputType>::parse(of(name)).ok();
    let by = match of("by") {
        Some(by) => <SeriesGranularity as InputType>::parse(Some(by)).ok()?,
        None => SeriesGranularity::default(),
    };
    Some((day("from")?, day("to")?, by))
}

impl Dated {
    pub(super) fn daily(&self) -> Vec<DayCount> {
        let shown = |day: Bucket| DayCount { date: Date(day.starts_on), completed: day.count };
        self.filled(buckets::daily(self.today, DAYS)).map(shown).collect()
    }

    pub(super) fn weekly(&self) -> Vec<WeekCount> {
        let shown = |week: Bucket| WeekCount { starts_on: Date(week.starts_on), completed: week.count };
        self.filled(buckets::weekly(self.today, WEEKS, self.first_weekday)).map(shown).collect()
    }

    /// # Errors
    /// BAD_REQUEST when the span ends before it begins, or has too many pieces.
    pub(super) fn series(&self, from: Date, to: Date, by: SeriesGranularity) -> Result<Vec<SeriesBucket>, Fault> {
        if from > to {
            return Err(Fault::BadRequest("`from` must not lie after `to`: give the earlier day as `from`.".into()));
        }
        let granularity = match by {
            SeriesGranularity::Day => Granularity::Day,
            SeriesGranularity::Week => Granularity::Week(self.first_weekday),
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
        Ok(self.filled(buckets).map(shown).collect())
    }

    fn filled(&self, mut buckets: Vec<Bucket>) -> impl Iterator<Item = Bucket> {
        let days = &self.days.days;
        let first = buckets.first().map_or(days.len(), |first| days.partition_point(|(day, _)| *day < first.from));
        buckets::fill(&mut buckets, days[first..].iter().copied());
        buckets.into_iter()
    }
}
