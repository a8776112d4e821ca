//! Logging in by email and password, and proving it once more. One answer for an unknown address, a wrong password and
//! an account without one.

use std::sync::Arc;

use entity::{challenge, second_factor, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr,
};

use super::{
    Accounts,
    attempts::{Attempt, Named},
    challenge::NewChallenge,
    rules::Email,
    session::{Opened, is_live, lock_person},
};
use crate::platform::{
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    viewer::{Origin, Viewer},
};

/// What a person logs in with, as it comes.
pub(super) struct Login {
    pub(super) email: String,
    pub(super) password: String,
    pub(super) remember: bool,
}

/// How far a login has come.
pub(super) enum LoggedIn {
    /// All the way.
    Session(Box<Opened>),
    /// The password was right; the second factor is still to come.
    Challenge(Box<challenge::Model>),
}

/// How far a re-authentication has come.
pub(super) enum Reauthenticated {
    /// All the way: the session is fresh again.
    Session(Box<session::Model>),
    /// The second factor is still to come.
    Challenge(Box<challenge::Model>),
}

impl Accounts {
    /// Opens a session for whoever knows the password, or asks for the second factor.
    pub(super) async fn log_in(self: &Arc<Self>, login: Login, origin: Origin) -> Result<LoggedIn, Refusal> {
        // Also a malformed address takes the whole way: it is told like an unknown one.
        let email = Email::parse(&login.email).ok();
        let key = email.as_ref().map_or("", Email::key).to_owned();
        let db = self.platform.db.read();
        let person = user::Entity::find().filter(user::Column::EmailKey.eq(&key)).one(db).await?;
        let id = person.as_ref().map(|person| person.id);
        let named = if email.is_some() { Named::Email(&key, id) } else { Named::Nobody };
        let verified = self.counting_failures(Attempt::LogIn, named, &origin, async {
            let stored = person.as_ref().and_then(|person| person.password_hash.clone());
            let right = self.passwords.verify(login.password.clone(), stored.clone()).await?;
            match (person, stored, right) {
                (Some(person), Some(stored), true) => Ok((person, stored)),
                _ => Err(wrong_credentials()),
            }
        });
        let (person, stored) = verified.await?;
        if second_factor::Entity::find_by_id(person.id).one(db).await?.is_some() {
            // Not given back: each is a mail, or five more tries at a code.
            self.count(Attempt::Challenge, Named::Person(person.id), &origin).await?;
        }
        let stored = self.rehashed(&person, stored, login.password).await?;
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let person = lock_person(&tx, person.id).await.map_err(|_| wrong_credentials())?;
                // The password may have been changed while it was being verified.
                if person.password_hash.as_ref() != Some(&stored) {
                    return Err(wrong_credentials());
                }
                accounts.pass_first_factor(&tx, person, &origin, login.remember).await.map_err(Refusal::from)
            })
            .await
    }

    /// Opens the session, or asks for the second factor of a person who has one. The person's row must be held.
    pub(super) async fn pass_first_factor(
        &self,
        tx: &Tx,
        person: user::Model,
        origin: &Origin,
        remembered: bool,
    ) -> Result<LoggedIn, Fault> {
        let factor = second_factor::Entity::find_by_id(person.id).one(&**tx).await?;
        let Some(factor) = factor else {
            let opened = self.open_session(tx, person.id, origin, remembered).await?;
            return Ok(LoggedIn::Session(Box::new(opened)));
        };
        let new = NewChallenge {
            purpose: challenge::Purpose::Login,
            method: factor.method,
            session_id: None,
            new_email: None,
            remembered,
        };
        Ok(LoggedIn::Challenge(Box::new(self.challenge(tx, &person, new).await?)))
    }

    /// A hash made with older parameters is made anew. Gives back the hash that is stored now.
    async fn rehashed(&self, person: &user::Model, stored: String, password: String) -> Result<String, Fault> {
        if self.passwords.is_current(&stored) {
            return Ok(stored);
        }
        let hash = self.passwords.hash(password).await?;
        let (id, old, new) = (person.id, stored.clone(), hash.clone());
        let changed = self
            .platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move {
                Ok(user::Entity::update_many()
                    .col_expr(user::Column::PasswordHash, Expr::value(new))
                    .filter(user::Column::Id.eq(id))
                    .filter(user::Column::PasswordHash.eq(old))
                    .exec(&*tx)
                    .await?
                    .rows_affected)
            })
            .await?;
        Ok(if changed == 1 { hash } else { stored })
    }

    /// Proves once more who holds a session, by the password and then by the second factor of a person who has one.
    pub(super) async fn reauthenticate(
        self: &Arc<Self>,
        viewer: Viewer,
        password: String,
        origin: Origin,
    ) -> Result<Reauthenticated, Refusal> {
        let person = super::person(self.platform.db.read(), viewer.user_id).await?;
        let Some(stored) = person.password_hash.clone() else {
            let message = "This account has no password. Prove who you are with identityStart.";
            return Err(UserError::at("password", Code::WrongState, message).into());
        };
        let named = Named::Session(viewer.session_id);
        let verified = self.counting_failures(Attempt::Reauthenticate, named, &origin, async {
            if self.passwords.verify(password, Some(stored.clone())).await? {
                return Ok(());
            }
            Err(UserError::at("password", Code::InvalidCredentials, "The password is wrong.").into())
        });
        verified.await?;
        if second_factor::Entity::find_by_id(viewer.user_id).one(self.platform.db.read()).await?.is_some() {
            self.count(Attempt::Change, Named::Person(viewer.user_id), &origin).await?;
        }
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let person = lock_person(&tx, viewer.user_id).await?;
                if person.password_hash.as_ref() != Some(&stored) {
                    return Err(UserError::at("password", Code::InvalidCredentials, "The password is wrong.").into());
                }
                Ok(accounts.pass_first_factor_again(&tx, viewer, &person).await?)
            })
            .await
    }

    /// Makes the session fresh, or asks for the second factor of a person who has one. The person's row must be held.
    pub(super) async fn pass_first_factor_again(
        &self,
        tx: &Tx,
        viewer: Viewer,
        person: &user::Model,
    ) -> Result<Reauthenticated, Fault> {
        let factor = second_factor::Entity::find_by_id(person.id).one(&**tx).await?;
        let Some(factor) = factor else {
            return Ok(Reauthenticated::Session(Box::new(self.make_fresh(tx, viewer).await?)));
        };
        let new = NewChallenge {
            purpose: challenge::Purpose::Reauthentication,
            method: factor.method,
            session_id: Some(viewer.session_id),
            new_email: None,
            remembered: false,
        };
        Ok(Reauthenticated::Challenge(Box::new(self.challenge(tx, person, new).await?)))
    }

    /// Notes that the person behind a live session has just proven who they are.
    pub(super) async fn make_fresh(&self, tx: &Tx, viewer: Viewer) -> Result<session::Model, Fault> {
        let now = self.platform.clock.now();
        let found = session::Entity::find_by_id(viewer.session_id).one(&**tx).await?;
        let live = found.filter(|session| session.user_id == viewer.user_id && is_live(session, now));
        let mut session = live.ok_or(Fault::Unauthenticated)?.into_active_model();
        session.authenticated_at = Set(now);
        Ok(session.update(&**tx).await?)
    }
}

fn wrong_credentials() -> Refusal {
    UserError::at("", Code::InvalidCredentials, "Email or password is wrong.").into()
}
