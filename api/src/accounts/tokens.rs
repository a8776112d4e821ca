//! Access tokens (JWT, RFC 7519, Ed25519) and refresh tokens (derived, never stored).
//! Promise: one algorithm, an exact `kid`, `iss`, `aud` and `typ`, and times compared with the clock that was handed in.

use std::collections::HashMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::TimeDelta;
use entity::{SessionId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::{
    Platform,
    clock::{Clock, Instant},
    config::jwt_keys,
    secret,
};

/// RFC 9068 section 2.1.
const TYPE: &str = "at+jwt";
/// For how far clocks of instances may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(5);

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub expires_at: Instant,
}

/// Why a token is not taken. The client only hears that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token of ours: its form, signature, key, type, issuer or audience is wrong.
    Invalid,
    /// It was one.
    Expired,
    /// It is not one yet.
    NotYet,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    iss: String,
    aud: String,
}

/// Signs and verifies tokens.
pub struct Tokens {
    clock: Clock,
    issuer: String,
    audience: String,
    lifetime: TimeDelta,
    signing_kid: String,
    signing_key: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    /// Verified tokens by their SHA-256: a signature is checked once, times at every use.
    verified: Cache<[u8; 32], (Claims, Instant)>,
}

impl Tokens {
    /// With the keys of `JWT_KEYS`, or one derived from `SECRET_KEY`.
    ///
    /// # Errors
    /// When `JWT_KEYS` is malformed; in words for an operator.
    pub fn from_config(platform: &Platform) -> Result<Self, String> {
        let config = &platform.config;
        let keys = match &config.security.jwt_keys {
            Some(keys) => jwt_keys(keys)?,
            None => vec![("derived-1".to_owned(), platform.secrets.derive("access-token-signing-key"))],
        };
        let mut verifying = HashMap::new();
        for (kid, seed) in &keys {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|e| format!("JWT_KEYS, key {kid}: {e}"))?;
            let public = BASE64.encode(pair.public_key().as_ref());
            let key = DecodingKey::from_ed_components(&public).map_err(|e| format!("JWT_KEYS, key {kid}: {e}"))?;
            verifying.insert(kid.clone(), key);
        }
        let (signing_kid, seed) = keys.into_iter().next().ok_or("JWT_KEYS holds no key")?;
        // The issuer names the installation; the port of a development server does not matter for it.
        let issuer = config.server.public_url.clone().unwrap_or_else(|| "http://spacedly.localhost".into());
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[&config.security.jwt_audience]);
        validation.set_issuer(&[&issuer]);
        validation.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
        // Both would read the machine's clock: they are checked below, with ours.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self {
            clock: platform.clock.clone(),
            issuer,
            audience: config.security.jwt_audience.clone(),
            lifetime: TimeDelta::from_std(config.security.access_token_lifetime).map_err(|e| e.to_string())?,
            signing_kid,
            signing_key: EncodingKey::from_ed_der(&pkcs8(&seed)),
            verifying,
            validation,
            verified: Cache::new(50_000),
        })
    }

    /// A new access token, and when it expires.
    ///
    /// # Errors
    /// When signing fails, which is a defect.
    pub fn sign(&self, user_id: UserId, session_id: SessionId) -> Result<(String, Instant), String> {
        let issued_at = self.clock.now();
        let expires_at = issued_at + self.lifetime;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.into());
        header.kid = Some(self.signing_kid.clone());
        let payload = Payload {
            sub: user_id,
            sid: session_id,
            iat: issued_at.timestamp(),
            exp: expires_at.timestamp(),
            nbf: None,
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
        };
        let token = jsonwebtoken::encode(&header, &payload, &self.signing_key).map_err(|e| e.to_string())?;
        Ok((token, expires_at))
    }

    /// What a token says, if it is ours and its time is now.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let digest = secret::sha256(token.as_bytes());
        let (claims, not_before) = match self.verified.get(&digest) {
            Some(known) => known,
            None => {
                let fresh = self.verify_signature(token)?;
                self.verified.insert(digest, fresh);
                fresh
            }
        };
        let now = self.clock.now();
        if now - LEEWAY > claims.expires_at {
            return Err(TokenError::Expired);
        }
        if now + LEEWAY < not_before {
            return Err(TokenError::NotYet);
        }
        Ok(claims)
    }

    fn verify_signature(&self, token: &str) -> Result<(Claims, Instant), TokenError> {
        let invalid = |_| TokenError::Invalid;
        if token.len() > 4_096 {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        // An extension that must be understood is not (RFC 7515 section 4.1.11).
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let key = header.kid.and_then(|kid| self.verifying.get(&kid)).ok_or(TokenError::Invalid)?;
        let payload = jsonwebtoken::decode::<Payload>(token, key, &self.validation).map_err(invalid)?.claims;
        let instant = |seconds| Instant::from_timestamp(seconds, 0).ok_or(TokenError::Invalid);
        let claims = Claims { user_id: payload.sub, session_id: payload.sid, expires_at: instant(payload.exp)? };
        Ok((claims, instant(payload.nbf.unwrap_or(payload.iat))?))
    }
}

/// The refresh token of a session at a count, and its SHA-256, which is all that is stored. The token carries the
/// session's id and the count, so that it is found by its key and a made-up one is known without looking.
pub(super) fn refresh_token(platform: &Platform, session: SessionId, counter: i64) -> (String, [u8; 32]) {
    let mac = refresh_mac(platform, session, counter);
    let bytes = [session.uuid().as_bytes().as_slice(), &counter.to_be_bytes(), &mac].concat();
    (BASE64.encode(bytes), secret::sha256(&mac))
}

/// A refresh token that this server handed out at some time.
pub(super) struct Shown {
    pub(super) session: SessionId,
    pub(super) counter: i64,
    pub(super) hash: [u8; 32],
}

/// What a refresh token says. None: it is none of ours.
pub(super) fn parse_refresh_token(platform: &Platform, token: &str) -> Option<Shown> {
    let bytes: [u8; 56] = BASE64.decode(token.get(..75)?).ok().filter(|_| token.len() == 75)?.try_into().ok()?;
    let (id, rest) = bytes.split_at(16);
    let (counter, mac) = rest.split_at(8);
    let session = SessionId::from_uuid(Uuid::from_slice(id).ok()?);
    let counter = i64::from_be_bytes(counter.try_into().ok()?);
    let right = refresh_mac(platform, session, counter);
    secret::equal(&right, mac).then(|| Shown { session, counter, hash: secret::sha256(&right) })
}

fn refresh_mac(platform: &Platform, session: SessionId, counter: i64) -> [u8; 32] {
    platform.secrets.mac("refresh-token", &[session.uuid().as_bytes(), &counter.to_be_bytes()])
}

/// The seed as a PKCS #8 document (RFC 8410 section 7), the form that jsonwebtoken takes.
fn pkcs8(seed: &[u8; 32]) -> Vec<u8> {
    let mut document =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    document.extend_from_slice(seed);
    document
}
