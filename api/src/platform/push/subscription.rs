//! Where a browser wants its messages, as it hands it out.
//! Promise: one that exists can be sent to: its keys are keys, and its address was no private one when it was read.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use url::{Host, Url};
use web_push_native::{Auth, p256::PublicKey};

use super::address;

/// Characters of an endpoint.
const ENDPOINT_LIMIT: usize = 2_000;
/// Base64url, with or without padding: browsers leave it out, some libraries put it in.
pub(super) const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A subscription of a browser. Whoever knows its endpoint can send to it, so it is shown nowhere.
#[derive(Clone)]
pub struct Subscription {
    pub(super) endpoint: Url,
    pub(super) key: PublicKey,
    pub(super) auth: Auth,
}

/// The part of a subscription that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `endpoint`.
    Endpoint,
    /// `keys.p256dh`.
    P256dh,
    /// `keys.auth`.
    Auth,
}

/// What is wrong with a subscription, in words for whoever writes the front end. Nothing of what was sent is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub field: Field,
    /// A sentence that follows on the name of the field.
    pub reason: &'static str,
}

impl Subscription {
    /// From the parts of `PushSubscription.toJSON()`. `allow_private` is for development and tests.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(endpoint: &str, p256dh: &str, auth: &str, allow_private: bool) -> Result<Self, Mistake> {
        let endpoint =
            parse_endpoint(endpoint, allow_private).map_err(|reason| Mistake { field: Field::Endpoint, reason })?;
        let key = parse_key(p256dh).map_err(|reason| Mistake { field: Field::P256dh, reason })?;
        let auth = parse_auth(auth).map_err(|reason| Mistake { field: Field::Auth, reason })?;
        Ok(Self { endpoint, key, auth })
    }

    /// The endpoint in its one spelling, to be stored and compared. A secret: it goes into no log.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    /// Whether it may be called by a server that calls public addresses only, as far as its spelling tells.
    pub(super) fn is_public(&self) -> bool {
        self.endpoint.scheme() == "https"
            && self.endpoint.host().is_some_and(|host| address::objection(&host).is_none())
    }

    /// The origin of the endpoint (RFC 6454): the push service without the subscription.
    pub(super) fn origin(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription(…)")
    }
}

impl Field {
    /// Its name in `PushSubscription.toJSON()`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::P256dh => "p256dh",
            Self::Auth => "auth",
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.field.name(), self.reason)
    }
}

impl std::error::Error for Mistake {}

/// Everything is judged as the `url` crate spells it, never as it was sent: that is also what is connected to, so that
/// `0x7f.1` or full-width digits are the numbers they stand for.
fn parse_endpoint(text: &str, allow_private: bool) -> Result<Url, &'static str> {
    // Before parsing: escapes make it longer.
    if text.chars().count() > ENDPOINT_LIMIT {
        return Err("must have at most 2000 characters.");
    }
    let url = Url::parse(text).map_err(|_| "must be the address in `endpoint` of a PushSubscription.")?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err("must begin with https://."),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a name or a password.");
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment (#…).");
    }
    if url.port() == Some(0) {
        return Err("must not have port 0.");
    }
    let host = url.host().ok_or("must have a host.")?;
    // The parser leaves quotes and braces in a name, which no name has and the HTTP client does not take.
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if matches!(host, Host::Domain(name) if !plain(name) || name.ends_with('.')) {
        return Err("must have a plain domain name as its host.");
    }
    if let Some(objection) = address::objection(&host).filter(|_| !allow_private) {
        return Err(objection);
    }
    if url.as_str().len() > ENDPOINT_LIMIT {
        return Err("must have at most 2000 characters, with its escapes.");
    }
    Ok(url)
}

fn parse_key(text: &str) -> Result<PublicKey, &'static str> {
    let bytes = decode(text).ok_or("must be base64url (A–Z a–z 0–9 - _), as PushSubscription.toJSON() gives it.")?;
    if bytes.len() != 65 || bytes[0] != 4 {
        return Err("must be an uncompressed P-256 point: 65 bytes, the first of them 4.");
    }
    PublicKey::from_sec1_bytes(&bytes).map_err(|_| "must be a point on the curve P-256.")
}

fn parse_auth(text: &str) -> Result<Auth, &'static str> {
    let bytes = decode(text).ok_or("must be base64url (A–Z a–z 0–9 - _), as PushSubscription.toJSON() gives it.")?;
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| "must be 16 bytes.")?;
    Ok(bytes.into())
}

/// None: it is no base64url, or far too long to be a key.
fn decode(text: &str) -> Option<Vec<u8>> {
    Some(text).filter(|text| text.len() <= 200).and_then(|text| BASE64URL.decode(text).ok())
}
