//! The tokens of links in mails: 256 bits that follow from what the link is about, stored as their SHA-256 only.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use uuid::Uuid;

use crate::platform::{Platform, secret};

/// A kind of link; each has keys of its own.
pub(super) struct Link(&'static str);

/// Sets a new password.
pub(super) const PASSWORD_RESET: Link = Link("password-reset");
/// Takes a change of address back.
pub(super) const EMAIL_UNDO: Link = Link("email-undo");

impl Link {
    fn bits(&self, platform: &Platform, about: Uuid) -> [u8; 32] {
        platform.secrets.mac(self.0, &[about.as_bytes()])
    }

    /// The token as the link carries it.
    pub(super) fn token(&self, platform: &Platform, about: Uuid) -> String {
        BASE64.encode(self.bits(platform, about))
    }

    /// What is stored of it.
    pub(super) fn hash(&self, platform: &Platform, about: Uuid) -> Vec<u8> {
        secret::sha256(&self.bits(platform, about)).to_vec()
    }
}

/// What is stored of a token that somebody shows. None: it has not the form of one.
pub(super) fn hash_of(token: &str) -> Option<Vec<u8>> {
    let bits = BASE64.decode(token.trim()).ok().filter(|bits| bits.len() == 32)?;
    Some(secret::sha256(&bits).to_vec())
}
