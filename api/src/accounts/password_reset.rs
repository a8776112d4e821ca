//! Changing the password, and getting in without it when it is forgotten.
//! Promise: who asks for a link hears and waits the same whether or not the address has an account, because the
//! request does not look: the worker does. A new password ends every other session.

use std::sync::Arc;

use entity::{PasswordResetId, account_mail, password_reset as row, user};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::{
    Accounts,
    attempts::{Attempt, Named},
    links, mails,
    password::NewPassword,
    rules::Email,
    session::{lock_fresh, lock_person},
};
use crate::platform::{
    clock::{Instant, span},
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    jobs::{self, NewJob},
    viewer::{Origin, Viewer},
};

impl Accounts {
    /// Asks for a link. Gives back until when it will be good.
    pub(super) async fn forgot_password(&self, email: &str, origin: &Origin) -> Result<Instant, Refusal> {
        let email = Email::parse(email)?;
        self.count(Attempt::Forgot, Named::Email(email.key(), None), origin).await?;
        let platform = self.platform.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let now = platform.clock.now();
                let lifetime = platform.config.accounts.reset_lifetime;
                let id = PasswordResetId::from_uuid(platform.new_uuid());
                let reset = row::ActiveModel {
                    id: Set(id),
                    email_key: Set(email.key().to_owned()),
                    token_hash: Set(links::PASSWORD_RESET.hash(&platform, id.uuid())),
                    expires_at: Set(now + span(lifetime)),
                    created_at: Set(now),
                };
                let reset = reset.insert(&*tx).await?;
                let job = NewJob { kind: mails::RESET_MAIL, subject_id: id.uuid(), user_id: None, due_at: now };
                jobs::enqueue(&platform, &tx, &[job]).await?;
                Ok(reset.expires_at)
            })
            .await
    }

    /// Sets a new password for whoever holds a link. Every session ends.
    pub(super) async fn reset_password(
        self: &Arc<Self>,
        token: &str,
        password: String,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        let found = self.counting_failures(Attempt::Code, Named::Nobody, origin, async {
            let db = self.platform.db.read();
            let hash = links::hash_of(token).ok_or_else(dead_link)?;
            let live = row::Column::ExpiresAt.gt(self.platform.clock.now());
            let reset = row::Entity::find().filter(row::Column::TokenHash.eq(hash)).filter(live).one(db).await?;
            let reset = reset.ok_or_else(dead_link)?;
            let person = user::Entity::find().filter(user::Column::EmailKey.eq(&reset.email_key)).one(db).await?;
            Ok((reset, person.ok_or_else(dead_link)?))
        });
        let (reset, person) = found.await?;
        let new = NewPassword { field: "newPassword", password, name: &person.name, email: &person.email };
        let hash = self.passwords.hash_new(new).await?;
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let person = lock_person(&tx, person.id).await.map_err(|_| dead_link())?;
                let used = row::Entity::delete_by_id(reset.id).exec(&*tx).await?.rows_affected;
                // Used in the same instant by another, or the address is another one by now.
                if used == 0 || person.email_key != reset.email_key {
                    return Err(dead_link());
                }
                accounts.put_password(&tx, person.clone(), hash).await?;
                accounts.end_others_in(&tx, person.id, None).await?;
                Ok(())
            })
            .await
    }

    /// Sets a new password for a viewer who has just proven who they are. Every other session ends.
    pub(super) async fn change_password(
        self: &Arc<Self>,
        viewer: Viewer,
        password: String,
        origin: &Origin,
    ) -> Result<user::Model, Refusal> {
        let person = super::person(self.platform.db.read(), viewer.user_id).await?;
        // Looked at before the work: a hash is dear. What counts is looked at again below.
        self.must_be_fresh(viewer).await?;
        let taken = self.attempt(Attempt::NewPassword, Named::Person(viewer.user_id), origin).await?;
        let new = NewPassword { field: "newPassword", password, name: &person.name, email: &person.email };
        let hash = self.passwords.hash_new(new).await?;
        taken.keep().await;
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let person = accounts.put_password(&tx, person, hash).await?;
                accounts.end_others_in(&tx, viewer.user_id, Some(viewer.session_id)).await?;
                Ok(person)
            })
            .await
    }

    async fn put_password(&self, tx: &Tx, person: user::Model, hash: String) -> Result<user::Model, Fault> {
        row::Entity::delete_many().filter(row::Column::EmailKey.eq(&person.email_key)).exec(&**tx).await?;
        let mut changed = person.into_active_model();
        changed.password_hash = Set(Some(hash));
        changed.updated_at = Set(self.platform.clock.now());
        let person = changed.update(&**tx).await?;
        mails::enqueue(&self.platform, tx, &person, account_mail::Kind::PasswordChanged, None).await?;
        Ok(person)
    }
}

fn dead_link() -> Refusal {
    let message = "This link is wrong, used up or expired. Ask for a new one.";
    UserError::at("token", Code::InvalidCode, message).into()
}
