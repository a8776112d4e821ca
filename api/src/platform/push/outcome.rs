//! What became of a message.
//! Promise: every answer, and none, has one meaning for the sender, and its words carry no endpoint.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use reqwest::{Response, StatusCode, header};

use super::address::NotPublic;

/// Bytes of an answer that are read. It is thrown away: read only so that the connection can serve again.
const ANSWER_LIMIT: usize = 4_096;
/// How long an answer may take once its status is known.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// Nobody is made to wait longer than this by an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The push service has it. Whether it reaches the browser is not known.
    Accepted,
    /// The subscription is over (404, 410): forget it.
    Gone,
    /// The push service does not take it from us (401, 403): the subscription was made with another key, or our clock
    /// is wrong. One alone says little: count them.
    Forbidden,
    /// The payload is too large, for us or for the push service (413).
    TooLarge,
    /// Not now (408, 429, 5xx): try again, not before `retry_after` (a day at most) where it is known.
    Refused {
        /// What it answered.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Never like this (any other status, redirects among them).
    Rejected {
        /// What it answered.
        status: u16,
    },
    /// No answer. The text is for the log: no endpoint is in it.
    Unreachable(String),
    /// The endpoint leads to no public address. Nothing was sent, and nothing connected.
    ForbiddenAddress,
}

impl Outcome {
    pub(super) async fn of_answer(answer: Response, now: DateTime<Utc>) -> Self {
        let status = answer.status();
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let outcome = Self::of_status(status, retry_after.and_then(|text| wait(text, now)));
        // Late or broken, it changes nothing.
        let _ = tokio::time::timeout(ANSWER_PATIENCE, drain(answer)).await;
        outcome
    }

    fn of_status(status: StatusCode, retry_after: Option<Duration>) -> Self {
        match status.as_u16() {
            200..=299 => Self::Accepted,
            401 | 403 => Self::Forbidden,
            404 | 410 => Self::Gone,
            413 => Self::TooLarge,
            status @ (408 | 429 | 500..=599) => Self::Refused { status, retry_after },
            status => Self::Rejected { status },
        }
    }

    pub(super) fn of_error(error: reqwest::Error) -> Self {
        // The client puts the whole address into its words.
        let error = error.without_url();
        let timeout = error.is_timeout();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            if cause.is::<NotPublic>() {
                return Self::ForbiddenAddress;
            }
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        if timeout {
            return Self::Unreachable("no answer in time".into());
        }
        Self::Unreachable(text.chars().take(300).collect())
    }
}

async fn drain(mut answer: Response) {
    let mut left = ANSWER_LIMIT;
    while let Ok(Some(chunk)) = answer.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date in one of the three forms of section 5.6.7.
fn wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time.
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT));
    }
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let at = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?.and_utc();
    // A date that has passed: at once.
    Some((at - now).to_std().unwrap_or_default().min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_meaning() {
        for (status, outcome) in [
            (200, Outcome::Accepted),
            (201, Outcome::Accepted),
            (202, Outcome::Accepted),
            (307, Outcome::Rejected { status: 307 }),
            (400, Outcome::Rejected { status: 400 }),
            (401, Outcome::Forbidden),
            (403, Outcome::Forbidden),
            (404, Outcome::Gone),
            (408, Outcome::Refused { status: 408, retry_after: None }),
            (410, Outcome::Gone),
            (413, Outcome::TooLarge),
            (422, Outcome::Rejected { status: 422 }),
            (429, Outcome::Refused { status: 429, retry_after: None }),
            (500, Outcome::Refused { status: 500, retry_after: None }),
            (599, Outcome::Refused { status: 599, retry_after: None }),
            (600, Outcome::Rejected { status: 600 }),
        ] {
            assert_eq!(Outcome::of_status(StatusCode::from_u16(status).expect("a status"), None), outcome, "{status}");
        }
    }

    #[test]
    fn retry_after_comes_in_four_forms_and_is_bounded() {
        let now = DateTime::parse_from_rfc3339("1994-11-06T08:49:00Z").expect("an instant").to_utc();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 +0100", None),
        ] {
            assert_eq!(wait(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
