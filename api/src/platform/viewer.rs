//! Who asks.

use entity::{SessionId, UserId};

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
}
