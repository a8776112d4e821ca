//! Accounts as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use entity::{UserId, user};
use tokio::sync::OnceCell;

use super::{Accounts, login::Login, register::Registration, session::Opened};
use crate::{
    payload,
    platform::{
        Platform,
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        scalars::{DateTime, TimeZone},
        viewer::{Caller, Origin},
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
        let db = ctx.data_unchecked::<Platform>().db.read();
        self.0.row.get_or_try_init(|| super::person(db, self.0.user_id)).await
    }
}

#[Object]
impl UserProfile {
    /// As the person wrote it.
    async fn name(&self, ctx: &Context<'_>) -> Result<&str, Fault> {
        Ok(&self.row(ctx).await?.name)
    }

    /// As typed at registration.
    async fn email(&self, ctx: &Context<'_>) -> Result<&str, Fault> {
        Ok(&self.row(ctx).await?.email)
    }

    /// The zone in which the person's days begin and end. Null: none was chosen, so the server's default is in force.
    async fn time_zone(&self, ctx: &Context<'_>) -> Result<Option<TimeZone>, Fault> {
        Ok(self.row(ctx).await?.time_zone.clone().map(TimeZone))
    }

    /// How many minutes before a reminder's moment its mail goes out; 0 is the moment itself.
    async fn email_lead_minutes(&self, ctx: &Context<'_>) -> Result<i32, Fault> {
        Ok(self.row(ctx).await?.email_lead_minutes)
    }

    /// When the account was made.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime, Fault> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }
}

/// How a client wants to carry its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SessionTransport {
    /// In httpOnly cookies: for browsers. Nothing that opens the session is in the answer.
    Cookies,
    /// As tokens in the answer: for programs, which send `Authorization: Bearer <accessToken>`.
    Tokens,
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
    /// When it was opened.
    created_at: DateTime,
    /// When it ends unless it is refreshed before.
    expires_at: DateTime,
}

/// What opens a session. Keep it secret.
#[derive(SimpleObject)]
pub struct SessionTokens {
    /// Send it as `Authorization: Bearer …`, and as `authorization` in a socket's `connection_init`.
    access_token: String,
    /// When the access token ends.
    access_token_expires_at: DateTime,
    /// Gets the next access token.
    refresh_token: String,
    /// When the refresh token ends.
    refresh_token_expires_at: DateTime,
}

/// What a person registers with.
#[derive(InputObject)]
pub struct AccountRegisterInput {
    /// 2–100 characters.
    name: String,
    /// Where the code goes. Unique without regard to case.
    email: String,
    /// 8–128 characters, not easy to guess.
    password: String,
}

/// A registration that waits for its code.
#[derive(SimpleObject)]
pub struct PendingRegistration {
    /// `registration_…`: hand it to accountVerifyEmail with the code.
    id: ID,
    /// When the code is mailed: at once, or when the last mail to this address is a minute old.
    code_sent_at: DateTime,
    /// Until when the code is good.
    code_expires_at: DateTime,
}

payload! {
    /// What came of a registration. The same for a new address and for one that has an account.
    AccountRegisterPayload {
        /// The registration. Null: there are userErrors.
        registration: PendingRegistration
    }
}

/// The code that came by mail.
#[derive(InputObject)]
pub struct AccountVerifyEmailInput {
    /// From accountRegister.
    registration_id: ID,
    /// The six digits; blanks do not matter.
    code: String,
    /// How to carry the session that this opens.
    #[graphql(default_with = "SessionTransport::Cookies")]
    transport: SessionTransport,
}

/// What a person logs in with.
#[derive(InputObject)]
pub struct SessionCreateInput {
    /// The address of the account.
    email: String,
    /// Its password.
    password: String,
    /// Whether this device may stay logged in for 30 days without use instead of 7.
    #[graphql(default)]
    remember: bool,
    /// How to carry the session.
    #[graphql(default_with = "SessionTransport::Cookies")]
    transport: SessionTransport,
}

/// An account that was made, and its first session.
#[derive(SimpleObject)]
pub struct AccountVerifyEmailPayload {
    /// The new account. Null: there are userErrors.
    user: Option<User>,
    /// Its first session. Null: there are userErrors.
    session: Option<Session>,
    /// What opens the session. Null: there are userErrors, or cookies were asked for.
    tokens: Option<SessionTokens>,
    /// What the person can mend; empty when it was done.
    user_errors: Vec<UserError>,
}

/// A session that was opened.
#[derive(SimpleObject)]
pub struct SessionCreatePayload {
    /// Whose it is. Null: there are userErrors.
    user: Option<User>,
    /// The session. Null: there are userErrors.
    session: Option<Session>,
    /// What opens it. Null: there are userErrors, or cookies were asked for.
    tokens: Option<SessionTokens>,
    /// What the person can mend; empty when it was done.
    user_errors: Vec<UserError>,
}

/// The mutations of accounts.
#[derive(Default)]
pub struct AccountMutations;

#[Object]
impl AccountMutations {
    /// Registers: mails a code to the address. Answers alike whether or not the address has an account.
    async fn account_register(
        &self,
        ctx: &Context<'_>,
        input: AccountRegisterInput,
    ) -> Result<AccountRegisterPayload, Fault> {
        let AccountRegisterInput { name, email, password } = input;
        let registered = accounts(ctx).register(Registration { name, email, password }).await;
        AccountRegisterPayload::answer(registered.map(|row| PendingRegistration {
            id: ID(row.id.to_string()),
            code_sent_at: DateTime(row.code_sent_at),
            code_expires_at: DateTime(row.code_expires_at),
        }))
    }

    /// Makes the account whose code is given, and opens its first session.
    async fn account_verify_email(
        &self,
        ctx: &Context<'_>,
        input: AccountVerifyEmailInput,
    ) -> Result<AccountVerifyEmailPayload, Fault> {
        let AccountVerifyEmailInput { registration_id, code, transport } = input;
        let opened = match can_carry(ctx, transport) {
            Ok(origin) => accounts(ctx).verify_email(&registration_id, &code, origin).await,
            Err(refused) => Err(refused),
        };
        let Handed { user, session, tokens, user_errors } = hand_out(ctx, opened, transport)?;
        Ok(AccountVerifyEmailPayload { user, session, tokens, user_errors })
    }

    /// Logs in. An unknown address and a wrong password are told alike: INVALID_CREDENTIALS.
    async fn session_create(
        &self,
        ctx: &Context<'_>,
        input: SessionCreateInput,
    ) -> Result<SessionCreatePayload, Fault> {
        let SessionCreateInput { email, password, remember, transport } = input;
        let opened = match can_carry(ctx, transport) {
            Ok(origin) => accounts(ctx).log_in(Login { email, password, remember }, origin).await,
            Err(refused) => Err(refused),
        };
        let Handed { user, session, tokens, user_errors } = hand_out(ctx, opened, transport)?;
        Ok(SessionCreatePayload { user, session, tokens, user_errors })
    }
}

/// The viewer as a [`User`]. None: nobody is logged in.
pub fn viewer(ctx: &Context<'_>) -> Option<User> {
    let viewer = ctx.data_unchecked::<Caller>().0?;
    Some(User::with_id(viewer.user_id))
}

struct Handed {
    user: Option<User>,
    session: Option<Session>,
    tokens: Option<SessionTokens>,
    user_errors: Vec<UserError>,
}

fn accounts<'a>(ctx: &Context<'a>) -> &'a Arc<Accounts> {
    ctx.data_unchecked::<Arc<Accounts>>()
}

/// Where the request comes from, unless it asks for cookies on a way that cannot set any.
fn can_carry(ctx: &Context<'_>, transport: SessionTransport) -> Result<Origin, Refusal> {
    let origin = ctx.data_unchecked::<Origin>();
    if transport == SessionTransport::Cookies && !origin.can_set_cookies {
        let message = "A WebSocket cannot set cookies. Ask for TOKENS, or log in over HTTP.";
        return Err(UserError::at("transport", Code::InvalidValue, message).into());
    }
    Ok(origin.clone())
}

fn hand_out(
    ctx: &Context<'_>,
    opened: Result<(user::Model, Opened), Refusal>,
    transport: SessionTransport,
) -> Result<Handed, Fault> {
    let (person, opened) = match opened {
        Ok(opened) => opened,
        Err(Refusal::User(user_errors)) => {
            return Ok(Handed { user: None, session: None, tokens: None, user_errors });
        }
        Err(Refusal::Fault(fault)) => return Err(fault),
    };
    let session = Session {
        id: ID(opened.row.id.to_string()),
        device: opened.row.device.clone(),
        ip: opened.row.ip.clone(),
        created_at: DateTime(opened.row.created_at),
        expires_at: DateTime(opened.row.expires_at),
    };
    let tokens = match transport {
        SessionTransport::Cookies => {
            for cookie in accounts(ctx).cookies(&opened) {
                ctx.append_http_header("set-cookie", cookie);
            }
            None
        }
        SessionTransport::Tokens => Some(SessionTokens {
            access_token: opened.access_token,
            access_token_expires_at: DateTime(opened.access_expires_at),
            refresh_token: opened.refresh_token,
            refresh_token_expires_at: DateTime(opened.row.expires_at),
        }),
    };
    Ok(Handed { user: Some(person.into()), session: Some(session), tokens, user_errors: Vec::new() })
}
