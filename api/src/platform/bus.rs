//! Hints between the parts of the system: that a person's stream has grown, that work is due, that a session ended.
//! Promise: a hint carries no data and may be lost; whoever waits for one also looks by itself now and then.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entity::{SessionId, UserId};
use tokio::sync::{Notify, broadcast, watch};

/// What happened, so that whoever waits looks at the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// This person's notifications changed.
    Notifications(UserId),
    /// A job of this kind was written down.
    Jobs(&'static str),
    /// This session ended.
    SessionEnded(SessionId),
}

/// Where hints go: within this process. (A shared one, for several instances, is another variant beside it.)
#[derive(Clone)]
pub enum Bus {
    /// Reaches everyone in this process.
    InProcess(Arc<InProcess>),
}

/// The in-process bus.
pub struct InProcess {
    people: Mutex<HashMap<UserId, watch::Sender<()>>>,
    jobs: Mutex<HashMap<&'static str, Arc<Notify>>>,
    sessions: broadcast::Sender<SessionId>,
}

impl Default for Bus {
    fn default() -> Self {
        Self::InProcess(Arc::new(InProcess {
            people: Mutex::default(),
            jobs: Mutex::default(),
            sessions: broadcast::Sender::new(1024),
        }))
    }
}

impl Bus {
    /// Passes a hint on. Never waits, never fails.
    pub fn publish(&self, hint: Hint) {
        let Self::InProcess(bus) = self;
        match hint {
            Hint::Notifications(user) => {
                if let Some(sender) = lock(&bus.people).get(&user) {
                    sender.send_replace(());
                }
            }
            Hint::Jobs(kind) => {
                if let Some(notify) = lock(&bus.jobs).get(kind) {
                    notify.notify_one();
                }
            }
            Hint::SessionEnded(session) => {
                // No receiver: nobody has anything open.
                let _ = bus.sessions.send(session);
            }
        }
    }

    /// Wakes whenever this person's notifications change, from now on.
    pub fn person(&self, user: UserId) -> PersonHints {
        let Self::InProcess(bus) = self;
        let receiver = lock(&bus.people).entry(user).or_insert_with(|| watch::Sender::new(())).subscribe();
        PersonHints { bus: bus.clone(), user, receiver }
    }

    /// Wakes whenever a job of this kind is written down.
    pub fn jobs(&self, kind: &'static str) -> Arc<Notify> {
        let Self::InProcess(bus) = self;
        lock(&bus.jobs).entry(kind).or_default().clone()
    }

    /// The sessions that end from now on.
    pub fn ended_sessions(&self) -> broadcast::Receiver<SessionId> {
        let Self::InProcess(bus) = self;
        bus.sessions.subscribe()
    }
}

/// Wakes for one person; dropping the last one forgets the person.
pub struct PersonHints {
    bus: Arc<InProcess>,
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
