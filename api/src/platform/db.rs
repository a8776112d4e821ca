//! The database: one way to read, one way to write, on SQLite and on PostgreSQL.
//! Promise: what was acknowledged is committed. A write runs in a task of its own, which a client that hangs up
//! cannot cancel; on SQLite it begins IMMEDIATE; what it hints at is published after the commit, never before; rows that
//! many acts share are written last of all, in one order, so that nobody who holds one waits for anything else.

use std::{
    collections::BTreeMap,
    fs::File,
    ops::Deref,
    path::Path,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr,
    SqliteTransactionMode, SqlxPostgresConnector, SqlxSqliteConnector, TransactionOptions, TransactionTrait, Value,
    sea_query::{ArrayType, Expr},
};
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Executor,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tracing::Instrument;

use super::{
    bus::{Bus, Hint},
    clock::Clock,
    config::Config,
    crash,
    error::Fault,
};

/// Sees every statement that is sent; tests count with it.
pub type StatementObserver = Arc<dyn Fn(&str) + Send + Sync>;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Pools>);

struct Pools {
    read: DatabaseConnection,
    write: DatabaseConnection,
    clock: Clock,
    bus: Bus,
    /// SQLite serves one process: held for as long as this one runs.
    _only_one: Option<File>,
}

impl Db {
    /// Opens the database that the configuration names; a SQLite file is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be reached, or a second process wants the same SQLite file; in words for an operator.
    pub async fn open(
        config: &Config,
        clock: Clock,
        bus: Bus,
        observer: Option<StatementObserver>,
    ) -> Result<Self, String> {
        let (mut read, mut write, only_one) = match &config.database.url {
            Some(url) if config.database.is_postgres() => open_postgres(url.expose_secret(), config).await?,
            _ => open_sqlite(&config.sqlite_url(), config).await?,
        };
        if let Some(observer) = observer {
            for connection in [&mut read, &mut write] {
                let observer = observer.clone();
                connection.set_metric_callback(move |info| observer(&info.statement.sql));
            }
        }
        Ok(Self(Arc::new(Pools { read, write, clock, bus, _only_one: only_one })))
    }

    /// For reading outside a transaction. On SQLite these connections cannot write at all.
    pub fn read(&self) -> &DatabaseConnection {
        &self.0.read
    }

    /// The connection for migrations, which open transactions of their own.
    pub fn for_migrations(&self) -> &DatabaseConnection {
        &self.0.write
    }

    /// Waits until no other instance migrates this database. (A SQLite file has one process.)
    ///
    /// # Errors
    /// When PostgreSQL does not answer; in words for an operator.
    pub async fn take_turns_to_migrate(&self) -> Result<Turn, String> {
        if self.backend() != DatabaseBackend::Postgres {
            return Ok(Turn(None));
        }
        let failed = |e: sqlx::Error| format!("the lock for migrations cannot be had: {e}");
        let connection = self.0.write.get_postgres_connection_pool().acquire().await.map_err(failed)?;
        // The lock is the connection's, which ends with it; so do its patience and its place in the pool.
        let mut connection = connection.detach();
        for statement in ["SET statement_timeout = 0", "SET lock_timeout = 0"] {
            connection.execute(statement).await.map_err(failed)?;
        }
        connection.execute(sqlx::query("SELECT pg_advisory_lock($1)").bind(MIGRATION_LOCK)).await.map_err(failed)?;
        Ok(Turn(Some(connection)))
    }

    /// Which database it is.
    pub fn backend(&self) -> DatabaseBackend {
        self.0.write.get_database_backend()
    }

    /// SQL for the present moment with its one parameter, to be bound as `$1`. On PostgreSQL it is the database's own
    /// clock, so that leases of instances whose clocks differ still agree; tests move both by the same offset.
    pub fn now(&self) -> (&'static str, Value) {
        match self.backend() {
            DatabaseBackend::Postgres => (
                "(statement_timestamp() + $1 * interval '1 microsecond')",
                self.0.clock.offset().num_microseconds().unwrap_or(0).into(),
            ),
            _ => ("$1", self.0.clock.now().into()),
        }
    }

    /// The condition that `column` is one of these ids. On PostgreSQL they are one parameter, so that the statement is
    /// the same, and is prepared once, however many there are; twenty parameters cost measurably more there.
    pub fn among<C: ColumnTrait>(&self, column: C, ids: impl Iterator<Item = uuid::Uuid>) -> Expr {
        if self.backend() != DatabaseBackend::Postgres {
            return column.is_in(ids);
        }
        let ids: Vec<Value> = ids.map(Into::into).collect();
        let name = format!("\"{}\".\"{}\" = ANY($1)", column.entity_name(), column.as_str());
        Expr::cust_with_values(name, [Value::Array(ArrayType::Uuid, Some(Box::new(ids)))])
    }

    /// Runs `act` in a transaction and commits it; an error rolls it back. Every write goes through here.
    ///
    /// # Errors
    /// What `act` failed with, or a fault of the database.
    pub async fn write<T, E, F, Fut>(&self, act: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
        F: FnOnce(Tx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        let pools = self.0.clone();
        let transaction = async move {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            #[expect(clippy::disallowed_methods, reason = "the one wrapper through which every write begins")]
            let begun = pools.write.begin_with_options(options).await.map_err(Fault::from)?;
            let tx = Tx(Arc::new(Open {
                begun,
                hints: Mutex::default(),
                last: Mutex::default(),
                after: Mutex::default(),
                ends_jobs: AtomicBool::new(false),
            }));
            let outcome = match act(tx.clone()).await {
                Ok(value) => tx.do_the_last().await.map(|()| value).map_err(|error| Fault::from(error).into()),
                Err(error) => Err(error),
            };
            let Ok(open) = Arc::try_unwrap(tx.0) else {
                return Err(Fault::Internal("a transaction outlived the act that it was for".into()).into());
            };
            match outcome {
                Ok(value) => {
                    let ends_jobs = open.ends_jobs.load(Ordering::Relaxed);
                    if ends_jobs {
                        crash::point("commit.before");
                    }
                    let committed = open.begun.commit().await;
                    if ends_jobs {
                        crash::point("commit.after");
                    }
                    // Also when the answer to the commit was lost: it may have been done, and a hint too many costs a look.
                    for hint in open.hints.into_inner().unwrap_or_else(PoisonError::into_inner) {
                        pools.bus.publish(hint);
                    }
                    committed.map_err(Fault::from)?;
                    for act in open.after.into_inner().unwrap_or_else(PoisonError::into_inner) {
                        act();
                    }
                    Ok(value)
                }
                Err(error) => {
                    if let Err(cause) = open.begun.rollback().await {
                        tracing::warn!(%cause, "a rollback failed; the connection is closed instead");
                    }
                    Err(error)
                }
            }
        };
        match tokio::spawn(transaction.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(died) => Err(Fault::Internal(format!("a write panicked or was stopped: {died}")).into()),
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What it said.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.0.read.execute_unprepared("SELECT 1").await.map(drop)
    }
}

/// Names the lock that instances hold while they migrate: "spacedly" in ASCII.
const MIGRATION_LOCK: i64 = 0x7370_6163_6564_6c79;

/// The turn of this instance to migrate.
pub struct Turn(Option<sqlx::PgConnection>);

impl Turn {
    /// Lets the next one.
    pub async fn end(self) {
        use sqlx::Connection;
        if let Some(connection) = self.0
            && let Err(cause) = connection.close().await
        {
            tracing::warn!(%cause, "the connection that held the lock for migrations did not close well");
        }
    }
}

/// An open transaction. Clones are the same one; all are gone when the act is over.
#[derive(Clone)]
pub struct Tx(Arc<Open>);

/// What a [`Tx`] holds.
pub struct Open {
    begun: DatabaseTransaction,
    hints: Mutex<Vec<Hint>>,
    last: Mutex<BTreeMap<String, (i64, LastAct)>>,
    after: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    ends_jobs: AtomicBool,
}

/// What is done at the end of a transaction.
type LastAct = Box<dyn for<'t> FnOnce(&'t Tx, i64) -> BoxFuture<'t, Result<(), DbErr>> + Send>;

impl Tx {
    /// Publishes this hint once the transaction is committed; the same one only once.
    pub fn hint_after_commit(&self, hint: Hint) {
        let mut hints = self.0.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
}

impl Tx {
    /// Does this once the transaction is committed, and else not: for what counts what was done.
    pub fn after_commit(&self, act: impl FnOnce() + Send + 'static) {
        self.0.after.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(act));
    }

    /// Says that jobs end in this transaction: the crash points around a commit are for these.
    pub fn ends_jobs(&self) {
        self.0.ends_jobs.store(true, Ordering::Relaxed);
    }

    /// Adds to a sum when everything else is done: a row that many acts share, held from then on only, and by everyone in
    /// the order of the names of such rows, makes nobody wait in a circle. What is added in one transaction is added up
    /// before; `act` writes it, and is left out when it comes to nothing.
    pub fn add_at_last<F>(&self, row: String, by: i64, act: F)
    where
        F: for<'t> FnOnce(&'t Tx, i64) -> BoxFuture<'t, Result<(), DbErr>> + Send + 'static,
    {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.entry(row).or_insert_with(|| (0, Box::new(act))).0 += by;
    }

    async fn do_the_last(&self) -> Result<(), DbErr> {
        let last = std::mem::take(&mut *self.0.last.lock().unwrap_or_else(PoisonError::into_inner));
        for (by, act) in last.into_values().filter(|(by, _)| *by != 0) {
            act(self, by).await?;
        }
        Ok(())
    }
}

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.0.begun
    }
}

type Opened = (DatabaseConnection, DatabaseConnection, Option<File>);

async fn open_sqlite(url: &str, config: &Config) -> Result<Opened, String> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|e| format!("DATABASE_URL: {e}"))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .disable_statement_logging();
    let path = options.get_filename().to_owned();
    let lock = lock_file(&path)?;
    let pool = |size: u32| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(config.database.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let failed = |e: sqlx::Error| format!("the SQLite file {} cannot be opened: {e}", path.display());
    let write = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    let read = pool(config.database.readers.max(1)).connect_lazy_with(options.read_only(true));
    Ok((
        SqlxSqliteConnector::from_sqlx_sqlite_pool(read),
        SqlxSqliteConnector::from_sqlx_sqlite_pool(write),
        Some(lock),
    ))
}

fn lock_file(path: &Path) -> Result<File, String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("the folder {} cannot be made: {e}", folder.display()))?;
    }
    let path = path.with_extension("lock");
    let file = File::create(&path).map_err(|e| format!("{} cannot be made: {e}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(format!(
            "another process uses this database ({} is locked). SQLite serves one process: stop the other one, \
             give this one its own DATA_DIR, or set DATABASE_URL to a PostgreSQL",
            path.display()
        )),
    }
}

/// What the server asks of each of its connections to PostgreSQL.
pub(super) fn as_the_server(options: PgConnectOptions, config: &Config) -> PgConnectOptions {
    let millis = |duration: Duration| duration.as_millis().to_string();
    options
        .application_name("spacedly")
        .options([
            ("statement_timeout", millis(config.database.statement_timeout)),
            ("lock_timeout", millis(config.database.lock_timeout)),
            ("idle_in_transaction_session_timeout", "15000".into()),
            // The ROLLBACK below warns each time that there was nothing to roll back.
            ("client_min_messages", "error".into()),
        ])
        .disable_statement_logging()
}

/// What it asks of those that read: as on SQLite, they cannot write at all, for every write goes through [`Db::write`].
pub(super) fn as_a_reader(options: PgConnectOptions) -> PgConnectOptions {
    options.options([("default_transaction_read_only", "on")])
}

async fn open_postgres(url: &str, config: &Config) -> Result<Opened, String> {
    let options = PgConnectOptions::from_str(url).map_err(|e| format!("DATABASE_URL: {e}"))?;
    let options = as_the_server(options, config);
    let pool = |size: u32| {
        PgPoolOptions::new()
            .max_connections(size.max(1))
            .acquire_timeout(config.database.acquire_timeout)
            .test_before_acquire(false)
    };
    let failed = |e: sqlx::Error| format!("PostgreSQL does not answer: {e}");
    // A connection on which a transaction was left open would acknowledge later writes and never commit them
    // (sqlx #4393). Ours are never cancelled; should one be open all the same, it is rolled back before use.
    let write = pool(config.database.writers)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                connection.execute("ROLLBACK").await?;
                Ok(true)
            })
        })
        // After a failover a name may still lead to a standby, which takes no write: the pool tries again.
        .after_connect(|connection, _| {
            Box::pin(async move {
                let standby: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await?;
                if standby {
                    return Err(sqlx::Error::Io(std::io::Error::other("this PostgreSQL is a standby")));
                }
                Ok(())
            })
        })
        .connect_with(options.clone())
        .await
        .map_err(failed)?;
    let read = pool(config.database.readers).connect_lazy_with(as_a_reader(options));
    Ok((
        SqlxPostgresConnector::from_sqlx_postgres_pool(read),
        SqlxPostgresConnector::from_sqlx_postgres_pool(write),
        None,
    ))
}
