//! What a person says of themselves, and the end of an account.

use std::sync::Arc;

use async_graphql::MaybeUndefined;
use entity::{account_mail, password_reset, pending_registration, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, SqlErr,
    sea_query::LockType,
};

use super::{
    Accounts, mails,
    rules::{self, Name},
    session::{lock_fresh, lock_person},
};
use crate::platform::{
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    facts::{AccountDeleted, DayChanged},
    input::{self, Mistakes},
    scalars::{LocalTime, TimeZone},
    viewer::Viewer,
};

/// A week: the longest time by which a mail can go ahead of its reminder.
const LONGEST_LEAD: i32 = 7 * 24 * 60;

/// What is to be changed, as it comes: absent keeps, null clears.
pub(super) struct ProfilePatch {
    pub(super) name: Option<String>,
    pub(super) username: MaybeUndefined<String>,
    pub(super) bio: MaybeUndefined<String>,
    pub(super) time_zone: MaybeUndefined<TimeZone>,
    pub(super) locale: MaybeUndefined<String>,
    pub(super) email_lead_minutes: Option<i32>,
    pub(super) morning_digest_at: MaybeUndefined<LocalTime>,
    /// From when, until when.
    pub(super) quiet_hours: MaybeUndefined<(LocalTime, LocalTime)>,
}

/// What is to be changed, parsed: None keeps.
struct Parsed {
    name: Option<Name>,
    username: Option<Option<String>>,
    bio: Option<Option<String>>,
    time_zone: Option<Option<String>>,
    locale: Option<Option<String>>,
    email_lead_minutes: Option<i32>,
    digest_minute: Option<Option<i32>>,
    quiet: Option<Option<(i32, i32)>>,
}

/// A field that may be cleared: None keeps, null clears.
fn clearable<T, U>(value: MaybeUndefined<T>, parse: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => parse(value).map(Some),
    }
}

fn parse(patch: ProfilePatch) -> Result<Parsed, Refusal> {
    let ProfilePatch { name, username, bio, time_zone, locale, email_lead_minutes, morning_digest_at, quiet_hours } =
        patch;
    let mut mistakes = Mistakes::default();
    let name = name.and_then(|name| mistakes.take(Name::parse(&name)));
    let mut text =
        |value: MaybeUndefined<String>, parse: fn(Option<&str>) -> Result<Option<String>, UserError>| match value {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(value) => mistakes.take(parse(Some(&value))),
        };
    let username = text(username, rules::username);
    let bio = text(bio, |raw| input::optional_text("bio", raw, 150, true));
    let locale = text(locale, rules::locale);
    let time_zone = clearable(time_zone, |zone| Some(zone.0));
    let digest_minute = clearable(morning_digest_at, |at| Some(at.0));
    let quiet = clearable(quiet_hours, |(from, to)| {
        let message = "Quiet hours must end at another time than they begin.";
        let wrong = || UserError::at("quietHours", Code::InvalidValue, message);
        mistakes.take((from != to).then_some((from.0, to.0)).ok_or_else(wrong))
    });
    let email_lead_minutes = email_lead_minutes.and_then(|minutes| {
        let message = "Give minutes from 0 to 10080 (a week).";
        let wrong = || UserError::at("emailLeadMinutes", Code::InvalidValue, message);
        mistakes.take((0..=LONGEST_LEAD).contains(&minutes).then_some(minutes).ok_or_else(wrong))
    });
    mistakes.none()?;
    Ok(Parsed { name, username, bio, time_zone, locale, email_lead_minutes, digest_minute, quiet })
}

/// What a person's day is made of.
fn day_of(person: &user::Model) -> (&Option<String>, Option<i32>, Option<i32>, Option<i32>) {
    (&person.time_zone, person.digest_minute, person.quiet_from_minute, person.quiet_to_minute)
}

impl Accounts {
    /// Changes what is given.
    pub(super) async fn update_profile(&self, viewer: Viewer, patch: ProfilePatch) -> Result<user::Model, Refusal> {
        let Parsed { name, username, bio, time_zone, locale, email_lead_minutes, digest_minute, quiet } = parse(patch)?;
        let now = self.platform.clock.now();
        let platform = self.platform.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let before = lock_person(&tx, viewer.user_id).await?;
                let mut person = before.clone().into_active_model();
                if let Some(name) = name {
                    person.name = Set(name.as_str().to_owned());
                }
                if let Some(username) = username {
                    person.username_key = Set(username.as_ref().map(|name| name.to_lowercase()));
                    person.username = Set(username);
                }
                if let Some(bio) = bio {
                    person.bio = Set(bio);
                }
                if let Some(zone) = time_zone {
                    person.time_zone = Set(zone);
                }
                if let Some(locale) = locale {
                    person.locale = Set(locale);
                }
                if let Some(minutes) = email_lead_minutes {
                    person.email_lead_minutes = Set(minutes);
                }
                if let Some(minute) = digest_minute {
                    person.digest_minute = Set(minute);
                }
                if let Some(quiet) = quiet {
                    person.quiet_from_minute = Set(quiet.map(|(from, _)| from));
                    person.quiet_to_minute = Set(quiet.map(|(_, to)| to));
                }
                person.updated_at = Set(now);
                let after = match person.update(&*tx).await {
                    Ok(person) => person,
                    // Two people want one name in the same instant: the constraint lets one have it.
                    Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                        let message = "This name is taken. Choose another one.";
                        return Err(UserError::at("username", Code::Taken, message).into());
                    }
                    Err(error) => return Err(error.into()),
                };
                if day_of(&before) != day_of(&after) {
                    let anew = before.digest_minute.is_none() && after.digest_minute.is_some();
                    platform.facts.day_changed(&platform, &tx, DayChanged { user_id: after.id, anew }).await?;
                }
                Ok(after)
            })
            .await
    }

    /// Deletes the account of a viewer who has just proven who they are. Everything of theirs goes with it.
    pub(super) async fn delete_account(self: &Arc<Self>, viewer: Viewer) -> Result<(), Refusal> {
        // It needs every row of the person. Where that meets something of theirs that is being done it may have to step
        // back (PostgreSQL ends one of two that wait for each other), and tries again.
        for _ in 0..3 {
            match self.try_to_delete_account(viewer).await {
                Err(Refusal::Fault(Fault::Unavailable(cause))) => {
                    tracing::warn!(cause, "an account is not deleted yet")
                }
                outcome => return outcome,
            }
        }
        self.try_to_delete_account(viewer).await
    }

    async fn try_to_delete_account(self: &Arc<Self>, viewer: Viewer) -> Result<(), Refusal> {
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                // Against whoever only sees that the account is there, too.
                user::Entity::find_by_id(viewer.user_id).lock(LockType::Update).one(&*tx).await?;
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                account_mail::Entity::delete_many()
                    .filter(account_mail::Column::UserId.eq(person.id))
                    .exec(&*tx)
                    .await?;
                password_reset::Entity::delete_many()
                    .filter(password_reset::Column::EmailKey.eq(&person.email_key))
                    .exec(&*tx)
                    .await?;
                pending_registration::Entity::delete_many()
                    .filter(pending_registration::Column::EmailKey.eq(&person.email_key))
                    .exec(&*tx)
                    .await?;
                accounts.end_others_in(&tx, person.id, None).await?;
                let fact = AccountDeleted { user_id: person.id };
                accounts.platform.facts.account_deleted(&accounts.platform, &tx, fact).await?;
                let kind = account_mail::Kind::AccountDeleted;
                mails::enqueue(&accounts.platform, &tx, &person, kind, None).await?;
                let gone = user::Entity::delete_by_id(person.id).exec(&*tx).await?.rows_affected;
                if gone == 0 { Err(Fault::Unauthenticated.into()) } else { Ok(()) }
            })
            .await
    }
}
