//! Looking at what the settings lead to, for an operator: each part by itself, beside a running server.
//! Promise: nothing is changed that is not put back, every look ends within seconds, and no secret is in the words.

mod addresses;
mod database;
mod machine;
mod mail;
mod redis;
mod watching;

use std::{fmt, time::Duration};

pub use self::{
    addresses::addresses, database::database, machine::machine, mail::mail, redis::redis, watching::watching,
};

/// How long a part may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, but look at it.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub grade: Grade,
    what: String,
    /// Empty: there is nothing to mend.
    mend: String,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(what: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, what: what.into(), mend: String::new() }
    }

    /// Something to look at.
    pub fn warn(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, what: what.into(), mend: mend.into() }
    }

    /// Something that does not work.
    pub fn fail(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Fail, what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Ok => "ok  ",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
        };
        write!(f, "{grade} {}", self.what)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, ": {}", self.mend) }
    }
}
