//! How much a person may have open on this instance: sockets, and uploads that come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entity::UserId;

/// How many of a kind each person has open on this instance.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<UserId, usize>>>);

/// A person's place; dropping it gives it back.
pub(super) struct Place {
    places: Places,
    user: UserId,
}

impl Places {
    pub(super) fn take(&self, user: UserId, limit: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}
