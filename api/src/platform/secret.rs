//! The server's secret and what is derived from it.
//! Promise: one key per purpose (HMAC-SHA-256 of the purpose under `SECRET_KEY`), none printable.

use aws_lc_rs::{constant_time, digest, hmac};

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
