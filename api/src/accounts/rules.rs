//! What names, addresses, passwords and codes must be. Pure.

use jiff::tz::TimeZone;

use crate::platform::{
    calendar,
    clock::Instant,
    error::{UserError, UserErrorCode as Code},
    input,
};

/// A person's name: 2–100 characters.
#[derive(Clone, Debug)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn parse(raw: &str) -> Result<Self, UserError> {
        input::text("name", raw, 2, 100, false).map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An email address as typed, with the lower-cased form that is compared.
#[derive(Clone, Debug)]
pub(super) struct Email {
    typed: String,
    key: String,
}

impl Email {
    pub(super) fn parse(raw: &str) -> Result<Self, UserError> {
        Self::parse_at("email", raw)
    }

    /// The same in another field of the input.
    pub(super) fn parse_at(field: &str, raw: &str) -> Result<Self, UserError> {
        let typed = raw.trim();
        // RFC 5321 section 4.5.3.1.3: a path has at most 256 characters, with its angle brackets.
        // Beyond ASCII different mailboxes have one lower-case form (U+212A becomes k), and few servers take them. A
        // domain can be given in its ASCII form (RFC 5890).
        let well_formed = typed.len() <= 254
            && typed.is_ascii()
            && typed.chars().all(|c| !c.is_control() && !c.is_whitespace())
            && typed.parse::<lettre::Address>().is_ok();
        if !well_formed {
            return Err(UserError::at(field, Code::InvalidEmail, "Give an email address like ada@example.org."));
        }
        Ok(Self { typed: typed.to_owned(), key: typed.to_lowercase() })
    }

    pub(super) fn as_typed(&self) -> &str {
        &self.typed
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// A new password: 8–128 characters.
pub(super) fn password_length(field: &str, password: &str) -> Result<(), UserError> {
    let length = password.chars().count();
    if length < 8 {
        return Err(UserError::at(field, Code::TooShort, "Write at least 8 characters."));
    }
    if length > 128 {
        return Err(UserError::at(field, Code::TooLong, "Write at most 128 characters."));
    }
    Ok(())
}

/// Not easy to guess (zxcvbn score of 3 or more), also for someone who knows the person's name and address. The cost
/// of the estimate grows with the length, which is checked before.
pub(super) fn password_strength(field: &str, password: &str, known: &[String]) -> Result<(), UserError> {
    let words = known.iter().flat_map(|text| text.split(['@', '.', ' ']).chain([text.as_str()]));
    let words: Vec<&str> = words.collect();
    if zxcvbn::zxcvbn(password, &words).score() < zxcvbn::Score::Three {
        let message = "This password is easy to guess. Use a few unrelated words, or let a password manager make one.";
        return Err(UserError::at(field, Code::WeakPassword, message));
    }
    Ok(())
}

/// A name that is unique: 3–30 letters, digits, `_`, `-` and `.` of ASCII, so that no two look alike.
pub(super) fn username(raw: Option<&str>) -> Result<Option<String>, UserError> {
    let Some(name) = input::optional_text("username", raw, 30, false)? else { return Ok(None) };
    if name.chars().count() < 3 {
        return Err(UserError::at("username", Code::TooShort, "Write at least 3 characters."));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.chars().all(plain) {
        let message = "Use letters from a to z, digits, and _ - . only.";
        return Err(UserError::at("username", Code::InvalidValue, message));
    }
    Ok(Some(name))
}

/// A language tag (BCP 47, RFC 5646 section 2.1) in its plain form: `de`, `pt-BR`, `zh-Hant-TW`.
pub(super) fn locale(raw: Option<&str>) -> Result<Option<String>, UserError> {
    let Some(tag) = input::optional_text("locale", raw, 35, false)? else { return Ok(None) };
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let well_formed = (2..=3).contains(&language.len())
        && language.chars().all(|c| c.is_ascii_alphabetic())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()));
    if well_formed {
        Ok(Some(tag))
    } else {
        Err(UserError::at("locale", Code::InvalidValue, "Give a language tag like en, de-AT or zh-Hant-TW."))
    }
}

/// A code as a person types it: without blanks and dashes, in upper case, not longer than any code is.
pub(super) fn typed_code(raw: &str) -> String {
    let plain = raw.chars().filter(|c| !c.is_whitespace() && *c != '-').take(24);
    plain.flat_map(char::to_uppercase).collect()
}

/// When quiet hours between two minutes of the local day end that are in force now. None: they are not.
pub(super) fn quiet_until(from: i32, to: i32, zone: &TimeZone, now: Instant) -> Option<Instant> {
    let minute = calendar::local_minute(now, zone);
    let (within, ends_tomorrow) =
        if from < to { ((from..to).contains(&minute), false) } else { (minute >= from || minute < to, minute >= from) };
    let today = calendar::local_day(now, zone);
    let day = if ends_tomorrow { today.succ_opt()? } else { today };
    // Where clocks go back over the end, the first of the two is behind us already: then it is over.
    calendar::at_minute(day, to, zone).filter(|until| within && *until > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_without_regard_to_case() {
        let email = Email::parse(" Ada@Example.ORG ").expect("fine");
        assert_eq!((email.as_typed(), email.key()), ("Ada@Example.ORG", "ada@example.org"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for raw in ["", "ada", "ada@", "@example.org", "ada@example.org\r\nBcc: eve@example.org", "a b@example.org"] {
            assert!(Email::parse(raw).is_err(), "{raw:?}");
        }
        assert!(Email::parse(&format!("{}@example.org", "a".repeat(250))).is_err());
    }

    #[test]
    fn a_password_made_of_the_persons_own_words_is_weak() {
        let strong = |password, name: &str, email: &str| {
            password_strength("password", password, &[name.to_owned(), email.to_owned()]).is_ok()
        };
        assert!(strong("correct horse battery", "Ada", "ada@example.org"));
        assert!(!strong("lovelace1815", "Ada Lovelace1815", "ada@example.org"));
        assert!(!strong("password123", "Ada", "ada@example.org"));
        assert!(password_length("password", "short7!").is_err());
        assert!(password_length("password", &"x9!Qz".repeat(40)).is_err());
        assert!(password_length("password", "8 chars!").is_ok());
    }

    #[test]
    fn quiet_hours_end_at_the_next_local_time() {
        let zone = crate::platform::calendar::zone("Europe/Berlin").unwrap_or(TimeZone::UTC);
        let at = |text: &str| text.parse::<Instant>().unwrap_or_default();
        let until = |from, to, now: &str| quiet_until(from * 60, to * 60, &zone, at(now));
        assert_eq!(until(22, 7, "2026-11-21T20:59:59Z"), None);
        assert_eq!(until(22, 7, "2026-11-21T21:00:00Z"), Some(at("2026-11-22T06:00:00Z")));
        assert_eq!(until(22, 7, "2026-11-22T05:59:59Z"), Some(at("2026-11-22T06:00:00Z")));
        assert_eq!(until(22, 7, "2026-11-22T06:00:00Z"), None);
        assert_eq!(until(13, 15, "2026-11-22T13:00:00Z"), Some(at("2026-11-22T14:00:00Z")));
        assert_eq!(until(13, 15, "2026-11-22T14:00:00Z"), None);
        // The night in which clocks go forward has an hour less, that in which they go back one more.
        assert_eq!(until(22, 7, "2027-03-27T21:00:00Z"), Some(at("2027-03-28T05:00:00Z")));
        assert_eq!(until(22, 7, "2027-10-30T20:00:00Z"), Some(at("2027-10-31T06:00:00Z")));
    }
}
