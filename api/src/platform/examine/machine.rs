//! The machine: its clock, its disk, and how old the time zones of this program are.

use std::{fs, io, path::Path};

use chrono::NaiveDate;

use super::Finding;
use crate::platform::{calendar, clock::Clock, config::Config};

/// Governments change time zones several times a year, often at short notice.
const OLD_ZONES_DAYS: i64 = 400;
/// Bytes that must be free, and that should be.
const LITTLE_SPACE: u64 = 100_000_000;
const SOME_SPACE: u64 = 1_000_000_000;

/// Looks at the machine.
pub fn machine(config: &Config, clock: &Clock) -> Vec<Finding> {
    let (version, since) = calendar::BUNDLED;
    let today = clock.now().date_naive();
    let mut found = vec![zones(version, since.parse().unwrap_or(today), today)];
    found.extend(folder(&config.server.data_dir));
    found
}

fn zones(version: &str, since: NaiveDate, today: NaiveDate) -> Finding {
    match (today - since).num_days() {
        ..0 => Finding::fail(
            format!("clock: this machine believes that it is {today}, before this program was made"),
            "let the machine keep time by NTP",
        ),
        age @ 0..=OLD_ZONES_DAYS => Finding::ok(format!("time zones: {version}, {age} days old")),
        age => Finding::warn(
            format!("time zones: {version}, {age} days old; countries have changed theirs since"),
            "upgrade to a newer release",
        ),
    }
}

fn folder(folder: &Path) -> Vec<Finding> {
    let name = folder.display();
    if !folder.exists() {
        return vec![Finding::ok(format!("DATA_DIR: {name} is made at the first start"))];
    }
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = fs::write(&probe, b"probe").and_then(|()| fs::remove_file(&probe)) {
        let mend = "give it to the user that this program runs as, or set DATA_DIR to a folder that is theirs";
        return vec![Finding::fail(format!("DATA_DIR: {name} cannot be written to ({error})"), mend)];
    }
    let mut found = vec![space(folder, free(folder))];
    found.extend(secret(&folder.join("secret.key")));
    found
}

fn space(folder: &Path, free: io::Result<u64>) -> Finding {
    let name = folder.display();
    let mend = "make room, or set DATA_DIR to a larger disk";
    match free {
        Ok(..LITTLE_SPACE) => Finding::fail(format!("DATA_DIR: the disk of {name} is full"), mend),
        Ok(free @ LITTLE_SPACE..SOME_SPACE) => {
            Finding::warn(format!("DATA_DIR: {} MB are free in {name}", free / 1_000_000), mend)
        }
        Ok(free) => Finding::ok(format!("DATA_DIR: {} GB are free in {name}", free / 1_000_000_000)),
        Err(error) => {
            Finding::warn(format!("DATA_DIR: how much is free in {name} is not known ({error})"), "look yourself")
        }
    }
}

#[cfg(unix)]
fn free(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whoever can read the secret can log in as anybody.
#[cfg(unix)]
fn secret(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let mend = format!("chmod 600 {}", path.display());
        Finding::fail("keys: others on this machine can read the secret of the server", mend)
    })
}

#[cfg(not(unix))]
fn secret(_: &Path) -> Option<Finding> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::examine::Grade;

    #[test]
    fn zones_grow_old_and_a_clock_of_yesterday_is_wrong() {
        let day = |text: &str| text.parse().expect("a day");
        let grade = |today| zones("2026e", day("2026-10-06"), day(today)).grade;
        assert_eq!(
            [grade("2026-10-05"), grade("2026-10-06"), grade("2027-11-10"), grade("2027-11-11")],
            [Grade::Fail, Grade::Ok, Grade::Ok, Grade::Warn]
        );
    }

    #[test]
    fn a_full_disk_is_found() {
        let grade = |free| space(Path::new("/data"), Ok(free)).grade;
        assert_eq!(
            [grade(99_999_999), grade(100_000_000), grade(1_000_000_000)],
            [Grade::Fail, Grade::Warn, Grade::Ok]
        );
    }
}
