//! The digest rule for people who change zone and hour at any moment, and for a service that is down at times.
//! Promise, checked on each of 10 000 walks of 30 days:
//! - no two digests have the same local date, and their dates ascend;
//! - each is sent on the local day that it settles, not before that day's moment in the zone and at the hour in force;
//! - a local day that was lived from end to end in one zone, the service being up, is settled by its end;
//! - at most 74 hours after the latest of digest, change of zone and end of a downtime comes the next digest, or another
//!   change before it (50 hours where the zone never changes);
//! - two are 22 to 26 hours apart if the first was sent on time and nothing happened between them.
//!
//! What does not hold, and cannot: a least time between two digests when settings change (05:00 in Pago Pago, then a
//! change to Kiritimati, where it is the next day and past five), nor a digest for every date (a day that was left
//! before its moment, for a zone in which it had ended).

use chrono::{NaiveDate, TimeDelta};
use jiff::tz::TimeZone;
use spacedly::{
    platform::{
        calendar::{self, at_minute as moment, local_day},
        clock::Instant,
    },
    reminders::digest_rule as digest,
};
use support::dice::Dice;

fn minute(dice: &mut Dice) -> i32 {
    match dice.roll(4) {
        0 => *dice.one(&[0, 1, 300, 1_380, 1_439]),
        _ => i32::try_from(dice.roll(1_440)).unwrap(),
    }
}

fn zone<'a>(dice: &mut Dice, zones: &'a [TimeZone], extreme: &'a [TimeZone]) -> &'a TimeZone {
    let from = if dice.roll(3) == 0 { extreme } else { zones };
    dice.one(from)
}

/// What may happen beside digests.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Events {
    zone: bool,
    minute: bool,
    down: bool,
}

/// One person's month.
struct Walk<'a> {
    events: Events,
    now: Instant,
    zone: &'a TimeZone,
    minute: i32,
    last: NaiveDate,
    /// The latest of digest, change of zone, end of a downtime.
    quiet_since: Instant,
    /// Since when the zone has been this one and the service up.
    steady_since: Instant,
    /// The digest before, if it was on time and nothing has happened since.
    on_time: Option<Instant>,
    sent: u32,
    least_apart: Option<(Instant, TimeDelta)>,
}

impl<'a> Walk<'a> {
    fn new(events: Events, now: Instant, zone: &'a TimeZone, minute: i32) -> Self {
        let last = digest::first(now, zone, minute);
        let since = now;
        let (on_time, least_apart) = (None, None);
        Self { events, now, zone, minute, last, quiet_since: since, steady_since: since, on_time, sent: 0, least_apart }
    }

    /// Sends what is due until `until`.
    fn live(&mut self, until: Instant) {
        loop {
            let (_, due) = digest::next(self.last, self.now, self.zone, self.minute).unwrap();
            let at = due.max(self.now);
            self.check_days_before(at.min(until));
            if at >= until {
                break;
            }
            self.send(due, at);
        }
        self.now = until;
    }

    fn send(&mut self, due: Instant, at: Instant) {
        let day = digest::settles(self.last, at, self.zone).expect("what is due is not settled");
        assert!(day > self.last, "dates ascend");
        assert!(moment(day, self.minute, self.zone).unwrap() <= at, "not before its moment");
        let most = if self.events.zone { 74 } else { 50 };
        assert!(at - self.quiet_since <= TimeDelta::hours(most), "{most} hours");
        if let Some(before) = self.on_time {
            assert!((TimeDelta::hours(22)..=TimeDelta::hours(26)).contains(&(at - before)), "about a day apart");
        }
        if let Some((before, least)) = self.least_apart {
            self.least_apart = Some((at, least.min(at - before)));
        } else {
            self.least_apart = Some((at, TimeDelta::MAX));
        }
        self.on_time = (due == at).then_some(at);
        (self.now, self.last, self.quiet_since, self.sent) = (at, day, at, self.sent + 1);
    }

    /// Every local day that began since the zone is this one, and has ended by `at`, is settled.
    fn check_days_before(&self, at: Instant) {
        let ended = local_day(at, self.zone).pred_opt().unwrap();
        let began = moment(ended, 0, self.zone).unwrap();
        assert!(began < self.steady_since || self.last >= ended, "{ended} has ended without, {:?}", self.zone);
    }

    /// Something happens: the hour changes, the zone changes, the service is down for a while.
    fn happen(&mut self, dice: &mut Dice, zones: &'a [TimeZone], extreme: &'a [TimeZone]) {
        let events = self.events;
        if events.zone && dice.roll(2) == 0 {
            self.zone = zone(dice, zones, extreme);
            (self.quiet_since, self.steady_since) = (self.now, self.now);
        }
        if events.minute && dice.roll(2) == 0 {
            self.minute = minute(dice);
        }
        if events.down && dice.roll(4) == 0 {
            self.now += TimeDelta::seconds(i64::try_from(dice.roll(3 * 86_400)).unwrap());
            (self.quiet_since, self.steady_since) = (self.now, self.now);
        }
        self.on_time = None;
    }
}

/// 2 500 walks of 30 days with these events; the digests sent, and the least time between two.
fn walks(seed: u64, events: Events) -> (u32, TimeDelta) {
    let names = jiff::tz::db().available().map(|name| name.to_string()).filter(|name| name != "Factory");
    let zones: Vec<TimeZone> = names.map(|name| calendar::zone(&name).unwrap()).collect();
    let extreme = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Etc/GMT+12", "America/Nuuk", "Pacific/Apia", "UTC"];
    let extreme = extreme.map(|name| calendar::zone(name).unwrap());
    let mut dice = Dice::new(seed);
    let year: Instant = "2026-11-21T00:00:00Z".parse().unwrap();
    let (mut sent, mut least) = (0, TimeDelta::MAX);
    for _ in 0..2_500 {
        let start = year + TimeDelta::seconds(i64::try_from(dice.roll(335 * 86_400)).unwrap());
        let end = start + TimeDelta::days(30);
        let mut walk = Walk::new(events, start, zone(&mut dice, &zones, &extreme), minute(&mut dice));
        let busy = *dice.one(&[3_600, 86_400, 3 * 86_400, 9 * 86_400]);
        while walk.now < end {
            let pause = TimeDelta::seconds(i64::try_from(1 + dice.roll(busy * 2)).unwrap());
            walk.live((walk.now + pause).min(end));
            walk.happen(&mut dice, &zones, &extreme);
        }
        sent += walk.sent;
        least = walk.least_apart.map_or(least, |(_, apart)| apart.min(least));
    }
    (sent, least)
}

#[test]
fn changes_of_zone_and_hour_never_bring_two_digests_for_one_date() {
    let (sent, least) = walks(1, Events { zone: true, minute: true, down: false });
    assert!(sent > 60_000, "{sent}");
    assert!(least < TimeDelta::hours(1), "two within {least} may happen, and did");
}

#[test]
fn changes_of_zone_alone_never_bring_two_digests_for_one_date() {
    let (sent, _) = walks(2, Events { zone: true, minute: false, down: false });
    assert!(sent > 60_000, "{sent}");
}

#[test]
fn changes_of_the_hour_alone_leave_one_digest_for_every_day() {
    let (sent, _) = walks(3, Events { zone: false, minute: true, down: false });
    assert!((2_500 * 29..=2_500 * 31).contains(&sent), "{sent}");
}

#[test]
fn a_service_that_is_down_at_times_sends_at_most_one_for_each_date_and_none_too_early() {
    let (sent, _) = walks(4, Events { zone: true, minute: true, down: true });
    assert!(sent > 40_000, "{sent}");
}
