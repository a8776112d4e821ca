//! A breaker on a dead mail server: after some mails that did not reach it the others wait where they are.
//! Promise: while the server is away it is asked by one mail at a time and less and less often; the first that gets
//! through lets all the others go.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::platform::jobs::Pass;

/// The first wait; it doubles with every mail that does not get through.
const FIRST: Duration = Duration::from_secs(1);

/// What is known of the mail server.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Opens after so many in a row.
    after: u32,
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Mails in a row that did not get through; from the opening on, tries.
    missed: u32,
    /// Whether a try is on its way.
    trying: bool,
    /// When the next one may try.
    next_at: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(after: u32, longest: Duration) -> Self {
        Self { after: after.max(1), longest, state: Mutex::default() }
    }

    /// Whether mails may be begun. Whoever is told [`Pass::One`] has taken the place of the next try.
    pub(super) fn pass(&self, now: Instant) -> Pass {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(next_at) = state.next_at else { return Pass::All };
        if now < next_at {
            return Pass::NoneFor(next_at - now);
        }
        // Should whoever asked have nothing to send, another may try in a moment.
        state.next_at = Some(now + FIRST);
        state.trying = true;
        Pass::One
    }

    /// Whether mails wait.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next_at.is_some()
    }

    /// Hears whether the server answered, whatever it said.
    pub(super) fn learn(&self, answered: bool, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            if state.next_at.is_some() {
                tracing::info!("the mail server is back");
            }
            *state = State::default();
            return;
        }
        if state.next_at.is_some() && !std::mem::take(&mut state.trying) {
            // It was begun before, together with the others that showed that the server is away: that is known.
            return;
        }
        state.missed = state.missed.saturating_add(1);
        if let Some(over) = state.missed.checked_sub(self.after) {
            let wait = (FIRST * 2u32.pow(over.min(16))).min(self.longest);
            tracing::warn!(missed = state.missed, wait_s = wait.as_secs(), "the mail server is away: mails wait");
            state.next_at = Some(now + wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_server_is_asked_less_and_less_often_and_an_answer_opens_the_way() {
        let breaker = Breaker::new(2, Duration::from_secs(3));
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        breaker.learn(false, start);
        assert_eq!(breaker.pass(start), Pass::All, "one may be chance");
        breaker.learn(false, start);
        assert_eq!(breaker.pass(start), Pass::NoneFor(second));
        assert_eq!(breaker.pass(start + second), Pass::One);
        assert_eq!(breaker.pass(start + second), Pass::NoneFor(second), "one at a time");
        breaker.learn(false, start + second);
        assert_eq!(breaker.pass(start + second), Pass::NoneFor(second * 2));
        breaker.learn(false, start + second);
        assert_eq!(breaker.pass(start + second), Pass::NoneFor(second * 2), "what was begun before tells nothing new");
        assert_eq!(breaker.pass(start + second * 3), Pass::One);
        breaker.learn(false, start + second * 3);
        assert_eq!(breaker.pass(start + second * 3), Pass::NoneFor(second * 3), "never longer than the setting");
        assert_eq!(breaker.pass(start + second * 6), Pass::One);
        breaker.learn(true, start + second * 6);
        assert_eq!(breaker.pass(start + second * 6), Pass::All);
    }
}
