//! How the text of a setting becomes its value. An error says what the value must be.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{Environment, LogFormat};
use crate::platform::crash::CrashAt;

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// Reads it, or says what it must be.
    fn read(text: &str) -> Result<Self, &'static str>;
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(impl Value for $ty {
        fn read(text: &str) -> Result<Self, &'static str> {
            match text.parse() {
                Ok(number) if number >= 0 as $ty => Ok(number),
                _ => Err("a whole number, not negative and not too large"),
            }
        }
    })*};
}
numbers!(u16, u32, u64, usize, i32);

impl Value for String {
    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Err("given") } else { Ok(text.to_owned()) }
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| "true or false")
    }
}

impl Value for f64 {
    fn read(text: &str) -> Result<Self, &'static str> {
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err("a share from 0 to 1, like 0.1"),
        }
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Err("a folder") } else { Ok(Self::from(text)) }
    }
}

impl Value for CrashAt {
    fn read(text: &str) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl Value for SecretString {
    fn read(text: &str) -> Result<Self, &'static str> {
        Ok(Self::from(text))
    }
}

impl Value for Vec<String> {
    fn read(text: &str) -> Result<Self, &'static str> {
        let items = text.split(',').map(|item| item.trim().trim_end_matches('/'));
        Ok(items.filter(|item| !item.is_empty()).map(Into::into).collect())
    }
}

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }
}

impl Value for Environment {
    fn read(text: &str) -> Result<Self, &'static str> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err("development or production"),
        }
    }
}

impl Value for LogFormat {
    fn read(text: &str) -> Result<Self, &'static str> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("text or json"),
        }
    }
}

impl Value for Duration {
    fn read(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a duration like 250ms, 30s, 5m, 12h or 7d";
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let (scale, millis) = match unit {
            "ms" => (1, true),
            "s" => (1, false),
            "m" => (60, false),
            "h" => (3_600, false),
            "d" => (86_400, false),
            _ => return Err(EXPECTED),
        };
        // A hundred years is past every use, and keeps every sum of durations and instants in range.
        let most = 36_525 * 86_400;
        let seconds = number.checked_mul(scale).filter(|s| *s <= most).ok_or(EXPECTED)?;
        Ok(if millis { Self::from_millis(seconds) } else { Self::from_secs(seconds) })
    }
}
