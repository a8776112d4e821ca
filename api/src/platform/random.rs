//! The one place that makes random bits, handed in like the clock.
//! Promise: a generator fit for secrets (ChaCha, seeded by the operating system).

use std::sync::{Arc, Mutex, PoisonError};

use rand::{
    Rng as _, RngExt as _, SeedableRng as _,
    rngs::{StdRng, SysRng},
};
use uuid::Uuid;

use super::clock::Instant;

/// Makes random bits. Cheap to clone; clones share one state.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn from_system() -> Result<Self, String> {
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(|e| format!("the system gives no randomness: {e}"))?;
        Ok(Self(Arc::new(Mutex::new(rng))))
    }

    /// This many random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// A factor between `1 - spread` and `1 + spread`, so that what was started together does not stay together.
    pub fn jitter(&self, spread: f64) -> f64 {
        1.0 + self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(-spread..=spread)
    }

    /// A UUIDv7 (RFC 9562 section 5.7) of the given instant.
    pub fn uuid_v7(&self, at: Instant) -> Uuid {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}
