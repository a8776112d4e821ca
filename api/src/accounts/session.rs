//! Opening a session, and the cookies in which a browser carries it.

use chrono::TimeDelta;
use entity::{SessionId, UserId, session as row};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use super::{Accounts, tokens};
use crate::platform::{clock::Instant, db::Tx, error::Fault, viewer::Origin};

/// A session that was just opened, with what opens it. Not printable.
pub(super) struct Opened {
    pub(super) row: row::Model,
    pub(super) access_token: String,
    pub(super) access_expires_at: Instant,
    pub(super) refresh_token: String,
}

impl Accounts {
    /// Opens a session in the transaction that found out who it is.
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
        let idle = if remembered { security.session_remembered_lifetime } else { security.session_idle_lifetime };
        let after = |duration| now + TimeDelta::from_std(duration).unwrap_or_default();
        let ends_at = after(security.session_total_lifetime);
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
            expires_at: Set(after(idle).min(ends_at)),
            ends_at: Set(ends_at),
            revoked_at: Set(None),
        };
        let row = row.insert(&**tx).await?;
        let (access_token, access_expires_at) = self.tokens.sign(user_id, id).map_err(Fault::Internal)?;
        Ok(Opened { row, access_token, access_expires_at, refresh_token })
    }

    /// The `Set-Cookie` values that carry a session (RFC 6265). The refresh cookie goes to the API's path only.
    pub(super) fn cookies(&self, opened: &Opened) -> [String; 2] {
        let config = &self.platform.config;
        let now = self.platform.clock.now();
        let public_url = config.server.public_url.as_deref().unwrap_or("http://localhost");
        // Browsers drop Secure cookies of plain http, also in development on another name than localhost.
        let secure = if public_url.starts_with("https://") { "; Secure" } else { "" };
        let domain =
            config.security.cookie_domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let same_site = &config.security.cookie_same_site;
        let cookie = |name: &str, value: &str, path: &str, until: Instant| {
            let seconds = (until - now).num_seconds().max(0);
            format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}{domain}")
        };
        [
            cookie("accessToken", &opened.access_token, "/", opened.access_expires_at),
            cookie("refreshToken", &opened.refresh_token, "/graphql", opened.row.expires_at),
        ]
    }
}
