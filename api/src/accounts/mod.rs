//! Accounts: registering, logging in, and knowing who asks.
//! Promise: nothing here tells whether an address has an account, and nothing that opens a session is stored.
//!
//! Call [`Accounts::authenticate`] with an access token; the mutations are in [`graphql`].

pub mod graphql;
mod jobs;
mod login;
mod password;
mod register;
mod rules;
mod session;
mod tokens;
mod verify;

use std::sync::Arc;

use entity::{SessionId, UserId};
use moka::sync::Cache;
use sea_orm::EntityTrait;

use self::password::Passwords;
pub use self::{
    jobs::register_jobs,
    tokens::{Claims, TokenError, Tokens},
};
use crate::platform::{Platform, calendar, clock::Instant, error::Fault, viewer::Viewer};

/// What this room keeps in memory.
pub struct Accounts {
    platform: Platform,
    tokens: Tokens,
    passwords: Passwords,
    /// Sessions that were alive when last looked at, each with that moment.
    alive: Cache<SessionId, (Viewer, Instant)>,
}

impl Accounts {
    /// Makes the keys and hashes the password that nobody has.
    ///
    /// # Errors
    /// When the settings make no keys; in words for an operator.
    pub fn new(platform: Platform) -> Result<Arc<Self>, String> {
        let tokens = Tokens::from_config(&platform)?;
        let passwords = Passwords::new(&platform)?;
        let alive = Cache::builder().max_capacity(100_000).time_to_live(platform.config.security.session_cache).build();
        Ok(Arc::new(Self { platform, tokens, passwords, alive }))
    }

    /// Forgets ended sessions as soon as the bus tells of them. Runs until the process ends.
    pub async fn watch_ended_sessions(self: Arc<Self>) {
        let mut ended = self.platform.bus.ended_sessions();
        loop {
            match ended.recv().await {
                Ok(session) => self.alive.invalidate(&session),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => self.alive.invalidate_all(),
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Who holds this access token. None: nobody, or the session is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<(Viewer, Instant)>, Fault> {
        let Ok(claims) = self.tokens.verify(token) else { return Ok(None) };
        let viewer = self.live(claims.session_id, claims.user_id).await?;
        Ok(viewer.map(|viewer| (viewer, claims.expires_at)))
    }

    /// Whether a viewer's session is still alive, looked up now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_alive(&self, viewer: Viewer) -> Result<bool, Fault> {
        self.alive.invalidate(&viewer.session_id);
        Ok(self.live(viewer.session_id, viewer.user_id).await?.is_some())
    }

    /// The viewer of a session that is alive; looked up at most once per `SESSION_CACHE`.
    async fn live(&self, session_id: SessionId, user_id: UserId) -> Result<Option<Viewer>, Fault> {
        let now = self.platform.clock.now();
        if let Some((viewer, looked_at)) = self.alive.get(&session_id) {
            let age = (now - looked_at).to_std().unwrap_or_default();
            if age < self.platform.config.security.session_cache && viewer.user_id == user_id {
                return Ok(Some(viewer));
            }
        }
        let row = entity::session::Entity::find_by_id(session_id).one(self.platform.db.read()).await?;
        let alive = row.is_some_and(|row| {
            row.user_id == user_id && row.revoked_at.is_none() && row.expires_at > now && row.ends_at > now
        });
        if !alive {
            self.alive.invalidate(&session_id);
            return Ok(None);
        }
        let viewer = Viewer { user_id, session_id };
        self.alive.insert(session_id, (viewer, now));
        Ok(Some(viewer))
    }
}

/// The row of a person.
///
/// # Errors
/// UNAUTHENTICATED when the account is gone.
pub async fn person(db: &impl sea_orm::ConnectionTrait, user: UserId) -> Result<entity::user::Model, Fault> {
    entity::user::Entity::find_by_id(user).one(db).await?.ok_or(Fault::Unauthenticated)
}

/// The zone in which a person lives: their own, or `DEFAULT_TIME_ZONE`.
pub fn zone_of(platform: &Platform, person: &entity::user::Model) -> jiff::tz::TimeZone {
    let name = person.time_zone.as_deref().unwrap_or(&platform.config.accounts.default_time_zone);
    calendar::zone(name).unwrap_or(jiff::tz::TimeZone::UTC)
}
