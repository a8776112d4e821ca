//! How often somebody may try: by address and by account. Who fails on purpose from elsewhere cannot lock the owner
//! out: a device on which somebody logged in before is counted by itself.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::TimeDelta;
use entity::{SessionId, UserId};
use secrecy::ExposeSecret;

use super::Accounts;
use crate::platform::{
    error::{Fault, Refusal, UserErrorCode as Code},
    limiter::{Limit, Taken},
    secret,
    viewer::Origin,
};

/// How long a device is known.
pub(super) const DEVICE_LIFETIME: TimeDelta = TimeDelta::days(365);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Failed logins.
    LogIn,
    /// Failed proofs of who holds a session.
    Reauthenticate,
    /// Registrations, and codes asked for again.
    Register,
    /// Logins that wait for a code.
    Challenge,
    /// Changes, by somebody who is logged in, that wait for a code.
    Change,
    /// Wrong codes of logins.
    LogInCode,
    /// Wrong codes of somebody who is logged in.
    ChangeCode,
    /// Wrong codes and links of anybody else.
    Code,
    /// Links for forgotten passwords.
    Forgot,
    /// New passwords, which cost a hash each.
    NewPassword,
    /// Exports of an account.
    Export,
    /// Ways to the OpenID provider and back.
    Oidc,
}

impl Attempt {
    /// Whether a device on which somebody logged in before is counted by itself: only at the door. What is done
    /// inside is counted by the account, on whatever device.
    fn knows_devices(self) -> bool {
        matches!(self, Self::LogIn | Self::LogInCode | Self::Challenge)
    }
}

/// Who tries, as far as it is known.
pub(super) enum Named<'a> {
    /// No account is named.
    Nobody,
    /// By the address, whether or not it has an account; with whose it is.
    Email(&'a str, Option<UserId>),
    /// By the account.
    Person(UserId),
    /// By the session: who holds one cannot stop those who hold another.
    Session(SessionId),
}

impl Accounts {
    /// Takes a place for a try; whoever takes it says whether it counts.
    pub(super) async fn attempt(&self, what: Attempt, named: Named<'_>, origin: &Origin) -> Result<Taken, Fault> {
        let limits = &self.platform.config.attempts;
        let limit = |name, most, window| Limit { name, most, window };
        let limit = match what {
            Attempt::LogIn => limit("login", limits.login_failures, limits.login_window),
            Attempt::Reauthenticate => limit("reauthenticate", limits.login_failures, limits.login_window),
            Attempt::Register => limit("register", limits.register, limits.register_window),
            Attempt::Challenge => limit("challenge", limits.challenge, limits.challenge_window),
            Attempt::Change => limit("change", limits.challenge, limits.challenge_window),
            Attempt::LogInCode => limit("login code", limits.code_failures, limits.code_window),
            Attempt::ChangeCode => limit("change code", limits.code_failures, limits.code_window),
            Attempt::Code => limit("code", limits.code_failures, limits.code_window),
            Attempt::Forgot => limit("forgot", limits.forgot, limits.forgot_window),
            Attempt::NewPassword => limit("password", limits.register, limits.register_window),
            Attempt::Export => limit("export", limits.export, limits.export_window),
            Attempt::Oidc => limit("oidc", limits.oidc, limits.oidc_window),
        };
        let person = match named {
            Named::Email(_, person) => person,
            Named::Person(person) => Some(person),
            Named::Nobody | Named::Session(_) => None,
        };
        let person = person.filter(|_| what.knows_devices());
        let known = person.and_then(|person| Some((person, self.device_of(origin, person)?)));
        let network = format!("network {}", origin.network());
        let keys = match (known, named) {
            // All of a person's devices together have room for several that fail, and no more.
            (Some((person, device)), _) => vec![(format!("device {device}"), 1), (format!("devices of {person}"), 10)],
            (None, Named::Nobody) => vec![(network, 1)],
            (None, Named::Email(email, _)) => vec![(network, 1), (format!("email {email}"), 1)],
            (None, Named::Person(person)) => vec![(network, 1), (format!("person {person}"), 1)],
            (None, Named::Session(session)) => vec![(network, 1), (format!("session {session}"), 1)],
        };
        self.platform.limiter.take(limit, &keys).await
    }

    /// Counts a try, whatever comes of it.
    pub(super) async fn count(&self, what: Attempt, named: Named<'_>, origin: &Origin) -> Result<(), Fault> {
        self.attempt(what, named, origin).await?.keep().await;
        Ok(())
    }

    /// Runs a try of which only failures count: the place is kept when the password, code or link was wrong, and given
    /// back otherwise, also when it is our own fault that nothing came of it.
    pub(super) async fn counting_failures<T>(
        &self,
        what: Attempt,
        named: Named<'_>,
        origin: &Origin,
        act: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let taken = self.attempt(what, named, origin).await?;
        let outcome = act.await;
        let wrong = |code| matches!(code, Code::InvalidCode | Code::InvalidCredentials);
        match &outcome {
            Err(Refusal::User(errors)) if errors.iter().any(|error| wrong(error.code)) => taken.keep().await,
            Ok(_) | Err(Refusal::User(_) | Refusal::Fault(_)) => taken.give_back().await,
        }
        outcome
    }

    /// The token by which this device is known from now on, for this person and nobody else.
    pub(super) fn device_token(&self, person: UserId, origin: &Origin) -> String {
        let known = origin.device_cookie.as_ref().and_then(|token| self.nonce_of(token.expose_secret(), person));
        let nonce = known.unwrap_or_else(|| self.platform.random.bytes());
        let since = self.platform.clock.now().timestamp().to_be_bytes();
        let mac = self.platform.secrets.mac("device", &[person.uuid().as_bytes(), &nonce, &since]);
        BASE64.encode([&nonce[..], &since, &mac].concat())
    }

    /// The device, if this person logged in on it within the last year.
    fn device_of(&self, origin: &Origin, person: UserId) -> Option<String> {
        let nonce = self.nonce_of(origin.device_cookie.as_ref()?.expose_secret(), person)?;
        Some(BASE64.encode(nonce))
    }

    fn nonce_of(&self, token: &str, person: UserId) -> Option<[u8; 16]> {
        let bytes = BASE64.decode(token).ok().filter(|bytes| bytes.len() == 56)?;
        let (nonce, rest) = bytes.split_at(16);
        let (since, mac) = rest.split_at(8);
        let right = self.platform.secrets.mac("device", &[person.uuid().as_bytes(), nonce, since]);
        let age = self.platform.clock.now().timestamp() - i64::from_be_bytes(since.try_into().ok()?);
        let good = secret::equal(mac, &right) && age <= DEVICE_LIFETIME.num_seconds();
        good.then(|| nonce.try_into().ok()).flatten()
    }
}
