//! Messages to browsers (Web Push): RFC 8030 over HTTP, encrypted by RFC 8291, signed by RFC 8292.
//! Promise: only the browser can read them, they go to public addresses only, and an endpoint, which is a secret that
//! lets anybody send, stands in no error and no log.

mod address;
mod outcome;
mod subscription;
mod vapid;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use base64::Engine;
use chrono::{DateTime, Utc};
use reqwest::{
    Client, Request,
    dns::Resolve,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use secrecy::SecretString;

pub use self::{
    address::is_public,
    outcome::Outcome,
    subscription::{Field, Mistake, Subscription},
};
use self::{
    address::{PublicOnly, SystemNames},
    subscription::BASE64URL,
    vapid::Vapid,
};

/// Bytes of a payload: what is left of the 4 096 that every push service takes (RFC 8030 section 7.2) after a header of
/// 86, a delimiter and a tag of 16.
pub const PAYLOAD_LIMIT: usize = 3_993;
/// Push services keep nothing for longer, and Google's refuses whoever asks for more.
const LONGEST_TIME_TO_LIVE: Duration = Duration::from_secs(28 * 86_400);
/// Characters of a topic (RFC 8030 section 5.4).
const TOPIC_LIMIT: usize = 32;

/// What sending needs to know.
pub struct Settings {
    /// Base64url of the 32 bytes of a P-256 key, as npm `web-push` prints it. None: the key that follows from
    /// `key_material`.
    pub vapid_private_key: Option<SecretString>,
    /// Whom a push service may turn to: `mailto:` or `https:`.
    pub vapid_subject: String,
    /// How long a message may take to be sent.
    pub timeout: Duration,
    /// How long a push service keeps what it cannot deliver, unless the message says otherwise.
    pub time_to_live: Duration,
    /// Lets `http:` and private addresses through. For development and tests.
    pub allow_private: bool,
    /// Of its own purpose. When it changes, so does the derived key, and every browser has to subscribe anew.
    pub key_material: [u8; 32],
}

/// How urgent a message is to the person (RFC 8030 section 5.3); a device that saves power lets the others wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// An advertisement.
    VeryLow,
    /// A topic update.
    Low,
    /// A chat message.
    #[default]
    Normal,
    /// A call, or something that is due now.
    High,
}

/// How a message is to be carried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// A later message of the same topic replaces this one as long as it is not delivered. The push service sees it. What
    /// is no topic (over 32 characters, or others than base64url has) goes out as its fingerprint.
    pub topic: Option<&'a str>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// How long it is kept for a browser that is away. None: as set.
    pub time_to_live: Option<Duration>,
}

/// What is wrong with the settings of VAPID, each by its name.
pub fn mistakes(private_key: Option<&SecretString>, subject: Option<&str>) -> Vec<String> {
    let key = private_key.and_then(|key| vapid::check_key(key).err());
    let subject = subject.and_then(|subject| vapid::check_subject(subject).err());
    let named = [("VAPID_PRIVATE_KEY", key), ("VAPID_SUBJECT", subject)];
    named.into_iter().filter_map(|(name, problem)| problem.map(|problem| format!("{name}: {problem}"))).collect()
}

/// Sends messages to browsers. Cheap to clone.
#[derive(Clone)]
pub struct Pusher(Arc<Parts>);

struct Parts {
    http: Client,
    vapid: Vapid,
    time_to_live: Duration,
    allow_private: bool,
}

impl std::fmt::Debug for Pusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pusher(…)")
    }
}

impl Pusher {
    /// By the settings.
    ///
    /// # Errors
    /// When a setting is none, or the HTTP client cannot be made; in words for an operator.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Self::with_names(settings, SystemNames)
    }

    /// The same with a resolver of one's own. What it finds is judged like everything else.
    ///
    /// # Errors
    /// As [`Pusher::new`].
    pub fn with_names(settings: Settings, names: impl Resolve + 'static) -> Result<Self, String> {
        let Settings { allow_private, timeout, time_to_live, .. } = settings;
        let vapid = Vapid::new(settings.vapid_private_key.as_ref(), &settings.key_material, &settings.vapid_subject)?;
        // No redirects and no proxy: both connect to something else than what was judged. Few idle connections: whoever
        // subscribes chooses the hosts.
        let http = Client::builder()
            .dns_resolver(Arc::new(PublicOnly { names, allow_private }))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .https_only(!allow_private)
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .build()
            .map_err(|e| format!("the HTTP client for web push cannot be made: {e}"))?;
        Ok(Self(Arc::new(Parts { http, vapid, time_to_live, allow_private })))
    }

    /// The public key, base64url of the uncompressed point: what browsers take as `applicationServerKey`.
    pub fn public_key(&self) -> &str {
        self.0.vapid.public_key()
    }

    /// A subscription that this server would send to.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn subscription(&self, endpoint: &str, p256dh: &str, auth: &str) -> Result<Subscription, Mistake> {
        Subscription::parse(endpoint, p256dh, auth, self.0.allow_private)
    }

    /// Sends one message, once. Trying again is the caller's.
    pub async fn send(&self, to: &Subscription, payload: &[u8], message: Message<'_>, now: DateTime<Utc>) -> Outcome {
        if payload.len() > PAYLOAD_LIMIT {
            return Outcome::TooLarge;
        }
        // Numbers are not looked up, so the resolver never sees them.
        if !self.0.allow_private && !to.is_public() {
            return Outcome::ForbiddenAddress;
        }
        let request = match self.request(to, payload, message, now) {
            Ok(request) => request,
            Err(text) => return Outcome::Unreachable(text),
        };
        match self.0.http.execute(request).await {
            Ok(answer) => Outcome::of_answer(answer, now).await,
            Err(error) => Outcome::of_error(error),
        }
    }

    fn request(
        &self,
        to: &Subscription,
        payload: &[u8],
        message: Message<'_>,
        now: DateTime<Utc>,
    ) -> Result<Request, String> {
        let body = web_push_native::encrypt(payload.to_vec(), &to.key, &to.auth)
            .map_err(|_| "the message cannot be encrypted")?;
        let time_to_live = message.time_to_live.unwrap_or(self.0.time_to_live).min(LONGEST_TIME_TO_LIVE);
        let mut request = Request::new(reqwest::Method::POST, to.endpoint.clone());
        let headers = request.headers_mut();
        headers.insert("authorization", self.0.vapid.authorization(to.origin(), now)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        headers.insert("ttl", HeaderValue::from(time_to_live.as_secs()));
        headers.insert("urgency", HeaderValue::from_static(message.urgency.name()));
        if let Some(topic) = message.topic {
            let topic = HeaderValue::try_from(topic_of(topic)).map_err(|_| "the topic cannot be sent")?;
            headers.insert("topic", topic);
        }
        *request.body_mut() = Some(body.into());
        Ok(request)
    }
}

impl Urgency {
    fn name(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// The text where it is a topic, else 24 bytes of its SHA-256, which are 32 characters: the same text, the same topic.
fn topic_of(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=TOPIC_LIMIT).contains(&text.len()) && text.bytes().all(plain) {
        return text.to_owned();
    }
    BASE64URL.encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..24])
}
