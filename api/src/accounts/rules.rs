//! What names, addresses, passwords and codes must be. Pure.

use crate::platform::{
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
        let typed = raw.trim();
        // RFC 5321 section 4.5.3.1.3: a path has at most 256 characters, with its angle brackets.
        let well_formed = typed.len() <= 254
            && typed.chars().all(|c| !c.is_control() && !c.is_whitespace())
            && typed.parse::<lettre::Address>().is_ok();
        if !well_formed {
            return Err(UserError::at("email", Code::InvalidEmail, "Give an email address like ada@example.org."));
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

/// A new password: 8–128 characters that are not easy to guess (zxcvbn score of 3 or more), also for someone who knows
/// the person's name and address.
pub(super) fn new_password(password: &str, name: &str, email: &str) -> Result<(), UserError> {
    let length = password.chars().count();
    if length < 8 {
        return Err(UserError::at("password", Code::TooShort, "Write at least 8 characters."));
    }
    // Checked before the estimate, whose cost grows with the length.
    if length > 128 {
        return Err(UserError::at("password", Code::TooLong, "Write at most 128 characters."));
    }
    let known: Vec<&str> =
        [name, email].into_iter().flat_map(|text| text.split(['@', '.', ' ']).chain([text])).collect();
    if zxcvbn::zxcvbn(password, &known).score() < zxcvbn::Score::Three {
        let message = "This password is easy to guess. Use a few unrelated words, or let a password manager make one.";
        return Err(UserError::at("password", Code::WeakPassword, message));
    }
    Ok(())
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
        assert!(new_password("correct horse battery", "Ada", "ada@example.org").is_ok());
        assert!(new_password("lovelace1815", "Ada Lovelace1815", "ada@example.org").is_err());
        assert!(new_password("password123", "Ada", "ada@example.org").is_err());
        assert!(new_password("short7!", "Ada", "ada@example.org").is_err());
        assert!(new_password(&"x9!Qz".repeat(40), "Ada", "ada@example.org").is_err());
    }
}
