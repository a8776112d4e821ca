//! Registering: a code goes to the address, whoever has it; the answer is the same for a new address and a taken one.

use chrono::TimeDelta;
use entity::{PendingRegistrationId, pending_registration as row, user};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use super::{
    Accounts,
    jobs::REGISTRATION_MAIL,
    rules::{self, Email, Name},
};
use crate::platform::{
    Platform,
    error::{Fault, Refusal},
    input::Mistakes,
    jobs::{self, NewJob},
};

/// What a person registers with, as it comes.
pub(super) struct Registration {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) password: String,
}

impl Accounts {
    /// Writes the registration down and asks for its mail.
    pub(super) async fn register(&self, input: Registration) -> Result<row::Model, Refusal> {
        let mut mistakes = Mistakes::default();
        let name = mistakes.take(Name::parse(&input.name));
        let email = mistakes.take(Email::parse(&input.email));
        mistakes.take(rules::new_password(&input.password, &input.name, &input.email));
        mistakes.none()?;
        let (Some(name), Some(email)) = (name, email) else {
            return Err(Fault::Internal("a registration without mistakes has a name and an address".into()).into());
        };
        // Also for a taken address, which would otherwise be told by the time it takes.
        let password_hash = self.passwords.hash(input.password).await?;
        let platform = self.platform.clone();
        self.platform
            .db
            .write(move |tx| async move { write_down(&platform, &tx, name, email, password_hash).await })
            .await
    }
}

async fn write_down(
    platform: &Platform,
    tx: &crate::platform::db::Tx,
    name: Name,
    email: Email,
    password_hash: String,
) -> Result<row::Model, Refusal> {
    let accounts = &platform.config.accounts;
    let now = platform.clock.now();
    let cooldown = TimeDelta::from_std(accounts.code_cooldown).unwrap_or_default();
    let taken = user::Entity::find().filter(user::Column::EmailKey.eq(email.key())).count(&**tx).await? > 0;
    let last = row::Entity::find()
        .filter(row::Column::EmailKey.eq(email.key()))
        .order_by_desc(row::Column::CodeSentAt)
        .one(&**tx)
        .await?;
    // An address gets one mail per cooldown, so that nobody's inbox can be flooded; a later one waits its turn.
    let code_sent_at = last.map_or(now, |last| now.max(last.code_sent_at + cooldown));
    let registration = row::ActiveModel {
        id: Set(PendingRegistrationId::from_uuid(platform.new_uuid())),
        name: Set(name.as_str().to_owned()),
        email: Set(email.as_typed().to_owned()),
        email_key: Set(email.key().to_owned()),
        password_hash: Set(password_hash),
        taken: Set(taken),
        code_sent_at: Set(code_sent_at),
        code_expires_at: Set(code_sent_at + TimeDelta::from_std(accounts.code_lifetime).unwrap_or_default()),
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
    let mac = platform.secrets.mac("registration-code", &[registration.id.uuid().as_bytes(), &sent_at]);
    let mut number = [0; 8];
    number.copy_from_slice(&mac[..8]);
    // 2^64 is so much larger than 10^6 that no code is noticeably likelier than another.
    format!("{:06}", u64::from_be_bytes(number) % 1_000_000)
}
