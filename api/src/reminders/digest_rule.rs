//! When the next morning digest is due.
//! Promise: no local day gets two digests whatever a person does to zone and hour, and as long as they leave both alone
//! every local day gets one. Whoever sends it settles the local day of that instant ([`settles`]), and asks again.

use chrono::NaiveDate;
use jiff::tz::TimeZone;

use crate::platform::{calendar, clock::Instant};

/// The next day that wants a digest and the instant at which it is due; one in the past is due at once.
///
/// `last` is the day that was settled last. Days that have gone by without one (the service was down, the person
/// travelled) are not made up for. None: `minute` is not one of a day's 1440, or the calendar has ended.
pub fn next(last: NaiveDate, now: Instant, zone: &TimeZone, minute: i32) -> Option<(NaiveDate, Instant)> {
    let today = calendar::local_day(now, zone);
    let day = if last < today { today } else { last.succ_opt()? };
    Some((day, calendar::at_minute(day, minute, zone)?))
}

/// The day that a digest settles which is sent now. None: it is settled already, send nothing.
pub fn settles(last: NaiveDate, now: Instant, zone: &TimeZone) -> Option<NaiveDate> {
    Some(calendar::local_day(now, zone)).filter(|today| last < *today)
}

/// What counts as settled for a new account, so that it never catches up: today if today's moment has come, else
/// yesterday.
pub fn first(now: Instant, zone: &TimeZone, minute: i32) -> NaiveDate {
    let today = calendar::local_day(now, zone);
    let ahead = calendar::at_minute(today, minute, zone).is_some_and(|at| now < at);
    if ahead { today.pred_opt().unwrap_or(today) } else { today }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a time")
    }

    fn at(text: &str) -> Instant {
        text.parse().expect("a time")
    }

    #[test]
    fn a_day_not_yet_settled_is_due_at_its_moment_even_when_that_has_passed() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let five = |last, now| next(day(last), at(now), &zone, 300).expect("a next one");
        let sixth = (day("2026-12-06"), at("2026-12-06T04:00:00Z"));
        assert_eq!(five("2026-12-05", "2026-12-06T03:00:00Z"), sixth, "later today");
        assert_eq!(five("2026-12-05", "2026-12-06T20:00:00Z"), sixth, "at once");
        assert_eq!(five("2026-11-01", "2026-12-06T20:00:00Z"), sixth, "at once, one for all that was missed");
        assert_eq!(five("2026-12-06", "2026-12-06T20:00:00Z"), (day("2026-12-07"), at("2026-12-07T04:00:00Z")));
        assert_eq!(five("2026-12-07", "2026-12-06T20:00:00Z"), (day("2026-12-08"), at("2026-12-08T04:00:00Z")), "west");
    }

    #[test]
    fn a_new_account_does_not_catch_up() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let five = |now| first(at(now), &zone, 300);
        assert_eq!(five("2026-12-06T03:59:59Z"), day("2026-12-05"));
        assert_eq!(five("2026-12-06T04:00:00Z"), day("2026-12-06"));
        assert_eq!(
            five("2026-12-06T23:30:00Z"),
            day("2026-12-06"),
            "it is 00:30 on the 7th there, whose moment lies ahead"
        );
    }

    #[test]
    fn a_settled_day_is_not_settled_again() {
        let settled = |last| settles(day(last), at("2026-12-06T12:00:00Z"), &TimeZone::UTC);
        assert_eq!(
            [settled("2026-12-05"), settled("2026-12-06"), settled("2026-12-07")],
            [Some(day("2026-12-06")), None, None]
        );
    }

    #[test]
    fn there_is_no_minute_1440() {
        let (now, zone) = (at("2026-12-06T12:00:00Z"), TimeZone::UTC);
        assert_eq!(next(day("2026-12-05"), now, &zone, 1_440), None);
        assert_eq!(first(now, &zone, 1_440), day("2026-12-06"));
        assert_eq!(next(NaiveDate::MAX, now, &zone, 300), None);
    }
}
