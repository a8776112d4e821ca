//! Accounts as the schema shows them.

pub mod register;
pub mod security;
pub mod ways_in;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use entity::{SessionId, UserId, challenge, identity, second_factor, session, user};
use sea_orm::EntityTrait;
use tokio::sync::OnceCell;

pub use self::{register::RegisterMutations, security::SecurityMutations, ways_in::WayInMutations};
use super::{Accounts, profile::ProfilePatch, second_factor::recovery_codes_left};
use crate::{
    payload,
    platform::{
        Platform,
        error::{Fault, Refusal},
        scalars::{DateTime, LocalTime, TimeZone},
        viewer::Caller,
    },
};

/// A person. Only ever the viewer: nobody sees anybody else.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct User {
    /// `user_…`
    pub id: ID,
    /// Whose edges these are.
    #[graphql(skip)]
    pub user_id: UserId,
    /// The row, fetched when one of its columns is asked for: most requests only pass through to the edges.
    #[graphql(skip)]
    row: Arc<OnceCell<user::Model>>,
}

impl User {
    /// A person of whom only the id is known yet.
    pub fn with_id(user_id: UserId) -> Self {
        Self { id: ID(user_id.to_string()), user_id, row: Arc::default() }
    }

    /// The person's row: one statement, however many ask for it in a request.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the account is gone.
    pub async fn row(&self, ctx: &Context<'_>) -> Result<&user::Model, Fault> {
        let db = ctx.data_unchecked::<Platform>().db.read();
        self.row.get_or_try_init(|| super::person(db, self.user_id)).await
    }
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self { id: ID(row.id.to_string()), user_id: row.id, row: Arc::new(OnceCell::new_with(Some(row))) }
    }
}

/// What a person says of themselves: plugged onto `User`.
pub struct UserProfile(pub User);

impl UserProfile {
    async fn row(&self, ctx: &Context<'_>) -> Result<&user::Model, Fault> {
        self.0.row(ctx).await
    }
}

#[Object]
impl UserProfile {
    /// As the person wrote it.
    async fn name(&self, ctx: &Context<'_>) -> Result<&str, Fault> {
        Ok(&self.row(ctx).await?.name)
    }

    /// The address to which mails go, as typed.
    async fn email(&self, ctx: &Context<'_>) -> Result<&str, Fault> {
        Ok(&self.row(ctx).await?.email)
    }

    /// A name that is unique without regard to case. Null: none was chosen.
    async fn username(&self, ctx: &Context<'_>) -> Result<Option<&str>, Fault> {
        Ok(self.row(ctx).await?.username.as_deref())
    }

    /// What the person says of themselves. Null: nothing.
    async fn bio(&self, ctx: &Context<'_>) -> Result<Option<&str>, Fault> {
        Ok(self.row(ctx).await?.bio.as_deref())
    }

    /// A language tag (BCP 47), like `de-AT`. Null: none was chosen.
    async fn locale(&self, ctx: &Context<'_>) -> Result<Option<&str>, Fault> {
        Ok(self.row(ctx).await?.locale.as_deref())
    }

    /// Whether the account has a password; one that came by a provider may have none.
    async fn has_password(&self, ctx: &Context<'_>) -> Result<bool, Fault> {
        Ok(self.row(ctx).await?.password_hash.is_some())
    }

    /// The live sessions, the one used last first.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let rows = accounts(ctx).sessions_of(self.0.user_id).await?;
        Ok(rows.into_iter().map(|row| Session::seen_from(row, Some(viewer.session_id))).collect())
    }

    /// What is asked for besides the password. Null: nothing is.
    async fn second_factor(&self, ctx: &Context<'_>) -> Result<Option<SecondFactor>, Fault> {
        let db = ctx.data_unchecked::<Platform>().db.read();
        let row = second_factor::Entity::find_by_id(self.0.user_id).one(db).await?;
        Ok(row.map(|row| SecondFactor {
            method: row.method.into(),
            recovery_codes_left: recovery_codes_left(&row),
            enabled_at: DateTime(row.created_at),
        }))
    }

    /// The accounts at OpenID providers that open this one, the oldest first.
    async fn identities(&self, ctx: &Context<'_>) -> Result<Vec<Identity>, Fault> {
        let rows = accounts(ctx).identities_of(self.0.user_id).await?;
        Ok(rows.into_iter().map(Identity::from).collect())
    }

    /// The zone in which the person's days begin and end. Null: none was chosen, so the server's default is in force.
    async fn time_zone(&self, ctx: &Context<'_>) -> Result<Option<TimeZone>, Fault> {
        Ok(self.row(ctx).await?.time_zone.clone().map(TimeZone))
    }

    /// How many minutes before a reminder's moment its mail goes out; 0 is the moment itself.
    async fn email_lead_minutes(&self, ctx: &Context<'_>) -> Result<i32, Fault> {
        Ok(self.row(ctx).await?.email_lead_minutes)
    }

    /// The time of the local day at which the morning digest goes out: a mail with the tasks that are due on that day,
    /// unless there are none. Null: the person wants none.
    async fn morning_digest_at(&self, ctx: &Context<'_>) -> Result<Option<LocalTime>, Fault> {
        Ok(self.row(ctx).await?.digest_minute.map(LocalTime))
    }

    /// When no mail and no push message of a notification is sent: they are held, and go out as one mail when it is
    /// over. The list in the app, the morning digest and mails about the account are not held. Null: there is no such
    /// time.
    async fn quiet_hours(&self, ctx: &Context<'_>) -> Result<Option<QuietHours>, Fault> {
        let row = self.row(ctx).await?;
        let hours = row.quiet_from_minute.zip(row.quiet_to_minute);
        Ok(hours.map(|(from, to)| QuietHours { starts_at: LocalTime(from), ends_at: LocalTime(to) }))
    }

    /// When the account was made.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime, Fault> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }
}

/// When no mail and no push message of a notification is sent.
#[derive(Clone, Debug, SimpleObject)]
pub struct QuietHours {
    /// From this time of the local day on.
    starts_at: LocalTime,
    /// Until this one: of the next day when it is earlier than the first.
    ends_at: LocalTime,
}

/// A login on one device.
#[derive(Clone, Debug, SimpleObject)]
pub struct Session {
    /// `session_…`
    id: ID,
    /// The user agent at login; empty when none was sent.
    device: String,
    /// The address from which the login came.
    ip: String,
    /// Whether it is the one that asks.
    current: bool,
    /// When it was opened.
    created_at: DateTime,
    /// When it was last used, to five minutes.
    last_used_at: DateTime,
    /// When its person last proved who they are, by password and second factor or at the provider.
    authenticated_at: DateTime,
    /// When it ends unless it is refreshed before.
    expires_at: DateTime,
}

impl Session {
    fn seen_from(row: session::Model, current: Option<SessionId>) -> Self {
        Self {
            id: ID(row.id.to_string()),
            current: current == Some(row.id),
            device: row.device,
            ip: row.ip,
            created_at: DateTime(row.created_at),
            last_used_at: DateTime(row.last_used_at),
            authenticated_at: DateTime(row.authenticated_at),
            expires_at: DateTime(row.expires_at),
        }
    }
}

/// Where the codes of a second factor come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SecondFactorMethod {
    /// Mailed at each login.
    Email,
    /// An authenticator app (TOTP, RFC 6238).
    Totp,
}

impl From<second_factor::Method> for SecondFactorMethod {
    fn from(method: second_factor::Method) -> Self {
        match method {
            second_factor::Method::Email => Self::Email,
            second_factor::Method::Totp => Self::Totp,
        }
    }
}

/// What is asked for besides the password.
#[derive(Clone, Debug, SimpleObject)]
pub struct SecondFactor {
    /// Where its codes come from.
    method: SecondFactorMethod,
    /// How many of the ten recovery codes are not used yet.
    recovery_codes_left: i32,
    /// Since when.
    enabled_at: DateTime,
}

/// Something that waits for a code.
#[derive(Clone, Debug, SimpleObject)]
pub struct Challenge {
    /// `challenge_…`: hand it back with the code. Keep it secret.
    id: ID,
    /// Where the code comes from.
    method: SecondFactorMethod,
    /// When the code is mailed: at once, or within a minute when one was mailed just before. Null: the code is in the
    /// app.
    code_sent_at: Option<DateTime>,
    /// Until when the code is taken.
    expires_at: DateTime,
}

impl From<challenge::Model> for Challenge {
    fn from(row: challenge::Model) -> Self {
        Self {
            id: ID(row.id.to_string()),
            method: row.method.into(),
            code_sent_at: (row.method == second_factor::Method::Email).then_some(DateTime(row.code_sent_at)),
            expires_at: DateTime(row.expires_at),
        }
    }
}

/// An account at an OpenID provider that opens this one.
#[derive(Clone, Debug, SimpleObject)]
pub struct Identity {
    /// `identity_…`
    id: ID,
    /// The provider.
    issuer: String,
    /// The address there when it was linked. Null: the provider told none that it had verified.
    email: Option<String>,
    /// When it was linked.
    created_at: DateTime,
}

impl From<identity::Model> for Identity {
    fn from(row: identity::Model) -> Self {
        let identity::Model { id, user_id: _, issuer, subject: _, email, created_at } = row;
        Self { id: ID(id.to_string()), issuer, email, created_at: DateTime(created_at) }
    }
}

/// What is to be changed of the profile: absent keeps. Null clears `username`, `bio`, `timeZone`, `locale`,
/// `morningDigestAt` and `quietHours`; elsewhere it is as absent.
#[derive(InputObject)]
pub struct ProfileUpdateInput {
    /// 2–100 characters.
    name: Option<String>,
    /// 3–30 letters, digits, `_`, `-` and `.`; unique without regard to case.
    username: MaybeUndefined<String>,
    /// At most 150 characters.
    bio: MaybeUndefined<String>,
    /// Null: the server's default.
    time_zone: MaybeUndefined<TimeZone>,
    /// A language tag (BCP 47), like `de-AT`.
    locale: MaybeUndefined<String>,
    /// How many minutes before a reminder's moment its mail goes out: 0 (the moment itself) to 10080 (a week). It holds
    /// for reminders that are planned from now on.
    email_lead_minutes: Option<i32>,
    /// At which time of the local day the morning digest goes out: the tasks that are due on that day. Null: none.
    morning_digest_at: MaybeUndefined<LocalTime>,
    /// When no mail and no push message of a notification is sent. Null: there is no such time.
    quiet_hours: MaybeUndefined<QuietHoursInput>,
}

/// When no mail and no push message of a notification is sent.
#[derive(InputObject)]
pub struct QuietHoursInput {
    /// From this time of the local day on.
    starts_at: LocalTime,
    /// Until this one: of the next day when it is earlier than the first.
    ends_at: LocalTime,
}

payload! {
    /// The profile as it is now.
    ProfileUpdatePayload {
        /// The person. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// The end of an account.
    AccountDeletePayload {
        /// The id of the account that is gone. Null: there are userErrors.
        deleted_user_id: ID
    }
}

/// What a person does with their own account.
#[derive(Default)]
pub struct ProfileMutations;

#[Object]
impl ProfileMutations {
    /// Changes what the person says of themselves, and their preferences.
    async fn profile_update(
        &self,
        ctx: &Context<'_>,
        input: ProfileUpdateInput,
    ) -> Result<ProfileUpdatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        // Destructured whole, so that a new field cannot be forgotten.
        let ProfileUpdateInput {
            name,
            username,
            bio,
            time_zone,
            locale,
            email_lead_minutes,
            morning_digest_at,
            quiet_hours,
        } = input;
        let quiet_hours = quiet_hours.map_value(|QuietHoursInput { starts_at, ends_at }| (starts_at, ends_at));
        let patch =
            ProfilePatch { name, username, bio, time_zone, locale, email_lead_minutes, morning_digest_at, quiet_hours };
        ProfileUpdatePayload::answer(accounts(ctx).update_profile(viewer, patch).await.map(User::from))
    }

    /// Deletes the account and everything in it, at once and for good. Needs a fresh login (see
    /// sessionReauthenticate). `GET /graphql/export` gives all of it before.
    async fn account_delete(&self, ctx: &Context<'_>) -> Result<AccountDeletePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let deleted = accounts(ctx).delete_account(viewer).await;
        if deleted.is_ok() {
            take_cookies_away(ctx);
        }
        AccountDeletePayload::answer(deleted.map(|()| ID(viewer.user_id.to_string())))
    }
}

/// The mutations of accounts.
#[derive(async_graphql::MergedObject, Default)]
pub struct AccountMutations(RegisterMutations, WayInMutations, SecurityMutations, ProfileMutations);

/// The viewer as a [`User`]. None: nobody is logged in.
pub fn viewer(ctx: &Context<'_>) -> Option<User> {
    let viewer = ctx.data_unchecked::<Caller>().0?;
    Some(User::with_id(viewer.user_id))
}

fn accounts<'a>(ctx: &Context<'a>) -> &'a Arc<Accounts> {
    ctx.data_unchecked::<Arc<Accounts>>()
}

fn take_cookies_away(ctx: &Context<'_>) {
    for cookie in accounts(ctx).no_cookies() {
        ctx.append_http_header("set-cookie", cookie);
    }
}

/// Splits what a person can mend from what the program must handle.
fn told<T>(result: Result<T, Refusal>) -> Result<Result<T, Vec<crate::platform::error::UserError>>, Fault> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Refusal::User(errors)) => Ok(Err(errors)),
        Err(Refusal::Fault(fault)) => Err(fault),
    }
}
