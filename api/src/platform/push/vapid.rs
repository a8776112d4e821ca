//! How a push service knows who sends (VAPID, RFC 8292).
//! Promise: the private key leaves only as signatures, and a token is never good for more than a day.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    hmac,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::Engine;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use super::subscription::BASE64URL;

/// How long a token is good. RFC 8292 section 2 allows a day; half of it leaves room for clocks that differ.
const LIFETIME: TimeDelta = TimeDelta::hours(12);
/// How long a token serves again: push services keep what they have checked, too.
const KEPT: TimeDelta = TimeDelta::hours(6);
/// Tokens that are kept. Origins are chosen by whoever subscribes, so there is an end to them.
const MOST_TOKENS: usize = 500;

/// The key of this server before push services, and the tokens it signed.
pub(super) struct Vapid {
    signing: EncodingKey,
    public: String,
    subject: String,
    tokens: Mutex<HashMap<String, Token>>,
}

struct Token {
    signed_at: DateTime<Utc>,
    header: HeaderValue,
}

impl Vapid {
    /// With the key that is set, or the one that follows from `material`.
    ///
    /// # Errors
    /// When the key or the subject is none; in words for an operator.
    pub(super) fn new(set: Option<&SecretString>, material: &[u8; 32], subject: &str) -> Result<Self, String> {
        check_subject(subject)?;
        let (scalar, key) = match set {
            Some(text) => from_text(text)?,
            None => derived(material)?,
        };
        let failed = |_| "the VAPID key cannot be used";
        let point = key.compute_public_key().map_err(failed)?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &scalar, point.as_ref())
                .map_err(|_| "the VAPID key cannot be used")?;
        let document = pair.to_pkcs8v1().map_err(failed)?;
        Ok(Self {
            signing: EncodingKey::from_ec_der(document.as_ref()),
            public: BASE64URL.encode(point.as_ref()),
            subject: subject.to_owned(),
            tokens: Mutex::default(),
        })
    }

    /// The public key, as browsers take it.
    pub(super) fn public_key(&self) -> &str {
        &self.public
    }

    /// The value of `Authorization` for this push service.
    ///
    /// # Errors
    /// When it cannot be signed; nothing secret is in the words.
    pub(super) fn authorization(&self, origin: String, now: DateTime<Utc>) -> Result<HeaderValue, String> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        // Both ways: a clock that was put back must not send what is good for longer than a day by then.
        let serves = |token: &Token| token.signed_at <= now && now - token.signed_at < KEPT;
        if let Some(token) = tokens.get(&origin).filter(|token| serves(token)) {
            return Ok(token.header.clone());
        }
        let header = self.sign(&origin, now)?;
        if tokens.len() >= MOST_TOKENS {
            tokens.retain(|_, token| serves(token));
        }
        // Still full of fresh ones: somebody makes up origins. To begin anew costs a signature each.
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        tokens.insert(origin, Token { signed_at: now, header: header.clone() });
        Ok(header)
    }

    fn sign(&self, origin: &str, now: DateTime<Utc>) -> Result<HeaderValue, String> {
        let claims = json!({ "aud": origin, "exp": (now + LIFETIME).timestamp(), "sub": self.subject });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing)
            .map_err(|_| "the VAPID token cannot be signed")?;
        let mut header = HeaderValue::try_from(format!("vapid t={token}, k={}", self.public))
            .map_err(|_| "the VAPID token cannot be sent")?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Push services answer a subject that they do not like with a bare 403, so it is looked at here.
pub(super) fn check_subject(subject: &str) -> Result<(), String> {
    let wrong = || "the VAPID subject must be mailto:somebody@example.org or https://example.org/contact".to_owned();
    let url = Url::parse(subject).map_err(|_| wrong())?;
    let reachable = match url.scheme() {
        "mailto" => url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        "https" => url.host().is_some(),
        _ => false,
    };
    let plain = subject.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    if reachable && plain { Ok(()) } else { Err(wrong()) }
}

/// Whether this is a key.
///
/// # Errors
/// When it is none; in words for an operator, and without it.
pub(super) fn check_key(text: &SecretString) -> Result<(), String> {
    from_text(text).map(drop)
}

fn from_text(text: &SecretString) -> Result<([u8; 32], PrivateKey), String> {
    let wrong =
        || "the VAPID private key must be base64url of 32 bytes, as `npx web-push generate-vapid-keys` prints it";
    let bytes = BASE64URL.decode(text.expose_secret().trim()).map_err(|_| wrong())?;
    let scalar: [u8; 32] = bytes.try_into().map_err(|_| wrong())?;
    let key = PrivateKey::from_private_key(&ECDH_P256, &scalar)
        .map_err(|_| "the VAPID private key is no key of P-256: it is zero or too large")?;
    Ok((scalar, key))
}

/// A key that follows from the material, always the same: HMAC-SHA-256 of a counter, and the first output that is a
/// scalar of P-256 is taken. One in 2^32 is none, so that the choice leaves every key as likely as any other.
fn derived(material: &[u8; 32]) -> Result<([u8; 32], PrivateKey), String> {
    let root = hmac::Key::new(hmac::HMAC_SHA256, material);
    let outputs = (0..=u8::MAX).map(|counter| {
        let mut scalar = [0; 32];
        scalar.copy_from_slice(hmac::sign(&root, &[b"vapid".as_slice(), &[counter]].concat()).as_ref());
        scalar
    });
    first_scalar(outputs).ok_or_else(|| "no VAPID key follows from the key material".into())
}

fn first_scalar(mut outputs: impl Iterator<Item = [u8; 32]>) -> Option<([u8; 32], PrivateKey)> {
    outputs.find_map(|scalar| Some((scalar, PrivateKey::from_private_key(&ECDH_P256, &scalar).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "mailto:operator@example.org";

    fn vapid() -> Vapid {
        Vapid::new(None, &[7; 32], SUBJECT).expect("a key")
    }

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + hour * 3_600, 0).expect("an instant")
    }

    #[test]
    fn the_public_key_is_that_of_the_private_key() {
        // The sender's key pair of RFC 8291 appendix A.
        let private = SecretString::from("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let public = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
        let vapid = Vapid::new(Some(&private), &[0; 32], SUBJECT).expect("a key");
        assert_eq!(vapid.public_key(), public);
    }

    #[test]
    fn a_derived_key_follows_from_the_material_alone() {
        assert_eq!(vapid().public_key(), vapid().public_key());
        assert_ne!(vapid().public_key(), Vapid::new(None, &[8; 32], SUBJECT).expect("a key").public_key());
        // Kept: another answer here means that every browser out there has to subscribe anew.
        assert_eq!(
            vapid().public_key(),
            "BHTg9QlcIPmbX2POfB6nGJWvKQVutgOW3YELzYLz9IKXiCiawap7RlhG46mjfdmYx7T1T5JMMaW74_UlfUh-6r0"
        );
    }

    #[test]
    fn what_is_no_scalar_is_passed_over() {
        // Zero, the order of the group, and one more than it.
        let mut order = [0xff; 32];
        order[4..8].copy_from_slice(&[0; 4]);
        order[16..].copy_from_slice(&[
            0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ]);
        let (mut above, mut below) = (order, order);
        above[31] += 1;
        below[31] -= 1;
        let chosen = first_scalar([[0; 32], order, above, [0xff; 32], below, [1; 32]].into_iter());
        assert_eq!(chosen.expect("one is a scalar").0, below);
        assert!(first_scalar([[0; 32], order].into_iter()).is_none());
    }

    #[test]
    fn keys_and_subjects_that_are_none_are_named_and_not_shown() {
        let zero = BASE64URL.encode([0; 32]);
        for text in ["", "short", "Zm9v", "not base64url at all!", zero.as_str(), &"A".repeat(44)] {
            let error = Vapid::new(Some(&SecretString::from(text)), &[7; 32], SUBJECT).err().expect("refused");
            assert!(error.starts_with("the VAPID private key must be") || error.contains("no key of P-256"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        let wrong =
            ["", "operator@example.org", "mailto:", "mailto:nobody", "http://example.org/", "https:", "mailto:a@b c"];
        for subject in wrong.into_iter().chain(["mailto:<a@example.org>", "tel:1"]) {
            assert!(Vapid::new(None, &[7; 32], subject).is_err(), "{subject}");
        }
        for subject in ["mailto:operator@example.org", "https://example.org/contact", "https://example.org"] {
            assert!(Vapid::new(None, &[7; 32], subject).is_ok(), "{subject}");
        }
    }

    #[test]
    fn a_token_serves_for_hours_and_for_one_origin() {
        let vapid = vapid();
        let token = |origin: &str, hour| vapid.authorization(origin.into(), at(hour)).expect("a token");
        let first = token("https://a.example.net", 0);
        assert!(first.is_sensitive() && !format!("{first:?}").contains("vapid"));
        assert_eq!(first, token("https://a.example.net", 5));
        assert_ne!(first, token("https://b.example.net", 0));
        let second = token("https://a.example.net", 6);
        assert_ne!(first, second);
        // The clock was put back.
        assert_ne!(second, token("https://a.example.net", 5));
    }

    #[test]
    fn made_up_origins_do_not_fill_the_memory() {
        let vapid = vapid();
        for number in 0..MOST_TOKENS + 20 {
            vapid.authorization(format!("https://{number}.example.net"), at(0)).expect("a token");
        }
        assert!(vapid.tokens.lock().expect("whole").len() <= MOST_TOKENS);
    }
}
