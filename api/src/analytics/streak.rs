//! Streaks: runs of consecutive local days on which something was completed.
//! Promise: one pass over the days, and a streak is not lost before the day after it has gone by.

use chrono::{Days, NaiveDate};

/// The active and the longest run of days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// Days in the run that ends today or yesterday; 0 when there is none.
    pub active: u32,
    /// Days in the longest run ever, the active one included; 0 when there are no days.
    pub longest: u32,
    /// The first day of the active run. None: there is no active run.
    pub started_on: Option<NaiveDate>,
    /// The last day of the active run. None: there is no active run.
    pub ends_on: Option<NaiveDate>,
}

/// Measures the runs in `days`, which are ascending (a day that is repeated counts once).
///
/// Days after `today` exist when the person has travelled west across the date line. A run that ends on one is active
/// too. When that leaves two runs active (today missing between them), the longer one is the active one, at equal
/// lengths the later one.
pub fn streak(days: impl IntoIterator<Item = NaiveDate>, today: NaiveDate) -> Streak {
    let yesterday = today.pred_opt().unwrap_or(today);
    // From UTC+14 to UTC-12 it is two days at most; beyond, a clock was wrong once.
    let latest = today.checked_add_days(Days::new(2)).unwrap_or(today);
    let mut streak = Streak::default();
    let mut run: Option<Run> = None;
    for day in days {
        let grown = Run::grow(run, day);
        run = Some(grown);
        streak.longest = streak.longest.max(grown.length);
        if (yesterday..=latest).contains(&day) && grown.length >= streak.active {
            streak.active = grown.length;
            streak.started_on = Some(grown.first);
            streak.ends_on = Some(grown.last);
        }
    }
    streak
}

/// Consecutive days, as far as they have been read.
#[derive(Clone, Copy)]
struct Run {
    first: NaiveDate,
    last: NaiveDate,
    length: u32,
}

impl Run {
    /// The run that `day` belongs to, given the run of the day before it in the list.
    fn grow(run: Option<Self>, day: NaiveDate) -> Self {
        match run {
            Some(run) if run.last == day => run,
            Some(run) if run.last.succ_opt() == Some(day) => Self { last: day, length: run.length + 1, ..run },
            _ => Self { first: day, last: day, length: 1 },
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("it is there")
    }

    /// name, days (a range is `from..to`), today, (active, longest), the active run's first and last day
    type Row = (&'static str, &'static str, &'static str, (u32, u32), Option<(&'static str, &'static str)>);

    #[rustfmt::skip]
    const CALENDARS: &[Row] = &[
        ("the example of the spec", "2026-12-01..2026-12-02 2026-12-04..2026-12-06", "2026-12-06", (3, 3), Some(("2026-12-04", "2026-12-06"))),
        ("no day at all", "", "2026-12-06", (0, 0), None),
        ("today only", "2026-12-06", "2026-12-06", (1, 1), Some(("2026-12-06", "2026-12-06"))),
        ("yesterday only", "2026-12-05", "2026-12-06", (1, 1), Some(("2026-12-05", "2026-12-05"))),
        ("the day before yesterday only", "2026-12-04", "2026-12-06", (0, 1), None),
        ("a single day long ago", "1999-12-31", "2026-12-06", (0, 1), None),
        ("a run that ends yesterday", "2026-12-01..2026-12-05", "2026-12-06", (5, 5), Some(("2026-12-01", "2026-12-05"))),
        ("a run that ended two days ago", "2026-12-01..2026-12-04", "2026-12-06", (0, 4), None),
        ("every second day", "2026-12-02 2026-12-04 2026-12-06", "2026-12-06", (1, 1), Some(("2026-12-06", "2026-12-06"))),
        ("every second day, yesterday the last", "2026-12-01 2026-12-03 2026-12-05", "2026-12-06", (1, 1), Some(("2026-12-05", "2026-12-05"))),
        ("the longest is the past one", "2026-11-01..2026-11-10 2026-12-05..2026-12-06", "2026-12-06", (2, 10), Some(("2026-12-05", "2026-12-06"))),
        ("the longest is the active one", "2026-11-01..2026-11-02 2026-12-01..2026-12-06", "2026-12-06", (6, 6), Some(("2026-12-01", "2026-12-06"))),
        ("two past runs of one length", "2026-11-01..2026-11-03 2026-11-05..2026-11-07", "2026-12-06", (0, 3), None),
        ("a gap of one day kills the earlier run", "2026-12-01..2026-12-03 2026-12-05", "2026-12-06", (1, 3), Some(("2026-12-05", "2026-12-05"))),
        ("leap day 2028 is a day", "2028-02-27..2028-03-01", "2028-03-01", (4, 4), Some(("2028-02-27", "2028-03-01"))),
        ("leap day 2028 left out", "2028-02-28 2028-03-01", "2028-03-01", (1, 1), Some(("2028-03-01", "2028-03-01"))),
        ("leap day 2028 is yesterday", "2028-02-29", "2028-03-01", (1, 1), Some(("2028-02-29", "2028-02-29"))),
        ("the end of a February of 28 days", "2027-02-27..2027-03-02", "2027-03-02", (4, 4), Some(("2027-02-27", "2027-03-02"))),
        ("2100 is no leap year", "2100-02-27..2100-03-01", "2100-03-01", (3, 3), Some(("2100-02-27", "2100-03-01"))),
        ("a month of 30 days", "2026-11-30 2026-12-01", "2026-12-01", (2, 2), Some(("2026-11-30", "2026-12-01"))),
        ("a month of 31 days, the 31st left out", "2026-10-30 2026-11-01", "2026-11-01", (1, 1), Some(("2026-11-01", "2026-11-01"))),
        ("over the end of the year", "2026-12-30..2027-01-02", "2027-01-02", (4, 4), Some(("2026-12-30", "2027-01-02"))),
        ("New Year's Eve, asked on New Year's Day", "2026-12-31", "2027-01-01", (1, 1), Some(("2026-12-31", "2026-12-31"))),
        ("all of ISO week 53 of 2026", "2026-12-28..2027-01-03", "2027-01-04", (7, 7), Some(("2026-12-28", "2027-01-03"))),
        ("both days on which Berlin changes its clocks, spring", "2027-03-27..2027-03-29", "2027-03-29", (3, 3), Some(("2027-03-27", "2027-03-29"))),
        ("both days on which Berlin changes its clocks, autumn", "2027-10-30..2027-11-01", "2027-11-01", (3, 3), Some(("2027-10-30", "2027-11-01"))),
        ("west over the date line: the day is lived twice", "2026-12-04..2026-12-06", "2026-12-05", (3, 3), Some(("2026-12-04", "2026-12-06"))),
        ("west over the date line, nothing done here yet", "2026-12-06", "2026-12-05", (1, 1), Some(("2026-12-06", "2026-12-06"))),
        ("west, today missing, the earlier run is longer", "2026-12-02..2026-12-04 2026-12-06", "2026-12-05", (3, 3), Some(("2026-12-02", "2026-12-04"))),
        ("west, today missing, both of one length", "2026-12-04 2026-12-06", "2026-12-05", (1, 1), Some(("2026-12-06", "2026-12-06"))),
        ("west, today missing, the later run is longer", "2026-12-04 2026-12-06..2026-12-07", "2026-12-05", (2, 2), Some(("2026-12-06", "2026-12-07"))),
        ("east over the date line: a day that was never lived", "2026-12-03..2026-12-04 2026-12-06", "2026-12-06", (1, 2), Some(("2026-12-06", "2026-12-06"))),
        ("east over the date line, the last day is now the day before yesterday", "2026-12-03..2026-12-04", "2026-12-06", (0, 2), None),
        ("Samoa, which had no 30 December 2011", "2011-12-28..2011-12-29 2011-12-31", "2011-12-31", (1, 2), Some(("2011-12-31", "2011-12-31"))),
        ("a repeated day counts once", "2026-12-05 2026-12-05 2026-12-06", "2026-12-06", (2, 2), Some(("2026-12-05", "2026-12-06"))),
        ("before the year 0", "-0001-12-31..0000-01-02", "0000-01-02", (3, 3), Some(("-0001-12-31", "0000-01-02"))),
        ("ten years unbroken", "2016-12-07..2026-12-06", "2026-12-06", (3_652, 3_652), Some(("2016-12-07", "2026-12-06"))),
        ("ten years unbroken until two days ago", "2016-12-05..2026-12-04", "2026-12-06", (0, 3_652), None),
    ];

    fn days(text: &str) -> Vec<NaiveDate> {
        let ranges = text.split_whitespace().map(|item| item.split_once("..").unwrap_or((item, item)));
        ranges.flat_map(|(from, to)| day(from).iter_days().take_while(move |each| *each <= day(to))).collect()
    }

    #[test]
    fn every_calendar_has_the_streak_that_was_counted_by_hand() {
        for (name, text, today, (active, longest), run) in CALENDARS {
            let (started_on, ends_on) = run.map(|(first, last)| (day(first), day(last))).unzip();
            let expected = Streak { active: *active, longest: *longest, started_on, ends_on };
            assert_eq!(streak(days(text), day(today)), expected, "{name}");
        }
    }

    #[test]
    fn the_first_and_the_last_day_there_is_are_no_trouble() {
        let first = streak([NaiveDate::MIN], NaiveDate::MIN);
        let last = streak([NaiveDate::MAX.pred_opt().expect("it is there"), NaiveDate::MAX], NaiveDate::MAX);
        assert_eq!((first.active, last.active, last.longest), (1, 2, 2));
    }
}
