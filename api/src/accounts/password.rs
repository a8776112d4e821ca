//! Hashing passwords with argon2id, off the async threads and bounded: a hash takes tens of milliseconds of a core and
//! megabytes of memory, and a storm of logins must starve nobody.
//! Promise: an unknown account costs what a known one costs.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rules;
use crate::platform::{
    Platform,
    error::{Fault, Refusal},
    random::Random,
};

/// A password that is to be somebody's.
pub(super) struct NewPassword<'a> {
    /// Where in the input it is.
    pub(super) field: &'static str,
    pub(super) password: String,
    pub(super) name: &'a str,
    pub(super) email: &'a str,
}

/// Hashes and verifies passwords.
pub(super) struct Passwords {
    argon2: Argon2<'static>,
    random: Random,
    /// One for each that may run or wait.
    places: Arc<Semaphore>,
    /// One for each that may run.
    permits: Arc<Semaphore>,
    /// What is verified when there is no account: the hash of a password that nobody has.
    nobody: String,
}

impl Passwords {
    pub(super) fn new(platform: &Platform) -> Result<Self, String> {
        let security = &platform.config.security;
        let params = Params::new(security.password_memory_kib, security.password_passes, security.password_lanes, None)
            .map_err(|e| format!("PASSWORD_MEMORY_KIB, PASSWORD_PASSES, PASSWORD_LANES: {e}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, &platform.random.bytes::<32>(), &platform.random.bytes::<16>())?;
        Ok(Self {
            argon2,
            random: platform.random.clone(),
            places: Arc::new(Semaphore::new(security.password_permits + security.password_queue)),
            permits: Arc::new(Semaphore::new(security.password_permits.max(1))),
            nobody,
        })
    }

    /// The PHC string of a new password, if it is not easy to guess. The estimate is work too, and bounded as hashing.
    ///
    /// # Errors
    /// What is wrong with the password; RATE_LIMITED when too many are waiting.
    pub(super) async fn hash_new(&self, new: NewPassword<'_>) -> Result<String, Refusal> {
        let NewPassword { field, password, name, email } = new;
        rules::password_length(field, &password)?;
        let argon2 = self.argon2.clone();
        let salt = self.random.bytes::<16>();
        let known = [name.to_owned(), email.to_owned()];
        let made = self.bounded(move || {
            rules::password_strength(field, &password, &known)?;
            hash(&argon2, password.as_bytes(), &salt).map_err(|cause| Refusal::from(Fault::Internal(cause)))
        });
        made.await?
    }

    /// The PHC string of a password.
    ///
    /// # Errors
    /// RATE_LIMITED when too many are waiting.
    pub(super) async fn hash(&self, password: String) -> Result<String, Fault> {
        let argon2 = self.argon2.clone();
        let salt = self.random.bytes::<16>();
        self.bounded(move || hash(&argon2, password.as_bytes(), &salt)).await?.map_err(Fault::Internal)
    }

    /// Whether the password is the one that was hashed. With no hash (no account, or one without a password) the same
    /// work is done, and the answer is no.
    ///
    /// # Errors
    /// RATE_LIMITED when too many are waiting.
    pub(super) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Fault> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let argon2 = self.argon2.clone();
        let matches = self
            .bounded(move || {
                // argon2id takes any length; what is longer than a password can be is not worth hashing.
                let password = if password.len() > 1_024 { "" } else { &password };
                PasswordHash::new(&stored)
                    .is_ok_and(|stored| argon2.verify_password(password.as_bytes(), &stored).is_ok())
            })
            .await?;
        Ok(matches && known)
    }

    /// Whether a hash was made with the parameters of today.
    pub(super) fn is_current(&self, stored: &str) -> bool {
        let today = self.argon2.params();
        let Ok(hash) = PasswordHash::new(stored) else { return false };
        Params::try_from(&hash).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (today.m_cost(), today.t_cost(), today.p_cost())
        })
    }

    async fn bounded<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Fault::RateLimited(Duration::from_secs(2)))?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|e| Fault::Internal(e.to_string()))?;
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, permit);
        tokio::task::spawn_blocking(move || {
            // Given back when the work is done, also when nobody waits for it any more.
            let _held = held;
            work()
        })
        .await
        .map_err(|e| Fault::Internal(format!("hashing a password: {e}")))
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String, String> {
    let hash: PasswordHash = argon2.hash_password_with_salt(password, salt).map_err(|e| e.to_string())?;
    Ok(hash.to_string())
}
