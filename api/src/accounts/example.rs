//! People who are made without a mail, as examples: their addresses lead nowhere, so that there is nothing to verify.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::{
    Accounts, NewPerson, make_person,
    password::NewPassword,
    rules::{Email, Name},
};
use crate::platform::{
    Platform,
    db::Tx,
    error::{Fault, Refusal},
};

impl Accounts {
    /// The hash of a password for examples.
    ///
    /// # Errors
    /// When it is too short, too long, or easy to guess.
    pub async fn hash_for_examples(&self, password: String) -> Result<String, Refusal> {
        self.passwords.hash_new(NewPassword { field: "password", password, name: "", email: "" }).await
    }
}

/// Makes somebody with this address. None: it has an account.
///
/// # Errors
/// When name or address are none, or the database fails.
pub async fn make_example(
    platform: &Platform,
    tx: &Tx,
    name: &str,
    email: &str,
    password_hash: String,
) -> Result<Option<entity::user::Model>, Refusal> {
    let (name, email) = (Name::parse(name)?, Email::parse(email)?);
    let taken = entity::user::Entity::find().filter(entity::user::Column::EmailKey.eq(email.key()));
    if taken.count(&**tx).await.map_err(Fault::from)? > 0 {
        return Ok(None);
    }
    let new = NewPerson {
        name: name.as_str().to_owned(),
        email: email.as_typed().to_owned(),
        email_key: email.key().to_owned(),
        password_hash: Some(password_hash),
    };
    Ok(make_person(platform, tx, new).await?)
}
