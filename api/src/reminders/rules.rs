//! What a reminder's fields must be, and when each channel is due. Pure.

use chrono::TimeDelta;
use entity::{delivery::Channel, reminder::Kind};

use crate::platform::{
    clock::Instant,
    error::{UserError, UserErrorCode as Code},
    input,
};

/// A moment that lies ahead, but not further than `horizon`.
pub(super) fn scheduled_at(at: Instant, now: Instant, horizon: std::time::Duration) -> Result<Instant, UserError> {
    if at <= now {
        return Err(UserError::at("scheduledAt", Code::InThePast, "Choose a moment that lies ahead."));
    }
    if (at - now).to_std().is_ok_and(|ahead| ahead > horizon) {
        let days = horizon.as_secs() / 86_400;
        let message = format!("Choose a moment within the next {days} days.");
        return Err(UserError::at("scheduledAt", Code::TooFarAhead, message));
    }
    Ok(at)
}

/// At most 500 characters.
pub(super) fn message(raw: Option<&str>) -> Result<Option<String>, UserError> {
    input::optional_text("message", raw, 500, true)
}

/// When each channel of a reminder is due: in the app and by push at its moment, by mail `lead_minutes` before, or at
/// once when less time than that is left.
pub(super) fn plan(kind: Kind, scheduled_at: Instant, lead_minutes: i32, now: Instant) -> Vec<(Channel, Instant)> {
    let mail_at = (scheduled_at - TimeDelta::minutes(lead_minutes.into())).max(now);
    let mail = (Channel::Email, mail_at);
    let push = (Channel::Push, scheduled_at);
    let mut plan = vec![(Channel::InApp, scheduled_at)];
    match kind {
        Kind::Email => plan.push(mail),
        Kind::Push => plan.push(push),
        Kind::Both => plan.extend([mail, push]),
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Instant {
        Instant::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn the_mail_goes_out_its_lead_before_the_moment_or_at_once() {
        assert_eq!(plan(Kind::Email, at(120), 60, at(0)), [(Channel::InApp, at(120)), (Channel::Email, at(60))]);
        assert_eq!(plan(Kind::Email, at(30), 60, at(0)), [(Channel::InApp, at(30)), (Channel::Email, at(0))]);
        assert_eq!(plan(Kind::Push, at(30), 60, at(0)), [(Channel::InApp, at(30)), (Channel::Push, at(30))]);
        let both = [(Channel::InApp, at(30)), (Channel::Email, at(30)), (Channel::Push, at(30))];
        assert_eq!(plan(Kind::Both, at(30), 0, at(0)), both);
    }

    #[test]
    fn a_moment_lies_ahead_but_not_too_far() {
        let horizon = std::time::Duration::from_secs(3_600);
        let code = |at| scheduled_at(at, Instant::UNIX_EPOCH, horizon).map_err(|error| error.code).err();
        assert_eq!(code(at(0)), Some(Code::InThePast));
        assert_eq!(code(at(1)), None);
        assert_eq!(code(at(60)), None);
        assert_eq!(code(at(61)), Some(Code::TooFarAhead));
    }
}
