//! Errors with two voices: what the client may read, and what the log needs.
//! Promise: the two never share a string. A cause is logged once, here, when it is turned into an answer.

use std::time::Duration;

use async_graphql::{Enum, ErrorExtensionValues, SimpleObject};
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// What the client program must handle: becomes a top-level error with `extensions.code`.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nobody is logged in, or the session is over.
    Unauthenticated,
    /// Logged in, but this is not theirs to do. Says what is missing.
    Forbidden(&'static str),
    /// There is no such thing for this viewer. Names the kind of thing.
    NotFound(&'static str),
    /// Too often; says when to come back.
    RateLimited(Duration),
    /// The request itself is wrong; says how to mend it.
    BadRequest(String),
    /// The cursor of a live stream from which it cannot go on any more. Names the stream.
    CursorExpired(&'static str),
    /// An idempotency key came again with another input.
    IdempotencyMismatch,
    /// A part that is needed does not answer. The cause is for the log.
    Unavailable(String),
    /// A defect or a broken part. The cause is for the log.
    Internal(String),
}

impl Fault {
    /// A fault that a loader hands to everyone who waited for it.
    pub fn shared(fault: std::sync::Arc<Self>) -> Self {
        match &*fault {
            Self::Unavailable(cause) => Self::Unavailable(cause.clone()),
            other => Self::Internal(format!("{other:?}")),
        }
    }

    /// The value of `extensions.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::NotFound(_) => "NOT_FOUND",
            Self::RateLimited(_) => "RATE_LIMITED",
            Self::BadRequest(_) => "BAD_REQUEST",
            Self::CursorExpired(_) => "CURSOR_EXPIRED",
            Self::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// What the client reads.
    fn message(&self) -> String {
        match self {
            Self::Unauthenticated => {
                "Log in first: send an access token (Authorization: Bearer …) or the session cookies.".into()
            }
            Self::Forbidden(why) => (*why).into(),
            Self::NotFound(kind) => format!("There is no such {kind}."),
            Self::RateLimited(after) => {
                format!("Too many requests of this kind. Try again in {} s.", after.as_secs().max(1))
            }
            Self::BadRequest(how) => how.clone(),
            Self::CursorExpired(stream) => format!(
                "{stream} cannot go on from this cursor any more: read the state anew, and subscribe with its cursor."
            ),
            Self::IdempotencyMismatch => {
                "This idempotencyKey was used with another input. Take a new key for a new request.".into()
            }
            Self::Unavailable(_) => "A part of the service does not answer. Try again in a moment.".into(),
            Self::Internal(_) => "Something went wrong on our side. If it stays, report the requestId.".into(),
        }
    }
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        // What it belongs to went meanwhile: deleted by another request, or by this one a moment before.
        if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) {
            return Self::NotFound("thing any more");
        }
        let passing = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                match cause.as_ref() {
                    sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
                    // PostgreSQL: read-only (it became a standby), serialization, deadlock, lock and statement timeout,
                    // shutdown. SQLite: busy.
                    sqlx::Error::Database(cause) => matches!(
                        cause.code().as_deref(),
                        Some(
                            "25006" | "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "5" | "517"
                        )
                    ),
                    _ => false,
                }
            }
            _ => false,
        };
        if passing { Self::Unavailable(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}

impl From<Fault> for async_graphql::Error {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Internal(cause) => tracing::error!(%cause, "a resolver failed"),
            Fault::Unavailable(cause) => tracing::warn!(%cause, "a part does not answer"),
            _ => {}
        }
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", fault.code());
        if let Fault::RateLimited(after) = &fault {
            extensions.set("retryAfter", after.as_secs().max(1));
        }
        let mut error = Self::new(fault.message());
        error.extensions = Some(extensions);
        error
    }
}

/// What kind of mistake a person made: a program can translate it, or point at the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// Shorter than the least length.
    TooShort,
    /// Longer than the greatest length, or more items than are taken at once.
    TooLong,
    /// Not an email address.
    InvalidEmail,
    /// Not an http or https address.
    InvalidUrl,
    /// Not an id, or an id of another kind of thing.
    InvalidId,
    /// A value that does not fit the field; the message says how.
    InvalidValue,
    /// The password is too easy to guess.
    WeakPassword,
    /// The moment must lie ahead.
    InThePast,
    /// The moment lies too far ahead.
    TooFarAhead,
    /// Email or password is wrong (never told which).
    InvalidCredentials,
    /// The code is wrong, used up or expired.
    InvalidCode,
    /// The id, name or address is already in use.
    Taken,
    /// It was changed in the meantime; the payload carries its current state.
    Conflict,
    /// As many as are allowed are already there: the reminders of a task, the files of a task, or the bytes of all of
    /// the person's files (`storage`).
    LimitReached,
    /// It is not in a state in which this can be done.
    WrongState,
    /// The last login is too long ago for this: prove who you are with sessionReauthenticate and try again.
    ReauthenticationRequired,
}

/// A mistake that a person can mend.
#[derive(Clone, Debug, SimpleObject)]
pub struct UserError {
    /// The kind of mistake.
    pub code: UserErrorCode,
    /// What to do about it, in English.
    pub message: String,
    /// Where in the input it is, from the argument down: `["input", "title"]`. A place in a list is its decimal number,
    /// from 0: `["input", "files", "0", "fileName"]`. `["input"]` alone is the request as a whole.
    pub path: Vec<String>,
}

impl UserError {
    /// A mistake in `input.<field>`; with an empty field, in the input as a whole.
    pub fn at(field: &str, code: UserErrorCode, message: impl Into<String>) -> Self {
        let path = std::iter::once("input").chain(field.split('.').filter(|part| !part.is_empty()));
        Self { code, message: message.into(), path: path.map(Into::into).collect() }
    }
}

/// Why an act was not done.
#[derive(Debug)]
pub enum Refusal {
    /// The person can mend it.
    User(Vec<UserError>),
    /// The program must handle it.
    Fault(Fault),
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        Self::User(vec![error])
    }
}

impl From<Vec<UserError>> for Refusal {
    fn from(errors: Vec<UserError>) -> Self {
        Self::User(errors)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<DbErr> for Refusal {
    fn from(error: DbErr) -> Self {
        Self::Fault(error.into())
    }
}

/// Declares a mutation's payload: the thing that came of it, what else is different since (if that is named too, so
/// that a client reads it in the same answer), and the mistakes that stood in the way.
#[macro_export]
macro_rules! payload {
    (
        $(#[$doc:meta])* $name:ident {
            $(#[$field_doc:meta])* $field:ident: $thing:ty
            $(, $(#[$also_doc:meta])* $also:ident: $also_thing:ty)?
        }
    ) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: Option<$thing>,
            $(
                $(#[$also_doc])*
                pub $also: Option<$also_thing>,
            )?
            /// What the person can mend; empty when it was done.
            pub user_errors: Vec<$crate::platform::error::UserError>,
        }

        impl $name {
            /// The answer to what an act came to.
            pub fn answer(
                result: Result<$thing, $crate::platform::error::Refusal>,
                $($also: $also_thing,)?
            ) -> Result<Self, $crate::platform::error::Fault> {
                use $crate::platform::error::Refusal;
                match result {
                    Ok(thing) => Ok(Self { $field: Some(thing), $($also: Some($also),)? user_errors: Vec::new() }),
                    Err(Refusal::User(user_errors)) => Ok(Self { $field: None, $($also: None,)? user_errors }),
                    Err(Refusal::Fault(fault)) => Err(fault),
                }
            }
        }
    };
}
