//! What production asks of settings besides.
//! Promise: whatever is unsafe or missing is refused, and no setting opens a guard so far that it guards nothing.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Config, check::smtp, numbers::at_least};

/// The least that OWASP asks of argon2id: 7 MiB and 5 passes, or more memory and fewer passes.
const LEAST_MEMORY_KIB: u32 = 7_168;
const LEAST_WORK_KIB: u32 = 5 * LEAST_MEMORY_KIB;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The one that compose.yaml has for development.
const PUBLIC_SECRET: &str = "no secret, this is for development only";

impl Config {
    /// Adds everything that production does not take.
    pub(super) fn check_production(&self, problems: &mut Vec<String>) {
        self.check_production_addresses(problems);
        self.check_production_guards(problems);
        self.check_production_ceilings(problems);
        self.check_production_storage(problems);
    }

    fn check_production_addresses(&self, problems: &mut Vec<String>) {
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

    /// A six-digit code is guessed by whoever has tries enough, and a token or a session that was ended goes on for as long
    /// as it is believed.
    fn check_production_ceilings(&self, problems: &mut Vec<String>) {
        let (security, attempts) = (&self.security, &self.attempts);
        for (name, number, most) in [
            ("CODE_TRIES", u64::try_from(self.accounts.code_tries).unwrap_or_default(), 20),
            ("CODE_FAILURES", attempts.code_failures, 100),
            ("LOGIN_FAILURES", attempts.login_failures, 100),
            ("CHALLENGE_LIMIT", attempts.challenge, 100),
            ("FORGOT_LIMIT", attempts.forgot, 100),
        ] {
            if number > most {
                problems.push(format!("{name} can be {most} at most"));
            }
        }
        let windows = [
            ("LOGIN_WINDOW", attempts.login_window),
            ("CODE_WINDOW", attempts.code_window),
            ("CHALLENGE_WINDOW", attempts.challenge_window),
            ("FORGOT_WINDOW", attempts.forgot_window),
        ];
        at_least(problems, &windows, 5 * MINUTE, "5m");
        for (name, time, most, words) in [
            ("ACCESS_TOKEN_LIFETIME", security.access_token_lifetime, 24 * HOUR, "24h"),
            ("SESSION_CACHE", security.session_cache, MINUTE, "1m"),
            ("CODE_LIFETIME", self.accounts.code_lifetime, HOUR, "1h"),
            ("RESET_LIFETIME", self.accounts.reset_lifetime, 24 * HOUR, "24h"),
        ] {
            if time > most {
                problems.push(format!("{name} can be {words} at most"));
            }
        }
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
