//! What changes the ways into an account.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use entity::{oidc_round, second_factor};

use super::{Challenge, SecondFactorMethod, User, accounts};
use crate::{
    accounts::second_factor::Setup,
    payload,
    platform::{
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        scalars::DateTime,
        viewer::{Caller, Origin, Viewer},
    },
};

/// A challenge whose code did not come.
#[derive(InputObject)]
pub struct ChallengeResendInput {
    /// `challenge_…`
    challenge_id: ID,
}

payload! {
    /// A challenge whose code is mailed anew.
    ChallengeResendPayload {
        /// The challenge. Null: there are userErrors.
        challenge: Challenge
    }
}

/// Which second factor is to be set up.
#[derive(InputObject)]
pub struct SecondFactorStartInput {
    /// Where its codes are to come from.
    method: SecondFactorMethod,
}

/// A second factor that is being set up.
#[derive(SimpleObject)]
pub struct SecondFactorSetup {
    /// Complete it with secondFactorConfirm.
    challenge: Challenge,
    /// For typing into the authenticator app, in base 32. Null: the codes come by mail.
    secret: Option<String>,
    /// For the authenticator app (`otpauth://…`). Null: the codes come by mail.
    otpauth_uri: Option<String>,
    /// The same as a QR code, in SVG. Null: the codes come by mail.
    qr_code_svg: Option<String>,
}

impl From<Setup> for SecondFactorSetup {
    fn from(setup: Setup) -> Self {
        let (secret, otpauth_uri, qr_code_svg) = match setup.totp {
            Some(totp) => (Some(totp.secret), Some(totp.uri), Some(totp.qr_svg)),
            None => (None, None, None),
        };
        Self { challenge: setup.challenge.into(), secret, otpauth_uri, qr_code_svg }
    }
}

payload! {
    /// A second factor that is being set up.
    SecondFactorStartPayload {
        /// What is needed for it. Null: there are userErrors.
        setup: SecondFactorSetup
    }
}

/// The code that turns a second factor on.
#[derive(InputObject)]
pub struct SecondFactorConfirmInput {
    /// From secondFactorStart.
    challenge_id: ID,
    /// The six digits; blanks do not matter.
    code: String,
}

payload! {
    /// A second factor that is on.
    SecondFactorConfirmPayload {
        /// Ten codes for the day on which the telephone or the mailbox is lost, each good once. They are shown here and
        /// never again. Null: there are userErrors.
        recovery_codes: Vec<String>,
        /// The person, of whom `secondFactor` is different now. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// A second factor that is off.
    SecondFactorDisablePayload {
        /// Whether it is off. Null: there are userErrors.
        disabled: bool,
        /// The person, of whom `secondFactor` is different now. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// New recovery codes.
    RecoveryCodesRenewPayload {
        /// Ten codes, each good once; those before them are good no more. They are shown here and never again. Null:
        /// there are userErrors.
        recovery_codes: Vec<String>,
        /// The person, of whom `secondFactor` is different now. Null: there are userErrors.
        user: User
    }
}

/// Whose password is forgotten.
#[derive(InputObject)]
pub struct PasswordForgotInput {
    /// The address of the account.
    email: String,
}

payload! {
    /// The same whether or not the address has an account.
    PasswordForgotPayload {
        /// Until when the link is good that is mailed if there is an account. Null: there are userErrors.
        expires_at: DateTime
    }
}

/// A new password for a forgotten one.
#[derive(InputObject)]
pub struct PasswordResetInput {
    /// `token` of the link in the mail.
    token: String,
    /// 8–128 characters, not easy to guess.
    new_password: String,
}

payload! {
    /// A password that was set. Every session has ended: log in with it.
    PasswordResetPayload {
        /// Whether it was set. Null: there are userErrors.
        reset: bool
    }
}

/// A new password.
#[derive(InputObject)]
pub struct PasswordChangeInput {
    /// 8–128 characters, not easy to guess.
    new_password: String,
}

payload! {
    /// A password that was changed. Every other session has ended.
    PasswordChangePayload {
        /// The person. Null: there are userErrors.
        user: User
    }
}

/// A new address.
#[derive(InputObject)]
pub struct EmailChangeStartInput {
    /// Where the code goes.
    email: String,
}

payload! {
    /// A change of address that waits for its code. The same whether or not the address has an account.
    EmailChangeStartPayload {
        /// Complete it with emailChangeConfirm. Null: there are userErrors.
        challenge: Challenge
    }
}

/// The code that came to the new address.
#[derive(InputObject)]
pub struct EmailChangeConfirmInput {
    /// From emailChangeStart.
    challenge_id: ID,
    /// The six digits; blanks do not matter.
    code: String,
}

payload! {
    /// A changed address. The old one got a mail from which it can be undone for 24 hours.
    EmailChangeConfirmPayload {
        /// The person. Null: there are userErrors.
        user: User
    }
}

/// A change of address that is to be undone.
#[derive(InputObject)]
pub struct EmailChangeUndoInput {
    /// `token` of the link in the mail to the old address.
    token: String,
}

payload! {
    /// A change of address that was undone. Every session has ended: log in, and choose a new password.
    EmailChangeUndoPayload {
        /// The address that is the account's again. Null: there are userErrors.
        email: String
    }
}

/// Why a person is sent to the OpenID provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum IdentityPurpose {
    /// To link the identity there to this account. Needs a fresh login.
    Link,
    /// To prove once more who holds the session, as sessionReauthenticate does by password.
    Reauthenticate,
}

/// A way to the OpenID provider.
#[derive(InputObject)]
pub struct IdentityStartInput {
    /// What for.
    purpose: IdentityPurpose,
}

payload! {
    /// A way to the OpenID provider.
    IdentityStartPayload {
        /// Where to send the browser. The answer also sets the cookie that binds the way to this browser, so send the
        ///request with credentials. It comes back to `FRONTEND_URL/profile`: with `?identity=linked`,
        /// `?identity=reauthenticated`, `#challenge=…&method=…&expiresAt=…` (the second factor is still to come) or
        /// `?error=google_auth_failed`. Null: there are userErrors.
        url: String
    }
}

/// An identity that is to open the account no more.
#[derive(InputObject)]
pub struct IdentityUnlinkInput {
    /// `identity_…`
    id: ID,
}

payload! {
    /// An identity that opens the account no more.
    IdentityUnlinkPayload {
        /// Which one. Null: there are userErrors.
        unlinked_identity_id: ID,
        /// The person, of whom `identities` are different now. Null: there are userErrors.
        user: User
    }
}

/// What changes the ways into an account. All of it but the forgotten password and the undoing needs a login that is
/// at most 15 minutes old, or REAUTHENTICATION_REQUIRED is answered: see sessionReauthenticate.
#[derive(Default)]
pub struct SecurityMutations;

fn who(ctx: &Context<'_>) -> Result<Viewer, Fault> {
    ctx.data_unchecked::<Caller>().viewer()
}

#[Object]
impl SecurityMutations {
    /// Mails a new code for a challenge, once a minute; the one before it is good no more.
    async fn challenge_resend(
        &self,
        ctx: &Context<'_>,
        input: ChallengeResendInput,
    ) -> Result<ChallengeResendPayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>().clone();
        let again = accounts(ctx).resend_code(&input.challenge_id, origin).await;
        ChallengeResendPayload::answer(again.map(Into::into))
    }

    /// Begins to set up a second factor. Nothing changes until secondFactorConfirm. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn second_factor_start(
        &self,
        ctx: &Context<'_>,
        input: SecondFactorStartInput,
    ) -> Result<SecondFactorStartPayload, Fault> {
        let method = match input.method {
            SecondFactorMethod::Email => second_factor::Method::Email,
            SecondFactorMethod::Totp => second_factor::Method::Totp,
        };
        let origin = ctx.data_unchecked::<Origin>();
        let setup = accounts(ctx).start_second_factor(who(ctx)?, method, origin).await;
        SecondFactorStartPayload::answer(setup.map(Into::into))
    }

    /// Turns the second factor on that was set up, in place of the one before. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn second_factor_confirm(
        &self,
        ctx: &Context<'_>,
        input: SecondFactorConfirmInput,
    ) -> Result<SecondFactorConfirmPayload, Fault> {
        let viewer = who(ctx)?;
        let origin = ctx.data_unchecked::<Origin>();
        let codes = accounts(ctx).confirm_second_factor(viewer, &input.challenge_id, &input.code, origin).await;
        SecondFactorConfirmPayload::answer(codes, User::with_id(viewer.user_id))
    }

    /// Turns the second factor off. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn second_factor_disable(&self, ctx: &Context<'_>) -> Result<SecondFactorDisablePayload, Fault> {
        let viewer = who(ctx)?;
        let disabled = accounts(ctx).disable_second_factor(viewer).await;
        SecondFactorDisablePayload::answer(disabled, User::with_id(viewer.user_id))
    }

    /// Makes new recovery codes in place of those before. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn recovery_codes_renew(&self, ctx: &Context<'_>) -> Result<RecoveryCodesRenewPayload, Fault> {
        let viewer = who(ctx)?;
        let codes = accounts(ctx).renew_recovery_codes(viewer).await;
        RecoveryCodesRenewPayload::answer(codes, User::with_id(viewer.user_id))
    }

    /// Mails a link with which a new password can be set. Answers alike whether or not the address has an account.
    async fn password_forgot(
        &self,
        ctx: &Context<'_>,
        input: PasswordForgotInput,
    ) -> Result<PasswordForgotPayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>();
        PasswordForgotPayload::answer(accounts(ctx).forgot_password(&input.email, origin).await.map(DateTime))
    }

    /// Sets a new password with the link of passwordForgot. Ends every session.
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        input: PasswordResetInput,
    ) -> Result<PasswordResetPayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>();
        let reset = accounts(ctx).reset_password(&input.token, input.new_password, origin).await;
        PasswordResetPayload::answer(reset.map(|()| true))
    }

    /// Sets a new password, or a first one. Ends every other session. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        input: PasswordChangeInput,
    ) -> Result<PasswordChangePayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>();
        let changed = accounts(ctx).change_password(who(ctx)?, input.new_password, origin).await;
        PasswordChangePayload::answer(changed.map(User::from))
    }

    /// Begins a change of address: mails a code to the new one. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn email_change_start(
        &self,
        ctx: &Context<'_>,
        input: EmailChangeStartInput,
    ) -> Result<EmailChangeStartPayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>();
        let begun = accounts(ctx).start_email_change(who(ctx)?, &input.email, origin).await;
        EmailChangeStartPayload::answer(begun.map(Into::into))
    }

    /// Makes the new address the account's. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn email_change_confirm(
        &self,
        ctx: &Context<'_>,
        input: EmailChangeConfirmInput,
    ) -> Result<EmailChangeConfirmPayload, Fault> {
        let viewer = who(ctx)?;
        let origin = ctx.data_unchecked::<Origin>();
        let changed = accounts(ctx).confirm_email_change(viewer, &input.challenge_id, &input.code, origin).await;
        EmailChangeConfirmPayload::answer(changed.map(User::from))
    }

    /// Takes a change of address back, from the old one. Ends every session.
    async fn email_change_undo(
        &self,
        ctx: &Context<'_>,
        input: EmailChangeUndoInput,
    ) -> Result<EmailChangeUndoPayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>();
        let undone = accounts(ctx).undo_email_change(&input.token, origin).await;
        EmailChangeUndoPayload::answer(undone.map(|person| person.email))
    }

    /// Begins a way to the OpenID provider for somebody who is logged in. (Logging in that way begins at
    /// `GET /auth/google`.)
    async fn identity_start(
        &self,
        ctx: &Context<'_>,
        input: IdentityStartInput,
    ) -> Result<IdentityStartPayload, Fault> {
        let viewer = who(ctx)?;
        let purpose = match input.purpose {
            IdentityPurpose::Link => oidc_round::Purpose::Link,
            IdentityPurpose::Reauthenticate => oidc_round::Purpose::Reauthentication,
        };
        let begun = match can_carry_cookies(ctx) {
            Ok(()) => accounts(ctx).depart_as(viewer, purpose, ctx.data_unchecked::<Origin>()).await,
            Err(refused) => Err(refused),
        };
        IdentityStartPayload::answer(begun.map(|departure| {
            ctx.append_http_header("set-cookie", departure.cookie);
            departure.url
        }))
    }

    /// Takes an identity away, if another way into the account remains. Needs a fresh login (see
    /// sessionReauthenticate).
    async fn identity_unlink(
        &self,
        ctx: &Context<'_>,
        input: IdentityUnlinkInput,
    ) -> Result<IdentityUnlinkPayload, Fault> {
        let viewer = who(ctx)?;
        let gone = accounts(ctx).unlink_identity(viewer, &input.id).await;
        IdentityUnlinkPayload::answer(gone.map(|id| ID(id.to_string())), User::with_id(viewer.user_id))
    }
}

fn can_carry_cookies(ctx: &Context<'_>) -> Result<(), Refusal> {
    if ctx.data_unchecked::<Origin>().can_set_cookies {
        return Ok(());
    }
    Err(UserError::at("", Code::WrongState, "A WebSocket cannot set the cookie that this needs: use HTTP.").into())
}
