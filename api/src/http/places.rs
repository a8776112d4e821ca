//! How much a person, or an address, may have open on this instance: sockets, and uploads that come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entity::UserId;

/// Who has a place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// Somebody who is logged in.
    Person(UserId),
    /// The network (see `Origin::network`) that nobody is logged in from.
    Network(String),
    /// The network of a socket whose client did not say yet who it is, for which it has little time: apart, so that
    /// those who stay as nobody keep nobody out who will be somebody.
    Arriving(String),
}

/// How many of a kind each has open on this instance.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<Holder, usize>>>);

/// Somebody's place; dropping it gives it back.
pub(super) struct Place {
    places: Places,
    holder: Holder,
}

impl Places {
    pub(super) fn take(&self, holder: Holder, limit: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(holder.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), holder })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.holder);
            }
        }
    }
}
