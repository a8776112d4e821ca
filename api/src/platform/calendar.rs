//! Days and zones, by jiff and the tz database that is bundled with it (chrono-tz is older and wrong for several
//! zones today). Promise: a local time in a gap moves forward, one in an overlap means the first; none is skipped,
//! none happens twice.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use jiff::{Timestamp, civil, tz};

use super::clock::Instant;

/// The zone of this IANA name. None: there is no such zone, or it is not one of the tz database.
pub fn zone(name: &str) -> Option<tz::TimeZone> {
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
    let year = i16::try_from(day.year()).ok()?;
    let civil_day = civil::Date::new(year, day.month() as i8, day.day() as i8).ok()?;
    let next = civil_day.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    from_timestamp(next.timestamp()).map(|start| start - chrono::TimeDelta::microseconds(1))
}

/// How an instant is written for a person: `Sat, 21 Nov 2026, 09:00 (Europe/Berlin)`.
pub fn for_people(at: Instant, zone: &tz::TimeZone) -> String {
    let zoned = to_timestamp(at).to_zoned(zone.clone());
    let name = zone.iana_name().unwrap_or("UTC");
    format!("{} ({name})", zoned.strftime("%a, %-d %b %Y, %H:%M"))
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
