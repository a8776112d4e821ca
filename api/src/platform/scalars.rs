//! The scalars of the schema that GraphQL does not bring along.
//! Promise: what is printed is read back as the same value. (The schema takes a scalar's text from its `impl`.)

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime as ChronoDateTime, NaiveDate, NaiveTime, SecondsFormat, SubsecRound, Timelike, Utc};

use super::clock::Instant;

/// An instant, in RFC 3339: any offset in, UTC out (`2027-03-14T07:30:00Z`), to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime(pub Instant);

impl DateTime {
    /// As it goes out.
    pub fn text(instant: Instant) -> String {
        instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

/// An instant, in RFC 3339: any offset in, UTC out (`2027-03-14T07:30:00Z`), to the microsecond.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let parsed = ChronoDateTime::parse_from_rfc3339(text)
            .map_err(|_| InputValueError::custom("give an instant in RFC 3339, like 2027-03-14T09:30:00Z"))?;
        Ok(Self(parsed.with_timezone(&Utc).trunc_subsecs(6)))
    }

    fn to_value(&self) -> Value {
        Value::String(Self::text(self.0))
    }
}

/// A calendar day, in ISO 8601: `2027-03-14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub NaiveDate);

/// A calendar day, in ISO 8601: `2027-03-14`.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/local-date.html")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        match parsed {
            Ok(date) if text.len() == 10 => Ok(Self(date)),
            _ => Err(InputValueError::custom("give a day like 2027-03-14")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A time of the local day, to the minute, in 24 hours: `05:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(
    /// The minute of the day, 0 to 1439.
    pub i32,
);

/// A time of the local day, to the minute, in 24 hours: `05:00`. Hours and minutes of two digits each, and no seconds.
// No link: the specifications of local times that are known have seconds.
#[Scalar]
impl ScalarType for LocalTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let parsed = NaiveTime::parse_from_str(text, "%H:%M");
        match parsed {
            Ok(time) if text.len() == 5 => Ok(Self((time.hour() * 60 + time.minute()) as i32)),
            _ => Err(InputValueError::custom("give a time of day like 05:00")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(format!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

/// A position in a list or a stream. Opaque: take it from an answer, hand it back as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// Bytes of the longest one that is read. A list by title puts the title into its cursors: 200 characters of 4
    /// bytes, in JSON with the order and an id, are 850 bytes, and a third more in base 64.
    const LONGEST: usize = 2_048;
}

/// A position in a list or a stream. Opaque: take it from an answer, hand it back as it is.
#[Scalar(specified_by_url = "https://relay.dev/graphql/connections.htm#sec-Cursor")]
impl ScalarType for Cursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if text.len() <= Self::LONGEST => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A time zone by its IANA name, like `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone(pub String);

/// A time zone by its IANA name, like `Europe/Berlin`.
#[Scalar(specified_by_url = "https://www.iana.org/time-zones")]
impl ScalarType for TimeZone {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        match super::calendar::zone(text) {
            Some(_) => Ok(Self(text.clone())),
            None => Err(InputValueError::custom("give a time zone of the IANA database, like Europe/Berlin")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// An http or https address (RFC 3986).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub String);

/// An http or https address (RFC 3986).
#[Scalar(name = "URL", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3986")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A file of a multipart request (the GraphQL multipart request specification): null in `operations`, and named in
/// `map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload(pub usize);

impl Upload {
    const MARK: &str = "#upload:";

    /// What stands for a file in the variables, once its place in them is known.
    pub fn mark(index: usize) -> String {
        format!("{}{index}", Self::MARK)
    }
}

/// A file of a multipart request (the GraphQL multipart request specification): null in `operations`, and named in
/// `map`.
#[Scalar(specified_by_url = "https://github.com/jaydenseric/graphql-multipart-request-spec")]
impl ScalarType for Upload {
    fn parse(value: Value) -> InputValueResult<Self> {
        let index = match &value {
            Value::String(text) => text.strip_prefix(Self::MARK).and_then(|index| index.parse().ok()),
            _ => None,
        };
        index.map(Self).ok_or_else(|| InputValueError::custom("send a file in a multipart request"))
    }

    fn to_value(&self) -> Value {
        Value::Null
    }
}
