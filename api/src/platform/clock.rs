//! The one place that reads the time of day.
//! Promise: instants have microseconds, what both databases keep, so that a value read back equals the one written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::watch;

/// An instant in UTC, in whole microseconds.
pub type Instant = DateTime<Utc>;

/// A setting's span of time, for reckoning with instants. A thousand years at most: nobody means more, and instants end.
pub fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration.min(Duration::from_secs(1_000 * 366 * 86_400))).unwrap_or_default()
}

/// Tells the time. A test moves it; in production its offset is zero.
#[derive(Clone, Debug)]
pub struct Clock {
    offset_micros: Arc<AtomicI64>,
    moved: watch::Sender<()>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset_micros: Arc::default(), moved: watch::Sender::new(()) }
    }
}

impl Clock {
    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everyone else is handed")]
    pub fn now(&self) -> Instant {
        (Utc::now() + self.offset()).trunc_subsecs(6)
    }

    /// The moment so long from now.
    pub fn after(&self, wait: Duration) -> Instant {
        self.now() + span(wait)
    }

    /// How far this clock is from the machine's.
    pub fn offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.offset_micros.load(Ordering::Acquire))
    }

    /// Moves the clock on, and wakes everyone who sleeps until a moment.
    pub fn advance(&self, by: TimeDelta) {
        self.offset_micros.fetch_add(by.num_microseconds().unwrap_or(i64::MAX), Ordering::AcqRel);
        self.moved.send_replace(());
    }

    /// Sleeps for this long by this clock: moving it on shortens the sleep.
    pub async fn sleep(&self, duration: Duration) {
        let until = self.now() + span(duration);
        let mut moved = self.moved.subscribe();
        while let Ok(left) = (until - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = moved.changed() => {}
            }
        }
    }
}
