//! The cookies in which a browser carries a session (RFC 6265), and getting a new access cookie without being asked.

use chrono::TimeDelta;
use entity::{UserId, session as row};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{Accounts, attempts::DEVICE_LIFETIME, session, session::Opened, tokens};
use crate::platform::{
    clock::Instant,
    error::Fault,
    secret,
    viewer::{Origin, Viewer},
};

/// A session that was carried on by its refresh cookie.
pub struct Renewed {
    pub viewer: Viewer,
    /// The `Set-Cookie` value with the new access token.
    pub cookie: String,
    pub access_expires_at: Instant,
}

impl Accounts {
    /// The `Set-Cookie` values that carry a session. The refresh cookie goes to the API's path only.
    pub(super) fn cookies(&self, opened: &Opened) -> [String; 2] {
        [
            self.cookie("accessToken", &opened.access_token, "/", opened.access_expires_at),
            self.cookie("refreshToken", &opened.refresh_token, "/graphql", opened.row.expires_at),
        ]
    }

    /// The `Set-Cookie` value by which the device of somebody who has just logged in is known.
    pub(super) fn device_cookie(&self, person: UserId, origin: &Origin) -> String {
        let device = self.device_token(person, origin);
        self.cookie("deviceToken", &device, "/", self.platform.clock.now() + DEVICE_LIFETIME)
    }

    /// The `Set-Cookie` values that take a session away. The device stays known.
    pub(super) fn no_cookies(&self) -> [String; 2] {
        let now = self.platform.clock.now();
        [self.cookie("accessToken", "", "/", now), self.cookie("refreshToken", "", "/graphql", now)]
    }

    fn cookie(&self, name: &str, value: &str, path: &str, until: Instant) -> String {
        self.cookie_for((name, value), path, until, &self.platform.config.security.cookie_same_site)
    }

    /// A `Set-Cookie` value that no script can read.
    pub(super) fn cookie_for(
        &self,
        (name, value): (&str, &str),
        path: &str,
        until: Instant,
        same_site: &str,
    ) -> String {
        let security = &self.platform.config.security;
        let seconds = (until - self.platform.clock.now()).num_seconds().max(0);
        let public_url = self.platform.config.server.public_url.as_deref().unwrap_or("http://localhost");
        // Browsers drop Secure cookies of plain http, also in development on another name than localhost.
        let secure = if public_url.starts_with("https://") { "; Secure" } else { "" };
        let domain = security.cookie_domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();

        format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}{domain}")
    }

    /// Answers for a live refresh cookie with a new access token: without rotation, without prolonging the session.
    /// None: the cookie opens nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew(self: &std::sync::Arc<Self>, refresh_token: &str) -> Result<Option<Renewed>, Fault> {
        let Some(shown) = tokens::parse_refresh_token(&self.platform, refresh_token) else { return Ok(None) };
        let now = self.platform.clock.now();
        let found = row::Entity::find_by_id(shown.session).one(self.platform.db.read()).await?;
        let Some(session) = found.filter(|session| session::is_live(session, now)) else { return Ok(None) };
        if !secret::equal(&session.refresh_hash, &shown.hash) {
            // Replaced meanwhile: within the grace it still speaks for its session, later it is a theft. The rotation
            // knows which; what it hands out for the grace is not needed here.
            if self.refresh(refresh_token).await.is_err() {
                return Ok(None);
            }
        }
        let viewer = Viewer { user_id: session.user_id, session_id: session.id };
        let (access_token, access_expires_at) =
            self.tokens.sign(viewer.user_id, viewer.session_id).map_err(Fault::Internal)?;
        // Ten requests of one page need one note; a minute more or less for an open socket does not matter.
        let noted = access_expires_at - session.access_expires_at < TimeDelta::minutes(1);
        if !noted && !self.mark_access(viewer, access_expires_at).await? {
            return Ok(None);
        }
        let cookie = self.cookie("accessToken", &access_token, "/", access_expires_at);
        Ok(Some(Renewed { viewer, cookie, access_expires_at }))
    }

    /// Notes until when an access token was handed out: an open socket lasts as long. False: the session is over.
    async fn mark_access(&self, viewer: Viewer, until: Instant) -> Result<bool, Fault> {
        let now = self.platform.clock.now();
        let marked = self
            .platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                Ok(row::Entity::update_many()
                    .col_expr(row::Column::AccessExpiresAt, Expr::value(until))
                    .col_expr(row::Column::LastUsedAt, Expr::value(now))
                    .filter(row::Column::Id.eq(viewer.session_id))
                    .filter(row::Column::RevokedAt.is_null())
                    .exec(&*tx)
                    .await?
                    .rows_affected)
            })
            .await?;
        Ok(marked == 1)
    }
}
