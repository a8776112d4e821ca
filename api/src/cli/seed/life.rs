//! The last months and the next weeks of an example person, as a plan: what happens at which moment. Pure.
//! Promise: the same dice make the same plan around now; nothing of it that is done lies ahead.

use std::collections::BTreeMap;

use chrono::{Days, NaiveTime, TimeDelta};

use super::{
    dice::Dice,
    words::{FIELDS, HABITS, SENTENCES},
};
use crate::{
    platform::clock::Instant,
    reminders::graphql::ReminderType,
    tasks::graphql::{TaskPriority, TaskStatus},
};

/// How many days lie behind.
const DAYS: i64 = 100;
/// How many days a habit goes back at most.
const HABIT_DAYS: i64 = 45;
/// How many of the last days its person kept it without a gap.
const UNBROKEN: i64 = 6;
/// How many days the newest notifications are unread.
const UNREAD_DAYS: i64 = 3;
/// When something is written down, falls due, and is done: hours of a day, in UTC.
const MORNING: u32 = 7;
const DUE: &[u32] = &[9, 13, 17];
const NOON: u32 = 13;
const EVENING: u32 = 19;

/// A task as it is written down.
pub(super) struct Planned {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) category: Option<&'static str>,
    pub(super) priority: TaskPriority,
    pub(super) due_at: Option<Instant>,
}

/// What happens at one moment.
#[derive(Default)]
pub(super) struct Moment {
    /// Tasks that are written down, by their numbers.
    pub(super) written: Vec<usize>,
    /// Reminders that are asked for: of a task, or of a habit by its number; and for when.
    pub(super) asked: Vec<(About, Instant, ReminderType)>,
    /// Tasks that come to another status.
    pub(super) moved: Vec<(usize, TaskStatus)>,
    /// Habits that are done, by their numbers.
    pub(super) kept: Vec<usize>,
    /// Whether everything is read.
    pub(super) reads: bool,
}

/// What a reminder is about.
#[derive(Clone, Copy)]
pub(super) enum About {
    /// A task, by its number.
    Task(usize),
    /// A habit's day, by its number, with what is done.
    Habit(usize, &'static str),
}

/// A plan.
pub(super) struct Life {
    pub(super) now: Instant,
    pub(super) tasks: Vec<Planned>,
    pub(super) moments: BTreeMap<Instant, Moment>,
}

impl Life {
    /// A life with so many tasks.
    pub(super) fn of(dice: &mut Dice, now: Instant, tasks: usize) -> Self {
        let mut life = Self { now, tasks: Vec::with_capacity(tasks), moments: BTreeMap::new() };
        life.at(life.day(-DAYS - 1, MORNING));
        for _ in 0..tasks {
            life.add_task(dice);
        }
        life.add_habit(dice, HABIT_DAYS.min(tasks as i64));
        for day in (-DAYS..=-UNREAD_DAYS).step_by(2) {
            life.at(life.day(day, EVENING)).reads = true;
        }
        life
    }

    fn day(&self, day: i64, hour: u32) -> Instant {
        let today = self.now.date_naive();
        let date = match u64::try_from(day) {
            Ok(ahead) => today.checked_add_days(Days::new(ahead)),
            Err(_) => today.checked_sub_days(Days::new(day.unsigned_abs())),
        };
        let time = NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
        date.unwrap_or(today).and_time(time).and_utc()
    }

    fn at(&mut self, at: Instant) -> &mut Moment {
        self.moments.entry(at).or_default()
    }

    fn add_task(&mut self, dice: &mut Dice) {
        let number = self.tasks.len();
        // More of late than long ago, none of today: its moments may lie ahead.
        let age = 1 + dice.below(DAYS) * dice.below(DAYS) / DAYS;
        let written_at = self.day(-age, MORNING);
        let is_done = dice.percent(55);
        let due_day = if is_done { -age + 1 + dice.below(14) } else { dice.below(40) - 10 };
        let hour = dice.one_of(DUE).unwrap_or(NOON);
        let due_at = dice.percent(80).then(|| self.day(due_day, hour)).filter(|due| *due > written_at);
        self.tasks.push(words(dice, due_at));
        self.at(written_at).written.push(number);
        if let Some(due) = due_at {
            self.remind(dice, number, written_at, due);
        }
        if is_done {
            // A day late now and then, and by yesterday at the latest.
            let done_day = (due_day + dice.below(3) - 1).max(-age + 1).min(-1);
            self.at(self.day(done_day, EVENING)).moved.push((number, TaskStatus::Completed));
        } else if dice.percent(30) {
            self.at(written_at).moved.push((number, TaskStatus::InProgress));
        }
    }

    /// Half of what is due is reminded of: at its moment, or a day before.
    fn remind(&mut self, dice: &mut Dice, number: usize, written_at: Instant, due: Instant) {
        // So that what falls due is told of at its own moment.
        let now = self.now;
        for told in [due - TimeDelta::days(1), due].into_iter().filter(|at| *at > written_at && *at <= now) {
            self.at(told);
        }
        if dice.percent(50) {
            let early = TimeDelta::days(dice.below(2));
            let at = if due - early > written_at { due - early } else { due };
            let kind = dice.one_of(&[ReminderType::Email, ReminderType::Email, ReminderType::Both, ReminderType::Push]);
            self.at(written_at).asked.push((About::Task(number), at, kind.unwrap_or_default()));
        }
    }

    /// Something that is done at noon, day after day, with gaps a while ago.
    fn add_habit(&mut self, dice: &mut Dice, days: i64) {
        let what = dice.one_of(HABITS).unwrap_or("Go for a walk");
        for day in -days..0 {
            if day < -UNBROKEN && dice.percent(20) {
                continue;
            }
            let number = usize::try_from(day + days).unwrap_or_default();
            let (asked_at, at) = (self.day(day, MORNING), self.day(day, NOON - 1));
            self.at(asked_at).asked.push((About::Habit(number, what), at, ReminderType::Push));
            self.at(at);
            self.at(self.day(day, NOON)).kept.push(number);
        }
    }
}

fn words(dice: &mut Dice, due_at: Option<Instant>) -> Planned {
    let (category, verbs, things) = dice.one_of(FIELDS).unwrap_or((None, &["Call"], &["grandmother"]));
    let (verb, thing) = (dice.one_of(verbs).unwrap_or("Call"), dice.one_of(things).unwrap_or("grandmother"));
    let sentences = dice.below(4);
    let description: Vec<&str> = (0..sentences).filter_map(|_| dice.one_of(SENTENCES)).collect();
    let priority = dice.one_of(&[TaskPriority::Low, TaskPriority::Medium, TaskPriority::Medium, TaskPriority::High]);
    Planned {
        title: format!("{verb} {thing}"),
        description: (!description.is_empty()).then(|| description.join(" ")),
        category,
        priority: priority.unwrap_or_default(),
        due_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        "2026-11-21T20:15:00Z".parse().expect("an instant")
    }

    #[test]
    fn nothing_that_is_done_lies_ahead_and_nothing_is_done_before_it_is_written_down() {
        for seed in 0..20 {
            let life = Life::of(&mut Dice::new(seed, 0), now(), 200);
            assert!(life.moments.keys().all(|at| *at < now()), "{:?}", life.moments.keys().next_back());
            let mut written = [false; 200];
            for (at, moment) in &life.moments {
                moment.written.iter().for_each(|number| written[*number] = true);
                assert!(moment.moved.iter().all(|(number, _)| written[*number]), "{at}");
                assert!(moment.asked.iter().all(|(_, of, _)| of > at), "{at}");
            }
            assert!(written.iter().all(|written| *written));
        }
    }

    #[test]
    fn there_is_something_of_everything() {
        let life = Life::of(&mut Dice::new(1, 0), now(), 40);
        let done =
            life.moments.values().flat_map(|moment| &moment.moved).filter(|(_, to)| *to == TaskStatus::Completed);
        assert!((10..35).contains(&done.count()));
        let ahead = life.moments.values().flat_map(|moment| &moment.asked).filter(|(_, at, _)| *at > now());
        assert!(ahead.count() > 0, "reminders lie ahead");
        assert!(
            life.tasks.iter().any(|task| task.due_at.is_none())
                && life.tasks.iter().any(|task| task.category.is_none())
        );
    }
}
