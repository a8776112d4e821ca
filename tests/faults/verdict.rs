//! What was acknowledged, and what came of it.
//! Promise: a mail that came again is excused only when its sender died, or was so slow that its lease ended (which only
//! a debug build may be), and had the same Message-ID.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};
use support::smtp::Taken;

use crate::ground::Ground;

/// The lease of the runs in which processes die: short, so that what they held is taken over soon.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// A reminder as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    pub(crate) kind: &'static str,
    pub(crate) at: DateTime<Utc>,
}

/// What was asked for, what was acknowledged, and who died.
#[derive(Default)]
pub(crate) struct Schedule {
    next: u64,
    pub(crate) acknowledged: BTreeMap<u64, Asked>,
    unanswered: BTreeMap<u64, Asked>,
    dead: BTreeSet<u32>,
    /// The first number and the first mail of what is judged next.
    since: (u64, usize),
}

impl Schedule {
    /// Everything to be asked for: what is new, and what was not answered before.
    pub(crate) fn ask(&mut self, moments: Vec<(&'static str, DateTime<Utc>)>) -> Vec<Asked> {
        for (kind, at) in moments {
            self.next += 1;
            self.unanswered.insert(self.next, Asked { number: self.next, kind, at });
        }
        self.unanswered.values().cloned().collect()
    }

    /// Whether something that was asked for was not answered.
    pub(crate) fn has_open_questions(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, number: u64, answer: &Json) {
        let told = &answer["data"]["reminderCreate"];
        if told["reminder"]["id"].is_string() {
            if let Some(asked) = self.unanswered.remove(&number) {
                self.acknowledged.insert(number, asked);
            }
        } else if told["userErrors"][0]["code"] == "IN_THE_PAST" {
            // Its moment passed before it could be made at all: it was never acknowledged.
            self.unanswered.remove(&number);
        }
    }

    /// A process died.
    pub(crate) fn died(&mut self, pid: u32) {
        self.dead.insert(pid);
    }
}

/// How a run ended.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) acknowledged: usize,
    lost: usize,
    twice: usize,
    unmailed: usize,
    repeated: usize,
    lapsed: usize,
    unexcused: usize,
    other_ids: usize,
    drifted: bool,
    /// How long it took from each mail to the next of the same reminder.
    pub(crate) again_after: Vec<Duration>,
}

impl Verdict {
    /// Whether every promise was kept.
    pub(crate) fn ok(&self) -> bool {
        let broken = self.lost + self.twice + self.unmailed + self.unexcused + self.other_ids;
        self.acknowledged > 0 && broken == 0 && !self.drifted
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, lost, twice, unmailed, repeated, lapsed, unexcused, other_ids, .. } = self;
        write!(
            f,
            "{acknowledged} reminders acknowledged: lost {lost}, twice in the app {twice}, not mailed {unmailed}, \
             mailed again {repeated} (after a lease that ended {lapsed}, without excuse {unexcused}, with another Message-ID {other_ids}), unread count {}",
            if self.drifted { "DRIFTED" } else { "right" }
        )
    }
}

impl Ground {
    /// Compares what was acknowledged since the last verdict with the app and the mails. `excused` says whether a mail
    /// may come again though its sender lives.
    pub(crate) async fn verdict(&mut self, excused: bool) -> Verdict {
        let client = self.client(0).expect("an instance runs");
        let app = crate::in_app(&client, &self.token).await;
        let unread = client.graphql(Some(&self.token), "{ viewer { unreadNotificationCount } }", json!({})).await;
        let unread = unread["data"]["viewer"]["unreadNotificationCount"].as_u64();
        let (from, from_mail) = self.schedule.since;
        let mut mails: BTreeMap<u64, Vec<Taken>> = BTreeMap::new();
        for mail in self.sink.mails(from_mail) {
            let number = crate::number_in(&mail.text).unwrap_or_else(|| panic!("whose mail is this: {}", mail.text));
            mails.entry(number).or_default().push(mail);
        }
        let mut verdict = Verdict { drifted: unread != Some(app.values().sum::<usize>() as u64), ..Verdict::default() };
        for (number, asked) in self.schedule.acknowledged.range(from + 1..) {
            verdict.acknowledged += 1;
            verdict.lost += usize::from(!app.contains_key(number));
            verdict.unmailed += usize::from(asked.kind != "PUSH" && !mails.contains_key(number));
        }
        verdict.twice = app.range(from + 1..).filter(|(_, count)| **count > 1).count();
        for copies in mails.values().filter(|copies| copies.len() > 1) {
            verdict.repeated += 1;
            let (last, before) = copies.split_last().expect("two at least");
            let lived = |copy: &Taken| copy.pid.is_none_or(|pid| !self.schedule.dead.contains(&pid));
            let gaps = copies.windows(2).filter(|pair| !excused && lived(&pair[0])).map(|pair| pair[1].at - pair[0].at);
            match gaps.min() {
                None => {}
                Some(gap) if gap >= LEASE && cfg!(debug_assertions) => verdict.lapsed += 1,
                Some(_) => verdict.unexcused += 1,
            }
            verdict.other_ids += usize::from(before.iter().any(|copy| copy.message_id != last.message_id));
            verdict.again_after.extend(copies.windows(2).map(|pair| pair[1].at - pair[0].at));
        }
        self.schedule.since = (self.schedule.next, self.sink.count());
        verdict
    }
}
