//! The proof of the digest rule: every zone of the bundled tz database, every hour, a year day by day.
//! Promise: in each of them every local day that exists gets exactly one digest, on that day and at its moment.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant as Stopwatch},
};

use chrono::{NaiveDate, TimeDelta};
use jiff::{civil, tz::TimeZone};
use spacedly::{
    platform::{
        calendar::{self, at_minute as moment, local_day},
        clock::Instant,
    },
    reminders::digest_rule as digest,
};

/// Every zone but `Factory`, which marks a machine that was never set up.
fn zones() -> Vec<(String, TimeZone)> {
    let names = jiff::tz::db().available().map(|name| name.to_string()).filter(|name| name != "Factory");
    names.map(|name| (name.clone(), calendar::zone(&name).unwrap())).collect()
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// One zone for each set of zones whose clocks agree from a week before `start` to a week after `end`, which is all that
/// a simulation of that time can see.
fn distinct(zones: Vec<(String, TimeZone)>, start: Instant, end: Instant) -> Vec<(String, TimeZone)> {
    let stamp = |at: Instant| at.to_rfc3339().parse::<jiff::Timestamp>().unwrap();
    let (first, last) = (stamp(start - TimeDelta::days(7)), stamp(end + TimeDelta::days(7)));
    let mut by_clocks = BTreeMap::new();
    for (name, zone) in zones {
        let changes = zone.following(first).take_while(|change| change.timestamp() < last);
        let changes: Vec<_> = changes.map(|change| (change.timestamp(), change.offset())).collect();
        by_clocks.entry((zone.to_offset(first), changes)).or_insert((name, zone));
    }
    by_clocks.into_values().collect()
}

fn exists(day: NaiveDate, zone: &TimeZone) -> bool {
    [0, 720, 1_439].iter().any(|minute| moment(day, *minute, zone).is_some_and(|at| local_day(at, zone) == day))
}

/// Fires at each due instant from `start` to `end`; returns the digests with their days, having checked each.
fn year(name: &str, zone: &TimeZone, minute: i32, start: Instant, end: Instant) -> Vec<(NaiveDate, Instant)> {
    let (mut now, mut last) = (start, digest::first(start, zone, minute));
    let mut sent = Vec::with_capacity(370);
    loop {
        let (day, due) = digest::next(last, now, zone, minute).unwrap();
        assert!(due > now, "{name} {minute}: {day} is due in the past, nothing was missed");
        if due >= end {
            break;
        }
        now = due;
        let again = digest::next(last, now, zone, minute).unwrap();
        assert_eq!(again.1, due, "{name} {minute}: asked again when due");
        let settled = digest::settles(last, now, zone).unwrap();
        assert_eq!(again.0, settled, "{name} {minute}");
        assert!(settled == day || !exists(day, zone), "{name} {minute}: {day} was settled as {settled}");
        let passed_over = last.iter_days().skip(1).take_while(|each| *each < settled);
        assert_eq!(passed_over.filter(|each| exists(*each, zone)).last(), None, "{name} {minute}: lost");
        last = settled;
        sent.push((settled, now));
    }
    assert!(last >= local_day(end, zone).pred_opt().unwrap(), "{name} {minute}: ends with {last}");
    sent
}

#[test]
fn every_zone_and_hour_has_one_digest_for_each_day_of_a_year() {
    let stopwatch = Stopwatch::now();
    let (start, end) = (at("2026-11-21T00:00:00Z"), at("2027-11-21T00:00:00Z"));
    let (mut years, mut digests) = (0, 0);
    let all = zones();
    assert!(all.len() > 590, "{}", all.len());
    for (name, zone) in distinct(all, start, end) {
        for hour in 0..24 {
            let sent = year(&name, &zone, hour * 60, start, end);
            let apart = sent.windows(2).map(|pair| pair[1].1 - pair[0].1);
            let day = TimeDelta::hours(22)..=TimeDelta::hours(26);
            assert!(apart.into_iter().all(|apart| day.contains(&apart)), "{name} {hour}");
            assert!((364..=366).contains(&sent.len()), "{name} {hour}: {}", sent.len());
            (years, digests) = (years + 1, digests + sent.len());
        }
    }
    assert!(years > 60 * 24 && digests > years * 364, "{years} {digests}");
    assert!(stopwatch.elapsed() < Duration::from_secs(120), "{years} {digests} {:?}", stopwatch.elapsed());
}

#[test]
fn the_same_holds_at_odd_minutes_and_in_the_strangest_years_since_1970() {
    for (name, start, end) in [
        ("Pacific/Apia", "2011-06-01T00:00:00Z", "2012-06-01T00:00:00Z"), // no 30 December 2011
        ("Pacific/Fakaofo", "2011-06-01T00:00:00Z", "2012-06-01T00:00:00Z"), // the same
        ("Pacific/Kwajalein", "1993-02-01T00:00:00Z", "1994-02-01T00:00:00Z"), // no 21 August 1993
        ("Pacific/Kiritimati", "1994-06-01T00:00:00Z", "1995-06-01T00:00:00Z"), // no 31 December 1994
        ("Pacific/Kanton", "1994-06-01T00:00:00Z", "1995-06-01T00:00:00Z"), // the same
        ("America/St_Johns", "2006-01-01T00:00:00Z", "2007-01-01T00:00:00Z"), // 00:01 is followed by 23:01
        ("America/St_Johns", "1988-01-01T00:00:00Z", "1989-01-01T00:00:00Z"), // two hours of summer time
        ("America/Caracas", "2007-06-01T00:00:00Z", "2008-06-01T00:00:00Z"), // half an hour back
        ("Asia/Pyongyang", "2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"), // 23:30 is followed by 00:00
        ("Africa/Monrovia", "1971-06-01T00:00:00Z", "1972-06-01T00:00:00Z"), // 44 minutes and 30 seconds
        ("Antarctica/Casey", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"), // 00:01 is followed by 03:01
        ("Antarctica/Troll", "2026-11-21T00:00:00Z", "2027-11-21T00:00:00Z"), // two hours of summer time
        ("America/Nuuk", "2026-11-21T00:00:00Z", "2027-11-21T00:00:00Z"), // 23:00 is followed by 00:00
        ("America/Scoresbysund", "2026-11-21T00:00:00Z", "2027-11-21T00:00:00Z"), // the same
        ("Australia/Lord_Howe", "2026-11-21T00:00:00Z", "2027-11-21T00:00:00Z"), // half an hour of summer time
    ] {
        let zone = calendar::zone(name).unwrap();
        for minute in (0..1_440).step_by(7).chain([1, 59, 60, 1_379, 1_380, 1_381, 1_439]) {
            let sent = year(name, &zone, minute, at(start), at(end));
            assert!((363..=367).contains(&sent.len()), "{name} {minute}: {}", sent.len());
        }
    }
}

/// Why `calendar::moment` moves back where forward would be the next day: the plain rule loses that day.
#[test]
fn always_forward_would_lose_a_day_in_greenland() {
    let (start, end) = (at("2026-11-21T00:00:00Z"), at("2027-11-21T00:00:00Z"));
    let forward = |day: NaiveDate, hour, zone: &TimeZone| -> Instant {
        let day: civil::Date = day.to_string().parse().unwrap();
        zone.to_timestamp(day.at(hour, 0, 0, 0)).unwrap().to_string().parse().unwrap()
    };
    let mut lost = Vec::new();
    for (name, zone) in zones() {
        // Only where a gap reaches the end of a day can forward be the next day.
        let changes = zone.following(start.to_rfc3339().parse().unwrap());
        let until: jiff::Timestamp = end.to_rfc3339().parse().unwrap();
        for change in changes.take_while(|change| change.timestamp() < until) {
            let before: Instant =
                (change.timestamp() - jiff::SignedDuration::from_micros(1)).to_string().parse().unwrap();
            let day = local_day(before, &zone);
            let gone = (0..24).filter(|hour| local_day(forward(day, *hour, &zone), &zone) > day);
            lost.extend(gone.map(|hour| format!("{name} {day} {hour}:00")));
        }
    }
    assert_eq!(
        lost,
        ["America/Godthab 2027-03-27 23:00", "America/Nuuk 2027-03-27 23:00", "America/Scoresbysund 2027-03-27 23:00"]
    );
}
