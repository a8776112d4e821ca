//! How many sockets a person may have open on this instance.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entity::UserId;

/// How many sockets each person has open on this instance.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<HashMap<UserId, usize>>>);

/// A person's place among the open sockets; dropping it gives it back.
pub(super) struct Place {
    sockets: Sockets,
    user: UserId,
}

impl Sockets {
    pub(super) fn take(&self, user: UserId, limit: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { sockets: self.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sockets.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}
