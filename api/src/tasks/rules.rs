//! What a task's fields must be. Pure.

use chrono::{DateTime, NaiveDate, Utc};
use jiff::tz::TimeZone;

use crate::platform::{
    calendar,
    clock::Instant,
    error::{UserError, UserErrorCode as Code},
    input,
};

/// A task's title: 3–200 characters.
#[derive(Clone, Debug)]
pub(super) struct Title(String);

impl Title {
    pub(super) fn parse(raw: &str) -> Result<Self, UserError> {
        input::text("title", raw, 3, 200, false).map(Self)
    }

    /// What ordering by title compares.
    pub(super) fn key(&self) -> String {
        self.0.to_lowercase()
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// At most 10 000 characters.
pub(super) fn description(raw: Option<&str>) -> Result<Option<String>, UserError> {
    input::optional_text("description", raw, 10_000, true)
}

/// At most 50 characters.
pub(super) fn category(raw: Option<&str>) -> Result<Option<String>, UserError> {
    input::optional_text("category", raw, 50, false)
}

/// When a task is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// At a moment.
    At(Instant),
    /// Some time on a day: due at its end, in the person's zone.
    On(NaiveDate),
    /// Not at all.
    Never,
}

/// The columns that say when a task is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DueColumns {
    pub(super) at: Option<Instant>,
    pub(super) on: Option<NaiveDate>,
    /// Never null, so that one index serves the order: what is never due comes last.
    pub(super) key: Instant,
}

impl Due {
    pub(super) fn columns(self, zone: &TimeZone) -> Result<DueColumns, UserError> {
        let out_of_range = || UserError::at("due", Code::InvalidValue, "Give a day between the years 1 and 9998.");
        let (at, on) = match self {
            Self::At(at) => (Some(at), None),
            Self::On(day) => (Some(calendar::end_of_day(day, zone).ok_or_else(out_of_range)?), Some(day)),
            Self::Never => (None, None),
        };
        let in_range = |at: Instant| (1..=9998).contains(&chrono::Datelike::year(&at));
        if at.is_some_and(|at| !in_range(at)) {
            return Err(out_of_range());
        }
        Ok(DueColumns { at, on, key: at.unwrap_or_else(end_of_time) })
    }
}

/// Later than every due moment: the last second of the year 9999, which both databases can hold.
pub(super) fn end_of_time() -> Instant {
    DateTime::<Utc>::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_3_to_200_characters() {
        assert!(Title::parse("ab").is_err() && Title::parse(" ab ").is_err());
        assert!(Title::parse("abc").is_ok());
        assert!(Title::parse(&"ü".repeat(200)).is_ok());
        assert!(Title::parse(&"x".repeat(201)).is_err());
        assert!(Title::parse("a\u{0}bc").is_err());
    }

    #[test]
    fn a_date_without_a_time_is_due_at_the_end_of_that_local_day() {
        let zone = calendar::zone("America/New_York").expect("a zone");
        let day = NaiveDate::from_ymd_opt(2027, 3, 14).expect("a day");
        let due = Due::On(day).columns(&zone).expect("in range");
        assert_eq!(due.at.map(|at| at.to_rfc3339()).as_deref(), Some("2027-03-15T03:59:59.999999+00:00"));
        assert_eq!((due.on, due.key), (Some(day), due.at.expect("due")));
        assert_eq!(Due::Never.columns(&zone).ok().map(|due| due.key), Some(end_of_time()));
    }
}
