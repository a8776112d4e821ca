//! The names that are counted by themselves. Clients make names up, and a metric for each would fill our memory and that
//! of whoever keeps them.
//! Promise: there are never more names than the setting says, and who is not logged in cannot use them all up.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

/// Characters of a name that is counted by itself.
const LONGEST: usize = 64;

/// The names known so far.
pub(super) struct Names {
    most: usize,
    known: RwLock<HashSet<Arc<str>>>,
    other: Arc<str>,
    unnamed: Arc<str>,
}

impl Names {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, known: RwLock::default(), other: "other".into(), unnamed: "unnamed".into() }
    }

    /// Under which name this one is counted. `by_somebody`: whoever gives it is logged in.
    pub(super) fn of(&self, name: &str, by_somebody: bool) -> Arc<str> {
        if name.is_empty() {
            return self.unnamed.clone();
        }
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known.get(name) {
                return known.clone();
            }
            if name.len() > LONGEST || known.len() >= self.room(by_somebody) {
                return self.other.clone();
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Others may have come in between.
        if let Some(known) = known.get(name) {
            return known.clone();
        }
        if known.len() >= self.room(by_somebody) {
            return self.other.clone();
        }
        let name: Arc<str> = name.into();
        known.insert(name.clone());
        name
    }

    fn room(&self, by_somebody: bool) -> usize {
        if by_somebody { self.most } else { self.most.div_ceil(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_names_than_the_setting_says() {
        let names = Names::new(10);
        for number in 0..100 {
            names.of(&format!("Anonymous{number}"), false);
        }
        assert_eq!(&*names.of("Anonymous4", false), "Anonymous4");
        assert_eq!(&*names.of("Anonymous5", false), "other", "the other half is for who is logged in");
        for number in 0..5 {
            assert_eq!(&*names.of(&format!("Known{number}"), true), format!("Known{number}"));
        }
        assert_eq!(&*names.of("Known5", true), "other");
        assert_eq!(&*names.of("Known4", false), "Known4", "a name that is known is known to all");
        assert_eq!(&*names.of("", true), "unnamed");
        assert_eq!(&*Names::new(10).of(&"x".repeat(65), true), "other");
    }
}
