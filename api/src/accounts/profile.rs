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
    facts::AccountDeleted,
    input::{self, Mistakes},
    scalars::TimeZone,
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
}

/// What is to be changed, parsed: None keeps.
struct Parsed {
    name: Option<Name>,
    username: Option<Option<String>>,
    bio: Option<Option<String>>,
    time_zone: Option<Option<String>>,
    locale: Option<Option<String>>,
    email_lead_minutes: Option<i32>,
}

fn parse(patch: ProfilePatch) -> Result<Parsed, Refusal> {
    let ProfilePatch { name, username, bio, time_zone, locale, email_lead_minutes } = patch;
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
    let time_zone = match time_zone {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(zone) => Some(Some(zone.0)),
    };
    let email_lead_minutes = email_lead_minutes.and_then(|minutes| {
        let message = "Give minutes from 0 to 10080 (a week).";
        let wrong = || UserError::at("emailLeadMinutes", Code::InvalidValue, message);
        mistakes.take((0..=LONGEST_LEAD).contains(&minutes).then_some(minutes).ok_or_else(wrong))
    });
    mistakes.none()?;
    Ok(Parsed { name, username, bio, time_zone, locale, email_lead_minutes })
}

impl Accounts {
    /// Changes what is given.
    pub(super) async fn update_profile(&self, viewer: Viewer, patch: ProfilePatch) -> Result<user::Model, Refusal> {
        let Parsed { name, username, bio, time_zone, locale, email_lead_minutes } = parse(patch)?;
        let now = self.platform.clock.now();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let mut person = lock_person(&tx, viewer.user_id).await?.into_active_model();
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
                person.updated_at = Set(now);
                match person.update(&*tx).await {
                    Ok(person) => Ok(person),
                    // Two people want one name in the same instant: the constraint lets one have it.
                    Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                        Err(UserError::at("username", Code::Taken, "This name is taken. Choose another one.").into())
                    }
                    Err(error) => Err(error.into()),
                }
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
