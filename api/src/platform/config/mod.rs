//! Every setting, its meaning and its default: the one file that reads the environment.
//! Promise: a configuration that exists is complete and safe; one that is not says everything that is wrong at once.
//!
//! Values come from the environment, then from the TOML file named by `CONFIG` (same names, upper or lower case),
//! then from the default. Durations are written `250ms`, `30s`, `5m`, `12h`, `7d`.

#[macro_use]
mod declare;

mod check;
mod keys;
mod numbers;
mod production;
mod reference;
mod settings;
mod value;

use std::{collections::HashMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use self::value::Value;
pub use self::{
    check::is_this_machine,
    declare::{Setting, SettingsOf},
    keys::jwt_keys,
    reference::reference,
    settings::*,
};

impl Config {
    /// Reads the environment, and the file that `CONFIG` names.
    ///
    /// # Errors
    /// Every problem, each with what to do about it.
    pub fn from_env() -> Result<Self, Vec<String>> {
        match Self::from_env_even_if_wrong() {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// The same for who wants to look at settings that are wrong: they must not be served with. None: they cannot even be
    /// read.
    pub fn from_env_even_if_wrong() -> (Option<Self>, Vec<String>) {
        // A foreign variable need not be text; an empty one counts as not set, as compose files make them.
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let env: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let file = match env.get("CONFIG") {
            Some(path) => match read_file(path) {
                Ok(file) => file,
                Err(problems) => return (None, problems),
            },
            None => HashMap::new(),
        };
        Self::looked_at(&|name| env.get(name).or_else(|| file.get(name)).cloned())
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
        match Self::looked_at(text_of) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// The settings as far as they can be read, and everything that is wrong with them.
    fn looked_at(text_of: &dyn Fn(&str) -> Option<String>) -> (Option<Self>, Vec<String>) {
        let mut problems = Vec::new();
        let config = Self::parse(text_of, &mut problems);
        if let Some(config) = &config {
            config.check(&mut problems);
        }
        (config, problems)
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

    /// The address of the SQLite file, where there is no PostgreSQL.
    pub fn sqlite_url(&self) -> String {
        match &self.database.url {
            Some(url) => url.expose_secret().to_owned(),
            None => format!("sqlite://{}", self.server.data_dir.join("spacedly.db").display()),
        }
    }

    /// Whether GraphiQL is served.
    pub fn graphiql(&self) -> bool {
        self.server.graphiql.unwrap_or(!self.is_production())
    }

    /// Whether the schema may be asked for, and errors suggest names.
    pub fn introspection(&self) -> bool {
        self.documents.introspection.unwrap_or(!self.is_production())
    }

    /// The origins whose browsers may call with cookies.
    pub fn allowed_origins(&self) -> Vec<String> {
        if self.server.allowed_origins.is_empty() {
            let origin = url::Url::parse(&self.server.frontend_url).map(|url| url.origin().ascii_serialization());
            vec![origin.unwrap_or_default()]
        } else {
            self.server.allowed_origins.clone()
        }
    }

    /// Whether `/metrics` is served: in production only to who shows the token.
    pub fn metrics(&self) -> bool {
        self.watching.metrics_token.is_some() || !self.is_production()
    }

    /// How long connections are still taken after SIGTERM.
    pub fn shutdown_delay(&self) -> Duration {
        let usual = Duration::from_secs(if self.is_production() { 5 } else { 0 });
        self.operations.shutdown_delay.unwrap_or(usual)
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
        let safe: [(&str, String); 11] = [
            ("ENVIRONMENT", "production".into()),
            ("SECRET_KEY", "0123456789abcdef0123456789abcdef".into()),
            ("DATABASE_URL", "postgres://db/spacedly".into()),
            ("SMTP_URL", "smtps://u:p@mail.example.org".into()),
            ("PUBLIC_URL", "https://api.example.org".into()),
            ("FRONTEND_URL", "https://example.org".into()),
            ("TRUSTED_PROXIES", "1".into()),
            ("MAIL_FROM", "Spacedly <hello@example.org>".into()),
            ("S3_ENDPOINT", "https://s3.example.org".into()),
            ("S3_ACCESS_KEY_ID", "key".into()),
            ("S3_SECRET_ACCESS_KEY", "secret".into()),
        ];
        let config = Config::from_pairs(safe.clone()).expect("it is safe");
        assert!(!config.metrics(), "nobody reads metrics without a token");
        assert_eq!(config.shutdown_delay(), Duration::from_secs(5));
        let token = [("METRICS_TOKEN", "0123456789abcdef".into()), ("SHUTDOWN_DELAY", "0s".into())];
        let config = Config::from_pairs(safe.into_iter().chain(token)).expect("still");
        assert!(config.metrics() && config.shutdown_delay().is_zero());
    }
}
