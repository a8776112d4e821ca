//! Starting in production, by the real program: what is missing or unsafe is refused, by its name and with what to do
//! about it; a whole configuration starts.

use std::{io::Read, process::Command};

use support::{
    Client, json, postgres,
    process::{Process, binary},
};

type Settings = Vec<(&'static str, String)>;

/// A configuration that production takes. Nothing is there but the database: the others are waited for.
pub(crate) fn good(folder: &std::path::Path, database: &str) -> Settings {
    [
        ("ENVIRONMENT", "production"),
        ("DATA_DIR", &folder.display().to_string()),
        ("DATABASE_URL", database),
        ("SECRET_KEY", SECRET),
        ("SMTP_URL", "smtps://spacedly:hunter22@127.0.0.1:1"),
        ("MAIL_FROM", "Spacedly <hello@example.org>"),
        ("PUBLIC_URL", "https://api.example.org"),
        ("FRONTEND_URL", "https://app.example.org"),
        ("S3_ENDPOINT", "https://127.0.0.1:1"),
        ("S3_ACCESS_KEY_ID", "key"),
        ("S3_SECRET_ACCESS_KEY", "s3cr3t-of-the-bucket"),
        ("TRUSTED_PROXIES", "1"),
        ("SHUTDOWN_TIMEOUT", "1s"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

const SECRET: &str = "93c1f0b7a5e2d4868b0a7c9e1f3d5b79";

/// Starts it. Err: what it said. Ok: what it logged.
fn start(settings: &Settings) -> Result<String, String> {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let started = Process::try_start(settings, log.reopen().expect("a log"));
    let mut said = String::new();
    log.reopen().expect("a log").read_to_string(&mut said).expect("text");
    match started {
        Ok(_listens) => Ok(said),
        Err((_, status)) => {
            assert!(!status.success(), "{said}");
            Err(said)
        }
    }
}

/// What is changed (to nothing: it is missing), and what is said then, beginning with the setting's name.
const ROWS: &[(&str, Option<&str>, &str)] = &[
    ("DATABASE_URL", None, "DATABASE_URL must be a postgres:// address"),
    ("DATABASE_URL", Some("sqlite://spacedly.db"), "DATABASE_URL must be a postgres:// address"),
    ("DATABASE_URL", Some("mysql://db/spacedly"), "DATABASE_URL must begin with sqlite:// or postgres://"),
    ("KEEP_ALIVE_TIMEOUT", Some("5s"), "KEEP_ALIVE_TIMEOUT must not be shorter than HEADER_TIMEOUT"),
    ("TRUSTED_PROXIES", None, "TRUSTED_PROXIES must be the number of proxies in front"),
    ("COST_BUDGET", Some("0"), "COST_BUDGET must be at least 1"),
    ("COST_BUDGET_ANONYMOUS", Some("0"), "COST_BUDGET_ANONYMOUS must be at least 1"),
    ("COST_WINDOW", Some("0s"), "COST_WINDOW must be at least 1s"),
    ("TRUSTED_DOCUMENTS_ONLY", Some("true"), "TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS"),
    ("SECRET_KEY", None, "SECRET_KEY is missing: make one with `openssl rand -hex 32`"),
    ("SECRET_KEY", Some("short"), "SECRET_KEY must have at least 32 characters: make one"),
    ("SECRET_KEY", Some("changemechangemechangemechangeme"), "SECRET_KEY is easy to guess: make one"),
    ("SECRET_KEY", Some("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "SECRET_KEY is easy to guess: make one"),
    // The one of compose.yaml, which everybody can read.
    ("SECRET_KEY", Some("no secret, this is for development only"), "SECRET_KEY is known to everybody: make one"),
    (
        "JWT_KEYS",
        Some("first:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        "JWT_KEYS has a seed that everybody guesses: make one",
    ),
    ("JWT_KEYS", Some("first"), "JWT_KEYS must be kid:seed pairs"),
    ("JWT_KEYS", Some("first:c2hvcnQ"), "JWT_KEYS, key first: a seed is 32 bytes"),
    ("SMTP_URL", None, "SMTP_URL is missing or does not demand TLS: use smtps://"),
    ("SMTP_URL", Some("smtp://mail.example.org"), "SMTP_URL is missing or does not demand TLS: use smtps://"),
    ("SMTP_URL", Some("smtp://mail.example.org?tls=opportunistic"), "SMTP_URL is missing or does not demand TLS"),
    ("SMTP_URL", Some("mail.example.org"), "SMTP_URL must be like smtps://"),
    ("MAIL_FROM", None, "MAIL_FROM must be an address of yours"),
    ("MAIL_FROM", Some("nobody"), "MAIL_FROM must be an address like"),
    ("PUBLIC_URL", None, "PUBLIC_URL must be the API's https:// address"),
    ("PUBLIC_URL", Some("http://api.example.org"), "PUBLIC_URL must be the API's https:// address"),
    ("PUBLIC_URL", Some("api.example.org"), "PUBLIC_URL must be an address that begins with https://"),
    ("FRONTEND_URL", None, "FRONTEND_URL must be the front end's https:// address"),
    ("FRONTEND_URL", Some("http://app.example.org"), "FRONTEND_URL must be the front end's https:// address"),
    (
        "ALLOWED_ORIGINS",
        Some("*"),
        "ALLOWED_ORIGINS must be origins like https://app.example.org, without a path and never *",
    ),
    ("ALLOWED_ORIGINS", Some("https://app.example.org/start"), "ALLOWED_ORIGINS must be origins"),
    (
        "ALLOWED_ORIGINS",
        Some("https://app.example.org, http://app.example.org"),
        "ALLOWED_ORIGINS must be https:// origins",
    ),
    ("COOKIE_SAMESITE", Some("Never"), "COOKIE_SAMESITE must be Lax, Strict or None"),
    (
        "COOKIE_DOMAIN",
        Some("example.net"),
        "COOKIE_DOMAIN must be the host of PUBLIC_URL (api.example.org) or a domain above it",
    ),
    ("S3_ENDPOINT", None, "S3_ENDPOINT is missing"),
    (
        "S3_ENDPOINT",
        Some("http://s3.example.org"),
        "S3_ENDPOINT is missing, or neither it nor S3_PUBLIC_ENDPOINT is an https:// address",
    ),
    ("S3_ENDPOINT", Some("s3.example.org"), "S3_ENDPOINT must be an address that begins with https://"),
    (
        "S3_PUBLIC_ENDPOINT",
        Some("http://s3.example.org"),
        "S3_ENDPOINT is missing, or neither it nor S3_PUBLIC_ENDPOINT",
    ),
    ("S3_ACCESS_KEY_ID", None, "S3_ACCESS_KEY_ID is missing"),
    ("S3_SECRET_ACCESS_KEY", None, "S3_SECRET_ACCESS_KEY is missing"),
    ("S3_BUCKET", Some("No bucket"), "S3_BUCKET must have 3 to 63"),
    ("UPLOAD_LINK_LIFETIME", Some("8d"), "UPLOAD_LINK_LIFETIME and DOWNLOAD_LINK_LIFETIME can be 7d at most"),
    ("OIDC_CLIENT_ID", Some("client"), "OIDC_CLIENT_SECRET is missing"),
    ("REDIS_URL", Some("http://redis:6379"), "REDIS_URL must be like redis://"),
    ("VAPID_PRIVATE_KEY", Some("short"), "VAPID_PRIVATE_KEY: the VAPID private key must be base64url"),
    ("VAPID_SUBJECT", Some("operator"), "VAPID_SUBJECT: the VAPID subject must be mailto:"),
    ("PUSH_ALLOW_PRIVATE", Some("true"), "PUSH_ALLOW_PRIVATE must be false"),
    ("PASSWORD_MEMORY_KIB", Some("64"), "PASSWORD_MEMORY_KIB and PASSWORD_PASSES are too small"),
    ("PASSWORD_PASSES", Some("1"), "PASSWORD_MEMORY_KIB and PASSWORD_PASSES are too small"),
    ("CRASH_AT", Some("mail.after:1"), "CRASH_AT must be empty"),
    ("CLOCK_OFFSET_FILE", Some("/tmp/offset"), "CLOCK_OFFSET_FILE must be empty"),
    ("DEFAULT_TIME_ZONE", Some("Mars/Olympus"), "DEFAULT_TIME_ZONE must be a zone of the IANA database"),
    ("ENVIRONMENT", Some("prod"), "ENVIRONMENT must be development or production"),
    ("JOB_LEASE", Some("soon"), "JOB_LEASE must be a duration like"),
    ("JOB_LEASE", Some("999ms"), "JOB_LEASE must be at least 1s"),
    ("JOB_CRASHES", Some("0"), "JOB_CRASHES must be at least 1"),
    ("JOB_ATTEMPTS", Some("0"), "JOB_ATTEMPTS must be at least 1"),
    ("JOB_POLL", Some("0s"), "JOB_POLL must be more than 0s"),
    ("JOB_RETRY_FIRST", Some("0s"), "JOB_RETRY_FIRST must be more than 0s"),
    ("JOB_RETRY_LONGEST", Some("0s"), "JOB_RETRY_LONGEST must be more than 0s"),
    ("JOB_GIVE_UP_AFTER", Some("0s"), "JOB_GIVE_UP_AFTER must be more than 0s"),
    ("CONFIG", Some("/there/is/none.toml"), "CONFIG names /there/is/none.toml, which cannot be read"),
    ("METRICS_TOKEN", Some("fifteen letters"), "METRICS_TOKEN must have at least 16 characters: make one"),
    ("OTLP_ENDPOINT", Some("collector:4318"), "OTLP_ENDPOINT must be an address that begins with https://"),
    ("PAGE_DEFAULT", Some("101"), "PAGE_DEFAULT cannot be more than PAGE_LIMIT"),
    ("IMAGE_QUALITY", Some("0"), "IMAGE_QUALITY must be 1 to 100"),
    ("IMAGE_QUALITY", Some("101"), "IMAGE_QUALITY must be 1 to 100"),
    ("LOGIN_WINDOW", Some("299s"), "LOGIN_WINDOW must be at least 5m"),
    ("CODE_WINDOW", Some("299s"), "CODE_WINDOW must be at least 5m"),
    ("CHALLENGE_WINDOW", Some("299s"), "CHALLENGE_WINDOW must be at least 5m"),
    ("FORGOT_WINDOW", Some("299s"), "FORGOT_WINDOW must be at least 5m"),
    ("CODE_TRIES", Some("21"), "CODE_TRIES can be 20 at most"),
    ("CODE_FAILURES", Some("101"), "CODE_FAILURES can be 100 at most"),
    ("LOGIN_FAILURES", Some("101"), "LOGIN_FAILURES can be 100 at most"),
    ("CHALLENGE_LIMIT", Some("101"), "CHALLENGE_LIMIT can be 100 at most"),
    ("FORGOT_LIMIT", Some("101"), "FORGOT_LIMIT can be 100 at most"),
    ("ACCESS_TOKEN_LIFETIME", Some("25h"), "ACCESS_TOKEN_LIFETIME can be 24h at most"),
    ("SESSION_CACHE", Some("61s"), "SESSION_CACHE can be 1m at most"),
    ("CODE_LIFETIME", Some("61m"), "CODE_LIFETIME can be 1h at most"),
    ("RESET_LIFETIME", Some("25h"), "RESET_LIFETIME can be 24h at most"),
];

/// Of these zero is refused, for they would be no limit, or let nothing be done.
const AT_LEAST_ONE: &[&str] = &[
    "DATABASE_READERS",
    "DATABASE_WRITERS",
    "PASSWORD_PERMITS",
    "JOB_BATCH",
    "JOB_CONCURRENCY",
    "CONNECTION_LIMIT",
    "SESSIONS_PER_USER",
    "FILE_LIMIT",
    "FILES_PER_REQUEST",
    "UPLOADS_AT_ONCE",
    "UPLOADS_PER_USER",
    "IMAGE_PERMITS",
    "IMAGE_WIDTH",
    "IMAGE_HEIGHT",
    "THUMBNAIL_SIZE",
    "SOCKETS_PER_ADDRESS",
    "UPLOAD_RATE",
    "CODE_TRIES",
];
const WINDOWS: &[&str] = &[
    "LOGIN_WINDOW",
    "REGISTER_WINDOW",
    "CODE_WINDOW",
    "CHALLENGE_WINDOW",
    "OIDC_WINDOW",
    "FORGOT_WINDOW",
    "EXPORT_WINDOW",
    "PUSH_TEST_WINDOW",
    "UPLOAD_WINDOW",
];
const TIMES: &[&str] = &[
    "SUBSCRIPTION_POLL",
    "SOCKET_PING",
    "SOCKET_INIT_TIMEOUT",
    "SOCKET_WRITE_TIMEOUT",
    "REQUEST_TIMEOUT",
    "HEADER_TIMEOUT",
    "BODY_TIMEOUT",
    "DATABASE_ACQUIRE_TIMEOUT",
    "SMTP_TIMEOUT",
    "PUSH_TIMEOUT",
    "S3_TIMEOUT",
    "OIDC_TIMEOUT",
    "STORAGE_SWEEP",
    "HEALTH_TIMEOUT",
    "OTLP_EVERY",
    "CODE_LIFETIME",
    "RESET_LIFETIME",
    "ACCESS_TOKEN_LIFETIME",
];

fn changed(settings: &Settings, name: &'static str, value: Option<&str>) -> Settings {
    let mut changed = settings.clone();
    changed.retain(|(known, _)| *known != name);
    changed.extend(value.map(|value| (name, value.to_owned())));
    changed
}

/// Nothing that opens anything stands in what is said.
fn shows_no_secret(said: &str) {
    for secret in [SECRET, "hunter22", "s3cr3t-of-the-bucket", "changeme", "c2hvcnQ"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_that_is_missing_or_unsafe_is_refused_with_what_to_do_about_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = postgres::cluster().database().await;
    let settings = good(folder.path(), &database);
    for (name, value, words) in ROWS {
        let wrong = changed(&settings, name, *value);
        let said = tokio::task::spawn_blocking(move || start(&wrong)).await.expect("tried");
        let said = said.err().unwrap_or_else(|| panic!("{name} {value:?} was taken"));
        let line = said.lines().find(|line| line.trim_start_matches("- ").starts_with(words));
        assert!(line.is_some(), "{name} {value:?}: {words} in {said}");
        shows_no_secret(&said);
    }
    // The program names all at once; each of them stands on a line of its own.
    let zeros = [
        (AT_LEAST_ONE, "0", "must be at least 1"),
        (WINDOWS, "999ms", "must be at least 1s"),
        (TIMES, "0s", "must be more than 0s"),
    ];
    let mut wrong = settings.clone();
    for (names, value, _) in zeros {
        wrong = names.iter().fold(wrong, |wrong, name| changed(&wrong, name, Some(value)));
    }
    let said = start(&wrong).expect_err("refused");
    for (names, _, words) in zeros {
        for name in names {
            let line = format!("- {name} {words}");
            assert!(said.lines().any(|said| said == line), "{line} in {said}");
        }
    }
    let same_site =
        changed(&changed(&settings, "COOKIE_SAMESITE", Some("None")), "PUBLIC_URL", Some("http://api.example.org"));
    let said = start(&same_site).expect_err("refused");
    assert!(said.contains("COOKIE_SAMESITE=None needs an https:// PUBLIC_URL"), "{said}");
    let mut provider = changed(&changed(&settings, "OIDC_CLIENT_ID", Some("client")), "OIDC_CLIENT_SECRET", Some("x"));
    provider.push(("OIDC_ISSUER", "http://issuer.example.org".into()));
    let said = start(&provider).expect_err("refused");
    assert!(said.contains("OIDC_ISSUER must be an https:// address"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_wrong_is_named_in_one_start() {
    let nothing = vec![("ENVIRONMENT", "production".to_owned())];
    let said = start(&nothing).expect_err("refused");
    let named = [
        "SECRET_KEY",
        "DATABASE_URL",
        "SMTP_URL",
        "PUBLIC_URL",
        "FRONTEND_URL",
        "ALLOWED_ORIGINS",
        "MAIL_FROM",
        "TRUSTED_PROXIES",
        "S3_ENDPOINT",
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
    ];
    for name in named {
        let told = said.lines().filter(|line| line.starts_with(&format!("- {name}"))).count();
        assert_eq!(told, 1, "{name} once in {said}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = good(folder.path(), "postgres://db.example.org/spacedly");
    let wrong = [
        ("SECRET_KEY", "short"),
        ("ALLOWED_ORIGINS", "*"),
        ("CRASH_AT", "mail.after:1"),
        ("PUSH_ALLOW_PRIVATE", "true"),
        ("PASSWORD_MEMORY_KIB", "64"),
        ("COOKIE_DOMAIN", "example.net"),
        ("S3_BUCKET", "No"),
    ];
    for (name, value) in wrong {
        all = changed(&all, name, Some(value));
    }
    let said = start(&all).expect_err("refused");
    for (name, _) in wrong {
        assert!(said.lines().any(|line| line.starts_with(&format!("- {name}"))), "{name} in {said}");
    }
    shows_no_secret(&said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_configuration_starts_and_graphiql_is_allowed_but_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = postgres::cluster().database().await;
    let settings = good(folder.path(), &database);
    let logged = start(&settings).unwrap_or_else(|said| panic!("{said}"));
    assert!(!logged.contains("GRAPHIQL"), "{logged}");
    let logged = start(&changed(&settings, "GRAPHIQL", Some("true"))).unwrap_or_else(|said| panic!("{said}"));
    assert!(logged.contains("GRAPHIQL=true"), "{logged}");
    let logged = start(&changed(&settings, "INTROSPECTION", Some("true"))).unwrap_or_else(|said| panic!("{said}"));
    assert!(logged.contains("INTROSPECTION=true"), "{logged}");
    // A store that only we reach may speak http where browsers have another way to it.
    let inside = changed(&settings, "S3_ENDPOINT", Some("http://127.0.0.1:1"));
    let inside = changed(&inside, "S3_PUBLIC_ENDPOINT", Some("https://files.example.org"));
    assert!(start(&inside).is_ok());
    let seed = Command::new(binary()).env_clear().envs(settings).arg("seed").output().expect("runs");
    let said = String::from_utf8_lossy(&seed.stderr).into_owned();
    assert!(!seed.status.success() && said.contains("never in production"), "{said}");
}

/// Whoever adds a rule adds its row.
#[test]
fn every_setting_that_is_judged_has_its_row_here() {
    let here = include_str!("production.rs");
    let reference = std::fs::read_to_string(support::process::root().join(".env.example")).expect(".env.example");
    let settings =
        reference.lines().filter_map(|line| line.trim_start_matches('#').split_once('=')).map(|(name, _)| name);
    let judges = ["check", "numbers", "production"].map(|file| {
        let path = format!("api/src/platform/config/{file}.rs");
        let source = std::fs::read_to_string(support::process::root().join(path)).expect("a source");
        source.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
    });
    let named = |text: &str, name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
            let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            !inside(before) && !inside(after)
        })
    };
    let judged: Vec<&str> = settings.filter(|name| judges.iter().any(|source| named(source, name))).collect();
    assert!(judged.len() > 60, "{judged:?}");
    // Of where it listens it is only warned, in development.
    let missing: Vec<&str> = judged.into_iter().filter(|name| *name != "HOST" && !named(here, name)).collect();
    assert!(missing.is_empty(), "no row proves what is said of {missing:?}");
}

/// By default, not because a setting says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_shows_neither_its_schema_nor_what_is_for_development() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = postgres::cluster().database().await;
    let server = Process::start(&good(folder.path(), &database));
    let client = Client::new(&server.address);
    for path in ["/", "/dev/mailbox", "/metrics"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    let told = client.graphql(None, "{ __schema { queryType { name } } }", json!({})).await;
    assert_eq!(told["errors"][0]["extensions"]["code"], "FORBIDDEN", "{told}");
    let told = client.graphql(None, "{ viewe { id } }", json!({})).await.to_string();
    assert!(told.contains("BAD_REQUEST") && !told.contains("viewer"), "no name is suggested: {told}");
    let live = client.get("/health/live").await;
    let kept = live.headers.get("strict-transport-security").and_then(|value| value.to_str().ok());
    assert!(kept.is_some_and(|value| value.starts_with("max-age=")), "{kept:?}");
    let compose = std::fs::read_to_string(support::process::root().join("compose.yaml")).expect("compose.yaml");
    let public = ROWS.iter().find(|(_, _, says)| says.contains("known to everybody")).and_then(|(_, key, _)| *key);
    assert!(public.is_some_and(|key| compose.contains(&format!("SECRET_KEY: {key}\n"))), "the row has compose's key");
}

#[test]
fn the_reference_of_all_settings_is_printed_whatever_they_are() {
    let printed = Command::new(binary()).env_clear().env("PORT", "x").arg("settings").output().expect("runs");
    assert!(printed.status.success());
    let example = std::fs::read(support::process::root().join(".env.example")).expect(".env.example");
    assert_eq!(printed.stdout, example);
}
