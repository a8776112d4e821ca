//! Crash points: moments at which a fault run lets this process die, as a power cut would. Test only.
//! Promise: without the setting `CRASH_AT`, which production refuses, a point does nothing.
//!
//! The one thing here that is not handed in: what dies is the process, so a process has one of it.

use std::{
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Every point, in the order in which a reminder passes them.
pub const POINTS: [&str; 9] = [
    // Between two migrations: the next start finishes.
    "migration",
    // Jobs were claimed, and the claim is committed.
    "claim.after",
    // A job over which a worker vanished is being claimed, and nothing is committed.
    "reclaim",
    // A reminder's mail is about to be sent.
    "mail.before",
    // The mail server has taken it.
    "mail.after",
    // The transaction that ends jobs, with their effect, is about to be committed.
    "commit.before",
    // It is committed, and nobody was told.
    "commit.after",
    // The ledger says that a mail was sent, and that is committed.
    "mark.after",
    // A digest is written.
    "digest",
];

/// Where to die: at the n-th time that a point is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashAt {
    point: &'static str,
    nth: u32,
}

impl FromStr for CrashAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "the name of a crash point and a number from 1, like mail.after:1";
        let (name, nth) = text.split_once(':').ok_or(WRONG)?;
        let point = POINTS.into_iter().find(|point| *point == name).ok_or(WRONG)?;
        let nth = nth.parse().ok().filter(|nth| *nth > 0).ok_or(WRONG)?;
        Ok(Self { point, nth })
    }
}

static ARMED: OnceLock<(CrashAt, AtomicU32)> = OnceLock::new();

/// Lets this process die there.
pub fn arm(at: Option<&CrashAt>) {
    if let Some(at) = at {
        // Set before by another app of this process: that one is meant.
        let _ = ARMED.set((at.clone(), AtomicU32::new(0)));
    }
}

/// Dies here, when this is the point and the time that were asked for.
pub fn point(name: &'static str) {
    if let Some((at, reached)) = ARMED.get()
        && at.point == name
        && reached.fetch_add(1, Ordering::Relaxed) + 1 == at.nth
    {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_points_that_exist_can_be_asked_for() {
        assert_eq!("mail.after:2".parse(), Ok(CrashAt { point: "mail.after", nth: 2 }));
        for wrong in ["", "mail.after", "mail.after:0", "mail.after:x", "elsewhere:1"] {
            assert!(wrong.parse::<CrashAt>().is_err(), "{wrong}");
        }
    }
}
