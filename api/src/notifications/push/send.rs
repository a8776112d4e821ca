//! Sending a message to every browser of a person.

use std::time::Duration;

use entity::{PushSubscriptionId, UserId, push_subscription as row};
use futures_util::future::join_all;
use serde_json::json;

use super::subscribe::{self, Learned};
use crate::platform::{
    Platform,
    error::Fault,
    jobs::Failure,
    push::{Message, Outcome, Urgency},
};

/// After so many messages in a row that a push service did not take from us, a browser is forgotten.
const REFUSALS: i32 = 3;
/// Characters of a text in a message: what fits into it however they are written.
const TEXT: usize = 300;

/// A message for the person's browsers.
#[derive(Clone, Debug)]
pub struct PushMessage {
    /// What it is: the type of the notification, or `TEST`.
    pub kind: String,
    pub title: String,
    pub body: String,
    /// Where a click leads: a path of the front end.
    pub path: String,
    /// A later message of the same topic takes the place of one that was not delivered.
    pub topic: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// So many browsers' push services took it.
    To(usize),
    /// There is no browser that it could go to.
    Nowhere,
    /// None took it, and another time one may: not before this wait, where it is known.
    Later {
        /// What to tell the person.
        error: String,
        /// Whether a push service answered.
        answered: bool,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// None took it, and none will.
    Never(String),
}

impl Sent {
    /// Whether a try is over; else, why it is not.
    ///
    /// # Errors
    /// When no browser's push service took it.
    pub fn taken(self) -> Result<(), Failure> {
        match self {
            Self::To(_) | Self::Nowhere => Ok(()),
            Self::Later { error, answered: true, retry_after } => Err(Failure::Refused(error, retry_after)),
            Self::Later { error, answered: false, .. } => Err(Failure::Unreachable(error)),
            Self::Never(error) => Err(Failure::Permanent(error)),
        }
    }
}

/// Sends a message to every browser of a person. One that took it is enough.
///
/// # Errors
/// When the database fails.
pub async fn send_to(platform: &Platform, user: UserId, message: &PushMessage) -> Result<Sent, Fault> {
    let browsers = subscribe::of(user).all(platform.db.read()).await?;
    if browsers.is_empty() {
        return Ok(Sent::Nowhere);
    }
    let payload = payload(platform, message);
    let sending = browsers.iter().map(|browser| send(platform, browser, &payload, &message.topic));
    let outcomes: Vec<(&row::Model, Outcome)> = browsers.iter().zip(join_all(sending).await).collect();
    let which = |wanted: fn(&row::Model, &Outcome) -> bool| -> Vec<PushSubscriptionId> {
        outcomes.iter().filter(|(browser, outcome)| wanted(browser, outcome)).map(|(browser, _)| browser.id).collect()
    };
    let learned = Learned {
        taken: which(|_, outcome| *outcome == Outcome::Accepted),
        refused: which(|_, outcome| *outcome == Outcome::Forbidden),
        gone: which(|browser, outcome| match outcome {
            Outcome::Gone | Outcome::ForbiddenAddress => true,
            Outcome::Forbidden => browser.refusals + 1 >= REFUSALS,
            _ => false,
        }),
    };
    let taken = learned.taken.len();
    learned.keep(platform).await?;
    if taken > 0 {
        return Ok(Sent::To(taken));
    }
    Ok(sum(outcomes.into_iter().map(|(_, outcome)| outcome)))
}

fn payload(platform: &Platform, message: &PushMessage) -> Vec<u8> {
    let cut = |text: &str| text.chars().take(TEXT).collect::<String>();
    let front_end = platform.config.server.frontend_url.trim_end_matches('/');
    let url = format!("{front_end}{}", message.path);
    let (title, body) = (cut(&message.title), cut(&message.body));
    json!({ "type": message.kind, "title": title, "body": body, "url": url }).to_string().into_bytes()
}

async fn send(platform: &Platform, browser: &row::Model, payload: &[u8], topic: &str) -> Outcome {
    let row::Model { endpoint, p256dh, auth, .. } = browser;
    let Ok(subscription) = platform.pusher.subscription(endpoint, p256dh, auth) else {
        // It was good once, and is not any more: the rules have changed.
        return Outcome::ForbiddenAddress;
    };
    let message = Message { topic: Some(topic), urgency: Urgency::High, time_to_live: None };
    let outcome = platform.pusher.send(&subscription, payload, message, platform.clock.now()).await;
    if outcome != Outcome::Accepted {
        tracing::info!(browser = %browser.id, ?outcome, "a push message was not taken");
    }
    outcome
}

/// What none of the browsers' push services having taken it comes to.
fn sum(outcomes: impl Iterator<Item = Outcome>) -> Sent {
    let mut worst = Sent::Nowhere;
    for outcome in outcomes {
        worst = match (worst, outcome) {
            (Sent::Later { retry_after: before, .. }, Outcome::Refused { status, retry_after }) => {
                later(format!("The push service answered {status}."), true, before.max(retry_after))
            }
            (_, Outcome::Refused { status, retry_after }) => {
                later(format!("The push service answered {status}."), true, retry_after)
            }
            (later @ Sent::Later { .. }, _) => later,
            (_, Outcome::Unreachable(_)) => later("The push service cannot be reached.".into(), false, None),
            (_, Outcome::TooLarge) => Sent::Never("The message is too large for the push service.".into()),
            (_, Outcome::Rejected { status }) => Sent::Never(format!("The push service answered {status}.")),
            (_, Outcome::Forbidden) => Sent::Never("The push service does not take messages from us.".into()),
            (before, Outcome::Accepted | Outcome::Gone | Outcome::ForbiddenAddress) => before,
        };
    }
    worst
}

fn later(error: String, answered: bool, retry_after: Option<Duration>) -> Sent {
    Sent::Later { error, answered, retry_after }
}
