//! The server's secret and what is derived from it.
//! Promise: one key per purpose (HMAC-SHA-256 of the purpose under `SECRET_KEY`), none printable; who starts beside
//! others in one data folder has the same as they.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use aws_lc_rs::{constant_time, digest, hmac};

use super::random::Random;

/// Where a server without `SECRET_KEY` keeps the one that it made, in its data folder.
const KEPT_IN: &str = "secret.key";
/// The bytes of a secret at least.
const LEAST: usize = 32;

/// Keys derived from `SECRET_KEY`, one a purpose.
#[derive(Clone)]
pub struct Secrets {
    root: hmac::Key,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// From the bytes of `SECRET_KEY`.
    pub fn new(secret_key: &[u8]) -> Self {
        Self { root: hmac::Key::new(hmac::HMAC_SHA256, secret_key) }
    }

    /// The 32 bytes that serve this purpose and no other.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        to_array(hmac::sign(&self.root, purpose.as_bytes()).as_ref())
    }

    /// HMAC-SHA-256 of the parts under the key of this purpose. Each part goes in with its length before it, so that
    /// two lists of parts never meet.
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive(purpose));
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        to_array(context.sign().as_ref())
    }
}

/// The secret of a development server: made at the first start, kept in the data folder for its owner alone.
///
/// # Errors
/// The file cannot be read or written, or holds too little; in words for an operator.
pub fn kept(folder: &Path, random: &Random) -> Result<Vec<u8>, String> {
    let path = folder.join(KEPT_IN);
    let secret = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path, random),
        read => read,
    };
    match secret {
        Ok(secret) if secret.len() >= LEAST => Ok(secret),
        Ok(_) => Err(format!("{} is too short: delete it to have a new one made", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Of several that start at once the first makes it, and the others take what that one made: it appears whole, and
/// nobody puts another in its place.
fn make(folder: &Path, path: &Path, random: &Random) -> io::Result<Vec<u8>> {
    let secret = hex(&random.bytes::<LEAST>()).into_bytes();
    // Readable for its owner alone, which is how such files are made.
    let mut file = tempfile::Builder::new().prefix(KEPT_IN).tempfile_in(folder)?;
    file.write_all(&secret)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            // Not every file system does this with a folder; the secret is there in any case.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
            Ok(secret)
        }
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        Err(failed) => Err(failed.error),
    }
}

/// Six digits that follow from the parts. 2^64 is so much larger than 10^6 that no code is noticeably likelier.
pub fn six_digits(mac: &[u8; 32]) -> String {
    let mut number = [0; 8];
    number.copy_from_slice(&mac[..8]);
    format!("{:06}", u64::from_be_bytes(number) % 1_000_000)
}

/// The bytes in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Whether two byte strings are equal, in a time that does not tell where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, os::unix::fs::PermissionsExt, sync::Barrier, thread};

    use super::*;

    #[test]
    fn who_starts_at_once_in_one_folder_has_one_secret() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a folder");
            let together = Barrier::new(8);
            let start = || {
                let random = Random::from_system().expect("random");
                together.wait();
                kept(folder.path(), &random).expect("kept")
            };
            let secrets: HashSet<Vec<u8>> = thread::scope(|scope| {
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                starts.into_iter().map(|started| started.join().expect("started")).collect()
            });
            assert_eq!(secrets.len(), 1);
            let path = folder.path().join(KEPT_IN);
            let kept = fs::read(&path).expect("kept for the next start");
            assert!(secrets.contains(&kept) && kept.len() == 64);
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left over");
        }
    }

    #[test]
    fn a_secret_that_is_too_short_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(KEPT_IN), "short").expect("written");
        let random = Random::from_system().expect("random");
        assert!(kept(folder.path(), &random).expect_err("refused").contains("too short"));
    }
}
