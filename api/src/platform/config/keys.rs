//! The form of the keys that settings carry.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use secrecy::{ExposeSecret, SecretString};

/// A signing key: its name and its seed.
type SigningKey = (String, [u8; 32]);

/// The signing keys of `JWT_KEYS`.
///
/// # Errors
/// When it is malformed; in words for an operator, and without the keys.
pub fn jwt_keys(text: &SecretString) -> Result<Vec<SigningKey>, String> {
    let key = |pair: &str| -> Result<SigningKey, String> {
        let (kid, seed) = pair.trim().split_once(':').ok_or("JWT_KEYS must be kid:seed pairs")?;
        let seed = BASE64.decode(seed).ok().and_then(|seed| <[u8; 32]>::try_from(seed).ok());
        let seed = seed.ok_or_else(|| format!("JWT_KEYS, key {kid}: a seed is 32 bytes in base64url"))?;
        Ok((kid.to_owned(), seed))
    };
    text.expose_secret().split(',').map(key).collect()
}
