//! Every setting, its meaning and its default: the one file that reads the environment.
//! Promise: a configuration that exists is complete and safe; one that is not says everything that is wrong at once.
//!
//! Values come from the environment, then from the TOML file named by `CONFIG` (same names, upper or lower case),
//! then from the default. Durations are written `250ms`, `30s`, `5m`, `12h`, `7d`.

mod settings;
mod value;

use std::collections::HashMap;

use secrecy::{ExposeSecret, SecretString};

pub use self::settings::*;
use self::value::Value;

impl Config {
    /// Reads the environment, and the file that `CONFIG` names.
    ///
    /// # Errors
    /// Every problem, each with what to do about it.
    pub fn from_env() -> Result<Self, Vec<String>> {
        // A foreign variable need not be text; an empty one counts as not set, as compose files make them.
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let env: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let file = match env.get("CONFIG") {
            Some(path) => read_file(path)?,
            None => HashMap::new(),
        };
        Self::from_lookup(&|name| env.get(name).or_else(|| file.get(name)).cloned())
    }

    /// Reads settings from pairs of name and value; for tests and tools.
    ///
    /// # Errors
    /// Every problem, each with what to do about it.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Result<Self, Vec<String>> {
        let pairs: HashMap<&str, String> = pairs.into_iter().collect();
        if let Some(unknown) = pairs.keys().find(|name| SETTINGS.iter().all(|s| s.name != **name)) {
            return Err(vec![format!("{unknown} is not a setting")]);
        }
        Self::from_lookup(&|name| pairs.get(name).cloned())
    }

    fn from_lookup(text_of: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let config = Self::parse(text_of, &mut problems);
        if let Some(config) = &config {
            config.check(&mut problems);
        }
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// Whether this is production.
    pub fn is_production(&self) -> bool {
        self.server.environment == Environment::Production
    }

    /// The address of the API as clients see it, given the port that was really taken.
    pub fn public_url(&self, port: u16) -> String {
        // Nobody can be reached at the address that means all addresses.
        let everywhere = matches!(self.server.host.as_str(), "0.0.0.0" | "::");
        let host = if everywhere { "localhost" } else { self.server.host.as_str() };
        self.server.public_url.clone().unwrap_or_else(|| format!("http://{host}:{port}"))
    }

    /// Whether GraphiQL is served.
    pub fn graphiql(&self) -> bool {
        self.server.graphiql.unwrap_or(!self.is_production())
    }

    /// The origins whose browsers may call with cookies.
    pub fn allowed_origins(&self) -> Vec<String> {
        if self.server.allowed_origins.is_empty() {
            vec![self.server.frontend_url.trim_end_matches('/').to_owned()]
        } else {
            self.server.allowed_origins.clone()
        }
    }

    fn check(&self, problems: &mut Vec<String>) {
        if super::calendar::zone(&self.accounts.default_time_zone).is_none() {
            problems.push("DEFAULT_TIME_ZONE must be a zone of the IANA database, like Europe/Berlin".into());
        }
        if self.security.secret_key.as_ref().is_some_and(|key| key.expose_secret().len() < 32) {
            problems.push("SECRET_KEY must have at least 32 characters: make one with `openssl rand -hex 32`".into());
        }
        if !matches!(self.security.cookie_same_site.as_str(), "Lax" | "Strict" | "None") {
            problems.push("COOKIE_SAMESITE must be Lax, Strict or None".into());
        }
        if self.mail.from.parse::<lettre::message::Mailbox>().is_err() {
            problems.push("MAIL_FROM must be an address like `Spacedly <hello@example.org>`".into());
        }
        let public_https = self.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        if self.security.cookie_same_site == "None" && !public_https {
            problems
                .push("COOKIE_SAMESITE=None needs an https:// PUBLIC_URL: browsers drop such cookies otherwise".into());
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
        ] {
            if number == 0 {
                problems.push(format!("{name} must be at least 1"));
            }
        }
        if self.shared.redis_url.is_some() && self.security.secret_key.is_none() {
            problems.push("SECRET_KEY is missing: instances that share REDIS_URL must share it too".into());
        }
        self.check_storage(problems);
        if self.oidc.client_id.is_some() && self.oidc.client_secret.is_none() {
            problems.push("OIDC_CLIENT_SECRET is missing: OIDC_CLIENT_ID is set".into());
        }
        if self.is_production() {
            self.check_production(problems);
        }
    }

    fn check_storage(&self, problems: &mut Vec<String>) {
        let storage = &self.storage;
        for (name, address) in [("S3_ENDPOINT", &storage.endpoint), ("S3_PUBLIC_ENDPOINT", &storage.public_endpoint)] {
            let http = |url: &String| url.starts_with("https://") || url.starts_with("http://");
            if address.as_ref().is_some_and(|url| !http(url)) {
                problems.push(format!("{name} must be an address that begins with https:// or http://"));
            }
        }
        if storage.endpoint.is_some() && (storage.access_key_id.is_none() || storage.secret_access_key.is_none()) {
            problems.push("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are missing: S3_ENDPOINT is set".into());
        }
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        let name = storage.bucket.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        let at_an_end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let fits = (3..=63).contains(&name.len()) && name.iter().all(plain);
        if !fits || !at_an_end(name.first()) || !at_an_end(name.last()) {
            problems.push("S3_BUCKET must have 3 to 63 lower-case letters, digits, dots and hyphens".into());
        }
        if storage.endpoint.is_none() && matches!(storage.bucket.as_str(), "graphql" | "health" | "dev" | "auth") {
            problems.push(format!("S3_BUCKET cannot be {}: the API has that path", storage.bucket));
        }
        if !(1..=100).contains(&storage.image_quality) {
            problems.push("IMAGE_QUALITY must be 1 to 100".into());
        }
        // AWS Signature Version 4: a presigned URL is good for seven days at most.
        let week = std::time::Duration::from_secs(7 * 86_400);
        if storage.upload_link_lifetime > week || storage.download_link_lifetime > week {
            problems.push("UPLOAD_LINK_LIFETIME and DOWNLOAD_LINK_LIFETIME can be 7d at most".into());
        }
    }

    fn check_production(&self, problems: &mut Vec<String>) {
        let mut need = |ok: bool, problem: &str| {
            if !ok {
                problems.push(format!("{problem} (ENVIRONMENT=production)"));
            }
        };
        let starts = |value: &Option<SecretString>, prefix: &str| {
            value.as_ref().is_some_and(|value| value.expose_secret().starts_with(prefix))
        };
        need(self.security.secret_key.is_some(), "SECRET_KEY is missing: make one with `openssl rand -hex 32`");
        need(
            self.database.is_postgres(),
            "DATABASE_URL must be a postgres:// address: the embedded SQLite serves one process",
        );
        let demands_tls = |url: &SecretString| {
            let url = url::Url::parse(url.expose_secret()).ok();
            url.is_some_and(|url| url.query_pairs().any(|(name, value)| name == "tls" && value == "required"))
        };
        let tls = starts(&self.mail.smtp_url, "smtps://") || self.mail.smtp_url.as_ref().is_some_and(demands_tls);
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
        need(
            self.oidc.client_id.is_none() || self.oidc.issuer.starts_with("https://"),
            "OIDC_ISSUER must be an https:// address",
        );
        need(!self.push.allow_private, "PUSH_ALLOW_PRIVATE must be false: people could reach your own network");
        let browsers_s3 = self.storage.public_endpoint.as_ref().or(self.storage.endpoint.as_ref());
        need(
            browsers_s3.is_some_and(|url| url.starts_with("https://")),
            "S3_ENDPOINT is missing, or neither it nor S3_PUBLIC_ENDPOINT is an https:// address",
        );
        need(!self.mail.from.contains(".localhost"), "MAIL_FROM must be an address of yours");
    }
}

impl Database {
    /// Whether it is a PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        let names = |url: &SecretString| {
            let url = url.expose_secret();
            url.starts_with("postgres://") || url.starts_with("postgresql://")
        };
        self.url.as_ref().is_some_and(names)
    }
}

fn read_file(path: &str) -> Result<HashMap<String, String>, Vec<String>> {
    let text =
        std::fs::read_to_string(path).map_err(|e| vec![format!("CONFIG names {path}, which cannot be read: {e}")])?;
    let table: toml::Table = text.parse().map_err(|e| vec![format!("{path} is not TOML: {e}")])?;
    let mut values = HashMap::new();
    let mut problems = Vec::new();
    for (name, value) in table {
        let name = name.to_uppercase();
        if SETTINGS.iter().all(|setting| setting.name != name) {
            problems.push(format!("{path}: {name} is not a setting"));
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            _ => {
                problems.push(format!("{path}: {name} must be a text, a number or a truth value"));
                continue;
            }
        };
        values.insert(name, text);
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn read<T: Value>(
    name: &str,
    default: &str,
    text_of: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let text = text_of(name).unwrap_or_else(|| default.to_owned());
    T::read(text.trim()).map_err(|expected| problems.push(format!("{name} must be {expected}"))).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_defaults_are_a_whole_configuration() {
        let config = Config::from_pairs([]).expect("no settings are needed");
        assert_eq!(config.server.port, 8000);
        assert_eq!(config.limits.body, 1_000_000);
        assert_eq!(config.security.access_token_lifetime, Duration::from_secs(900));
    }

    #[test]
    fn every_problem_is_named_at_once_and_no_secret_is_printed() {
        let problems =
            Config::from_pairs([("PORT", "x".into()), ("JOB_LEASE", "soon".into()), ("ENVIRONMENT", "prod".into())])
                .expect_err("three are wrong");
        assert_eq!(problems.len(), 3, "{problems:?}");
        let config = Config::from_pairs([("SECRET_KEY", "0123456789abcdef0123456789abcdef".into())]).expect("fine");
        assert!(!format!("{config:?}").contains("0123456789"));
    }

    #[test]
    fn production_refuses_what_is_unsafe() {
        let problems = Config::from_pairs([("ENVIRONMENT", "production".into())]).expect_err("nothing is set");
        for name in [
            "SECRET_KEY",
            "DATABASE_URL",
            "SMTP_URL",
            "PUBLIC_URL",
            "FRONTEND_URL",
            "ALLOWED_ORIGINS",
            "MAIL_FROM",
            "S3_ENDPOINT",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name} in {problems:?}");
        }
        let safe = Config::from_pairs([
            ("ENVIRONMENT", "production".into()),
            ("SECRET_KEY", "0123456789abcdef0123456789abcdef".into()),
            ("DATABASE_URL", "postgres://db/spacedly".into()),
            ("SMTP_URL", "smtps://u:p@mail.example.org".into()),
            ("PUBLIC_URL", "https://api.example.org".into()),
            ("FRONTEND_URL", "https://example.org".into()),
            ("MAIL_FROM", "Spacedly <hello@example.org>".into()),
            ("S3_ENDPOINT", "https://s3.example.org".into()),
            ("S3_ACCESS_KEY_ID", "key".into()),
            ("S3_SECRET_ACCESS_KEY", "secret".into()),
        ]);
        assert!(safe.is_ok(), "{safe:?}");
    }
}
