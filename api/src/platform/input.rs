//! Parsing at the door: turns what a client sent into values that cannot be wrong, and gathers every mistake at once.

use std::str::FromStr;

use entity::IdError;

use super::error::{Fault, Refusal, UserError, UserErrorCode as Code};

/// Gathers the mistakes of one input.
#[derive(Default)]
pub struct Mistakes(Vec<UserError>);

impl Mistakes {
    /// The value, or its mistake is kept.
    pub fn take<T>(&mut self, result: Result<T, UserError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// Ends the parsing.
    ///
    /// # Errors
    /// All mistakes, when there was any.
    pub fn none(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::User(self.0)) }
    }
}

/// A mutation's id argument. An id of the wrong kind is a user error before any query.
pub fn id<T: FromStr<Err = IdError>>(field: &str, text: &str) -> Result<T, UserError> {
    text.parse().map_err(|error| {
        let message = match error {
            IdError::WrongKind => "This is the id of another kind of thing.",
            IdError::Malformed => "This is not an id as this API hands them out.",
        };
        UserError::at(field, Code::InvalidId, message)
    })
}

/// A query's id argument.
///
/// # Errors
/// BAD_REQUEST: a program mixed up its ids.
pub fn query_id<T: FromStr<Err = IdError>>(argument: &str, text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error| match error {
        IdError::WrongKind => Fault::BadRequest(format!("{argument} is the id of another kind of thing.")),
        IdError::Malformed => Fault::BadRequest(format!("{argument} is not an id as this API hands them out.")),
    })
}

/// A text of `min` to `max` characters after trimming, without control characters (line breaks and tabs are taken
/// where `lines` says so). Lengths count characters as Unicode scalar values.
pub fn text(field: &str, raw: &str, min: usize, max: usize, lines: bool) -> Result<String, UserError> {
    let trimmed = raw.trim();
    let length = trimmed.chars().count();
    if length < min {
        return Err(UserError::at(field, Code::TooShort, format!("Write at least {min} characters.")));
    }
    if length > max {
        return Err(UserError::at(field, Code::TooLong, format!("Write at most {max} characters ({length} now).")));
    }
    let forbidden = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
    if trimmed.chars().any(forbidden) {
        return Err(UserError::at(field, Code::InvalidValue, "Control characters cannot be used here."));
    }
    Ok(trimmed.to_owned())
}

/// Like [`text`], where nothing (or only blanks) means none.
pub fn optional_text(field: &str, raw: Option<&str>, max: usize, lines: bool) -> Result<Option<String>, UserError> {
    match raw.map(str::trim) {
        None | Some("") => Ok(None),
        Some(raw) => text(field, raw, 1, max, lines).map(Some),
    }
}

/// An http or https address of at most 2 000 characters.
pub fn web_address(field: &str, raw: Option<&str>) -> Result<Option<String>, UserError> {
    let Some(raw) = optional_text(field, raw, 2_000, false)? else { return Ok(None) };
    let ok = url::Url::parse(&raw).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if ok {
        Ok(Some(raw))
    } else {
        Err(UserError::at(field, Code::InvalidUrl, "Give a full http:// or https:// address."))
    }
}
