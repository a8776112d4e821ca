//! The database: whether it answers, is new enough, keeps our time, and has our tables. Beside a running server: on SQLite
//! it is only read, and the server's lock is left alone.

use std::{path::Path, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use migration::{Migrator, MigratorTrait};
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Connection, Error, PgConnection, SqliteConnection,
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::SqliteConnectOptions,
};
use tokio::time::timeout;

use super::{Finding, PATIENCE};
use crate::platform::{
    clock::{Clock, Instant},
    config::Config,
};

/// The oldest PostgreSQL, as it numbers itself.
const OLDEST: i64 = 140_000;
/// Connections that PostgreSQL keeps for its superuser by default.
const KEPT_BACK: i64 = 3;
/// How far two clocks may be apart.
const DRIFT: TimeDelta = TimeDelta::seconds(1);

/// Which migrations were applied.
const APPLIED: &str = "SELECT version FROM seaql_migrations";

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
    let far = !matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1") && options.get_socket().is_none();
    let looked = async {
        let mut connection = PgConnection::connect_with(&options.disable_statement_logging()).await?;
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
    let number = |text: String| text.trim().parse::<i64>().unwrap_or_default();
    let version = number(sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut *connection).await?);
    let name = format!("{}.{}", version / 10_000, version % 10_000);
    let mut found = vec![if version >= OLDEST {
        Finding::ok(format!("database: PostgreSQL {name} at {place}"))
    } else {
        Finding::fail(format!("database: PostgreSQL {name} at {place}"), "take PostgreSQL 14 or newer")
    }];
    let most = number(sqlx::query_scalar("SHOW max_connections").fetch_one(&mut *connection).await?) - KEPT_BACK;
    let wanted = i64::from(config.database.readers) + i64::from(config.database.writers);
    if wanted > most {
        found.push(Finding::fail(
            format!("database: one instance wants {wanted} connections, and all together may have {most}"),
            "lower DATABASE_READERS and DATABASE_WRITERS, or raise max_connections",
        ));
    }
    let before = clock.now();
    let theirs: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    found.push(drift(before, theirs + clock.offset(), clock.now()));
    let applied = sqlx::query_scalar::<_, String>(APPLIED).fetch_all(&mut *connection).await;
    found.push(tables(applied)?);
    Ok(found)
}

fn unreachable(place: &str, error: &Error) -> Finding {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    let mend = match (error, code.as_str()) {
        (_, "28P01" | "28000") => "mend user and password of DATABASE_URL, or let this machine in (pg_hba.conf)",
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
    let found = vec![Finding::ok(format!("database: SQLite {version} in {}", path.display())), tables(applied)?];
    connection.close().await?;
    Ok(found)
}

/// What the list of applied migrations says. A database that is still empty has none.
fn tables(applied: Result<Vec<String>, Error>) -> Result<Finding, Error> {
    let applied = match applied {
        Err(error @ Error::Database(_)) => {
            let words = error.to_string();
            if !words.contains("seaql_migrations") {
                return Err(error);
            }
            Vec::new()
        }
        applied => applied?,
    };
    let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let pending = known.iter().filter(|name| !applied.contains(name)).count();
    let newer = applied.iter().filter(|name| !known.contains(name)).count();
    Ok(match (pending, newer) {
        (0, 0) => Finding::ok(format!("tables: all {} migrations are applied", known.len())),
        (_, 1..) => Finding::fail(
            format!("tables: {newer} migrations were applied by a newer release than this one"),
            "start that release, or restore a backup from before it",
        ),
        _ => Finding::warn(
            format!("tables: {pending} of {} migrations are not applied", known.len()),
            "spacedly migrate up, or start the server, which does it",
        ),
    })
}

#[cfg(test)]
mod tests {
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
        let grade = |applied| tables(Ok(applied)).expect("judged").grade;
        assert_eq!(grade(known()), Grade::Ok);
        assert_eq!(grade(known().into_iter().skip(1).collect()), Grade::Warn);
        assert_eq!(grade(known().into_iter().chain(["m99".to_owned()]).collect()), Grade::Fail);
    }
}
