//! `spacedly backup`: a copy of what is kept in DATA_DIR, taken while the server runs.
//! Promise: a backup that is there is whole, and has the form of a DATA_DIR. Every file of which its database tells is in
//! it: files are copied before and after the database, and none is deleted meanwhile; what is too much is swept by the
//! server that is restored.

use std::{fs, io, path::Path, str::FromStr};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::platform::{config::Config, storage};

/// Copies it into a new folder.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn run(config: &Config, folder: &Path) -> Result<(), String> {
    if config.database.is_postgres() {
        return Err(
            "the database is a PostgreSQL: back it up with `pg_dump --format=custom` (see the README), the bucket \
                    of files by the means of its store, and keep SECRET_KEY"
                .into(),
        );
    }
    if folder.exists() {
        return Err(format!("{} is there already: name a folder that is not", folder.display()));
    }
    let failed = |e: io::Error| format!("{}: {e}", folder.display());
    let name = folder.file_name().ok_or("name the folder that is to be made")?;
    let partial = folder.with_file_name(format!("{}.partial", name.to_string_lossy()));
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir_all(&partial).map_err(failed)?,
    }
    private(&partial).map_err(failed)?;
    let data = &config.server.data_dir;
    let store = data.join("objects");
    let objects = || copy_new(&store.join("buckets"), &partial.join("objects/buckets")).map_err(failed);
    // Most of them before anything is held up.
    objects()?;
    let kept = store.is_dir().then(|| storage::keep_all(&store)).transpose();
    let kept = kept.map_err(|e| format!("{}: {e}", store.display()))?;
    copy_database(config, &partial.join("spacedly.db")).await?;
    objects()?;
    drop(kept);
    if config.security.secret_key.is_none() {
        let secret = data.join("secret.key");
        copy(&secret, &partial.join("secret.key")).map_err(|e| format!("{}: {e}", secret.display()))?;
    }
    fs::rename(&partial, folder).map_err(failed)?;
    println!("{} is a whole DATA_DIR: to restore, put it in the place of the other one.", folder.display());
    if config.database.url.is_some() {
        println!("Its spacedly.db belongs where DATABASE_URL says.");
    }
    Ok(())
}

/// The database as it is at one moment, compacted. It neither takes the server's lock nor holds up its writes.
async fn copy_database(config: &Config, to: &Path) -> Result<(), String> {
    let from = config.sqlite_url();
    let options = SqliteConnectOptions::from_str(&from)
        .map_err(|e| format!("DATABASE_URL: {e}"))?
        .read_only(true)
        .busy_timeout(std::time::Duration::from_secs(30));
    let path = options.get_filename().to_owned();
    let failed = |e: sqlx::Error| format!("the SQLite file {} cannot be copied: {e}", path.display());
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let statement = sqlx::query("VACUUM INTO $1").bind(to.display().to_string());
    statement.execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    fs::File::open(to).and_then(|file| file.sync_all()).map_err(|e| format!("{}: {e}", to.display()))
}

/// Copies every file that is not there yet. One that goes meanwhile was removed, and nobody needs it any more.
fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if from.is_dir() {
            copy_new(&from, &to)?;
        } else if !to.exists() {
            match copy(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => copied?,
            }
        }
    }
    Ok(())
}

/// Copies a file whole or not at all.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let partial = to.with_file_name("partial");
    fs::copy(from, &partial)?;
    fs::File::open(&partial)?.sync_all()?;
    fs::rename(partial, to)
}

/// For its owner alone: the secret lies in it.
fn private(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
