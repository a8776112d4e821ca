//! The bus within this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use entity::{SessionId, UserId};
use tokio::sync::{Notify, broadcast, watch};

use super::Hint;
use crate::platform::cache::Generations;

/// How often whoever has a session open looks while the ends of sessions on other instances are not heard.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reaches everyone in this process.
pub struct Local {
    people: Mutex<HashMap<UserId, watch::Sender<()>>>,
    jobs: Mutex<HashMap<&'static str, Arc<Notify>>>,
    sessions: broadcast::Sender<Option<SessionId>>,
    pub(super) generations: Generations,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            people: Mutex::default(),
            jobs: Mutex::default(),
            sessions: broadcast::Sender::new(1024),
            generations: Generations::default(),
        }
    }
}

impl Local {
    pub(super) fn pass(&self, hint: Hint) {
        match hint {
            Hint::Person(user) => {
                if let Some(sender) = lock(&self.people).get(&user) {
                    sender.send_replace(());
                }
            }
            Hint::Jobs(kind) => self.pass_jobs(kind),
            Hint::SessionEnded(session) => {
                // No receiver: nobody has anything open.
                let _ = self.sessions.send(Some(session));
            }
            Hint::Figures(user) => self.generations.end(user),
        }
    }

    /// A kind of job that nobody here works on wakes nobody.
    pub(super) fn pass_jobs(&self, kind: &str) {
        if let Some(notify) = lock(&self.jobs).get(kind) {
            notify.notify_one();
        }
    }

    /// Hints were missed: everyone looks, and at sessions once more a moment later, when nobody believes any more what
    /// they knew before.
    pub(super) fn wake_all(self: &Arc<Self>) {
        self.generations.end_all();
        let local = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            if let Some(local) = local.upgrade() {
                local.look_at_sessions();
            }
        });
        for sender in lock(&self.people).values() {
            sender.send_replace(());
        }
        for notify in lock(&self.jobs).values() {
            notify.notify_one();
        }
        self.look_at_sessions();
    }

    /// The end of a session may have been missed: who has one open looks.
    pub(super) fn look_at_sessions(&self) {
        let _ = self.sessions.send(None);
    }

    /// Tells whoever has a session open to look every few seconds while the ends of sessions on other instances are not
    /// heard, for as long as this bus is there.
    pub(super) fn look_now_and_then(self: &Arc<Self>, deaf: impl Fn() -> bool + Send + 'static) {
        let local = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(local) = local.upgrade() {
                if deaf() {
                    local.look_at_sessions();
                }
                drop(local);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    pub(super) fn person(self: &Arc<Self>, user: UserId) -> PersonHints {
        let receiver = lock(&self.people).entry(user).or_insert_with(|| watch::Sender::new(())).subscribe();
        PersonHints { bus: self.clone(), user, receiver }
    }

    pub(super) fn jobs(&self, kind: &'static str) -> Arc<Notify> {
        lock(&self.jobs).entry(kind).or_default().clone()
    }

    pub(super) fn ended_sessions(&self) -> broadcast::Receiver<Option<SessionId>> {
        self.sessions.subscribe()
    }
}

/// Wakes for one person; dropping the last one forgets the person.
pub struct PersonHints {
    bus: Arc<Local>,
    user: UserId,
    receiver: watch::Receiver<()>,
}

impl PersonHints {
    /// Waits for the next change. One that came since the last wait is seen at once.
    pub async fn changed(&mut self) {
        // The sender lives in the bus that we hold: it cannot be gone.
        let _ = self.receiver.changed().await;
    }
}

impl Drop for PersonHints {
    fn drop(&mut self) {
        let mut people = lock(&self.bus.people);
        if people.get(&self.user).is_some_and(|sender| sender.receiver_count() <= 1) {
            people.remove(&self.user);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
