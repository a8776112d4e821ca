//! Verifying the address: the code makes the account and opens its first session, in one transaction.

use entity::{PendingRegistrationId, pending_registration as row, user};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Accounts, NewPerson,
    attempts::{Attempt, Named},
    make_person,
    register::code_of,
    rules,
    session::Opened,
};
use crate::platform::{
    Platform,
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input, secret,
    viewer::Origin,
};

impl Accounts {
    /// Checks the code; a wrong one counts, also when fifty come at once.
    pub(super) async fn verify_email(
        self: &std::sync::Arc<Self>,
        registration: &str,
        code: &str,
        origin: Origin,
    ) -> Result<Opened, Refusal> {
        let id = input::id::<PendingRegistrationId>("registrationId", registration)?;
        let code = rules::typed_code(code);
        let accounts = self.clone();
        let by = origin.clone();
        let email = row::Entity::find_by_id(id).one(self.platform.db.read()).await?.map(|row| row.email_key);
        let named = email.as_deref().map_or(Named::Nobody, |email| Named::Email(email, None));
        self.counting_failures(Attempt::Code, named, &by, async move {
            let db = accounts.platform.db.clone();
            let opened = db.write::<_, Refusal, _, _>(move |tx| async move {
                // A wrong code must stay counted, so it is an outcome and not an error, which would undo the count.
                let Some(registration) = take_a_try(&accounts.platform, &tx, id).await? else { return Ok(None) };
                let right = secret::equal(code_of(&accounts.platform, &registration).as_bytes(), code.as_bytes());
                if !right || registration.taken {
                    return Ok(None);
                }
                let person = make_account(&accounts.platform, &tx, registration).await?;
                Ok(Some(accounts.open_session(&tx, person.id, &origin, false).await?))
            });
            let wrong = "This code is wrong, used up or expired. Register again to get a new one.";
            opened.await?.ok_or_else(|| UserError::at("code", Code::InvalidCode, wrong).into())
        })
        .await
    }
}

/// Counts a try, if the code still has one and its time has not passed.
async fn take_a_try(platform: &Platform, tx: &Tx, id: PendingRegistrationId) -> Result<Option<row::Model>, Fault> {
    let counted = row::Entity::update_many()
        .col_expr(row::Column::Tries, Expr::col(row::Column::Tries).add(1))
        .filter(row::Column::Id.eq(id))
        .filter(row::Column::Tries.lt(platform.config.accounts.code_tries))
        .filter(row::Column::CodeExpiresAt.gt(platform.clock.now()))
        .exec_with_returning(&**tx)
        .await?;
    Ok(counted.into_iter().next())
}

async fn make_account(platform: &Platform, tx: &Tx, registration: row::Model) -> Result<user::Model, Refusal> {
    let new = NewPerson {
        name: registration.name,
        email: registration.email,
        email_key: registration.email_key.clone(),
        password_hash: Some(registration.password_hash),
    };
    // Two registrations of one address may be verified in the same instant: the constraint lets one win.
    let person = make_person(platform, tx, new).await?.ok_or_else(|| {
        let message = "This address has an account now. Log in instead.";
        Refusal::from(UserError::at("registrationId", Code::Taken, message))
    })?;
    row::Entity::delete_many().filter(row::Column::EmailKey.eq(registration.email_key)).exec(&**tx).await?;
    Ok(person)
}
