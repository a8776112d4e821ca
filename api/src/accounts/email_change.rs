//! A new address: a code to the new one, a notice with a way back to the old one.

use std::sync::Arc;

use entity::{
    ChallengeId, EmailChangeId, account_mail, challenge, challenge::Purpose, email_change as row, identity,
    password_reset, second_factor, second_factor::Method, user,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    SqlErr,
};

use super::{
    Accounts,
    attempts::{Attempt, Named},
    challenge::{NewChallenge, wrong_code},
    links, mails,
    rules::{self, Email},
    session::{lock_fresh, lock_person},
};
use crate::platform::{
    clock::span,
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input,
    viewer::{Origin, Viewer},
};

impl Accounts {
    /// Mails a code to the new address, or says there that it has an account already; the answer is the same.
    pub(super) async fn start_email_change(
        self: &Arc<Self>,
        viewer: Viewer,
        email: &str,
        origin: &Origin,
    ) -> Result<challenge::Model, Refusal> {
        let email = Email::parse(email)?;
        // Every mail to an address that need not be the viewer's counts.
        self.count(Attempt::Change, Named::Person(viewer.user_id), origin).await?;
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let taken = is_taken(&tx, &person, email.as_typed()).await?;
                let new = NewChallenge {
                    purpose: Purpose::EmailChange,
                    method: Method::Email,
                    session_id: Some(viewer.session_id),
                    new_email: Some(email.as_typed().to_owned()),
                    remembered: false,
                };
                let challenge = accounts.challenge(&tx, &person, new).await?;
                if taken {
                    mails::retitle(&tx, challenge.id.uuid(), account_mail::Kind::EmailTaken).await?;
                }
                Ok(challenge)
            })
            .await
    }

    /// Makes the new address the account's, if the code is right.
    pub(super) async fn confirm_email_change(
        self: &Arc<Self>,
        viewer: Viewer,
        id: &str,
        code: &str,
        origin: &Origin,
    ) -> Result<user::Model, Refusal> {
        let id = input::id::<ChallengeId>("challengeId", id)?;
        let code = rules::typed_code(code);
        let accounts = self.clone();
        let named = Named::Person(viewer.user_id);
        self.counting_failures(Attempt::ChangeCode, named, origin, async move {
            let db = accounts.platform.db.clone();
            let changed = db.write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let taken = accounts.take_own_challenge(&tx, viewer, Purpose::EmailChange, (id, &code)).await?;
                let Some(challenge) = taken else { return Ok(None) };
                let new = challenge.new_email.unwrap_or_default();
                accounts.put_email(&tx, person, &Email::parse(&new)?).await.map(Some)
            });
            changed.await?.ok_or_else(wrong_code)
        })
        .await
    }

    async fn put_email(&self, tx: &Tx, person: user::Model, new: &Email) -> Result<user::Model, Refusal> {
        let now = self.platform.clock.now();
        let id = EmailChangeId::from_uuid(self.platform.new_uuid());
        let lifetime = self.platform.config.accounts.email_undo_lifetime;
        let change = row::ActiveModel {
            id: Set(id),
            user_id: Set(person.id),
            old_email: Set(person.email.clone()),
            undo_hash: Set(links::EMAIL_UNDO.hash(&self.platform, id.uuid())),
            expires_at: Set(now + span(lifetime)),
            created_at: Set(now),
        };
        change.insert(&**tx).await?;
        let kind = account_mail::Kind::EmailChanged;
        mails::enqueue(&self.platform, tx, &person, kind, Some(id.uuid())).await?;
        self.set_email(tx, person, new.as_typed(), new.key()).await
    }

    async fn set_email(&self, tx: &Tx, person: user::Model, email: &str, key: &str) -> Result<user::Model, Refusal> {
        // Links that were asked for under either address open nothing any more.
        let links = password_reset::Column::EmailKey.is_in([person.email_key.as_str(), key]);
        password_reset::Entity::delete_many().filter(links).exec(&**tx).await?;
        let mut changed = person.into_active_model();
        changed.email = Set(email.to_owned());
        changed.email_key = Set(key.to_owned());
        changed.updated_at = Set(self.platform.clock.now());
        changed.update(&**tx).await.map_err(taken_or_fault)
    }

    /// Takes a change of address back, from the old one. Every session ends: whoever changed it may not be the owner.
    pub(super) async fn undo_email_change(
        self: &Arc<Self>,
        token: &str,
        origin: &Origin,
    ) -> Result<user::Model, Refusal> {
        let accounts = self.clone();
        let hash = links::hash_of(token);
        self.counting_failures(Attempt::Code, Named::Nobody, origin, async move {
            let hash = hash.ok_or_else(dead_link)?;
            let db = accounts.platform.db.clone();
            db.write::<_, Refusal, _, _>(move |tx| async move { accounts.undo_in(&tx, hash).await }).await
        })
        .await
    }

    async fn undo_in(&self, tx: &Tx, hash: Vec<u8>) -> Result<user::Model, Refusal> {
        let found = row::Entity::find()
            .filter(row::Column::UndoHash.eq(hash))
            .filter(row::Column::ExpiresAt.gt(self.platform.clock.now()))
            .one(&**tx)
            .await?;
        let change = found.ok_or_else(dead_link)?;
        let person = lock_person(tx, change.user_id).await?;
        // This change and those after it: a thief may have made several.
        let since = row::Column::CreatedAt.gte(change.created_at);
        let undone = row::Entity::delete_many().filter(row::Column::UserId.eq(person.id)).filter(since);
        if undone.exec(&**tx).await?.rows_affected == 0 {
            return Err(dead_link());
        }
        // So are the ways in that were made since, and what would keep the owner out; also shortly before, because a
        // thief may well have begun with these.
        let thief_since = change.created_at - span(self.platform.config.accounts.email_undo_lifetime);
        identity::Entity::delete_many()
            .filter(identity::Column::UserId.eq(person.id))
            .filter(identity::Column::CreatedAt.gte(thief_since))
            .exec(&**tx)
            .await?;
        second_factor::Entity::delete_many()
            .filter(second_factor::Column::UserId.eq(person.id))
            .filter(second_factor::Column::CreatedAt.gte(thief_since))
            .exec(&**tx)
            .await?;
        let old = Email::parse(&change.old_email)?;
        let person = self.set_email(tx, person, old.as_typed(), old.key()).await?;
        challenge::Entity::delete_many().filter(challenge::Column::UserId.eq(person.id)).exec(&**tx).await?;
        self.end_others_in(tx, person.id, None).await?;
        Ok(person)
    }
}

/// Whether an address is another account's.
pub(super) async fn is_taken(tx: &Tx, person: &user::Model, email: &str) -> Result<bool, Fault> {
    let key = email.to_lowercase();
    let same_key = user::Entity::find().filter(user::Column::EmailKey.eq(&key));
    Ok(key != person.email_key && same_key.count(&**tx).await? > 0)
}

fn taken_or_fault(error: DbErr) -> Refusal {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            UserError::at("", Code::Taken, "This address has another account now.").into()
        }
        _ => Fault::from(error).into(),
    }
}

fn dead_link() -> Refusal {
    UserError::at("token", Code::InvalidCode, "This link is wrong, used up or expired.").into()
}
