//! `spacedly doctor`: a configuration that works is found to, and each broken part is named, with how to mend it.

use std::process::Command;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database as Connection};
use spacedly::platform::secret::{Secrets, hex};
use support::{
    Database, Server, postgres,
    process::{Script, binary},
    redis::Redis,
    s3::{Private, S3},
};

type Settings = Vec<(&'static str, String)>;

/// Whether it found nothing to mend, and its lines.
async fn doctor(settings: &Settings) -> (bool, Vec<String>) {
    let settings = settings.clone();
    let run = move || Command::new(binary()).env_clear().envs(settings).arg("doctor").output().expect("it runs");
    let output = tokio::task::spawn_blocking(run).await.expect("run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for secret in [SECRET, "hunter22", STORE_SECRET] {
        assert!(!said.contains(secret), "{said}");
    }
    (output.status.success(), said.lines().map(str::to_owned).collect())
}

/// Runs it on settings of which one thing is broken: the lines that are not fine begin so.
async fn finds(settings: &Settings, expected: &[&str]) {
    let (well, lines) = doctor(settings).await;
    let is_bad = |line: &&String| line.starts_with("FAIL") || line.starts_with("warn");
    // One day this build is old.
    let bad: Vec<&String> = lines.iter().filter(is_bad).filter(|line| !line.starts_with("warn time zones")).collect();
    for words in expected {
        let found = bad.iter().find(|line| line.starts_with(words));
        assert!(found.is_some_and(|line| line.contains(": ")), "{words} in {lines:#?}");
    }
    let failing = expected.iter().any(|words| words.starts_with("FAIL"));
    assert_eq!(well, !failing, "{lines:#?}");
    assert_eq!(bad.len(), expected.len(), "{lines:#?}");
}

fn changed(settings: &Settings, changes: &[(&'static str, &str)]) -> Settings {
    let mut changed = settings.clone();
    changed.retain(|(known, _)| changes.iter().all(|(name, _)| name != known));
    changed.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
    changed
}

const SECRET: &str = "93c1f0b7a5e2d4868b0a7c9e1f3d5b79";
const STORE_SECRET: &str = "secret key of the store, made up for this test";

/// An S3 that checks signatures and lets pages in by its rules: the store of another server of ours.
async fn store() -> (Server, Vec<(&'static str, String)>) {
    let server = Server::start(Database::Sqlite, &[("SECRET_KEY", STORE_SECRET)]).await;
    let key = hex(&Secrets::new(STORE_SECRET.as_bytes()).derive("embedded store"));
    let settings = vec![
        ("S3_ENDPOINT", format!("http://127.0.0.1:{}", server.port)),
        ("S3_ACCESS_KEY_ID", "spacedly".to_owned()),
        ("S3_SECRET_ACCESS_KEY", key),
    ];
    (server, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_settings_at_all_are_fine() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings: Settings = vec![("DATA_DIR", folder.path().display().to_string())];
    finds(&settings, &[]).await;
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "and nothing is left behind");
    // Beside a running server too, whose lock it leaves alone.
    let server = support::process::Process::start(&settings);
    let (well, lines) = doctor(&settings).await;
    assert!(well && lines.iter().any(|line| line.starts_with("ok   tables: all")), "{lines:#?}");
    assert!(server.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_is_looked_at_and_what_is_broken_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (redis, smtp) = (Redis::start(), Script::start(&["smtp.mjs", "hunter22"]));
    let (files, of_files) = store().await;
    redis_user_without_scripts(&redis, "scriptless");
    let mail = |password: &str| format!("smtp://spacedly:{password}@127.0.0.1:{}", smtp.1["port"]);
    let mut good: Settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("DATABASE_URL", postgres::cluster().database().await),
        ("REDIS_URL", redis.url()),
        ("SECRET_KEY", SECRET.into()),
        ("SMTP_URL", mail("hunter22")),
    ];
    good.extend(of_files);
    const PLAIN: &str = "warn mail: SMTP_URL does not demand TLS";
    finds(&good, &[PLAIN]).await;
    let (_, lines) = doctor(&good).await;
    for part in [
        "settings: none is missing",
        "addresses: the front end http://localhost:8080",
        "proxies: none",
        "keys: SECRET_KEY is set",
        "database: PostgreSQL",
        "clock: this machine and the database agree",
        "tables: all",
        "redis: version",
        "redis: what is published is heard",
        "redis: scripts run",
        "database: each `serve` and each `worker` takes up to 16 connections",
        "metrics: /metrics is open",
        "files: put into spacedly-files",
        "files: a signed URL takes an upload",
        "files: pages of http://localhost:8080 may upload (CORS)",
        "mail: the mail server answers and takes our login",
        "DATA_DIR: ",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("ok   {part}"))), "{part} in {lines:#?}");
    }

    let closed = "127.0.0.1:1";
    let rows: Vec<(Settings, Vec<&str>)> = vec![
        (
            vec![("DATABASE_URL", format!("postgres://postgres@{closed}/spacedly"))],
            vec![PLAIN, "FAIL database: 127.0.0.1:1/spacedly cannot be used"],
        ),
        (vec![("DATABASE_URL", good[1].1.replace("/test_", "/none_"))], vec![PLAIN, "FAIL database: "]),
        (vec![("DATABASE_URL", good[1].1.replace("postgres@", "nobody:hunter22@"))], vec![PLAIN, "FAIL database: "]),
        (vec![("REDIS_URL", format!("redis://:hunter22@{closed}/0"))], vec![PLAIN, "FAIL redis: it cannot be used"]),
        (
            vec![("REDIS_URL", redis.url().replace("redis://", "redis://nobody:hunter22@"))],
            vec![PLAIN, "FAIL redis: it cannot be used"],
        ),
        (vec![("SMTP_URL", mail("wrong"))], vec![PLAIN, "FAIL mail: the mail server cannot be used"]),
        (
            vec![("REDIS_URL", redis.url().replace("redis://", "redis://scriptless:hunter22@"))],
            vec![PLAIN, "FAIL redis: scripts do not run (NOPERM)"],
        ),
        (
            vec![("TRUSTED_DOCUMENTS", folder.path().join("none.json").display().to_string())],
            vec![PLAIN, "FAIL documents: TRUSTED_DOCUMENTS "],
        ),
        (
            vec![("SMTP_URL", format!("smtps://spacedly:hunter22@{closed}"))],
            vec!["FAIL mail: the mail server cannot be used"],
        ),
        (
            vec![("S3_ENDPOINT", format!("http://{closed}"))],
            vec![PLAIN, "FAIL files: the S3 cannot be reached (Connection refused"],
        ),
        (vec![("S3_SECRET_ACCESS_KEY", "wrong".into())], vec![PLAIN, "FAIL files: the S3 refuses our key"]),
        (
            vec![("S3_BUCKET", "another-bucket".into())],
            vec![PLAIN, "warn files: there is no bucket another-bucket yet"],
        ),
        (
            vec![("S3_PUBLIC_ENDPOINT", format!("http://{closed}"))],
            vec![
                PLAIN,
                "FAIL files: browsers cannot reach the S3 (Connection refused",
                "FAIL files: pages of http://localhost:8080 may not upload",
            ],
        ),
        (
            vec![("FRONTEND_URL", "http://localhost:9999".into())],
            vec![PLAIN, "FAIL files: pages of http://localhost:9999 may not upload (CORS)"],
        ),
        (
            vec![("ALLOWED_ORIGINS", "http://localhost:8080,http://localhost:9999".into())],
            vec![PLAIN, "FAIL files: pages of http://localhost:9999 may not upload (CORS)"],
        ),
        (
            vec![("SECRET_KEY", "short".into()), ("JOB_BATCH", "0".into())],
            vec![
                PLAIN,
                "FAIL settings: SECRET_KEY must have at least 32",
                "FAIL settings: JOB_BATCH must be at least 1",
            ],
        ),
        (
            vec![("DATABASE_URL", format!("sqlite://{}", files_that_is_none(folder.path())))],
            vec![PLAIN, "FAIL database: the SQLite file"],
        ),
        (vec![("DATABASE_READERS", "500".into())], vec![PLAIN, "FAIL database: one instance wants 508 connections"]),
    ];
    for (changes, expected) in rows {
        let changes: Vec<(&'static str, &str)> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        finds(&changed(&good, &changes), &expected).await;
    }
    files.finish().await;
}

/// Somebody with the password `hunter22` who may do everything else in Redis.
fn redis_user_without_scripts(redis: &Redis, name: &str) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", redis.port)).expect("it listens");
    let command = format!("ACL SETUSER {name} on >hunter22 ~* &* +@all -@scripting\r\n");
    stream.write_all(command.as_bytes()).expect("sent");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).expect("answered");
    assert_eq!(&answer, b"+OK\r\n", "{name} is made");
}

/// A file that is no database.
fn files_that_is_none(folder: &std::path::Path) -> String {
    let path = folder.join("none.db");
    std::fs::write(&path, "This is no database, but it is long enough to be taken for a page of one.".repeat(40))
        .expect("written");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_too_old_or_too_new_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = postgres::cluster().empty_database().await;
    let sqlite = format!("sqlite://{}/old.db", folder.path().display());
    for url in [database, sqlite] {
        let create = if url.starts_with("sqlite") { format!("{url}?mode=rwc") } else { url.clone() };
        let db = Connection::connect(create).await.expect("connected");
        db.execute_unprepared("CREATE TABLE something (id integer)").await.expect("made");
        let settings: Settings = vec![("DATA_DIR", folder.path().display().to_string()), ("DATABASE_URL", url.clone())];
        let alone = url.starts_with("sqlite");
        let no_redis: &[&str] = if alone { &[] } else { &["warn redis: REDIS_URL is not set"] };
        let all = Migrator::migrations().len();
        finds(&settings, &with(no_redis, &format!("warn tables: {all} of {all} migrations are not applied"))).await;
        Migrator::up(&db, None).await.expect("up");
        finds(&settings, no_redis).await;
        db.execute_unprepared(OF_TOMORROW).await.expect("written");
        finds(&settings, &with(no_redis, "warn tables: 1 migrations were applied by a newer release")).await;
        db.execute_unprepared("DELETE FROM seaql_migrations WHERE version LIKE 'm9%'").await.expect("deleted");
        Migrator::down(&db, Some(1)).await.expect("down");
        finds(&settings, &with(no_redis, &format!("warn tables: 1 of {all} migrations are not applied"))).await;
        db.execute_unprepared(OF_TOMORROW).await.expect("written");
        finds(&settings, &with(no_redis, "FAIL tables: 1 migrations were applied by a newer release")).await;
        db.close().await.expect("closed");
    }
}

const OF_TOMORROW: &str =
    "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m99999999_000001_of_tomorrow', 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_make_or_change_the_tables_is_told() {
    let url = postgres::cluster().empty_database().await;
    let db = Connection::connect(url.clone()).await.expect("connected");
    for statement in ["CREATE ROLE doctor_guest LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"] {
        db.execute_unprepared(statement).await.expect(statement);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let settings: Settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("DATABASE_URL", url.replace("postgres@", "doctor_guest@")),
    ];
    const NO_REDIS: &str = "warn redis: REDIS_URL is not set";
    finds(&settings, &[NO_REDIS, "warn tables: ", "FAIL tables: the user of DATABASE_URL may not make any"]).await;
    Migrator::up(&db, None).await.expect("up");
    finds(&settings, &[NO_REDIS, "FAIL database: 127.0.0.1:"]).await;
    db.execute_unprepared("GRANT SELECT ON seaql_migrations TO doctor_guest").await.expect("granted");
    finds(&settings, &[NO_REDIS, "FAIL tables: the user of DATABASE_URL may not read and change them"]).await;
    let all = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO doctor_guest";
    db.execute_unprepared(all).await.expect("granted");
    finds(&settings, &[NO_REDIS]).await;
    db.close().await.expect("closed");
}

fn with<'a>(some: &[&'a str], one_more: &'a str) -> Vec<&'a str> {
    [some, &[one_more]].concat()
}

/// moto is a peer that is not ours: the same looks at it find nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_s3_is_found_to_work_once_a_server_has_started() {
    let s3 = S3::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings: Settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("S3_ENDPOINT", s3.endpoint.clone()),
        ("S3_BUCKET", s3.bucket.clone()),
        ("S3_ACCESS_KEY_ID", "key".into()),
        ("S3_SECRET_ACCESS_KEY", "secret".into()),
    ];
    finds(&settings, &["warn files: there is no bucket"]).await;
    let server = support::process::Process::start(&settings);
    // The bucket is there a moment before its rules for browsers are.
    support::until("the bucket and its rules", || async {
        let (_, lines) = doctor(&settings).await;
        lines.iter().all(|line| line.starts_with("ok") || !line.contains("files:")).then_some(())
    })
    .await;
    finds(&settings, &[]).await;
    assert!(server.terminate());
}

/// Whether a line is as it is written, with something else for each `*` (at the end it may be nothing).
fn fits(line: &str, written: &str) -> bool {
    let Some((before, after)) = written.split_once('*') else { return line == written };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let next = after.split('*').next().unwrap_or_default();
    match rest.find(next) {
        _ if after.is_empty() => true,
        None | Some(0) => false,
        Some(at) => fits(&rest[at..], after),
    }
}

/// Runs it: it says these lines and no other, and sums them up.
async fn says(settings: &Settings, expected: &[&str]) {
    let (well, mut lines) = doctor(settings).await;
    for (name, secret) in settings.iter().filter(|(name, _)| matches!(*name, "METRICS_TOKEN" | "S3_SECRET_ACCESS_KEY"))
    {
        assert!(!lines.iter().any(|line| line.contains(secret.as_str())), "{name} is shown: {lines:#?}");
    }
    let sum = lines.pop().expect("a last line");
    let different: Vec<_> = lines.iter().zip(expected).filter(|(line, written)| !fits(line, written)).collect();
    assert!(different.is_empty() && lines.len() == expected.len(), "{different:#?} in {lines:#?}");
    let count = |grade: &str| lines.iter().filter(|line| line.starts_with(grade)).count();
    let (failing, doubtful, fine) = (count("FAIL "), count("warn "), count("ok   "));
    assert_eq!(sum, format!("{failing} to mend, {doubtful} to look at, {fine} as they should be"));
    assert_eq!((failing + doubtful + fine, well), (lines.len(), failing == 0), "{lines:#?}");
}

/// As an operator of a network of their own has it: each part behind an address of its own, TLS by their own authority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_production_is_told_line_by_line() {
    let (folder, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (redis, s3) = (Redis::start(), Private::start(folder.path()));
    let smtp = Script::start(&["smtp.mjs", "hunter22", &s3.file("cert.pem"), &s3.file("key.pem")]);
    let url = postgres::cluster().database().await;
    let unknown = changed(
        &crate::production::good(data.path(), &url),
        &[
            ("REDIS_URL", &redis.url()),
            ("SMTP_URL", &format!("smtps://spacedly:hunter22@127.0.0.1:{}", smtp.1["port"])),
            ("S3_ENDPOINT", &s3.endpoint()),
            ("METRICS_TOKEN", "1f3d5b7993c1f0b7a5e2d4868b0a7c9e"),
        ],
    );
    let good = changed(&unknown, &[("SSL_CERT_FILE", &s3.file("ca.pem"))]);
    let settings = ["ok   settings: none is missing, malformed or unsafe"];
    let keys = "tokens are signed by a key derived from it, the push key is derived from it";
    let database = [
        "ok   addresses: the front end https://app.example.org may call with cookies",
        "ok   proxies: the last 1 of X-Forwarded-For are believed",
        &format!("ok   keys: SECRET_KEY is set, {keys}"),
        &format!("ok   database: PostgreSQL * at {}", url.rsplit('@').next().expect("an address")),
        "ok   database: each `serve` and each `worker` takes up to 16 connections; * of * are taken",
        "ok   clock: this machine and the database agree",
        &format!("ok   tables: all {} migrations are applied", Migrator::migrations().len()),
    ];
    let hints = [
        "ok   redis: version * answers",
        "ok   redis: scripts run, so that limits count on all instances together",
        "ok   redis: what is published is heard",
    ];
    let files = [
        "ok   files: put into spacedly-files and got from there",
        "ok   files: a signed URL takes an upload",
        "ok   files: pages of https://app.example.org may upload (CORS)",
    ];
    // Of an authority that this machine does not know.
    let refused =
        ["FAIL mail: the mail server cannot be used (Connection error: Connection error: invalid peer certificate: \
                    UnknownIssuer): look at host, port, user and password of SMTP_URL; smtps:// is for port 465, \
                    smtp://…?tls=required for 587; if its certificate is from an authority of your own, let \
                    SSL_CERT_FILE name that one"];
    let mail = ["ok   mail: the mail server answers and takes our login"];
    let machine =
        ["* time zones: *, * days old*", &format!("ok   DATA_DIR: * GB are free in {}", data.path().display())];
    let metrics = ["ok   metrics: /metrics asks for METRICS_TOKEN"];

    let stranger = [
        "FAIL files: the S3 cannot be reached (invalid peer certificate: UnknownIssuer): start it, mend S3_ENDPOINT, or let \
         SSL_CERT_FILE name the authority that it has its certificate from",
    ];
    says(&unknown, &[&settings[..], &database, &hints, &stranger, &refused, &machine, &metrics].concat()).await;
    let no_bucket = [
        "warn files: there is no bucket spacedly-files yet: the server makes it when it starts, if its key has s3:CreateBucket; \
         else make it and mend S3_BUCKET",
    ];
    says(&good, &[&settings[..], &database, &hints, &no_bucket, &mail, &machine, &metrics].concat()).await;
    let server = support::process::Process::start(&good);
    // The bucket is there a moment before its rules for browsers are.
    support::until("the bucket and its rules", || async {
        let (_, lines) = doctor(&good).await;
        lines.iter().any(|line| fits(line, files[2])).then_some(())
    })
    .await;
    says(&good, &[&settings[..], &database, &hints, &files, &mail, &machine, &metrics].concat()).await;

    // What one process can do without, and should not in production.
    let mut less = good.clone();
    less.retain(|(name, _)| !matches!(*name, "REDIS_URL" | "METRICS_TOKEN"));
    let alone = [
        "warn redis: REDIS_URL is not set, so that several instances hear of each other late and count by themselves: \
         set REDIS_URL if there is more than one instance",
    ];
    let unseen = [
        "warn metrics: METRICS_TOKEN is not set, so that there are none, and no alarm is raised when reminders wait: \
         make one with `openssl rand -hex 32`, and let whoever reads /metrics show it",
    ];
    says(&less, &[&settings[..], &database, &alone, &files, &mail, &machine, &unseen].concat()).await;

    // What production does not start with is told beside the rest.
    less.retain(|(name, _)| !matches!(*name, "SECRET_KEY" | "MAIL_FROM"));
    let problems = [
        "FAIL settings: SECRET_KEY is missing: make one with `openssl rand -hex 32` (ENVIRONMENT=production)",
        "FAIL settings: MAIL_FROM must be an address of yours (ENVIRONMENT=production)",
    ];
    let mut kept = database;
    let secret =
        format!("ok   keys: SECRET_KEY is the one kept in {}, {keys}", data.path().join("secret.key").display());
    kept[2] = &secret;
    says(&less, &[&problems[..], &kept, &alone, &files, &mail, &machine, &unseen].concat()).await;
    assert!(server.terminate());
}
