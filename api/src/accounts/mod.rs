//! Accounts: every way in, and knowing who asks.
//! Promise: nothing here tells whether an address has an account, and nothing that opens a session is stored.
//!
//! Call [`Accounts::authenticate`] with an access token, [`Accounts::renew`] with a refresh cookie; the mutations are
//! in [`graphql`]. `session.rs` opens and ends sessions, `challenge.rs` is what waits for a code, `attempts.rs` counts.

mod attempts;
mod challenge;
mod cookies;
mod email_change;
mod example;
mod export;
pub mod graphql;
mod links;
mod login;
mod mails;
mod oidc;
mod password;
mod password_reset;
mod profile;
mod register;
mod rules;
mod second_factor;
mod session;
mod sweep;
mod tokens;
mod verify;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use entity::{SessionId, UserId};
use moka::sync::Cache;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, SqlErr, sea_query::Expr,
};
use tokio::sync::broadcast::error::RecvError;

use self::password::Passwords;
pub use self::{
    cookies::Renewed,
    example::make_example,
    export::export,
    mails::register_jobs,
    oidc::{Arrival, Departure, ROUND_COOKIE, Return},
    sweep::sweep,
    tokens::{Claims, TokenError, Tokens},
};
use crate::platform::{
    Platform, calendar,
    clock::{Instant, span},
    db::Tx,
    error::Fault,
    facts::DayChanged,
    jobs::{ByHand, Held},
    viewer::{Origin, Viewer},
};

/// What this room keeps in memory.
pub struct Accounts {
    platform: Platform,
    tokens: Tokens,
    passwords: Passwords,
    provider: Option<oidc::Provider>,
    public_url: OnceLock<String>,
    /// Sessions that were alive when last looked at, each with that moment.
    alive: Cache<SessionId, (Viewer, Instant)>,
    /// Sessions that ended lately: one that was looked at just before must not be kept as alive.
    ended: Cache<SessionId, ()>,
}

impl Accounts {
    /// Makes the keys and hashes the password that nobody has.
    ///
    /// # Errors
    /// When the settings make no keys; in words for an operator.
    pub fn new(platform: Platform) -> Result<Arc<Self>, String> {
        let tokens = Tokens::from_config(&platform)?;
        let passwords = Passwords::new(&platform)?;
        let provider = oidc::Provider::from_config(&platform)?;
        let kept = platform.config.security.session_cache;
        let alive = Cache::builder().max_capacity(100_000).time_to_live(kept).build();
        let ended = Cache::builder().max_capacity(100_000).time_to_live(kept * 4).build();
        let public_url = OnceLock::new();
        Ok(Arc::new(Self { platform, tokens, passwords, provider, public_url, alive, ended }))
    }

    /// Says at which address the API is served; the first one counts.
    pub fn served_at(&self, public_url: String) {
        self.public_url.get_or_init(|| public_url);
    }

    fn public_url(&self) -> &str {
        self.public_url.get().map_or("http://localhost:8000", String::as_str)
    }

    /// Forgets ended sessions as soon as the bus tells of them. Runs until the process ends.
    pub async fn watch_ended_sessions(self: Arc<Self>) {
        let mut ended = self.platform.bus.ended_sessions();
        loop {
            match ended.recv().await {
                Ok(Some(session)) => {
                    self.ended.insert(session, ());
                    self.alive.invalidate(&session);
                }
                Ok(None) | Err(RecvError::Lagged(_)) => self.alive.invalidate_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Who holds this access token. None: nobody, or the session is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<(Viewer, Instant)>, Fault> {
        let Ok(claims) = self.tokens.verify(token) else { return Ok(None) };
        let viewer = self.live(claims.session_id, claims.user_id, self.platform.config.security.session_cache).await?;
        Ok(viewer.map(|viewer| (viewer, claims.expires_at)))
    }

    /// Until when a viewer's session has been handed access tokens, looked up now. None: it is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn access_until(&self, viewer: Viewer) -> Result<Option<Instant>, Fault> {
        let now = self.platform.clock.now();
        let row = entity::session::Entity::find_by_id(viewer.session_id).one(self.platform.db.read()).await?;
        Ok(row
            .filter(|row| row.user_id == viewer.user_id && session::is_live(row, now))
            .map(|row| row.access_expires_at))
    }

    /// Whether a viewer's session is still alive, as far as this instance knows; it looks once per `SESSION_CACHE`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_alive(&self, viewer: Viewer) -> Result<bool, Fault> {
        let kept = self.platform.config.security.session_cache;
        Ok(self.live(viewer.session_id, viewer.user_id, kept).await?.is_some())
    }

    /// The same for who was told to look: what is known from within the last second is believed, so that all sockets of
    /// a session ask the database once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_alive_still(&self, viewer: Viewer) -> Result<bool, Fault> {
        Ok(self.live(viewer.session_id, viewer.user_id, Duration::from_secs(1)).await?.is_some())
    }

    /// Takes a place for the export of an account.
    ///
    /// # Errors
    /// RATE_LIMITED when it was exported too often.
    pub async fn may_export(&self, viewer: Viewer, origin: &Origin) -> Result<(), Fault> {
        let named = attempts::Named::Person(viewer.user_id);
        self.count(attempts::Attempt::Export, named, origin).await
    }

    /// The viewer of a session that is alive; looked up unless it was within this time.
    async fn live(&self, session_id: SessionId, user_id: UserId, believed: Duration) -> Result<Option<Viewer>, Fault> {
        let now = self.platform.clock.now();
        if let Some((viewer, looked_at)) = self.alive.get(&session_id) {
            let age = (now - looked_at).to_std().unwrap_or_default();
            if age < believed && viewer.user_id == user_id {
                return Ok(Some(viewer));
            }
        }
        let row = entity::session::Entity::find_by_id(session_id).one(self.platform.db.read()).await?;
        let row = row.filter(|row| row.user_id == user_id && session::is_live(row, now));
        let Some(row) = row else {
            self.alive.invalidate(&session_id);
            return Ok(None);
        };
        let viewer = Viewer { user_id, session_id };
        self.alive.insert(session_id, (viewer, now));
        if self.ended.contains_key(&session_id) {
            self.alive.invalidate(&session_id);
            return Ok(None);
        }
        self.touch(&row, now);
        Ok(Some(viewer))
    }

    /// Notes that a session is used: once per `SESSION_TOUCH`, and nobody waits for it.
    fn touch(&self, row: &entity::session::Model, now: Instant) {
        use entity::session::{Column, Entity};
        let exactly = span(self.platform.config.security.session_touch);
        if now - row.last_used_at < exactly {
            return;
        }
        let (db, id, before) = (self.platform.db.clone(), row.id, now - exactly);
        tokio::spawn(async move {
            let touched = db.write::<_, Fault, _, _>(move |tx| async move {
                let update = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(now));
                let earlier = Column::LastUsedAt.lte(before);
                Ok(update.filter(Column::Id.eq(id)).filter(earlier).exec(&*tx).await.map(drop)?)
            });
            if let Err(fault) = touched.await {
                tracing::warn!(?fault, "the use of a session could not be noted");
            }
        });
    }
}

/// The row of a person.
///
/// # Errors
/// UNAUTHENTICATED when the account is gone.
pub async fn person(db: &impl sea_orm::ConnectionTrait, user: UserId) -> Result<entity::user::Model, Fault> {
    entity::user::Entity::find_by_id(user).one(db).await?.ok_or(Fault::Unauthenticated)
}

/// Who somebody new is.
struct NewPerson {
    name: String,
    email: String,
    email_key: String,
    /// None: they come by a provider.
    password_hash: Option<String>,
}

/// The minute of the local day at which somebody new gets their morning digest: five o'clock.
const DIGEST_MINUTE: i32 = 5 * 60;

/// Makes the row of somebody whose address was verified. None: somebody with this address was made in the same instant,
/// and the transaction is lost.
async fn make_person(platform: &Platform, tx: &Tx, new: NewPerson) -> Result<Option<entity::user::Model>, Fault> {
    let now = platform.clock.now();
    let person = entity::user::ActiveModel {
        id: Set(UserId::from_uuid(platform.new_uuid())),
        name: Set(new.name),
        email: Set(new.email),
        email_key: Set(new.email_key),
        password_hash: Set(new.password_hash),
        username: Set(None),
        username_key: Set(None),
        bio: Set(None),
        locale: Set(None),
        time_zone: Set(None),
        email_lead_minutes: Set(60),
        digest_minute: Set(Some(DIGEST_MINUTE)),
        quiet_from_minute: Set(None),
        quiet_to_minute: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let person = match person.insert(&**tx).await {
        Ok(person) => person,
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    platform.facts.day_changed(platform, tx, DayChanged { user_id: person.id, anew: true }).await?;
    Ok(Some(person))
}

/// Until when mails and push messages to a person are held now, by their quiet hours. None: they are not.
pub fn quiet_until(platform: &Platform, person: &entity::user::Model, now: Instant) -> Option<Instant> {
    rules::quiet_until(person.quiet_from_minute?, person.quiet_to_minute?, &zone_of(platform, person), now)
}

/// Of jobs that are settled by hand those that no quiet hours would have held beyond the moment by which they are.
///
/// # Errors
/// When the database fails.
pub async fn not_held(platform: &Platform, tx: &Tx, mut due: Vec<Held>, by: &ByHand<'_>) -> Result<Vec<Held>, DbErr> {
    let ids = due.iter().filter_map(|job| job.user_id);
    let people = entity::user::Entity::find().filter(entity::user::Column::Id.is_in(ids)).all(&**tx).await?;
    let people: HashMap<UserId, _> = people.into_iter().map(|person| (person.id, person)).collect();
    due.retain(|job| {
        let person = job.user_id.and_then(|id| people.get(&id));
        let held_until = person.and_then(|person| quiet_until(platform, person, job.due_at));
        held_until.is_none_or(|until| until <= by.until)
    });
    Ok(due)
}

/// The zone in which a person lives: their own, or `DEFAULT_TIME_ZONE`.
pub fn zone_of(platform: &Platform, person: &entity::user::Model) -> jiff::tz::TimeZone {
    let name = person.time_zone.as_deref().unwrap_or(&platform.config.accounts.default_time_zone);
    calendar::zone(name).unwrap_or(jiff::tz::TimeZone::UTC)
}
