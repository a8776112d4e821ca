//! Who asks.

use std::net::IpAddr;

use entity::{SessionId, UserId};
use secrecy::SecretString;

use super::error::Fault;

/// A person with a live session. There is no viewer without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub user_id: UserId,
    pub session_id: SessionId,
}

/// Who is behind a request: a viewer, or nobody.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub Option<Viewer>);

impl Caller {
    /// The viewer.
    ///
    /// # Errors
    /// UNAUTHENTICATED when there is none.
    pub fn viewer(self) -> Result<Viewer, Fault> {
        self.0.ok_or(Fault::Unauthenticated)
    }
}

/// Where a request comes from: kept with the session that it opens.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client's address; behind trusted proxies the one that they name.
    pub ip: String,
    /// The user agent, cut to 200 characters.
    pub device: String,
    /// Whether an answer can set cookies (HTTP: yes, WebSocket: no).
    pub can_set_cookies: bool,
    /// The refresh token of the cookie, if the page may use cookies.
    pub refresh_cookie: Option<SecretString>,
    /// The cookie that says that somebody logged in on this device before.
    pub device_cookie: Option<SecretString>,
}

impl Origin {
    /// What an address is counted by: IPv6 by its /64, which is what one customer has.
    pub fn network(&self) -> String {
        match self.ip.parse() {
            Ok(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
                Some(ip) => ip.to_string(),
                None => format!(
                    "{:x}:{:x}:{:x}:{:x}::/64",
                    ip.segments()[0],
                    ip.segments()[1],
                    ip.segments()[2],
                    ip.segments()[3]
                ),
            },
            _ => self.ip.clone(),
        }
    }
}
