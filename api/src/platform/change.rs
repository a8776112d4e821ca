//! Changing what somebody else may be changing too: an expected version, and fields that may be absent.

use async_graphql::MaybeUndefined;

use super::error::{Fault, Refusal, UserError, UserErrorCode as Code};

/// How a change ended.
#[derive(Clone, Debug)]
pub enum Changed<M> {
    /// Done: as it is now.
    Done(M),
    /// Somebody else changed it first: as it is.
    Conflict(M),
}

/// What a payload shows of a change: with CONFLICT the current state is there all the same.
///
/// # Errors
/// What the program must handle.
pub fn outcome<M, T>(
    changed: Result<Changed<M>, Refusal>,
    show: impl FnOnce(M) -> T,
) -> Result<(Option<T>, Vec<UserError>), Fault> {
    match changed {
        Ok(Changed::Done(row)) => Ok((Some(show(row)), Vec::new())),
        Ok(Changed::Conflict(row)) => {
            let message = "It was changed in the meantime. Look at its current state and try again.";
            Ok((Some(show(row)), vec![UserError::at("expectedVersion", Code::Conflict, message)]))
        }
        Err(Refusal::User(user_errors)) => Ok((None, user_errors)),
        Err(Refusal::Fault(fault)) => Err(fault),
    }
}

/// A field of a patch. None: keep; Some(None): clear; Some(Some): the parsed value.
///
/// # Errors
/// What the parser says.
pub fn patched<T, U, E>(
    field: MaybeUndefined<T>,
    parse: impl FnOnce(Option<T>) -> Result<Option<U>, E>,
) -> Result<Option<Option<U>>, E> {
    match field {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(value) => parse(Some(value)).map(Some),
    }
}
