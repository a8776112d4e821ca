//! Logging in by email and password. One answer for an unknown address, a wrong password and an account without one.

use std::sync::Arc;

use entity::user;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{Accounts, rules::Email, session::Opened};
use crate::platform::{
    error::{Refusal, UserError, UserErrorCode as Code},
    viewer::Origin,
};

/// What a person logs in with, as it comes.
pub(super) struct Login {
    pub(super) email: String,
    pub(super) password: String,
    pub(super) remember: bool,
}

impl Accounts {
    /// Opens a session for whoever knows the password.
    pub(super) async fn log_in(
        self: &Arc<Self>,
        login: Login,
        origin: Origin,
    ) -> Result<(user::Model, Opened), Refusal> {
        // Also a malformed address takes the whole way: it is told like an unknown one.
        let key = Email::parse(&login.email).map_or_else(|_| String::new(), |email| email.key().to_owned());
        let person = user::Entity::find().filter(user::Column::EmailKey.eq(key)).one(self.platform.db.read()).await?;
        let stored = person.as_ref().and_then(|person| person.password_hash.clone());
        let right = self.passwords.verify(login.password, stored).await?;
        let Some(person) = person.filter(|_| right) else {
            let message = "Email or password is wrong.";
            return Err(UserError::at("", Code::InvalidCredentials, message).into());
        };
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let opened = accounts.open_session(&tx, person.id, &origin, login.remember).await?;
                Ok((person, opened))
            })
            .await
    }
}
