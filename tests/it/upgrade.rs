//! Upgrades and starts: an older release on newer tables, several that migrate at once, a signal before it listens.

use std::{
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database as Connection, DatabaseConnection, FromQueryResult, Statement};
use support::{
    Client, Database, postgres,
    process::{Process, binary},
    until,
};

type Settings = Vec<(&'static str, String)>;

/// A new database and the settings that lead to it.
async fn place(database: Database) -> (tempfile::TempDir, Settings, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = match database {
        Database::Sqlite => format!("sqlite://{}/spacedly.db?mode=rwc", folder.path().display()),
        Database::Postgres => postgres::cluster().empty_database().await,
    };
    let mut settings = vec![("DATA_DIR", folder.path().display().to_string())];
    if database == Database::Postgres {
        settings.push(("DATABASE_URL", url.clone()));
    }
    (folder, settings, url)
}

async fn execute(url: &str, sql: &str) {
    let db: DatabaseConnection = Connection::connect(url).await.expect("connected");
    db.execute_unprepared(sql).await.expect(sql);
    db.close().await.expect("closed");
}

fn run(settings: &Settings, arguments: &[&str]) -> (Output, String) {
    let settings = settings.clone();
    let output = Command::new(binary()).env_clear().env("PORT", "0").envs(settings).args(arguments).output();
    let output = output.expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

const OF_TOMORROW: &str =
    "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m99999999_000001_of_tomorrow', 0)";

/// Going back to the release before, and an instance of it that starts while the new one is brought in.
async fn a_release_starts_on_the_tables_of_the_next_one(database: Database) {
    let (_folder, settings, url) = place(database).await;
    assert!(run(&settings, &["migrate", "up"]).0.status.success());
    execute(&url, OF_TOMORROW).await;
    let server = Process::start(&settings);
    assert_eq!(Client::new(&server.address).get("/health/ready").await.status, 200);
    assert!(server.terminate());
    assert!(run(&settings, &["migrate", "up"]).0.status.success(), "there is nothing of its own to do");
    let (listed, status) = run(&settings, &["migrate", "status"]);
    assert!(listed.status.success() && status.contains("Newer    m99999999_000001_of_tomorrow"), "{status}");
    let (refused, said) = run(&settings, &["migrate", "down"]);
    assert!(!refused.status.success() && said.contains("of a newer release"), "{said}");

    // Of another branch: what it lacks may not be added to what it does not know.
    let last = Migrator::migrations().last().expect("some").name().to_owned();
    execute(&url, &format!("DELETE FROM seaql_migrations WHERE version = '{last}'")).await;
    let (refused, said) = run(&settings, &["serve"]);
    assert!(!refused.status.success() && said.contains("the tables are of another release"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_starts_on_the_tables_of_the_next_one_on_sqlite() {
    a_release_starts_on_the_tables_of_the_next_one(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_starts_on_the_tables_of_the_next_one_on_postgres() {
    a_release_starts_on_the_tables_of_the_next_one(Database::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_migrate_at_once_take_turns() {
    let (_folder, settings, _) = place(Database::Postgres).await;
    let runs = (0..4).map(|_| {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || run(&settings, &["migrate", "up"]))
    });
    for ran in futures_util::future::join_all(runs).await {
        let (output, said) = ran.expect("it runs");
        assert!(output.status.success(), "{said}");
    }
    assert!(!run(&settings, &["migrate", "status"]).1.contains("Pending"));
}

#[derive(FromQueryResult)]
struct Count {
    waiting: i64,
}

/// A program that waits for its turn to migrate, and the connection that has the turn.
async fn waiting_to_migrate(arguments: &[&str], settings: &Settings, url: &str) -> (Child, DatabaseConnection) {
    let holder = sea_orm::ConnectOptions::new(url).max_connections(1).to_owned();
    let holder: DatabaseConnection = Connection::connect(holder).await.expect("connected");
    // As `platform::db` names it: "spacedly" in ASCII.
    holder.execute_unprepared("SELECT pg_advisory_lock(x'7370616365646c79'::bigint)").await.expect("locked");
    let mut command = Command::new(binary());
    command.env_clear().env("PORT", "0").envs(settings.clone()).args(arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    until("it to wait for its turn", || async {
        let sql = "SELECT count(*) AS waiting FROM pg_locks JOIN pg_database ON oid = database \
                   WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";
        let waiting = Statement::from_string(sea_orm::DatabaseBackend::Postgres, sql);
        let count = Count::find_by_statement(waiting).one(&holder).await.expect("asked").expect("a row");
        (count.waiting == 1).then_some(())
    })
    .await;
    (child, holder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_to_stop_is_heard_before_it_listens() {
    for command in ["serve", "worker"] {
        let (_folder, settings, url) = place(Database::Postgres).await;
        let (mut child, holder) = waiting_to_migrate(&[command], &settings, &url).await;
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let ended = tokio::task::spawn_blocking(move || child.wait().expect("a child"));
        let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it ends").expect("joined");
        assert!(ended.success(), "{command}: {ended}");
        drop(holder);
    }
}
