//! What settings must be and must be together; `numbers` has the least of each, `production` what it asks besides.
//! Promise: every problem is named by its setting, all at once, with what to do about it; no secret is in the words.

use std::{net::IpAddr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Config;
use crate::platform::{calendar, push};

/// Bits that a secret must be worth, by how often its characters come: any 32 random hexadecimal digits are, a word that
/// is written several times is not.
const LEAST_BITS: f64 = 90.0;
impl Config {
    /// Adds everything that is wrong.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        self.check_server(problems);
        self.check_security(problems);
        self.check_mail_and_push(problems);
        self.check_numbers(problems);
        self.check_jobs(problems);
        self.check_times(problems);
        self.check_storage(problems);
        self.check_watching(problems);
        if self.is_production() {
            let mut more = Vec::new();
            self.check_production(&mut more);
            problems.extend(more.into_iter().map(|problem| format!("{problem} (ENVIRONMENT=production)")));
        }
    }

    fn check_server(&self, problems: &mut Vec<String>) {
        for (name, url) in
            [("PUBLIC_URL", self.server.public_url.as_ref()), ("FRONTEND_URL", Some(&self.server.frontend_url))]
        {
            if url.is_some_and(|url| !is_web_address(url)) {
                problems.push(format!("{name} must be an address that begins with https:// or http://"));
            }
        }
        if let Some(wrong) = self.server.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            problems.push(format!(
                "ALLOWED_ORIGINS must be origins like https://app.example.org, without a path and never *: {wrong} is none"
            ));
        }
        if calendar::zone(&self.accounts.default_time_zone).is_none() {
            problems.push("DEFAULT_TIME_ZONE must be a zone of the IANA database, like Europe/Berlin".into());
        }
        let database = self.database.url.as_ref().map(|url| url.expose_secret());
        if database.is_some_and(|url| !url.starts_with("sqlite:")) && !self.database.is_postgres() {
            problems.push("DATABASE_URL must begin with sqlite:// or postgres://".into());
        }
        let redis = self.shared.redis_url.as_ref().map(|url| url.expose_secret());
        if redis.is_some_and(|url| !["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme))) {
            problems.push("REDIS_URL must be like redis://host:6379/0 or rediss://host:6379/0".into());
        }
        if redis.is_some() && self.security.secret_key.is_none() {
            problems.push("SECRET_KEY is missing: instances that share REDIS_URL must share it too".into());
        }
    }

    fn check_security(&self, problems: &mut Vec<String>) {
        let security = &self.security;
        if security.secret_key.as_ref().is_some_and(|key| key.expose_secret().len() < 32) {
            problems.push("SECRET_KEY must have at least 32 characters: make one with `openssl rand -hex 32`".into());
        } else if security.secret_key.as_ref().is_some_and(|key| bits(key.expose_secret()) < LEAST_BITS) {
            problems.push("SECRET_KEY is easy to guess: make one with `openssl rand -hex 32`".into());
        }
        if let Some(keys) = &security.jwt_keys
            && let Err(problem) = super::keys::jwt_keys(keys)
        {
            problems.push(problem);
        }
        if !matches!(security.cookie_same_site.as_str(), "Lax" | "Strict" | "None") {
            problems.push("COOKIE_SAMESITE must be Lax, Strict or None".into());
        }
        let public_https = self.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        if security.cookie_same_site == "None" && !public_https {
            problems
                .push("COOKIE_SAMESITE=None needs an https:// PUBLIC_URL: browsers drop such cookies otherwise".into());
        }
        let host = self.server.public_url.as_deref().and_then(host_of);
        if let (Some(domain), Some(host)) = (&security.cookie_domain, host)
            && !is_within(&host, domain)
        {
            problems.push(format!(
                "COOKIE_DOMAIN must be the host of PUBLIC_URL ({host}) or a domain above it: browsers drop cookies otherwise"
            ));
        }
        if self.oidc.client_id.is_some() && self.oidc.client_secret.is_none() {
            problems.push("OIDC_CLIENT_SECRET is missing: OIDC_CLIENT_ID is set".into());
        }
    }

    fn check_mail_and_push(&self, problems: &mut Vec<String>) {
        if self.mail.from.parse::<lettre::message::Mailbox>().is_err() {
            problems.push("MAIL_FROM must be an address like `Spacedly <hello@example.org>`".into());
        }
        if self.mail.smtp_url.as_ref().is_some_and(|url| smtp(url).is_none()) {
            problems.push("SMTP_URL must be like smtps://user:password@host or smtp://host?tls=required".into());
        }
        problems.extend(push::mistakes(self.push.vapid_private_key.as_ref(), self.push.vapid_subject.as_deref()));
    }

    fn check_storage(&self, problems: &mut Vec<String>) {
        let storage = &self.storage;
        for (name, address) in [("S3_ENDPOINT", &storage.endpoint), ("S3_PUBLIC_ENDPOINT", &storage.public_endpoint)] {
            if address.as_ref().is_some_and(|url| !is_web_address(url)) {
                problems.push(format!("{name} must be an address that begins with https:// or http://"));
            }
        }
        if storage.endpoint.is_some() {
            for (name, there) in [
                ("S3_ACCESS_KEY_ID", storage.access_key_id.is_some()),
                ("S3_SECRET_ACCESS_KEY", storage.secret_access_key.is_some()),
            ] {
                if !there {
                    problems.push(format!("{name} is missing: S3_ENDPOINT is set"));
                }
            }
        }
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        let name = storage.bucket.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        let at_an_end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let fits = (3..=63).contains(&name.len()) && name.iter().all(plain);
        if !fits || !at_an_end(name.first()) || !at_an_end(name.last()) {
            problems.push("S3_BUCKET must have 3 to 63 lower-case letters, digits, dots and hyphens".into());
        }
        if storage.endpoint.is_none()
            && matches!(storage.bucket.as_str(), "graphql" | "health" | "metrics" | "dev" | "auth")
        {
            problems.push(format!("S3_BUCKET cannot be {}: the API has that path", storage.bucket));
        }
        // AWS Signature Version 4: a presigned URL is good for seven days at most.
        let week = Duration::from_secs(7 * 86_400);
        if storage.upload_link_lifetime > week || storage.download_link_lifetime > week {
            problems.push("UPLOAD_LINK_LIFETIME and DOWNLOAD_LINK_LIFETIME can be 7d at most".into());
        }
    }

    fn check_watching(&self, problems: &mut Vec<String>) {
        let settings = &self.watching;
        if settings.metrics_token.as_ref().is_some_and(|token| token.expose_secret().len() < 16) {
            problems
                .push("METRICS_TOKEN must have at least 16 characters: make one with `openssl rand -hex 32`".into());
        }
        let http = |url: &SecretString| {
            Url::parse(url.expose_secret()).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if settings.otlp_endpoint.as_ref().is_some_and(|url| !http(url)) {
            problems.push("OTLP_ENDPOINT must be an address that begins with https:// or http://".into());
        }
        if settings.otlp_endpoint.is_some() && cfg!(not(feature = "otlp")) {
            problems.push("OTLP_ENDPOINT is set, but this program was built without the feature otlp".into());
        }
    }
}

impl Config {
    /// Which setting says that others than this machine can reach the mailbox of development, and in it the codes of
    /// everybody: by the address that it listens at, or by a proxy before it.
    pub fn shows_codes_to_others(&self) -> Option<&'static str> {
        if self.mail.smtp_url.is_some() {
            return None;
        }
        if !is_this_machine(&self.server.host) {
            return Some("HOST");
        }
        if self.server.trusted_proxies > 0 {
            return Some("TRUSTED_PROXIES");
        }
        let public = self.server.public_url.as_deref().and_then(host_of);
        public.is_some_and(|host| !is_this_machine(&host)).then_some("PUBLIC_URL")
    }
}

/// Whether only this machine is reached under this name or address, an IPv6 one in brackets or without.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost" || host.ends_with(".localhost"), |ip| ip.is_loopback())
}

/// Whether this is an http or https address with a host.
fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some())
}

/// Whether this is how a browser writes an origin (RFC 6454 section 6.2).
fn is_origin(text: &str) -> bool {
    // The URL standard takes * for a host.
    !text.contains('*')
        && is_web_address(text)
        && Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

/// The host of an address. None: it has none.
fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// Whether cookies of this domain may be set by this host (RFC 6265 section 5.1.3).
fn is_within(host: &str, domain: &str) -> bool {
    let domain = domain.trim_start_matches('.').to_lowercase();
    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether TLS is demanded of this mail server. None: it is no address of one.
pub(super) fn smtp(url: &SecretString) -> Option<bool> {
    let url = Url::parse(url.expose_secret()).ok().filter(|url| url.host().is_some())?;
    match url.scheme() {
        "smtps" => Some(true),
        "smtp" => Some(url.query_pairs().any(|(name, value)| name == "tls" && value == "required")),
        _ => None,
    }
}

/// How many bits a text is worth if each character were chosen as often as it comes in it.
fn bits(text: &str) -> f64 {
    let mut counts = std::collections::HashMap::<char, f64>::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1.0;
    }
    let length: f64 = counts.values().sum();
    counts.values().map(|count| -count * (count / length).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_worth_what_its_characters_vary() {
        assert!(bits("0123456789abcdef0123456789abcdef") >= LEAST_BITS);
        assert!(bits("f3a1c09be57d2246a8819cd03b7e45ff") >= LEAST_BITS);
        for weak in ["a".repeat(64), "changeme".repeat(4), "password".repeat(4)] {
            assert!(bits(&weak) < LEAST_BITS, "{weak}");
        }
    }

    #[test]
    fn a_mailbox_is_shown_to_others_on_an_address_of_theirs() {
        let shows = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (*name, (*value).to_owned()));
            Config::from_pairs(pairs).expect("they can be read").shows_codes_to_others()
        };
        for host in ["127.0.0.1", "127.0.0.2", "::1", "localhost"] {
            assert_eq!(shows(&[("HOST", host)]), None, "{host}");
        }
        let goes_out = ("SMTP_URL", "smtp://mail.example.org");
        for host in ["0.0.0.0", "::", "192.0.2.1", "server.example.org"] {
            assert_eq!(shows(&[("HOST", host)]), Some("HOST"), "{host}");
            assert_eq!(shows(&[("HOST", host), goes_out]), None, "{host}, but mail goes out");
        }
        // A proxy on this machine.
        assert_eq!(shows(&[("TRUSTED_PROXIES", "1")]), Some("TRUSTED_PROXIES"));
        assert_eq!(shows(&[("TRUSTED_PROXIES", "1"), goes_out]), None);
        assert_eq!(shows(&[("PUBLIC_URL", "https://api.example.org")]), Some("PUBLIC_URL"));
        for own in ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "http://api.localhost"] {
            assert_eq!(shows(&[("PUBLIC_URL", own)]), None, "{own}");
        }
    }

    #[test]
    fn an_origin_has_no_path_and_no_wildcard() {
        for origin in ["https://example.org", "http://localhost:8080", "https://example.org:8443"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in ["*", "https://*", "example.org", "https://example.org/app", "null", "https://example.org:443"] {
            assert!(!is_origin(other), "{other}");
        }
    }

    #[test]
    fn a_cookie_domain_is_above_its_host() {
        assert!(is_within("api.example.org", "example.org") && is_within("api.example.org", ".example.org"));
        assert!(!is_within("api.example.org", "ample.org") && !is_within("example.org", "api.example.org"));
    }
}
