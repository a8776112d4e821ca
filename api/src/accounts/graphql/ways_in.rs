//! Registering, logging in, and staying logged in.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use secrecy::{ExposeSecret, SecretString};

use super::{Challenge, Session, User, accounts, take_cookies_away, told};
use crate::{
    accounts::{
        challenge::Completed,
        login::{LoggedIn, Login, Reauthenticated},
        session::Opened,
    },
    payload,
    platform::{
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        input,
        scalars::DateTime,
        viewer::{Caller, Origin},
    },
};

/// How a client wants to carry its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SessionTransport {
    /// In httpOnly cookies: for browsers. Nothing that opens the session is in the answer.
    Cookies,
    /// As tokens in the answer: for programs, which send `Authorization: Bearer <accessToken>`.
    Tokens,
}

/// What opens a session. Keep it secret.
#[derive(SimpleObject)]
pub struct SessionTokens {
    /// Send it as `Authorization: Bearer …`, and as `authorization` in a socket's `connection_init`.
    access_token: String,
    /// When the access token ends.
    access_token_expires_at: DateTime,
    /// Gets the next tokens, by sessionRefresh; each is used once.
    refresh_token: String,
    /// When the refresh token ends.
    refresh_token_expires_at: DateTime,
    /// Keep it when logging out, and send it with the next sessionCreate: a device that is known is not locked out by
    /// failures from elsewhere. It opens nothing. Null: the session was only refreshed, the one from the login stays good.
    device_token: Option<String>,
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
    /// From an earlier login on this device, for clients that keep no cookies.
    device_token: Option<String>,
}

/// The second step of a login, or of a re-authentication.
#[derive(InputObject)]
pub struct SessionChallengeCompleteInput {
    /// From sessionCreate or sessionReauthenticate.
    challenge_id: ID,
    /// The six digits, or a recovery code; blanks and dashes do not matter.
    code: String,
    /// How to carry the session that this opens.
    #[graphql(default_with = "SessionTransport::Cookies")]
    transport: SessionTransport,
    /// From an earlier login on this device, for clients that keep no cookies.
    device_token: Option<String>,
}

/// What a session goes on with.
#[derive(InputObject)]
pub struct SessionRefreshInput {
    /// The refresh token. Absent: the cookie is taken.
    refresh_token: Option<String>,
    /// How to carry the session from now on.
    #[graphql(default_with = "SessionTransport::Cookies")]
    transport: SessionTransport,
}

/// What proves once more who holds the session.
#[derive(InputObject)]
pub struct SessionReauthenticateInput {
    /// The password of the account.
    password: String,
}

macro_rules! session_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// Whose it is. Null: there are userErrors.
            user: Option<User>,
            /// The session. Null: there are userErrors.
            session: Option<Session>,
            /// What opens the session. Null: there are userErrors, or cookies were asked for.
            tokens: Option<SessionTokens>,
            /// What the person can mend; empty when it was done.
            user_errors: Vec<UserError>,
        }

        impl From<Handed> for $name {
            fn from(handed: Handed) -> Self {
                let Handed { user, session, tokens, user_errors } = handed;
                Self { user, session, tokens, user_errors }
            }
        }
    };
}

session_payload! {
    /// An account that was made, and its first session.
    AccountVerifyEmailPayload
}

session_payload! {
    /// A login that is complete, or a session that is fresh again.
    SessionChallengeCompletePayload
}

session_payload! {
    /// A session that goes on.
    SessionRefreshPayload
}

/// A session that was opened, or what is still missing.
#[derive(SimpleObject)]
pub struct SessionCreatePayload {
    /// Whose it is. Null: there are userErrors, or a challenge.
    user: Option<User>,
    /// The session. Null: there are userErrors, or a challenge.
    session: Option<Session>,
    /// What opens it. Null: there are userErrors or a challenge, or cookies were asked for.
    tokens: Option<SessionTokens>,
    /// The password was right and the account has a second factor: complete this with sessionChallengeComplete. Null:
    /// there are userErrors, or the session is open.
    challenge: Option<Challenge>,
    /// What the person can mend; empty when it was done.
    user_errors: Vec<UserError>,
}

/// A session that is fresh again, or what is still missing.
#[derive(SimpleObject)]
pub struct SessionReauthenticatePayload {
    /// The session. Null: there are userErrors, or a challenge.
    session: Option<Session>,
    /// The account has a second factor: complete this with sessionChallengeComplete. Null: there are userErrors, or it
    /// is done.
    challenge: Option<Challenge>,
    /// What the person can mend; empty when it was done.
    user_errors: Vec<UserError>,
}

/// A session that was ended.
#[derive(SimpleObject)]
pub struct SessionEndPayload {
    /// Which one. Null: nobody was logged in.
    ended_session_id: Option<ID>,
    /// What the person can mend; always empty.
    user_errors: Vec<UserError>,
}

/// Registering, logging in, staying logged in, logging out.
#[derive(Default)]
pub struct WayInMutations;

#[Object]
impl WayInMutations {
    /// Makes the account whose code is given, and opens its first session.
    async fn account_verify_email(
        &self,
        ctx: &Context<'_>,
        input: AccountVerifyEmailInput,
    ) -> Result<AccountVerifyEmailPayload, Fault> {
        let AccountVerifyEmailInput { registration_id, code, transport } = input;
        let origin = match can_carry(ctx, transport, None) {
            Ok(origin) => origin,
            Err(refused) => return Ok(hand_out(ctx, Err(refused), transport, None)?.into()),
        };
        let opened = accounts(ctx).verify_email(&registration_id, &code, origin.clone()).await;
        Ok(hand_out(ctx, opened, transport, Some(&origin))?.into())
    }

    /// Logs in. An unknown address and a wrong password are told alike: INVALID_CREDENTIALS. An account with a second
    /// factor answers with a challenge.
    async fn session_create(
        &self,
        ctx: &Context<'_>,
        input: SessionCreateInput,
    ) -> Result<SessionCreatePayload, Fault> {
        let SessionCreateInput { email, password, remember, transport, device_token } = input;
        let origin = can_carry(ctx, transport, device_token);
        let logged_in = match &origin {
            Ok(origin) => accounts(ctx).log_in(Login { email, password, remember }, origin.clone()).await,
            Err(refused) => Err(Refusal::User(refused.clone())),
        };
        let (handed, challenge) = match told(logged_in)? {
            Ok(LoggedIn::Session(opened)) => {
                (hand_out(ctx, Ok::<_, Refusal>(*opened), transport, origin.as_ref().ok())?, None)
            }
            Ok(LoggedIn::Challenge(challenge)) => (Handed::default(), Some((*challenge).into())),
            Err(user_errors) => (Handed { user_errors, ..Handed::default() }, None),
        };
        let Handed { user, session, tokens, user_errors } = handed;
        Ok(SessionCreatePayload { user, session, tokens, challenge, user_errors })
    }

    /// Completes a challenge: opens the session of a login, or makes the session fresh that was to be
    /// re-authenticated (then `tokens` is null, those in hand stay good).
    async fn session_challenge_complete(
        &self,
        ctx: &Context<'_>,
        input: SessionChallengeCompleteInput,
    ) -> Result<SessionChallengeCompletePayload, Fault> {
        let SessionChallengeCompleteInput { challenge_id, code, transport, device_token } = input;
        let viewer = ctx.data_unchecked::<Caller>().0;
        let origin = can_carry(ctx, transport, device_token);
        let completed = match &origin {
            Ok(origin) => accounts(ctx).complete_challenge(&challenge_id, &code, viewer, origin.clone()).await,
            Err(refused) => Err(Refusal::User(refused.clone())),
        };
        match told(completed)? {
            Ok(Completed::Opened(opened)) => {
                Ok(hand_out(ctx, Ok::<_, Refusal>(*opened), transport, origin.as_ref().ok())?.into())
            }
            Ok(Completed::Fresh(row)) => {
                let user = Some(User::with_id(row.user_id));
                let id = row.id;
                let session = Some(Session::seen_from(*row, Some(id)));
                Ok(Handed { user, session, ..Handed::default() }.into())
            }
            Err(user_errors) => Ok(Handed { user_errors, ..Handed::default() }.into()),
        }
    }

    /// Gives the next tokens for a refresh token, which is used up by that. Tabs that ask at the same time get the same
    /// ones. A token that was used up before ends its session: somebody else has it. UNAUTHENTICATED: log in again.
    async fn session_refresh(
        &self,
        ctx: &Context<'_>,
        input: SessionRefreshInput,
    ) -> Result<SessionRefreshPayload, Fault> {
        let SessionRefreshInput { refresh_token, transport } = input;
        let origin = match can_carry(ctx, transport, None) {
            Ok(origin) => origin,
            Err(refused) => return Ok(hand_out(ctx, Err(refused), transport, None)?.into()),
        };
        if refresh_token.is_none() && transport == SessionTransport::Tokens {
            // A script in the page must not be able to turn the cookie that it cannot read into tokens that it can.
            let message = "A session in cookies stays in cookies: ask for COOKIES, or give the refreshToken.";
            let refused = UserError::at("transport", Code::InvalidValue, message);
            return Ok(hand_out(ctx, Err(vec![refused]), transport, None)?.into());
        }
        let token = refresh_token.map(SecretString::from).or(origin.refresh_cookie);
        let token = token.ok_or(Fault::Unauthenticated)?;
        match accounts(ctx).refresh(token.expose_secret()).await {
            Ok(opened) => Ok(hand_out(ctx, Ok::<_, Refusal>(opened), transport, None)?.into()),
            Err(fault) => {
                if transport == SessionTransport::Cookies && matches!(fault, Fault::Unauthenticated) {
                    take_cookies_away(ctx);
                }
                Err(fault)
            }
        }
    }

    /// Proves once more who holds the session: needed, at most 15 minutes before, for changing the password, the
    /// address or the second factor, for new recovery codes, for linking and unlinking identities, and for deleting the
    /// account; REAUTHENTICATION_REQUIRED says so. An account without a
    /// password does this by identityStart.
    async fn session_reauthenticate(
        &self,
        ctx: &Context<'_>,
        input: SessionReauthenticateInput,
    ) -> Result<SessionReauthenticatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let origin = ctx.data_unchecked::<Origin>().clone();
        let proven = accounts(ctx).reauthenticate(viewer, input.password, origin).await;
        let nothing = SessionReauthenticatePayload { session: None, challenge: None, user_errors: Vec::new() };
        Ok(match told(proven)? {
            Ok(Reauthenticated::Session(row)) => SessionReauthenticatePayload {
                session: Some(Session::seen_from(*row, Some(viewer.session_id))),
                ..nothing
            },
            Ok(Reauthenticated::Challenge(challenge)) => {
                SessionReauthenticatePayload { challenge: Some((*challenge).into()), ..nothing }
            }
            Err(user_errors) => SessionReauthenticatePayload { user_errors, ..nothing },
        })
    }

    /// Logs out: ends the session that asks and takes its cookies away. Fine for somebody who is not logged in.
    async fn session_end(&self, ctx: &Context<'_>) -> Result<SessionEndPayload, Fault> {
        let mut ended_session_id = None;
        if let Some(viewer) = ctx.data_unchecked::<Caller>().0 {
            let ended = accounts(ctx).end_session(viewer, viewer.session_id).await?;
            ended_session_id = ended.then(|| ID(viewer.session_id.to_string()));
        }
        if ctx.data_unchecked::<Origin>().can_set_cookies {
            take_cookies_away(ctx);
        }
        Ok(SessionEndPayload { ended_session_id, user_errors: Vec::new() })
    }

    /// Ends one of the viewer's sessions: its tokens stop within a second, its sockets are closed.
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        input: SessionRevokeInput,
    ) -> Result<SessionRevokePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let person = User::with_id(viewer.user_id);
        let id = match input::id("id", &input.id) {
            Ok(id) => id,
            Err(error) => return SessionRevokePayload::answer(Err(error.into()), person),
        };
        if !accounts(ctx).end_session(viewer, id).await? {
            return Err(Fault::NotFound("session"));
        }
        SessionRevokePayload::answer(Ok(ID(id.to_string())), person)
    }

    /// Ends every session of the viewer's but the one that asks.
    async fn session_revoke_others(&self, ctx: &Context<'_>) -> Result<SessionRevokeOthersPayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let ended = accounts(ctx).end_other_sessions(viewer).await?;
        let ended = ended.into_iter().map(|id| ID(id.to_string())).collect();
        SessionRevokeOthersPayload::answer(Ok(ended), User::with_id(viewer.user_id))
    }
}

/// A session that is to end.
#[derive(InputObject)]
pub struct SessionRevokeInput {
    /// `session_…`, from `viewer { sessions { id } }`.
    id: ID,
}

payload! {
    /// A session that was ended.
    SessionRevokePayload {
        /// Which one. Null: there are userErrors.
        revoked_session_id: ID,
        /// The person, of whom `sessions` are different now. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// Sessions that were ended.
    SessionRevokeOthersPayload {
        /// Which ones. Null: there are userErrors.
        revoked_session_ids: Vec<ID>,
        /// The person, of whom `sessions` are different now. Null: there are userErrors.
        user: User
    }
}

#[derive(Default)]
struct Handed {
    user: Option<User>,
    session: Option<Session>,
    tokens: Option<SessionTokens>,
    user_errors: Vec<UserError>,
}

/// Where the request comes from, unless it asks for cookies on a way that cannot set any.
fn can_carry(ctx: &Context<'_>, transport: SessionTransport, device: Option<String>) -> Result<Origin, Vec<UserError>> {
    let origin = ctx.data_unchecked::<Origin>();
    if transport == SessionTransport::Cookies && !origin.can_set_cookies {
        let message = "A WebSocket cannot set cookies. Ask for TOKENS, or log in over HTTP.";
        return Err(vec![UserError::at("transport", Code::InvalidValue, message)]);
    }
    let mut origin = origin.clone();
    if let Some(device) = device {
        origin.device_cookie = Some(device.into());
    }
    Ok(origin)
}

/// Puts a session into the answer or into cookies. With `proven`, who they are was proven just now from there, so that
/// the device is known from now on; a refresh proves nothing.
fn hand_out(
    ctx: &Context<'_>,
    opened: Result<Opened, impl Into<Refusal>>,
    transport: SessionTransport,
    proven: Option<&Origin>,
) -> Result<Handed, Fault> {
    let opened = match told(opened.map_err(Into::into))? {
        Ok(opened) => opened,
        Err(user_errors) => return Ok(Handed { user_errors, ..Handed::default() }),
    };
    let person = opened.row.user_id;
    let tokens = match transport {
        SessionTransport::Cookies => {
            let device = proven.map(|origin| accounts(ctx).device_cookie(person, origin));
            for cookie in accounts(ctx).cookies(&opened).into_iter().chain(device) {
                ctx.append_http_header("set-cookie", cookie);
            }
            None
        }
        SessionTransport::Tokens => Some(SessionTokens {
            access_token: opened.access_token,
            access_token_expires_at: DateTime(opened.access_expires_at),
            refresh_token: opened.refresh_token,
            refresh_token_expires_at: DateTime(opened.row.expires_at),
            device_token: proven.map(|origin| accounts(ctx).device_token(person, origin)),
        }),
    };
    let id = opened.row.id;
    let session = Session::seen_from(opened.row, Some(id));
    Ok(Handed { user: Some(User::with_id(person)), session: Some(session), tokens, user_errors: Vec::new() })
}
