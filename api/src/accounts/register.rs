//! Registering: a code goes to the address, whoever has it; the answer is the same for a new address and a taken one.

use entity::{PendingRegistrationId, pending_registration as row, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::LockType,
};

use super::{
    Accounts,
    attempts::{Attempt, Named},
    mails::REGISTRATION_MAIL,
    password::NewPassword,
    rules::{self, Email, Name},
};
use crate::platform::{
    Platform,
    clock::{Instant, span},
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input::{self, Mistakes},
    jobs::{self, NewJob},
    secret,
    viewer::Origin,
};

/// What a person registers with, as it comes.
pub(super) struct Registration {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) password: String,
}

impl Accounts {
    /// Writes the registration down and asks for its mail.
    pub(super) async fn register(&self, input: Registration, origin: &Origin) -> Result<row::Model, Refusal> {
        let mut mistakes = Mistakes::default();
        let name = mistakes.take(Name::parse(&input.name));
        let email = mistakes.take(Email::parse(&input.email));
        mistakes.take(rules::password_length("password", &input.password));
        mistakes.none()?;
        let (Some(name), Some(email)) = (name, email) else {
            return Err(Fault::Internal("a registration without mistakes has a name and an address".into()).into());
        };
        let taken = self.attempt(Attempt::Register, Named::Email(email.key(), None), origin).await?;
        // Also for a taken address, which would otherwise be told by the time it takes.
        let new =
            NewPassword { field: "password", password: input.password, name: name.as_str(), email: email.as_typed() };
        let password_hash = self.passwords.hash_new(new).await?;
        taken.keep().await;
        let platform = self.platform.clone();
        self.platform
            .db
            .write(move |tx| async move { write_down(&platform, &tx, name, email, password_hash).await })
            .await
    }

    /// Mails a new code for a registration; the one before it is good no more.
    pub(super) async fn resend_registration(&self, id: &str, origin: &Origin) -> Result<row::Model, Refusal> {
        let id = input::id::<PendingRegistrationId>("registrationId", id)?;
        let found = row::Entity::find_by_id(id).one(self.platform.db.read()).await?;
        let named = found.as_ref().map_or(Named::Nobody, |found| Named::Email(&found.email_key, None));
        // Asking too early is told, and does not count.
        let taken = self.attempt(Attempt::Register, named, origin).await?;
        let platform = self.platform.clone();
        let again = self.platform.db.write(move |tx| async move { send_again(&platform, &tx, id).await }).await?;
        taken.keep().await;
        Ok(again)
    }
}

async fn send_again(platform: &Platform, tx: &Tx, id: PendingRegistrationId) -> Result<row::Model, Refusal> {
    let accounts = &platform.config.accounts;
    let now = platform.clock.now();
    let over = || UserError::at("registrationId", Code::InvalidCode, "This registration is over. Register again.");
    let found = row::Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(&**tx).await?.ok_or_else(over)?;
    let again_at = next_mail_at(platform, tx, &found.email_key, now).await?;
    if again_at > now {
        return Err(Fault::RateLimited((again_at - now).to_std().unwrap_or_default()).into());
    }
    let mut again = found.into_active_model();
    again.code_sent_at = Set(now);
    again.code_expires_at = Set(now + span(accounts.code_lifetime));
    again.tries = Set(0);
    let again = again.update(&**tx).await?;
    let mail = NewJob { kind: REGISTRATION_MAIL, subject_id: id.uuid(), user_id: None, due_at: now };
    jobs::enqueue(platform, tx, &[mail]).await?;
    Ok(again)
}

/// When an address may be mailed a code: now, or when the last mail is old enough. So nobody's inbox can be flooded; who
/// asks meanwhile waits their turn.
async fn next_mail_at(platform: &Platform, tx: &Tx, email_key: &str, now: Instant) -> Result<Instant, DbErr> {
    let last = row::Entity::find()
        .filter(row::Column::EmailKey.eq(email_key))
        .order_by_desc(row::Column::CodeSentAt)
        .one(&**tx)
        .await?;
    let cooldown = span(platform.config.accounts.code_cooldown);
    Ok(last.map_or(now, |last| now.max(last.code_sent_at + cooldown)))
}

async fn write_down(
    platform: &Platform,
    tx: &Tx,
    name: Name,
    email: Email,
    password_hash: String,
) -> Result<row::Model, Refusal> {
    let accounts = &platform.config.accounts;
    let now = platform.clock.now();
    let taken = user::Entity::find().filter(user::Column::EmailKey.eq(email.key())).count(&**tx).await? > 0;
    let code_sent_at = next_mail_at(platform, tx, email.key(), now).await?;
    let registration = row::ActiveModel {
        id: Set(PendingRegistrationId::from_uuid(platform.new_uuid())),
        name: Set(name.as_str().to_owned()),
        email: Set(email.as_typed().to_owned()),
        email_key: Set(email.key().to_owned()),
        password_hash: Set(password_hash),
        taken: Set(taken),
        code_sent_at: Set(code_sent_at),
        code_expires_at: Set(code_sent_at + span(accounts.code_lifetime)),
        tries: Set(0),
        created_at: Set(now),
    };
    let registration = registration.insert(&**tx).await?;
    let mail = NewJob {
        kind: REGISTRATION_MAIL,
        subject_id: registration.id.uuid(),
        user_id: None,
        due_at: registration.code_sent_at,
    };
    jobs::enqueue(platform, tx, &[mail]).await?;
    Ok(registration)
}

/// The six digits of a registration: derived under the server's key, so that they are stored nowhere.
pub(super) fn code_of(platform: &Platform, registration: &row::Model) -> String {
    let sent_at = registration.code_sent_at.timestamp_micros().to_be_bytes();
    secret::six_digits(&platform.secrets.mac("registration-code", &[registration.id.uuid().as_bytes(), &sent_at]))
}
