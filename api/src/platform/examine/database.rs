//! The database: whether it answers as the server asks it, takes writes, is new enough, has room, keeps our time, and
//! has our tables. Beside a running server: it is only read, and on SQLite the server's lock is left alone.

use std::{path::Path, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Connection, Error, PgConnection, SqliteConnection,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::SqliteConnectOptions,
};
use tokio::time::timeout;

use super::{Finding, PATIENCE};
use crate::platform::{
    clock::{Clock, Instant},
    config::{Config, is_this_machine},
    db,
    migrations::Standing,
};

/// The oldest PostgreSQL, as it numbers itself.
const OLDEST: i64 = 140_000;
/// How far two clocks may be apart.
const DRIFT: TimeDelta = TimeDelta::seconds(1);

/// Which migrations were applied.
const APPLIED: &str = "SELECT version FROM seaql_migrations";

/// How many connections there may be besides those that are kept back, and how many others there are now.
const ROOM: &str = "SELECT current_setting('max_connections')::bigint \
     - current_setting('superuser_reserved_connections')::bigint \
     - COALESCE(current_setting('reserved_connections', true), '0')::bigint, \
     (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid())";

/// What our user must be allowed while tables are missing: the question, what is wrong if not, and how to mend it.
const MAY_MAKE: (&str, &str, &str) = (
    "SELECT has_schema_privilege(current_schema(), 'CREATE')",
    "tables: the user of DATABASE_URL may not make any, so that what is pending cannot be applied",
    "GRANT CREATE ON SCHEMA public to it, or run spacedly migrate up as a user who may",
);
/// The same once they are there. One stands for all.
const MAY_CHANGE: (&str, &str, &str) = (
    "SELECT has_table_privilege('jobs', 'SELECT') AND has_table_privilege('jobs', 'INSERT') \
     AND has_table_privilege('jobs', 'UPDATE') AND has_table_privilege('jobs', 'DELETE')",
    "tables: the user of DATABASE_URL may not read and change them",
    "let it own them, or GRANT it SELECT, INSERT, UPDATE and DELETE on all of them",
);

/// What to do about a pooler between (PgBouncer), which does not pass on what the server asks for.
const POOLER: &str = "let DATABASE_URL lead to PostgreSQL itself, or to a pooler of sessions that drops extra_float_digits \
                      and options, with the timeouts on the role (README, When something is wrong)";

/// Looks at the database.
pub async fn database(config: &Config, clock: &Clock) -> Vec<Finding> {
    match &config.database.url {
        Some(url) if config.database.is_postgres() => match PgConnectOptions::from_str(url.expose_secret()) {
            Ok(options) => postgres(config, clock, options).await,
            Err(_) => vec![Finding::fail(
                "database: DATABASE_URL cannot be read",
                "write postgres://user:password@host:5432/name, with %40 for an @ in the password",
            )],
        },
        _ => sqlite(&config.sqlite_url()).await,
    }
}

async fn postgres(config: &Config, clock: &Clock, options: PgConnectOptions) -> Vec<Finding> {
    let place = format!("{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default());
    let encrypts = matches!(options.get_ssl_mode(), PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    let far = !is_this_machine(options.get_host()) && options.get_socket().is_none();
    let looked = async {
        // What lies between may refuse what the server asks for.
        let options = db::as_a_reader(db::as_the_server(options, config));
        let mut connection = PgConnection::connect_with(&options).await?;
        let found = look(config, clock, &mut connection, &place).await?;
        connection.close().await?;
        Ok::<_, Error>(found)
    };
    let mut found = match timeout(PATIENCE, looked).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => vec![unreachable(&place, &error)],
        Err(_) => vec![Finding::fail(
            format!("database: {place} did not answer within {} s", PATIENCE.as_secs()),
            "look at host and port of DATABASE_URL, and at what lies between",
        )],
    };
    if far && !encrypts {
        found.push(Finding::warn(
            "database: the connection need not be encrypted",
            "add ?sslmode=verify-full&sslrootcert=… to DATABASE_URL, unless the network between is yours alone",
        ));
    }
    found
}

async fn look(
    config: &Config,
    clock: &Clock,
    connection: &mut PgConnection,
    place: &str,
) -> Result<Vec<Finding>, Error> {
    let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut *connection).await?;
    let version = version.trim().parse::<i64>().unwrap_or_default();
    let name = format!("{}.{}", version / 10_000, version % 10_000);
    let mut found = vec![if version >= OLDEST {
        Finding::ok(format!("database: PostgreSQL {name} at {place}"))
    } else {
        Finding::fail(format!("database: PostgreSQL {name} at {place}"), "take PostgreSQL 14 or newer")
    }];
    found.extend(manners(config, connection).await?);
    let (most, others): (i64, i64) = sqlx::query_as(ROOM).fetch_one(&mut *connection).await?;
    let wanted = i64::from(config.database.readers) + i64::from(config.database.writers);
    found.push(room(wanted, others, most));
    let before = clock.now();
    let theirs: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    found.push(drift(before, theirs + clock.offset(), clock.now()));
    let applied = sqlx::query_scalar::<_, String>(APPLIED).fetch_all(&mut *connection).await;
    let standing = standing(applied)?;
    found.push(told(&standing));
    found.extend(rights(connection, &standing).await?);
    Ok(found)
}

/// Whether it takes writes, and does what it was asked for at the start.
async fn manners(config: &Config, connection: &mut PgConnection) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    let standby: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await?;
    if standby {
        found.push(Finding::fail(
            "database: this PostgreSQL is a standby, which takes no writes",
            "let DATABASE_URL lead to the primary",
        ));
    }
    let patience: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(connection).await?;
    if patience == "0" && !config.database.statement_timeout.is_zero() {
        found.push(Finding::warn(
            "database: something between drops our timeouts: a statement may take for ever",
            POOLER,
        ));
    }
    Ok(found)
}

/// Whether there are as many connections as a process may take.
fn room(wanted: i64, others: i64, most: i64) -> Finding {
    if wanted > most {
        return Finding::fail(
            format!("database: one instance wants {wanted} connections, and all together may have {most}"),
            "lower DATABASE_READERS and DATABASE_WRITERS, or raise max_connections",
        );
    }
    if others + wanted > most {
        return Finding::warn(
            format!(
                "database: {others} of {most} connections are taken, and one more `serve` or `worker` wants {wanted}"
            ),
            "raise max_connections, or lower DATABASE_READERS and DATABASE_WRITERS; an upgrade starts one more",
        );
    }
    Finding::ok(format!(
        "database: each `serve` and each `worker` takes up to {wanted} connections; {others} of {most} are taken"
    ))
}

/// Whether our user may make the tables that are missing, or change those that are there. None: they may.
async fn rights(connection: &mut PgConnection, standing: &Standing) -> Result<Option<Finding>, Error> {
    let (question, what, mend) = if standing.pending() > 0 { MAY_MAKE } else { MAY_CHANGE };
    // NULL when the search path leads to no schema.
    let may: Option<bool> = sqlx::query_scalar(question).fetch_one(connection).await?;
    Ok((may != Some(true)).then(|| Finding::fail(what, mend)))
}

fn unreachable(place: &str, error: &Error) -> Finding {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    let mend = match (error, code.as_str()) {
        (_, "28P01" | "28000") => "mend user and password of DATABASE_URL, or let this machine in (pg_hba.conf)",
        (_, "08P01") => POOLER,
        (_, "42501") => "let the user of DATABASE_URL own the database and its tables, or GRANT it all rights on both",
        (_, "3D000") => "make the database (createdb), or mend its name in DATABASE_URL",
        (_, "53300") => "raise max_connections, or lower DATABASE_READERS and DATABASE_WRITERS",
        (Error::Io(_), _) => "start it, or mend host and port of DATABASE_URL",
        (Error::Tls(_), _) => "mend sslmode and sslrootcert of DATABASE_URL",
        _ => "look into the log of PostgreSQL",
    };
    Finding::fail(format!("database: {place} cannot be used ({error})"), mend)
}

/// How far apart the clocks are at least, whenever between the two looks theirs was read.
fn drift(before: Instant, theirs: Instant, after: Instant) -> Finding {
    let apart = (before - theirs).max(theirs - after).max(TimeDelta::zero());
    if apart <= DRIFT {
        return Finding::ok("clock: this machine and the database agree");
    }
    let seconds = apart.as_seconds_f64();
    Finding::warn(
        format!("clock: this machine and the database are {seconds:.1} s apart"),
        "let both keep time by NTP: reminders are due by the clock of the database",
    )
}

async fn sqlite(url: &str) -> Vec<Finding> {
    let Ok(options) = SqliteConnectOptions::from_str(url) else {
        return vec![Finding::fail("database: DATABASE_URL cannot be read", "write sqlite:///folder/spacedly.db")];
    };
    let path = options.get_filename().to_owned();
    if !path.exists() {
        return vec![Finding::ok(format!("database: SQLite in {}, made at the first start", path.display()))];
    }
    match timeout(PATIENCE, look_into(options, &path)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => vec![Finding::fail(
            format!("database: the SQLite file {} cannot be read ({error})", path.display()),
            "see that it belongs to the user that this program runs as, or restore a backup",
        )],
        Err(_) => vec![Finding::fail("database: the SQLite file did not answer", "look at the disk that it lies on")],
    }
}

async fn look_into(options: SqliteConnectOptions, path: &Path) -> Result<Vec<Finding>, Error> {
    let options = options.read_only(true).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    let applied = sqlx::query_scalar::<_, String>(APPLIED).fetch_all(&mut connection).await;
    let tables = told(&standing(applied)?);
    let found = vec![Finding::ok(format!("database: SQLite {version} in {}", path.display())), tables];
    connection.close().await?;
    Ok(found)
}

/// Where the tables stand by the list of what was applied. A database that is still empty has none.
fn standing(applied: Result<Vec<String>, Error>) -> Result<Standing, Error> {
    let is_missing = |error: &dyn DatabaseError| {
        error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
    };
    match applied {
        Err(Error::Database(error)) if is_missing(&*error) => Ok(Standing::by([])),
        applied => Ok(Standing::by(applied?)),
    }
}

fn told(standing: &Standing) -> Finding {
    let (known, pending, newer) = (standing.known.len(), standing.pending(), standing.newer().len());
    match (pending, newer) {
        (0, 0) => Finding::ok(format!("tables: all {known} migrations are applied")),
        // It only adds (README, Upgrading), so that this release starts.
        (0, _) => Finding::warn(
            format!("tables: {newer} migrations were applied by a newer release than this one, which can use them"),
            "go on with the upgrade, or take the migrations back by the newer release",
        ),
        (_, 0) => Finding::warn(
            format!("tables: {pending} of {known} migrations are not applied"),
            "spacedly migrate up, or start the server, which does it",
        ),
        _ => Finding::fail(
            format!(
                "tables: {newer} migrations were applied by a newer release than this one, and {pending} are missing"
            ),
            "start that release, or restore a backup from before it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use migration::{Migrator, MigratorTrait};

    use super::*;
    use crate::platform::examine::Grade;

    #[test]
    fn clocks_that_are_more_than_a_second_apart_are_told() {
        let at = |millis: i64| DateTime::from_timestamp_millis(1_800_000_000_000 + millis).expect("an instant");
        assert_eq!(drift(at(0), at(100), at(200)).grade, Grade::Ok);
        assert_eq!(drift(at(0), at(1_200), at(200)).grade, Grade::Ok, "exactly one");
        assert_eq!(drift(at(0), at(-1_001), at(200)).grade, Grade::Warn);
        assert_eq!(drift(at(0), at(5_000), at(200)).grade, Grade::Warn);
    }

    #[test]
    fn tables_of_another_release_are_told() {
        let known = || Migrator::migrations().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>();
        let grade = |applied| told(&standing(Ok(applied)).expect("judged")).grade;
        let newer = || ["m99".to_owned()];
        assert_eq!(grade(known()), Grade::Ok);
        assert_eq!(grade(known().into_iter().skip(1).collect()), Grade::Warn);
        assert_eq!(grade(known().into_iter().chain(newer()).collect()), Grade::Warn, "it starts on them");
        assert_eq!(grade(known().into_iter().skip(1).chain(newer()).collect()), Grade::Fail);
    }

    #[test]
    fn connections_that_a_process_would_not_get_are_told() {
        assert_eq!(room(16, 81, 97).grade, Grade::Ok, "exactly as many");
        assert_eq!(room(16, 82, 97).grade, Grade::Warn);
        assert_eq!(room(98, 0, 97).grade, Grade::Fail);
    }
}
