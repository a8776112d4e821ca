//! Hints between the parts of the system: that a person's stream has grown, that work is due, that a session ended, that
//! what is counted of a person is another number now.
//! Promise: a hint carries no data and may be lost; whoever waits for one also looks by itself now and then.

mod local;
mod shared;

use std::sync::Arc;

use entity::{SessionId, UserId};
use tokio::sync::{Notify, broadcast};

pub use self::local::PersonHints;
use self::{local::Local, shared::Shared};
use super::{cache::Generations, config::Config, random::Random};

/// What happened, so that whoever waits looks at the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Something of this person that can be followed live has changed.
    Person(UserId),
    /// A job of this kind was written down.
    Jobs(&'static str),
    /// This session ended.
    SessionEnded(SessionId),
    /// What is counted of this person has changed: what is kept of it is not true any more.
    Figures(UserId),
}

/// Where hints go. Cheap to clone.
#[derive(Clone)]
pub enum Bus {
    /// To everyone in this process.
    InProcess {
        local: Arc<Local>,
        /// Whether there are no other instances: SQLite serves one process.
        alone: bool,
    },
    /// To everyone in this process at once, and to other instances through Redis.
    Redis(Arc<Shared>),
}

impl Bus {
    /// By the configuration: Redis when it is set, else this process.
    ///
    /// # Errors
    /// When REDIS_URL is no address; in words for an operator. A Redis that is away is waited for.
    pub fn from_config(config: &Config, random: &Random) -> Result<Self, String> {
        match &config.shared.redis_url {
            None => {
                let local = Arc::<Local>::default();
                // There may be other instances, which are not heard: who has a session open looks now and then.
                let alone = !config.database.is_postgres();
                if !alone {
                    local.look_now_and_then(|| true);
                }
                Ok(Self::InProcess { local, alone })
            }
            Some(url) => Ok(Self::Redis(Arc::new(Shared::new(url, &config.shared.redis_prefix, random)?))),
        }
    }

    fn local(&self) -> &Arc<Local> {
        match self {
            Self::InProcess { local, .. } => local,
            Self::Redis(shared) => &shared.local,
        }
    }

    /// Passes a hint on. Never waits, never fails.
    pub fn publish(&self, hint: Hint) {
        self.local().pass(hint);
        if let Self::Redis(shared) = self {
            shared.send(hint);
        }
    }

    /// Whether hints of other instances are heard now. While they are not, whoever must know soon looks by itself.
    pub fn is_healthy(&self) -> bool {
        match self {
            Self::InProcess { .. } => true,
            Self::Redis(shared) => shared.is_healthy(),
        }
    }

    /// Whether a change on any instance is heard here now: there are no others, or their hints come through.
    pub fn hears_all(&self) -> bool {
        match self {
            Self::InProcess { alone, .. } => *alone,
            Self::Redis(shared) => shared.is_healthy(),
        }
    }

    /// Waits until what was published has left this process, which is about to end; not for long. False: it has not.
    pub async fn flush(&self) -> bool {
        match self {
            Self::InProcess { .. } => true,
            Self::Redis(shared) => shared.flush().await,
        }
    }

    /// Which figures of a person are of today: a hint makes those from before it stale, here at once.
    pub fn generations(&self) -> &Generations {
        &self.local().generations
    }

    /// Wakes whenever something of this person that can be followed changes, from now on.
    pub fn person(&self, user: UserId) -> PersonHints {
        self.local().person(user)
    }

    /// Wakes whenever a job of this kind is written down.
    pub fn jobs(&self, kind: &'static str) -> Arc<Notify> {
        self.local().jobs(kind)
    }

    /// The sessions that end from now on. None: some may have been missed, look.
    pub fn ended_sessions(&self) -> broadcast::Receiver<Option<SessionId>> {
        self.local().ended_sessions()
    }
}
