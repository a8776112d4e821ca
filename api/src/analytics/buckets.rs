//! Buckets: a span of local days cut into days, weeks or months, each with its count.
//! Promise: every day of the span lies in exactly one bucket, empty buckets are there, and there are at most 400.

use std::fmt;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

/// The most buckets that one answer may have.
pub const MOST: u64 = 400;

/// How a span is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// One bucket a day.
    Day,
    /// One bucket a calendar week, which begins on this day.
    Week(Weekday),
    /// One bucket a calendar month.
    Month,
}

/// One day, week or month, as far as it lies in the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The day, or the first day of the calendar week or month; it may lie before the span.
    pub starts_on: NaiveDate,
    /// The first day that is counted: `starts_on`, or the first of the span.
    pub from: NaiveDate,
    /// The last day that is counted.
    pub to: NaiveDate,
    /// What was counted on the days `from` to `to`.
    pub count: u32,
}

/// A span that would need more than [`MOST`] buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many it would need.
    pub wanted: u64,
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} buckets, at most {MOST}", self.wanted)
    }
}

impl std::error::Error for TooMany {}

/// The empty buckets of the span from the one day to the other, both included. None when it ends before it begins.
///
/// # Errors
/// When there would be more than [`MOST`].
pub fn between(from: NaiveDate, to: NaiveDate, granularity: Granularity) -> Result<Vec<Bucket>, TooMany> {
    let wanted = how_many(from, to, granularity);
    if wanted > MOST {
        return Err(TooMany { wanted });
    }
    let starts = std::iter::successors(Some(start_of(from, granularity)), |start| after(*start, granularity));
    let cut = |starts_on: NaiveDate| {
        let last = after(starts_on, granularity).and_then(|next| next.pred_opt()).unwrap_or(to);
        Bucket { starts_on, from: starts_on.max(from), to: last.min(to), count: 0 }
    };
    Ok(starts.take_while(|start| from <= to && *start <= to).map(cut).collect())
}

/// The empty buckets of the last days, today included; at most [`MOST`].
#[must_use]
pub fn daily(today: NaiveDate, days: u16) -> Vec<Bucket> {
    let back = u64::from(days).min(MOST).checked_sub(1).and_then(|back| today.checked_sub_days(Days::new(back)));
    back.and_then(|from| between(from, today, Granularity::Day).ok()).unwrap_or_default()
}

/// The empty buckets of the last calendar weeks, the current one included to its end; at most [`MOST`].
#[must_use]
pub fn weekly(today: NaiveDate, weeks: u16, first_weekday: Weekday) -> Vec<Bucket> {
    let week = Granularity::Week(first_weekday);
    let current = start_of(today, week);
    let end = after(current, week).and_then(|next| next.pred_opt()).unwrap_or(today);
    let back = u64::from(weeks).min(MOST).checked_sub(1);
    let from = back.and_then(|back| current.checked_sub_days(Days::new(7 * back)));
    from.and_then(|from| between(from, end, week).ok()).unwrap_or_default()
}

/// Adds counts to the buckets of their days. Both are ascending; a day outside the span is passed over.
pub fn fill(buckets: &mut [Bucket], counts: impl IntoIterator<Item = (NaiveDate, u32)>) {
    let mut rest = buckets.iter_mut().peekable();
    for (day, count) in counts {
        while rest.next_if(|bucket| bucket.to < day).is_some() {}
        let Some(bucket) = rest.peek_mut() else { return };
        if bucket.from <= day {
            bucket.count = bucket.count.saturating_add(count);
        }
    }
}

/// The first day of the bucket that this day lies in.
#[must_use]
pub fn start_of(day: NaiveDate, granularity: Granularity) -> NaiveDate {
    let start = match granularity {
        Granularity::Day => Some(day),
        Granularity::Week(first) => day.checked_sub_days(Days::new(day.weekday().days_since(first).into())),
        Granularity::Month => day.with_day(1),
    };
    start.unwrap_or(day)
}

/// The start of the bucket after the one that starts on this day. None: the calendar has ended.
fn after(start: NaiveDate, granularity: Granularity) -> Option<NaiveDate> {
    match granularity {
        Granularity::Day => start.succ_opt(),
        Granularity::Week(_) => start.checked_add_days(Days::new(7)),
        Granularity::Month => start.checked_add_months(Months::new(1)),
    }
}

fn how_many(from: NaiveDate, to: NaiveDate, granularity: Granularity) -> u64 {
    let (first, last) = (start_of(from, granularity), start_of(to, granularity));
    let months = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
    let steps = match granularity {
        Granularity::Day => (last - first).num_days(),
        Granularity::Week(_) => (last - first).num_days() / 7,
        Granularity::Month => months(last) - months(first),
    };
    if from > to { 0 } else { u64::try_from(steps + 1).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::{Granularity::*, *};

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("it is there")
    }

    const MON: Granularity = Week(Weekday::Mon);
    const SUN: Granularity = Week(Weekday::Sun);
    const SAT: Granularity = Week(Weekday::Sat);
    const FRI: Granularity = Week(Weekday::Fri);

    /// name, from, to, granularity, starts, and the last day counted
    type Row = (&'static str, &'static str, &'static str, Granularity, &'static str, &'static str);

    #[rustfmt::skip]
    const SPANS: &[Row] = &[
        ("one day", "2026-12-06", "2026-12-06", Day, "2026-12-06", "2026-12-06"),
        ("days over leap day 2028", "2028-02-28", "2028-03-01", Day, "2028-02-28 2028-02-29 2028-03-01", "2028-03-01"),
        ("days over a plain February", "2027-02-27", "2027-03-01", Day, "2027-02-27 2027-02-28 2027-03-01", "2027-03-01"),
        ("days over the end of the year", "2026-12-31", "2027-01-01", Day, "2026-12-31 2027-01-01", "2027-01-01"),
        ("days over the day on which clocks change", "2027-03-27", "2027-03-29", Day, "2027-03-27 2027-03-28 2027-03-29", "2027-03-29"),
        ("a week from Monday", "2026-11-30", "2026-12-06", MON, "2026-11-30", "2026-12-06"),
        ("the same days, weeks from Sunday", "2026-11-30", "2026-12-06", SUN, "2026-11-29 2026-12-06", "2026-12-06"),
        ("the same days, weeks from Saturday", "2026-11-30", "2026-12-06", SAT, "2026-11-28 2026-12-05", "2026-12-06"),
        ("the same days, weeks from Friday", "2026-11-30", "2026-12-06", FRI, "2026-11-27 2026-12-04", "2026-12-06"),
        ("ISO week 53 of 2026 belongs to both years", "2026-12-27", "2027-01-04", MON, "2026-12-21 2026-12-28 2027-01-04", "2027-01-04"),
        ("weeks from Sunday over the end of the year", "2026-12-27", "2027-01-04", SUN, "2026-12-27 2027-01-03", "2027-01-04"),
        ("a year without a week 53", "2027-12-31", "2028-01-03", MON, "2027-12-27 2028-01-03", "2028-01-03"),
        ("a week with leap day 2028", "2028-02-29", "2028-02-29", MON, "2028-02-28", "2028-02-29"),
        ("one day as a month", "2026-12-06", "2026-12-06", Month, "2026-12-01", "2026-12-06"),
        ("months of 28, 31, 30 and 31 days", "2027-02-28", "2027-05-31", Month, "2027-02-01 2027-03-01 2027-04-01 2027-05-01", "2027-05-31"),
        ("a month of 29 days", "2028-01-31", "2028-03-01", Month, "2028-01-01 2028-02-01 2028-03-01", "2028-03-01"),
        ("months over the end of the year", "2026-12-31", "2027-01-01", Month, "2026-12-01 2027-01-01", "2027-01-01"),
        ("a span that ends before it begins", "2026-12-07", "2026-12-06", Day, "", ""),
        ("the same within one week", "2026-12-03", "2026-12-02", MON, "", ""),
        ("the same within one month", "2026-12-03", "2026-12-02", Month, "", ""),
    ];

    #[test]
    fn every_span_is_cut_as_by_hand() {
        for (name, from, to, granularity, starts, last) in SPANS {
            let buckets = between(day(from), day(to), *granularity).expect("it is there");
            let found: Vec<String> = buckets.iter().map(|bucket| bucket.starts_on.to_string()).collect();
            assert_eq!(found.join(" "), *starts, "{name}");
            assert_eq!(buckets.last().map(|bucket| bucket.to.to_string()).unwrap_or_default(), *last, "{name}");
            assert_eq!(
                u64::try_from(found.len()).expect("it is there"),
                how_many(day(from), day(to), *granularity),
                "{name}"
            );
        }
    }

    #[test]
    fn each_day_of_a_span_is_counted_in_exactly_one_bucket() {
        for granularity in [Day, MON, SUN, SAT, FRI, Month] {
            for (offset, length) in (0..60).flat_map(|offset| [1, 6, 7, 8, 31, 60, 366].map(|length| (offset, length)))
            {
                let from = day("2027-12-01") + Days::new(offset);
                let days: Vec<NaiveDate> = from.iter_days().take(length).collect();
                let Ok(mut buckets) = between(from, days[length - 1], granularity) else { continue };
                fill(&mut buckets, days.iter().map(|day| (*day, 1)));
                let counted: Vec<NaiveDate> =
                    buckets.iter().flat_map(|each| each.from.iter_days().take_while(|day| *day <= each.to)).collect();
                assert_eq!(counted, days);
                assert!(buckets.iter().all(|each| i64::from(each.count) == (each.to - each.from).num_days() + 1));
                assert!(buckets.iter().all(|each| start_of(each.to, granularity) == each.starts_on));
            }
        }
    }

    #[test]
    fn four_hundred_are_allowed_and_the_error_says_how_many_it_would_be() {
        let from = day("2026-01-01");
        let wanted = |to: NaiveDate, granularity| match between(from, to, granularity) {
            Ok(buckets) => u64::try_from(buckets.len()).expect("it is there"),
            Err(TooMany { wanted }) => wanted,
        };
        assert!(between(from, from + Days::new(399), Day).is_ok());
        assert_eq!(between(from, from + Days::new(400), Day), Err(TooMany { wanted: 401 }));
        assert_eq!(between(from, from + Days::new(2_796), MON).map(|buckets| buckets.len()), Ok(400));
        assert_eq!(wanted(from + Days::new(2_797 + 3), MON), 401);
        assert_eq!(wanted(from + Months::new(399), Month), 400);
        assert_eq!(wanted(from + Months::new(400), Month), 401);
        assert_eq!(TooMany { wanted: 401 }.to_string(), "401 buckets, at most 400");
        assert!(between(NaiveDate::MIN, NaiveDate::MAX, Month).is_err_and(|error| error.wanted > 6_000_000));
    }

    #[test]
    fn the_last_seven_days_end_today() {
        let buckets = daily(day("2028-03-02"), 7);
        let starts: Vec<String> = buckets.iter().map(|bucket| bucket.starts_on.to_string()).collect();
        assert_eq!(starts.join(" "), "2028-02-25 2028-02-26 2028-02-27 2028-02-28 2028-02-29 2028-03-01 2028-03-02");
        assert_eq!((daily(day("2028-03-02"), 0).len(), daily(day("2028-03-02"), u16::MAX).len()), (0, 400));
    }

    #[test]
    fn the_last_four_weeks_are_calendar_weeks_with_the_current_one_whole() {
        let starts = |today: &str, first| -> Vec<String> {
            weekly(day(today), 4, first).iter().map(|bucket| format!("{}..{}", bucket.from, bucket.to)).collect()
        };
        let monday =
            ["2026-12-14..2026-12-20", "2026-12-21..2026-12-27", "2026-12-28..2027-01-03", "2027-01-04..2027-01-10"];
        assert_eq!(starts("2027-01-04", Weekday::Mon), monday);
        assert_eq!(starts("2027-01-10", Weekday::Mon), monday);
        assert_eq!(starts("2027-01-10", Weekday::Sun)[3], "2027-01-10..2027-01-16");
        assert_eq!(starts("2027-01-10", Weekday::Sat)[3], "2027-01-09..2027-01-15");
        assert!(weekly(day("2027-01-10"), 0, Weekday::Mon).is_empty());
    }

    #[test]
    fn counts_fall_into_their_buckets_and_others_are_passed_over() {
        let mut buckets = between(day("2026-12-02"), day("2026-12-15"), MON).expect("it is there");
        let counts = [("2026-12-01", 9), ("2026-12-02", 1), ("2026-12-06", 2), ("2026-12-15", 4), ("2026-12-16", 9)];
        fill(&mut buckets, counts.map(|(on, count)| (day(on), count)));
        assert_eq!(buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [3, 0, 4]);
        fill(&mut [], [(day("2026-12-02"), 1)]);
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_trouble() {
        assert_eq!(daily(NaiveDate::MIN, 7), []);
        assert_eq!(weekly(NaiveDate::MIN, 4, Weekday::Mon), []);
        for granularity in [Day, MON, SUN, Month] {
            assert_eq!(between(NaiveDate::MIN, NaiveDate::MIN, granularity).expect("it is there").len(), 1);
            assert_eq!(between(NaiveDate::MAX, NaiveDate::MAX, granularity).expect("it is there").len(), 1);
        }
    }
}
