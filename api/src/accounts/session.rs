//! Opening, refreshing and ending sessions.
//! Promise: an ended session stays ended. Whoever opens, refreshes or ends sessions of a person holds that person's or
//! that session's row meanwhile, so that no order of events lets a token live on.

use entity::{SessionId, UserId, session as row, user};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{Accounts, mails, tokens};
use crate::platform::{
    bus::Hint,
    clock::{Instant, span},
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    facts::SessionStolen,
    secret,
    viewer::{Origin, Viewer},
};

/// A session that was just opened or refreshed, with what opens it. Not printable.
pub(super) struct Opened {
    pub(super) row: row::Model,
    pub(super) access_token: String,
    pub(super) access_expires_at: Instant,
    pub(super) refresh_token: String,
}

/// What came of a refresh.
enum Refreshed {
    /// The successor, the same for everyone who asks within the grace.
    Opened(Box<Opened>),
    /// Not a token, or of a session that is over.
    Dead,
    /// A token that was replaced before: its session is over now.
    Stolen,
}

impl Accounts {
    /// Opens a session in the transaction that found out who it is, and that holds the person's row.
    pub(super) async fn open_session(
        &self,
        tx: &Tx,
        user_id: UserId,
        origin: &Origin,
        remembered: bool,
    ) -> Result<Opened, Fault> {
        let security = &self.platform.config.security;
        let now = self.platform.clock.now();
        let id = SessionId::from_uuid(self.platform.new_uuid());
        let (refresh_token, refresh_hash) = tokens::refresh_token(&self.platform, id, 0);
        let (access_token, access_expires_at) = self.tokens.sign(user_id, id).map_err(Fault::Internal)?;
        let ends_at = now + span(security.session_total_lifetime);
        let row = row::ActiveModel {
            id: Set(id),
            user_id: Set(user_id),
            refresh_counter: Set(0),
            refresh_hash: Set(refresh_hash.to_vec()),
            previous_refresh_hash: Set(None),
            rotated_at: Set(now),
            remembered: Set(remembered),
            device: Set(origin.device.clone()),
            ip: Set(origin.ip.clone()),
            created_at: Set(now),
            last_used_at: Set(now),
            authenticated_at: Set(now),
            access_expires_at: Set(access_expires_at),
            expires_at: Set(self.idle_end(now, remembered).min(ends_at)),
            ends_at: Set(ends_at),
            revoked_at: Set(None),
        };
        let row = row.insert(&**tx).await?;
        self.make_room(tx, user_id).await?;
        Ok(Opened { row, access_token, access_expires_at, refresh_token })
    }

    fn idle_end(&self, from: Instant, remembered: bool) -> Instant {
        let security = &self.platform.config.security;
        let idle = if remembered { security.session_remembered_lifetime } else { security.session_idle_lifetime };
        from + span(idle)
    }

    /// Ends the sessions that were used longest ago, beyond `SESSIONS_PER_USER`.
    async fn make_room(&self, tx: &Tx, user_id: UserId) -> Result<(), Fault> {
        let beyond: Vec<SessionId> = row::Entity::visible_to(user_id)
            .select_only()
            .column(row::Column::Id)
            .filter(row::Column::RevokedAt.is_null())
            .order_by_desc(row::Column::LastUsedAt)
            .order_by_desc(row::Column::Id)
            .offset(self.platform.config.security.sessions_per_user)
            .limit(1_000)
            .into_tuple()
            .all(&**tx)
            .await?;
        if beyond.is_empty() {
            return Ok(());
        }
        self.end_sessions(tx, user_id, |query| query.filter(row::Column::Id.is_in(beyond))).await.map(drop)
    }

    /// Hands out the next tokens for a refresh token.
    ///
    /// # Errors
    /// UNAUTHENTICATED when it opens nothing.
    pub(super) async fn refresh(self: &std::sync::Arc<Self>, token: &str) -> Result<Opened, Fault> {
        // A made-up token never reaches the database, and cannot end anybody's session.
        let shown = tokens::parse_refresh_token(&self.platform, token).ok_or(Fault::Unauthenticated)?;
        let accounts = self.clone();
        let refreshed = self
            .platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move { accounts.refresh_in(&tx, shown).await })
            .await?;
        match refreshed {
            Refreshed::Opened(opened) => Ok(*opened),
            Refreshed::Dead | Refreshed::Stolen => Err(Fault::Unauthenticated),
        }
    }

    async fn refresh_in(&self, tx: &Tx, shown: tokens::Shown) -> Result<Refreshed, Fault> {
        let now = self.platform.clock.now();
        let found = row::Entity::find_by_id(shown.session).lock(LockType::NoKeyUpdate).one(&**tx).await?;
        let Some(session) = found.filter(|session| is_live(session, now)) else { return Ok(Refreshed::Dead) };
        if secret::equal(&session.refresh_hash, &shown.hash) {
            return Ok(Refreshed::Opened(Box::new(self.rotate(tx, session).await?)));
        }
        let grace = span(self.platform.config.security.refresh_grace);
        let parent = session.previous_refresh_hash.as_deref().is_some_and(|hash| secret::equal(hash, &shown.hash));
        if parent && now - session.rotated_at <= grace {
            let (refresh_token, _) = tokens::refresh_token(&self.platform, session.id, session.refresh_counter);
            let (access_token, access_expires_at) =
                self.tokens.sign(session.user_id, session.id).map_err(Fault::Internal)?;
            let opened = Opened { row: session, access_token, access_expires_at, refresh_token };
            return Ok(Refreshed::Opened(Box::new(opened)));
        }
        if shown.counter >= session.refresh_counter {
            // Of a time that the database has forgotten, as after restoring a backup: no sign of a theft.
            return Ok(Refreshed::Dead);
        }
        self.end_stolen(tx, &session).await?;
        Ok(Refreshed::Stolen)
    }

    async fn rotate(&self, tx: &Tx, session: row::Model) -> Result<Opened, Fault> {
        let now = self.platform.clock.now();
        let counter = session.refresh_counter + 1;
        let (refresh_token, hash) = tokens::refresh_token(&self.platform, session.id, counter);
        let (access_token, access_expires_at) =
            self.tokens.sign(session.user_id, session.id).map_err(Fault::Internal)?;
        let (previous, ends_at, remembered) = (session.refresh_hash.clone(), session.ends_at, session.remembered);
        let mut rotated = session.into_active_model();
        rotated.refresh_counter = Set(counter);
        rotated.refresh_hash = Set(hash.to_vec());
        rotated.previous_refresh_hash = Set(Some(previous));
        rotated.rotated_at = Set(now);
        rotated.last_used_at = Set(now);
        rotated.access_expires_at = Set(access_expires_at);
        rotated.expires_at = Set(self.idle_end(now, remembered).min(ends_at));
        let row = rotated.update(&**tx).await?;
        Ok(Opened { row, access_token, access_expires_at, refresh_token })
    }

    /// Ends a session whose token came twice, and tells its person.
    async fn end_stolen(&self, tx: &Tx, session: &row::Model) -> Result<(), Fault> {
        tracing::warn!(session = %session.id, user = %session.user_id, "a refresh token came again: its session ends");
        let id = session.id;
        self.end_sessions(tx, session.user_id, |query| query.filter(row::Column::Id.eq(id))).await?;
        let person = super::person(&**tx, session.user_id).await?;
        mails::enqueue(&self.platform, tx, &person, entity::account_mail::Kind::SessionStolen, None).await?;
        let fact = SessionStolen { user_id: session.user_id, session_id: session.id };
        self.platform.facts.session_stolen(&self.platform, tx, fact).await
    }

    /// Ends those live sessions of a person that the filter picks. Gives back which.
    pub(super) async fn end_sessions(
        &self,
        tx: &Tx,
        user_id: UserId,
        pick: impl FnOnce(sea_orm::UpdateMany<row::Entity>) -> sea_orm::UpdateMany<row::Entity>,
    ) -> Result<Vec<SessionId>, Fault> {
        let live = row::Entity::update_many()
            .col_expr(row::Column::RevokedAt, Expr::value(self.platform.clock.now()))
            .filter(row::Column::UserId.eq(user_id))
            .filter(row::Column::RevokedAt.is_null());
        let ended = pick(live).exec_with_returning(&**tx).await?;
        for session in &ended {
            tx.hint_after_commit(Hint::SessionEnded(session.id));
        }
        Ok(ended.into_iter().map(|session| session.id).collect())
    }

    /// Ends one session of the viewer's. False: there is no such live one.
    pub(super) async fn end_session(self: &std::sync::Arc<Self>, viewer: Viewer, id: SessionId) -> Result<bool, Fault> {
        let accounts = self.clone();
        let ended = self
            .platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                accounts.end_sessions(&tx, viewer.user_id, |query| query.filter(row::Column::Id.eq(id))).await
            })
            .await?;
        Ok(!ended.is_empty())
    }

    /// Ends every session of the viewer's but the one that asks. Gives back which.
    pub(super) async fn end_other_sessions(
        self: &std::sync::Arc<Self>,
        viewer: Viewer,
    ) -> Result<Vec<SessionId>, Fault> {
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                lock_person(&tx, viewer.user_id).await?;
                accounts.end_others_in(&tx, viewer.user_id, Some(viewer.session_id)).await
            })
            .await
    }

    /// Ends every session of a person but one, and every login that is half done. The person's row must be held.
    pub(super) async fn end_others_in(
        &self,
        tx: &Tx,
        user_id: UserId,
        kept: Option<SessionId>,
    ) -> Result<Vec<SessionId>, Fault> {
        use entity::challenge;
        challenge::Entity::delete_many()
            .filter(challenge::Column::UserId.eq(user_id))
            .filter(challenge::Column::Purpose.eq(challenge::Purpose::Login))
            .exec(&**tx)
            .await?;
        self.end_sessions(tx, user_id, |query| match kept {
            Some(kept) => query.filter(row::Column::Id.ne(kept)),
            None => query,
        })
        .await
    }

    /// Whether the last login of a session is fresh enough, looked up outside of any transaction.
    ///
    /// # Errors
    /// As [`lock_fresh`].
    pub(super) async fn must_be_fresh(&self, viewer: Viewer) -> Result<(), Refusal> {
        let session = row::Entity::find_by_id(viewer.session_id).one(self.platform.db.read()).await?;
        self.check_fresh(session).map(drop)
    }

    fn check_fresh(&self, session: Option<row::Model>) -> Result<row::Model, Refusal> {
        let now = self.platform.clock.now();
        let session = session.filter(|session| is_live(session, now)).ok_or(Fault::Unauthenticated)?;
        let fresh = span(self.platform.config.security.authentication_fresh);
        if now - session.authenticated_at > fresh {
            let message = "Prove again who you are (sessionReauthenticate), then try once more.";
            return Err(UserError::at("", Code::ReauthenticationRequired, message).into());
        }
        Ok(session)
    }

    /// The live sessions of a person, the one used last first.
    pub(super) async fn sessions_of(&self, user_id: UserId) -> Result<Vec<row::Model>, Fault> {
        let now = self.platform.clock.now();
        Ok(row::Entity::visible_to(user_id)
            .filter(row::Column::RevokedAt.is_null())
            .filter(row::Column::ExpiresAt.gt(now))
            .filter(row::Column::EndsAt.gt(now))
            .order_by_desc(row::Column::LastUsedAt)
            .order_by_desc(row::Column::Id)
            .limit(self.platform.config.security.sessions_per_user)
            .all(self.platform.db.read())
            .await?)
    }
}

/// Whether a session is neither ended nor past its time.
pub(super) fn is_live(session: &row::Model, now: Instant) -> bool {
    session.revoked_at.is_none() && session.expires_at > now && session.ends_at > now
}

/// Holds a person's row until the end of the transaction: opening and ending sessions take turns by it.
///
/// # Errors
/// UNAUTHENTICATED when the account is gone.
pub(super) async fn lock_person(tx: &Tx, user_id: UserId) -> Result<user::Model, Fault> {
    let found = user::Entity::find_by_id(user_id).lock(LockType::NoKeyUpdate).one(&**tx).await?;
    found.ok_or(Fault::Unauthenticated)
}

/// The viewer's person and session, both held, if the last login is fresh enough for what changes the ways in.
///
/// # Errors
/// UNAUTHENTICATED when the session ended meanwhile; REAUTHENTICATION_REQUIRED as a user error.
pub(super) async fn lock_fresh(
    accounts: &Accounts,
    tx: &Tx,
    viewer: Viewer,
) -> Result<(user::Model, row::Model), Refusal> {
    let person = lock_person(tx, viewer.user_id).await?;
    let session = row::Entity::find_by_id(viewer.session_id).lock(LockType::NoKeyUpdate).one(&**tx).await?;
    Ok((person, accounts.check_fresh(session)?))
}
