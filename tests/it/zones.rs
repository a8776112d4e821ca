//! jiff against Python's zoneinfo: what instant a local time means, what the clocks show at an instant.
//! Promise: nothing is passed over: with the newest tz database of PyPI there is no difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use chrono::NaiveDateTime;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use spacedly::platform::calendar;

/// The script's answer, with the newest tz database of PyPI.
fn zones_py(arguments: &[&str]) -> String {
    let script = support::process::root().join("tests/python/zones.py");
    let output =
        Command::new(support::s3::python("python3")).arg(script).args(arguments).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn zone(name: &str) -> TimeZone {
    calendar::zone(name).unwrap_or_else(|| panic!("{name}"))
}

fn instant_of(name: &str, local: &str) -> Timestamp {
    let format = if local.matches(':').count() == 1 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    let local = NaiveDateTime::parse_from_str(local, format).expect("a local time");
    let at = calendar::instant_of(local, &zone(name)).expect("in range");
    Timestamp::from_microsecond(at.timestamp_micros()).expect("in range")
}

/// Fails with all mismatches by zone.
fn none_left(pairs: usize, wrong: &BTreeMap<String, Vec<String>>) {
    let few = |lines: &Vec<String>| lines.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    let list: Vec<String> =
        wrong.iter().map(|(zone, lines)| format!("{zone} {}: {}", lines.len(), few(lines))).collect();
    assert!(list.is_empty(), "{} zones differ in {pairs} pairs:\n{}", list.len(), list.join("\n"));
}

fn compare(arguments: &[&str], differs: impl Fn(&str, &str, &str) -> Option<(Timestamp, String)>) {
    let text = zones_py(arguments);
    let mut wrong = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, given, expected] = fields[..] else { panic!("{line}") };
        if let Some((at, ours)) = differs(name, given, expected) {
            wrong.entry(name.to_owned()).or_default().push(format!("{line} but jiff {ours} ({at})"));
        }
    }
    assert_eq!(text.lines().count(), 10_000);
    none_left(10_000, &wrong);
}

/// `ZONES_SEED` draws other pairs.
fn seed() -> String {
    env::var("ZONES_SEED").unwrap_or_else(|_| "20261121".to_owned())
}

#[test]
fn ten_thousand_local_times_mean_the_same_instants_in_python() {
    compare(&[&seed(), "10000"], |name, local, utc| {
        let (ours, theirs): (_, Timestamp) = (instant_of(name, local), utc.parse().expect("an instant"));
        (ours != theirs).then(|| (ours.min(theirs), ours.to_string()))
    });
}

#[test]
fn ten_thousand_instants_are_the_same_local_times_in_python() {
    compare(&[&seed(), "10000", "reverse"], |name, utc, local| {
        let at: Timestamp = utc.parse().expect("an instant");
        let ours = zone(name).to_datetime(at);
        (ours != local.parse().expect("a local time")).then(|| (at, ours.to_string()))
    });
}

/// Every change of an offset from 1970 to 2037, as jiff knows it, in the script's form.
fn transitions(name: &str, first: Timestamp, last: Timestamp) -> Vec<String> {
    let zone = zone(name);
    let mut offset = zone.to_offset(first).seconds();
    let mut lines = vec![format!("{name},{first},{offset}")];
    for change in zone.following(first).take_while(|change| change.timestamp() < last) {
        if change.offset().seconds() != offset {
            offset = change.offset().seconds();
            lines.push(format!("{name},{},{offset}", change.timestamp()));
        }
    }
    lines
}

#[test]
fn every_transition_since_1970_is_the_same_in_python() {
    let instant = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let text = zones_py(&["--transitions"]);
    let about = zones_py(&["--about"]);
    let names: Vec<&str> = about.lines().skip(1).collect();
    let (first, last) = (instant("1970-01-01T00:00:00Z"), instant("2038-01-01T00:00:00Z"));
    let ours: BTreeSet<String> = names.iter().flat_map(|name| transitions(name, first, last)).collect();
    let theirs: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    assert!(theirs.len() > 30_000 && names.len() > 590, "{} {}", theirs.len(), names.len());
    let mut differ: Vec<&str> = ours.symmetric_difference(&theirs).filter_map(|line| line.split(',').next()).collect();
    differ.dedup();
    assert_eq!(differ, Vec::<&str>::new(), "Python has {:?}", about.lines().next());
}

/// When it fails, jiff has caught up: take the zone out of `calendar::NEWER`, and its file away.
#[test]
fn what_is_brought_along_is_newer_than_what_jiff_has() {
    let at = instant_of("America/Havana", "2026-12-01T12:00:00");
    let bundled = TimeZone::get("America/Havana").expect("a zone");
    assert_ne!(bundled.to_offset(at), zone("America/Havana").to_offset(at), "jiff knows it now");
}

#[test]
fn both_know_the_same_zones() {
    let text = zones_py(&["--about"]);
    let mut theirs: Vec<&str> = text.lines().skip(1).collect();
    let ours: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let mut ours: Vec<&str> = ours.iter().map(String::as_str).filter(|name| *name != "Factory").collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn the_cases_that_were_worked_out_by_hand_hold() {
    let text = include_str!("zones/time-cases.csv");
    let mut wrong = BTreeMap::<String, Vec<String>>::new();
    let mut cases = 0;
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.splitn(4, ',').collect();
        let [name, local, utc, _note] = fields[..] else { panic!("{line}") };
        let expected: DateTime = utc.trim_end_matches('Z').parse().expect("an instant");
        let expected = TimeZone::UTC.to_timestamp(expected).expect("in range");
        let found = instant_of(name, local);
        cases += 1;
        if found != expected {
            wrong.entry(name.to_owned()).or_default().push(format!("{line} but jiff {found}"));
        }
    }
    assert!(cases >= 39, "{cases}");
    none_left(cases, &wrong);
}
