//! Every setting, its meaning and its default: the one file that reads the environment.
//! Promise: a configuration that exists is complete and safe; one that is not says everything that is wrong at once.
//!
//! Values come from the environment, then from the TOML file named by `CONFIG` (same names, upper or lower case),
//! then from the default. Durations are written `250ms`, `30s`, `5m`, `12h`, `7d`.

mod value;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use self::value::Value;

/// Where the program runs, and so how strict it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine: everything embedded, details in errors.
    Development,
    /// For people: refuses to start with anything unsafe.
    Production,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object a line.
    Json,
}

/// A setting as the reference lists it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub doc: &'static str,
}

macro_rules! settings {
    ($($(#[doc = $section_doc:literal])* $section:ident: $Section:ident {
        $($(#[doc = $doc:literal])+ $name:ident => $field:ident: $ty:ty = $default:literal;)*
    })*) => {
        /// Every setting, in sections.
        #[derive(Clone, Debug)]
        pub struct Config { $($(#[doc = $section_doc])* pub $section: $Section,)* }

        $($(#[doc = $section_doc])*
        #[derive(Clone, Debug)]
        pub struct $Section { $($(#[doc = $doc])+ pub $field: $ty,)* })*

        /// Every setting in order, for the reference and for the names that a file may use.
        pub const SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($name), default: $default, doc: concat!($($doc, "\n"),+),
        },)*)*];

        impl Config {
            fn parse(text_of: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Option<Self> {
                // Every section is read before any is missed, so that all problems are told.
                $(let $section = {
                    $(let $field = read::<$ty>(stringify!($name), $default, text_of, problems);)*
                    (|| Some($Section { $($field: $field?,)* }))()
                };)*
                Some(Self { $($section: $section?,)* })
            }
        }
    };
}

settings! {
    /// Where it listens and how it is reached.
    server: Server {
        /// `development` or `production`. Production refuses to start with anything unsafe.
        ENVIRONMENT => environment: Environment = "development";
        /// The address to listen on.
        HOST => host: String = "127.0.0.1";
        /// The port to listen on; 0 takes a free one.
        PORT => port: u16 = "8000";
        /// Where the embedded database, mailbox and generated secret lie.
        DATA_DIR => data_dir: PathBuf = "./data";
        /// The API's address as clients see it. Empty: http://HOST:PORT.
        PUBLIC_URL => public_url: Option<String> = "";
        /// The front end's address: links in mails lead there.
        FRONTEND_URL => frontend_url: String = "http://localhost:8080";
        /// Origins of browsers that may call the API with cookies, separated by commas. Empty: FRONTEND_URL.
        ALLOWED_ORIGINS => allowed_origins: Vec<String> = "";
        /// How many proxies stand in front: so many of the last entries of X-Forwarded-For are believed.
        TRUSTED_PROXIES => trusted_proxies: usize = "0";
        /// Whether GraphiQL is served at `/`. Empty: in development only.
        GRAPHIQL => graphiql: Option<bool> = "";
    }
    /// The database.
    database: Database {
        /// `sqlite://…` or `postgres://…`. Empty: SQLite in DATA_DIR.
        DATABASE_URL => url: Option<SecretString> = "";
        /// Connections for reading.
        DATABASE_READERS => readers: u32 = "8";
        /// Connections for writing (SQLite always has one).
        DATABASE_WRITERS => writers: u32 = "8";
        /// How long to wait for a free connection.
        DATABASE_ACQUIRE_TIMEOUT => acquire_timeout: Duration = "5s";
        /// PostgreSQL: how long a statement may take.
        DATABASE_STATEMENT_TIMEOUT => statement_timeout: Duration = "10s";
        /// PostgreSQL: how long a statement may wait for a lock.
        DATABASE_LOCK_TIMEOUT => lock_timeout: Duration = "2s";
    }
    /// Keys and tokens.
    security: Security {
        /// At least 32 characters; every key is derived from it. Empty in development: made once and kept in DATA_DIR.
        SECRET_KEY => secret_key: Option<SecretString> = "";
        /// Signing keys as `kid:seed` pairs separated by commas, the first one signs; a seed is 32 bytes in base64url (Ed25519). Empty: one derived from SECRET_KEY.
        JWT_KEYS => jwt_keys: Option<SecretString> = "";
        /// The `aud` of access tokens.
        JWT_AUDIENCE => jwt_audience: String = "spacedly";
        /// How long an access token is good for.
        ACCESS_TOKEN_LIFETIME => access_token_lifetime: Duration = "15m";
        /// How long a session lives between two refreshes.
        SESSION_IDLE_LIFETIME => session_idle_lifetime: Duration = "7d";
        /// The same for people who asked to be remembered.
        SESSION_REMEMBERED_LIFETIME => session_remembered_lifetime: Duration = "30d";
        /// How long a session lives at most, from the login.
        SESSION_TOTAL_LIFETIME => session_total_lifetime: Duration = "90d";
        /// For how long an instance may believe that a session is alive without looking.
        SESSION_CACHE => session_cache: Duration = "5s";
        /// Domain attribute of cookies. Empty: the API's own host only.
        COOKIE_DOMAIN => cookie_domain: Option<String> = "";
        /// SameSite attribute of cookies: `Lax`, `Strict` or `None`.
        COOKIE_SAMESITE => cookie_same_site: String = "Lax";
        /// argon2id memory in KiB.
        PASSWORD_MEMORY_KIB => password_memory_kib: u32 = "19456";
        /// argon2id passes.
        PASSWORD_PASSES => password_passes: u32 = "2";
        /// argon2id lanes.
        PASSWORD_LANES => password_lanes: u32 = "1";
        /// How many passwords are hashed at the same time.
        PASSWORD_PERMITS => password_permits: usize = "2";
        /// How many may wait for that; the next one is RATE_LIMITED.
        PASSWORD_QUEUE => password_queue: usize = "32";
    }
    /// Accounts.
    accounts: Accounts {
        /// How long a mailed code is good for.
        CODE_LIFETIME => code_lifetime: Duration = "5m";
        /// How long to wait before another code is mailed to the same address.
        CODE_COOLDOWN => code_cooldown: Duration = "60s";
        /// Wrong codes after which a code is burned.
        CODE_TRIES => code_tries: i32 = "5";
        /// The zone of people who chose none, by its IANA name.
        DEFAULT_TIME_ZONE => default_time_zone: String = "UTC";
    }
    /// Mail.
    mail: Mail {
        /// `smtps://user:password@host` or `smtp://user:password@host?tls=required`. Empty in development: caught in the mailbox at /dev/mailbox.
        SMTP_URL => smtp_url: Option<SecretString> = "";
        /// The sender of every mail.
        MAIL_FROM => from: String = "Spacedly <hello@spacedly.localhost>";
        /// How long to wait for the mail server.
        SMTP_TIMEOUT => timeout: Duration = "30s";
    }
    /// Background work.
    jobs: Jobs {
        /// How long a worker holds a job before others may take it over.
        JOB_LEASE => lease: Duration = "30s";
        /// How often a waiting worker looks by itself.
        JOB_POLL => poll: Duration = "1s";
        /// The wait after the first failed try; it doubles with each.
        JOB_RETRY_FIRST => retry_first: Duration = "1m";
        /// The longest wait between two tries.
        JOB_RETRY_LONGEST => retry_longest: Duration = "1h";
        /// How many tries that a server answered are made.
        JOB_ATTEMPTS => attempts: i32 = "10";
        /// For how long a job is tried at all.
        JOB_GIVE_UP_AFTER => give_up_after: Duration = "7d";
        /// How many workers may vanish over a job that they do alone before it is put aside.
        JOB_CRASHES => crashes: i32 = "10";
        /// How many jobs of a kind one worker takes at once.
        JOB_BATCH => batch: u64 = "50";
        /// How many batches of a kind are worked on at the same time.
        JOB_CONCURRENCY => concurrency: usize = "4";
    }
    /// What a request may ask for.
    limits: Limits {
        /// Bytes of a request body.
        BODY_LIMIT => body: usize = "1000000";
        /// Bytes of a GraphQL document.
        DOCUMENT_LIMIT => document: usize = "15000";
        /// Tokens in a document.
        DOCUMENT_TOKENS => tokens: usize = "1000";
        /// Levels of fields in a document.
        DOCUMENT_DEPTH => depth: usize = "12";
        /// The same below `__schema` and `__type`, for GraphiQL and code generators.
        DOCUMENT_INTROSPECTION_DEPTH => introspection_depth: usize = "20";
        /// Fragment definitions in a document.
        DOCUMENT_FRAGMENTS => fragments: usize = "30";
        /// Fragment spreads in a document.
        DOCUMENT_SPREADS => spreads: usize = "100";
        /// Fields of an operation once every fragment is written out.
        DOCUMENT_SELECTIONS => selections: usize = "2000";
        /// Values that an answer may have if every page of it were full.
        DOCUMENT_VALUES => values: usize = "100000";
        /// Aliases in an operation once every fragment is written out.
        DOCUMENT_ALIASES => aliases: usize = "15";
        /// Mutations in one operation.
        DOCUMENT_MUTATIONS => mutations: usize = "5";
        /// Directives in a document.
        DOCUMENT_DIRECTIVES => directives: usize = "50";
        /// Errors in one answer.
        ERROR_LIMIT => errors: usize = "20";
        /// Parsed documents that are kept.
        DOCUMENT_CACHE => document_cache: u64 = "1000";
        /// How long an operation may take.
        REQUEST_TIMEOUT => request_timeout: Duration = "30s";
        /// How long a client may take to send its headers.
        HEADER_TIMEOUT => header_timeout: Duration = "10s";
        /// How long a client may take to send its body.
        BODY_TIMEOUT => body_timeout: Duration = "30s";
        /// Connections at the same time.
        CONNECTION_LIMIT => connections: usize = "10000";
        /// An operation that takes longer is logged as slow.
        SLOW_REQUEST => slow_request: Duration = "1s";
        /// Items of a page when the client names no number.
        PAGE_DEFAULT => page_default: usize = "20";
        /// Items of a page at most.
        PAGE_LIMIT => page_limit: usize = "100";
        /// Reminders of one task at most.
        REMINDERS_PER_TASK => reminders_per_task: u64 = "100";
        /// How far ahead a reminder may lie.
        REMINDER_HORIZON => reminder_horizon: Duration = "1827d";
        /// How long an idempotency key is kept.
        IDEMPOTENCY_LIFETIME => idempotency_lifetime: Duration = "24h";
        /// How long notifications are kept.
        NOTIFICATION_LIFETIME => notification_lifetime: Duration = "90d";
        /// How long the live stream can be replayed.
        EVENT_LIFETIME => event_lifetime: Duration = "7d";
        /// How long finished registrations and sessions are kept before they are swept.
        SWEEP_AFTER => sweep_after: Duration = "24h";
    }
    /// WebSockets.
    sockets: Sockets {
        /// How long a client may take to say `connection_init`.
        SOCKET_INIT_TIMEOUT => init_timeout: Duration = "5s";
        /// How often the server pings.
        SOCKET_PING => ping: Duration = "30s";
        /// Subscriptions on one socket.
        SOCKET_SUBSCRIPTIONS => subscriptions: usize = "10";
        /// Sockets of one person on one instance.
        SOCKETS_PER_USER => per_user: usize = "20";
        /// Bytes of a message.
        SOCKET_MESSAGE_LIMIT => message: usize = "64000";
        /// How often a subscription looks by itself, besides the hints of the bus.
        SUBSCRIPTION_POLL => poll: Duration = "5s";
        /// How long a slow reader may keep the server from writing.
        SOCKET_WRITE_TIMEOUT => write_timeout: Duration = "10s";
    }
    /// Logs and stopping.
    operations: Operations {
        /// What is logged, in the syntax of tracing-subscriber's EnvFilter.
        LOG => log: String = "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,lettre=warn";
        /// `text` or `json`. Empty: text in development, JSON in production.
        LOG_FORMAT => log_format: Option<LogFormat> = "";
        /// How long running work may take to finish after SIGTERM.
        SHUTDOWN_TIMEOUT => shutdown_timeout: Duration = "30s";
    }
}

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
        self.server.public_url.clone().unwrap_or_else(|| format!("http://{}:{port}", self.server.host))
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
        ] {
            if number == 0 {
                problems.push(format!("{name} must be at least 1"));
            }
        }
        if self.is_production() {
            self.check_production(problems);
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
            starts(&self.database.url, "postgres://") || starts(&self.database.url, "postgresql://"),
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
        need(!self.mail.from.contains(".localhost"), "MAIL_FROM must be an address of yours");
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
        for name in
            ["SECRET_KEY", "DATABASE_URL", "SMTP_URL", "PUBLIC_URL", "FRONTEND_URL", "ALLOWED_ORIGINS", "MAIL_FROM"]
        {
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
        ]);
        assert!(safe.is_ok(), "{safe:?}");
    }
}
