//! Migrations expand and contract: during an upgrade instances of the last release run on the tables of the next one, and
//! know nothing of what its migrations take away or demand (README, Upgrading).
//! Promise: whatever way a migration is written, what it leaves behind in the database is looked at, on both.

use std::collections::{BTreeMap, BTreeSet};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, Database as Connection, DatabaseBackend, DatabaseConnection, FromQueryResult, Statement,
    TransactionTrait,
};
use support::postgres;

/// The last migration of the last release. A release moves it on to its own last one.
const RELEASED: &str = "m20261122_000022_index_deleted_tasks";

/// What newer migrations take away on purpose, as [`breaks`] tells it: one release after the last one that read or wrote
/// it. A release empties this again.
const CONTRACTED: &[&str] = &[];

/// A column as the database itself describes it.
#[derive(Debug, FromQueryResult)]
struct Column {
    of_table: String,
    name: String,
    kind: String,
    required: bool,
    /// None: there is none.
    filled_with: Option<String>,
    /// Changes when the column, or its table, is made anew under the same name. Empty: it is not known.
    made_as: String,
}

type Tables = BTreeMap<String, BTreeMap<String, Column>>;

const OF_POSTGRES: &str = "SELECT c.relname::text AS of_table, a.attname::text AS name,
        format_type(a.atttypid, a.atttypmod) AS kind, a.attnotnull AS required,
        COALESCE(pg_get_expr(d.adbin, d.adrelid), NULLIF(a.attidentity::text, '')) AS filled_with,
        c.oid || '.' || a.attnum AS made_as
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace";

const OF_SQLITE: &str = "SELECT t.name AS of_table, c.name AS name, c.type AS kind, c.\"notnull\" AS required,
        c.dflt_value AS filled_with, '' AS made_as
    FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";

async fn tables(db: &impl ConnectionTrait) -> Tables {
    let backend = db.get_database_backend();
    let sql = if backend == DatabaseBackend::Postgres { OF_POSTGRES } else { OF_SQLITE };
    let columns = Column::find_by_statement(Statement::from_string(backend, sql)).all(db).await.expect("described");
    let mut tables = Tables::new();
    for column in columns {
        tables.entry(column.of_table.clone()).or_default().insert(column.name.clone(), column);
    }
    tables
}

/// What of the tables before an instance that knows only them would fail on.
fn breaks(before: &Tables, after: &Tables) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (table, columns) in before {
        let Some(now) = after.get(table) else {
            found.insert(format!("{table} is gone"));
            continue;
        };
        for (name, old) in columns {
            let Some(new) = now.get(name) else {
                found.insert(format!("{table}.{name} is gone"));
                continue;
            };
            let loses_default = old.filled_with.is_some() && new.filled_with.is_none() && new.required;
            for (is_so, what) in [
                (old.made_as != new.made_as, "is made anew, and what was in it is gone"),
                (old.kind != new.kind, "is of another type"),
                (!old.required && new.required, "must have a value, and could be empty before"),
                (loses_default, "must be given a value, and was filled in before"),
            ] {
                if is_so {
                    found.insert(format!("{table}.{name} {what}"));
                }
            }
        }
        for (name, new) in now.iter().filter(|(name, _)| !columns.contains_key(*name)) {
            if new.required && new.filled_with.is_none() {
                found.insert(format!("{table}.{name} is new, and must be given a value"));
            }
        }
    }
    found
}

async fn on_both(look: impl AsyncFn(DatabaseConnection)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite://{}/db?mode=rwc", folder.path().display());
    for url in [file, postgres::cluster().empty_database().await] {
        look(Connection::connect(url).await.expect("connected")).await;
    }
}

#[tokio::test]
async fn the_last_release_runs_on_the_tables_of_this_one() {
    let names: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    // A new one goes to the end: each has its place in its name.
    let places = names.iter().enumerate().map(|(at, name)| name.contains(&format!("_{:06}_", at + 1)));
    assert!(places.into_iter().all(|is_right| is_right), "{names:#?}");
    let last = names.iter().position(|name| name == RELEASED).expect("the last of the last release");
    on_both(async |db| {
        Migrator::up(&db, Some(last as u32 + 1)).await.expect("up to the last release");
        let before = tables(&db).await;
        assert!(before.len() > 20 && before["tasks"].len() > 10, "{before:#?}");
        Migrator::up(&db, None).await.expect("up to this one");
        let mut broken = breaks(&before, &tables(&db).await);
        broken.retain(|what| !CONTRACTED.contains(&what.as_str()));
        assert!(broken.is_empty(), "instances of the last release would fail: {broken:#?}");
    })
    .await;
}

/// What a migration may do, and what it may not and is told then. Where SQLite cannot do it there is nothing to find.
const CHANGES: &[(&str, &[&str])] = &[
    ("CREATE TABLE labels (id integer NOT NULL, name text NOT NULL)", &[]),
    ("ALTER TABLE tasks ADD COLUMN weight integer", &[]),
    ("ALTER TABLE tasks ADD COLUMN weight integer NOT NULL DEFAULT 1", &[]),
    ("CREATE INDEX tasks_new_idx ON tasks (title)", &[]),
    ("DROP INDEX tasks_deleted_by_user_idx", &[]),
    ("DROP TABLE completion_days", &["completion_days is gone"]),
    ("ALTER TABLE completion_days RENAME TO days", &["completion_days is gone"]),
    ("ALTER TABLE tasks DROP COLUMN link", &["tasks.link is gone"]),
    ("ALTER TABLE tasks RENAME COLUMN link TO url", &["tasks.link is gone"]),
];

/// The same of PostgreSQL alone.
const CHANGES_OF_POSTGRES: &[(&str, &[&str])] = &[
    ("ALTER TABLE tasks ALTER COLUMN title DROP NOT NULL", &[]),
    ("ALTER TABLE tasks ADD COLUMN weight integer GENERATED ALWAYS AS IDENTITY", &[]),
    ("ALTER TABLE tasks ADD COLUMN weight integer NOT NULL", &["tasks.weight is new, and must be given a value"]),
    (
        "ALTER TABLE tasks RENAME COLUMN link TO url; ALTER TABLE tasks ADD COLUMN url2 text NOT NULL",
        &["tasks.link is gone", "tasks.url2 is new, and must be given a value"],
    ),
    ("ALTER TABLE tasks ALTER COLUMN title TYPE varchar(200)", &["tasks.title is of another type"]),
    ("ALTER TABLE tasks ALTER COLUMN link SET NOT NULL", &["tasks.link must have a value, and could be empty before"]),
    (
        "ALTER TABLE completions ALTER COLUMN summed DROP DEFAULT",
        &["completions.summed must be given a value, and was filled in before"],
    ),
    (
        "ALTER TABLE tasks DROP COLUMN link; ALTER TABLE tasks ADD COLUMN link text",
        &["tasks.link is made anew, and what was in it is gone"],
    ),
];

#[tokio::test]
async fn what_would_break_the_last_release_is_found() {
    on_both(async |db| {
        Migrator::up(&db, None).await.expect("up");
        let before = tables(&db).await;
        let is_postgres = db.get_database_backend() == DatabaseBackend::Postgres;
        let more = if is_postgres { CHANGES_OF_POSTGRES } else { &[] };
        for (change, told) in CHANGES.iter().chain(more) {
            let undone = db.begin().await.expect("begun");
            undone.execute_unprepared(change).await.expect(change);
            let found = breaks(&before, &tables(&undone).await);
            undone.rollback().await.expect("undone");
            assert_eq!(found, told.iter().map(|what| (*what).to_owned()).collect(), "{change}");
        }
    })
    .await;
}
