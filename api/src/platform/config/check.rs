//! What settings must be together, and what production asks of them besides.
//! Promise: every problem is named by its setting, all at once, with what to do about it; no secret is in the words.

use std::{net::IpAddr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Config;
use crate::platform::{calendar, push};

/// Bits that a secret must be worth, by how often its characters come: any 32 random hexadecimal digits are, a word that
/// is written several times is not.
const LEAST_BITS: f64 = 90.0;
/// The least that OWASP asks of argon2id: 7 MiB and 5 passes, or more memory and fewer passes.
const LEAST_MEMORY_KIB: u32 = 7_168;
const LEAST_WORK_KIB: u32 = 5 * LEAST_MEMORY_KIB;

impl Config {
    /// Adds everything that is wrong.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        self.check_server(problems);
        self.check_security(problems);
        self.check_mail_and_push(problems);
        self.check_numbers(problems);
        self.check_jobs(problems);
        self.check_storage(problems);
        self.check_watching(problems);
        if self.is_production() {
            let mut more = Vec::new();
            self.check_production(&mut more);
            self.check_production_guards(&mut more);
            self.check_production_storage(&mut more);
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

    fn check_numbers(&self, problems: &mut Vec<String>) {
        if self.limits.keep_alive < self.limits.header_timeout {
            problems.push("KEEP_ALIVE_TIMEOUT must not be shorter than HEADER_TIMEOUT".into());
        }
        if self.limits.page_default > self.limits.page_limit {
            problems.push("PAGE_DEFAULT cannot be more than PAGE_LIMIT".into());
        }
        for (name, number) in [
            ("DATABASE_READERS", u64::from(self.database.readers)),
            ("DATABASE_WRITERS", u64::from(self.database.writers)),
            ("PASSWORD_PERMITS", self.security.password_permits as u64),
            ("JOB_BATCH", self.jobs.batch),
            ("JOB_CONCURRENCY", self.jobs.concurrency as u64),
            ("CONNECTION_LIMIT", self.limits.connections as u64),
            ("SESSIONS_PER_USER", self.security.sessions_per_user),
            ("FILE_LIMIT", self.storage.file_limit),
            ("FILES_PER_REQUEST", self.storage.files_per_request as u64),
            ("UPLOADS_AT_ONCE", self.storage.uploads_at_once as u64),
            ("UPLOADS_PER_USER", self.storage.uploads_per_user as u64),
            ("IMAGE_PERMITS", self.storage.image_permits as u64),
            ("IMAGE_WIDTH", self.storage.image_width.into()),
            ("IMAGE_HEIGHT", self.storage.image_height.into()),
            ("THUMBNAIL_SIZE", self.storage.thumbnail_size.into()),
            ("SOCKETS_PER_ADDRESS", self.sockets.per_address as u64),
            ("COST_BUDGET", self.budget.person),
            ("COST_BUDGET_ANONYMOUS", self.budget.anonymous),
        ] {
            if number == 0 {
                problems.push(format!("{name} must be at least 1"));
            }
        }
        if self.budget.window < Duration::from_secs(1) {
            problems.push("COST_WINDOW must be at least 1s".into());
        }
        if self.documents.trusted_only && self.documents.trusted.is_none() {
            problems.push("TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS, or nothing could run".into());
        }
        if !(1..=100).contains(&self.storage.image_quality) {
            problems.push("IMAGE_QUALITY must be 1 to 100".into());
        }
    }

    /// With less than this, work is put aside at its first trouble, tried again without a pause, or taken from its worker.
    fn check_jobs(&self, problems: &mut Vec<String>) {
        let jobs = &self.jobs;
        for (name, number) in [("JOB_ATTEMPTS", jobs.attempts), ("JOB_CRASHES", jobs.crashes)] {
            if number < 1 {
                problems.push(format!("{name} must be at least 1"));
            }
        }
        if jobs.lease < Duration::from_secs(1) {
            problems.push("JOB_LEASE must be at least 1s".into());
        }
        for (name, wait) in [
            ("JOB_POLL", jobs.poll),
            ("JOB_RETRY_FIRST", jobs.retry_first),
            ("JOB_RETRY_LONGEST", jobs.retry_longest),
            ("JOB_GIVE_UP_AFTER", jobs.give_up_after),
        ] {
            if wait.is_zero() {
                problems.push(format!("{name} must be more than 0s"));
            }
        }
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

    fn check_production(&self, problems: &mut Vec<String>) {
        let mut need = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        let secret = self.security.secret_key.as_ref().map(ExposeSecret::expose_secret);
        need(secret.is_some(), "SECRET_KEY is missing: make one with `openssl rand -hex 32`");
        need(secret != Some(PUBLIC_SECRET), "SECRET_KEY is known to everybody: make one with `openssl rand -hex 32`");
        let seeds = self.security.jwt_keys.as_ref().and_then(|keys| super::keys::jwt_keys(keys).ok());
        let all_alike = |seed: &[u8; 32]| seed.iter().all(|byte| *byte == seed[0]);
        need(
            !seeds.unwrap_or_default().iter().any(|(_, seed)| all_alike(seed)),
            "JWT_KEYS has a seed that everybody guesses: make one with `openssl rand 32 | basenc --base64url | tr -d =`",
        );
        need(
            self.database.is_postgres(),
            "DATABASE_URL must be a postgres:// address: the embedded SQLite serves one process",
        );
        // The program itself speaks plain HTTP: what makes it https:// stands in front.
        need(
            self.server.trusted_proxies > 0,
            "TRUSTED_PROXIES must be the number of proxies in front: without it all clients share one address and its limits",
        );
        let tls = self.mail.smtp_url.as_ref().and_then(smtp).is_some_and(|tls| tls);
        need(tls, "SMTP_URL is missing or does not demand TLS: use smtps://… or smtp://…?tls=required");
        need(
            self.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://")),
            "PUBLIC_URL must be the API's https:// address",
        );
        need(self.server.frontend_url.starts_with("https://"), "FRONTEND_URL must be the front end's https:// address");
        need(
            self.allowed_origins().iter().all(|origin| origin.starts_with("https://")),
            "ALLOWED_ORIGINS must be https:// origins",
        );
        need(!self.mail.from.contains(".localhost"), "MAIL_FROM must be an address of yours");
    }

    fn check_production_guards(&self, problems: &mut Vec<String>) {
        let mut need = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        let security = &self.security;
        need(
            self.oidc.client_id.is_none() || self.oidc.issuer.starts_with("https://"),
            "OIDC_ISSUER must be an https:// address",
        );
        let work = security.password_memory_kib.saturating_mul(security.password_passes);
        need(
            security.password_memory_kib >= LEAST_MEMORY_KIB && work >= LEAST_WORK_KIB,
            "PASSWORD_MEMORY_KIB and PASSWORD_PASSES are too small to protect passwords: leave both as they are by default",
        );
        need(!self.push.allow_private, "PUSH_ALLOW_PRIVATE must be false: people could reach your own network");
        need(self.faults.crash_at.is_none(), "CRASH_AT must be empty: it is for fault runs");
        need(self.faults.clock_offset_file.is_none(), "CLOCK_OFFSET_FILE must be empty: it is for fault runs");
    }

    fn check_production_storage(&self, problems: &mut Vec<String>) {
        let storage = &self.storage;
        let browsers = storage.public_endpoint.as_ref().or(storage.endpoint.as_ref());
        if storage.endpoint.is_none() || !browsers.is_some_and(|url| url.starts_with("https://")) {
            problems.push("S3_ENDPOINT is missing, or neither it nor S3_PUBLIC_ENDPOINT is an https:// address".into());
        }
        if storage.endpoint.is_none() {
            for (name, there) in [
                ("S3_ACCESS_KEY_ID", storage.access_key_id.is_some()),
                ("S3_SECRET_ACCESS_KEY", storage.secret_access_key.is_some()),
            ] {
                if !there {
                    problems.push(format!("{name} is missing"));
                }
            }
        }
    }
}

impl Config {
    /// Whether others than this machine can reach the mailbox of development, and in it the codes of everybody.
    pub fn shows_codes_to_others(&self) -> bool {
        let host = self.server.host.as_str();
        let is_this_machine = host.parse::<IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback());
        self.mail.smtp_url.is_none() && !is_this_machine
    }
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
fn smtp(url: &SecretString) -> Option<bool> {
    let url = Url::parse(url.expose_secret()).ok().filter(|url| url.host().is_some())?;
    match url.scheme() {
        "smtps" => Some(true),
        "smtp" => Some(url.query_pairs().any(|(name, value)| name == "tls" && value == "required")),
        _ => None,
    }
}

/// The one that compose.yaml has for development.
const PUBLIC_SECRET: &str = "no secret, this is for development only";

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
    fn jobs_that_could_not_be_done_are_refused_everywhere() {
        let wrong = [
            ("JOB_ATTEMPTS", "0"),
            ("JOB_CRASHES", "0"),
            ("JOB_LEASE", "999ms"),
            ("JOB_POLL", "0s"),
            ("JOB_RETRY_FIRST", "0s"),
            ("JOB_RETRY_LONGEST", "0s"),
            ("JOB_GIVE_UP_AFTER", "0s"),
        ];
        let config = |pairs: &[(&'static str, &str)]| {
            Config::from_pairs(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())))
        };
        let problems = config(&wrong).expect_err("all are wrong");
        assert_eq!(problems.len(), wrong.len(), "{problems:?}");
        for (name, _) in wrong {
            assert!(problems.iter().any(|problem| problem.starts_with(&format!("{name} must be "))), "{name}");
        }
        let least = [("JOB_ATTEMPTS", "1"), ("JOB_CRASHES", "1"), ("JOB_LEASE", "1s"), ("JOB_GIVE_UP_AFTER", "1ms")];
        assert!(config(&least).is_ok());
    }

    #[test]
    fn a_mailbox_is_shown_to_others_on_an_address_of_theirs() {
        let shows = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (*name, (*value).to_owned()));
            Config::from_pairs(pairs).expect("they can be read").shows_codes_to_others()
        };
        for host in ["127.0.0.1", "127.0.0.2", "::1", "localhost"] {
            assert!(!shows(&[("HOST", host)]), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.0.2.1", "server.example.org"] {
            assert!(shows(&[("HOST", host)]), "{host}");
            assert!(!shows(&[("HOST", host), ("SMTP_URL", "smtp://mail.example.org")]), "{host}, but mail goes out");
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
