//! Registering, up to the code.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::accounts;
use crate::{
    accounts::register::Registration,
    payload,
    platform::{error::Fault, scalars::DateTime, viewer::Origin},
};

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

impl From<entity::pending_registration::Model> for PendingRegistration {
    fn from(row: entity::pending_registration::Model) -> Self {
        Self {
            id: ID(row.id.to_string()),
            code_sent_at: DateTime(row.code_sent_at),
            code_expires_at: DateTime(row.code_expires_at),
        }
    }
}

payload! {
    /// What came of a registration. The same for a new address and for one that has an account.
    AccountRegisterPayload {
        /// The registration. Null: there are userErrors.
        registration: PendingRegistration
    }
}

/// The registration whose code did not come.
#[derive(InputObject)]
pub struct AccountRegisterResendInput {
    /// From accountRegister.
    registration_id: ID,
}

payload! {
    /// A registration whose code is mailed anew.
    AccountRegisterResendPayload {
        /// The registration. Null: there are userErrors.
        registration: PendingRegistration
    }
}

/// Registering, up to the code: accountVerifyEmail makes the account.
#[derive(Default)]
pub struct RegisterMutations;

#[Object]
impl RegisterMutations {
    /// Registers: mails a code to the address. Answers alike whether or not the address has an account.
    async fn account_register(
        &self,
        ctx: &Context<'_>,
        input: AccountRegisterInput,
    ) -> Result<AccountRegisterPayload, Fault> {
        let AccountRegisterInput { name, email, password } = input;
        let origin = ctx.data_unchecked::<Origin>();
        let registered = accounts(ctx).register(Registration { name, email, password }, origin).await;
        AccountRegisterPayload::answer(registered.map(Into::into))
    }

    /// Mails a new code for a registration, once a minute; the one before it is good no more.
    async fn account_register_resend(
        &self,
        ctx: &Context<'_>,
        input: AccountRegisterResendInput,
    ) -> Result<AccountRegisterResendPayload, Fault> {
        let origin = ctx.data_unchecked::<Origin>();
        let again = accounts(ctx).resend_registration(&input.registration_id, origin).await;
        AccountRegisterResendPayload::answer(again.map(Into::into))
    }
}
