//! What must be proven with a code. Codes are derived from the row, tries are counted in the row and by the limits.
//! Promise: a code is taken once, also when fifty come at once.

use std::sync::Arc;

use entity::{ChallengeId, SessionId, account_mail, challenge as row, second_factor::Method, session, user};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{
    Accounts,
    attempts::{Attempt, Named},
    email_change, mails, rules,
    session::{Opened, lock_person},
};
use crate::platform::{
    Platform,
    clock::span,
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input, secret,
    viewer::{Origin, Viewer},
};

/// A challenge to be made.
pub(super) struct NewChallenge {
    pub(super) purpose: row::Purpose,
    pub(super) method: Method,
    pub(super) session_id: Option<SessionId>,
    pub(super) new_email: Option<String>,
    pub(super) remembered: bool,
}

/// What came of completing a challenge.
pub(super) enum Completed {
    /// The login is complete.
    Opened(Box<Opened>),
    /// The session's authentication is fresh again.
    Fresh(Box<session::Model>),
}

impl Accounts {
    /// Makes a challenge and asks for the mail with its code, if it has one. The person's row must be held.
    pub(super) async fn challenge(
        &self,
        tx: &Tx,
        person: &user::Model,
        new: NewChallenge,
    ) -> Result<row::Model, Fault> {
        let settings = &self.platform.config.accounts;
        let now = self.platform.clock.now();
        let after = |from, duration| from + span(duration);
        let mailed = new.method == Method::Email;
        let last = row::Entity::visible_to(person.id)
            .filter(row::Column::Purpose.eq(new.purpose))
            .filter(row::Column::Method.eq(Method::Email))
            .order_by_desc(row::Column::CodeSentAt);
        let last = if mailed { last.one(&**tx).await? } else { None };
        // One mail per cooldown; a later one waits its turn, but nobody longer than one cooldown: how many there are is
        // limited besides.
        let turn = last.map_or(now, |last| after(last.code_sent_at, settings.code_cooldown));
        let code_sent_at = turn.clamp(now, after(now, settings.code_cooldown));
        let totp_setup = !mailed && new.purpose == row::Purpose::SecondFactorSetup;
        let lifetime = if totp_setup { settings.setup_lifetime } else { settings.code_lifetime };
        let challenge = row::ActiveModel {
            id: Set(ChallengeId::from_uuid(self.platform.new_uuid())),
            user_id: Set(person.id),
            purpose: Set(new.purpose),
            method: Set(new.method),
            session_id: Set(new.session_id),
            new_email: Set(new.new_email),
            remembered: Set(new.remembered),
            tries: Set(0),
            code_sent_at: Set(code_sent_at),
            expires_at: Set(after(code_sent_at, lifetime)),
            created_at: Set(now),
        };
        let challenge = challenge.insert(&**tx).await?;
        if mailed {
            self.mail_code(tx, person, &challenge).await?;
        }
        Ok(challenge)
    }

    async fn mail_code(&self, tx: &Tx, person: &user::Model, challenge: &row::Model) -> Result<(), Fault> {
        let mail = mails::NewMail {
            user_id: person.id,
            kind: account_mail::Kind::Code,
            email: challenge.new_email.clone().unwrap_or_else(|| person.email.clone()),
            // To an address that is not theirs yet goes no word of their own.
            name: if challenge.new_email.is_some() { String::new() } else { person.name.clone() },
            subject_id: Some(challenge.id.uuid()),
            due_at: challenge.code_sent_at,
        };
        mails::enqueue_to(&self.platform, tx, mail).await
    }

    /// Completes the challenge of a login, or of a re-authentication.
    pub(super) async fn complete_challenge(
        self: &Arc<Self>,
        id: &str,
        code: &str,
        viewer: Option<Viewer>,
        origin: Origin,
    ) -> Result<Completed, Refusal> {
        let id = input::id::<ChallengeId>("challengeId", id)?;
        let code = rules::typed_code(code);
        let found = row::Entity::find_by_id(id).one(self.platform.db.read()).await?;
        // Who only knows the password cannot use up the tries of those who are inside.
        let (what, named) = match &found {
            None => (Attempt::Code, Named::Nobody),
            Some(found) if found.purpose == row::Purpose::Login => (Attempt::LogInCode, Named::Person(found.user_id)),
            Some(found) => (Attempt::ChangeCode, Named::Person(found.user_id)),
        };
        let accounts = self.clone();
        let by = origin.clone();
        self.counting_failures(what, named, &by, async move {
            let found = found.ok_or_else(wrong_code)?;
            // Of another session, or of another mutation's: not looked at, and not used up.
            let fits = match (found.purpose, viewer) {
                (row::Purpose::Login, _) => true,
                (row::Purpose::Reauthentication, Some(viewer)) => {
                    viewer.user_id == found.user_id && found.session_id == Some(viewer.session_id)
                }
                (row::Purpose::Reauthentication, None)
                | (row::Purpose::SecondFactorSetup | row::Purpose::EmailChange, _) => false,
            };
            if !fits {
                return Err(wrong_code());
            }
            let db = accounts.platform.db.clone();
            let completed = db.write::<_, Refusal, _, _>(move |tx| async move {
                let person = lock_person(&tx, found.user_id).await?;
                // A wrong code must stay counted, so it is an outcome and not an error, which would undo the count.
                let Some(challenge) = accounts.take_challenge(&tx, id, &code).await? else { return Ok(None) };
                let Some(viewer) = viewer.filter(|_| challenge.purpose == row::Purpose::Reauthentication) else {
                    let opened = accounts.open_session(&tx, person.id, &origin, challenge.remembered).await?;
                    return Ok(Some(Completed::Opened(Box::new(opened))));
                };
                Ok(Some(Completed::Fresh(Box::new(accounts.make_fresh(&tx, viewer).await?))))
            });
            completed.await?.ok_or_else(wrong_code)
        })
        .await
    }

    /// Takes the challenge if the code is right: it is gone then. A wrong code counts. The person's row must be held.
    pub(super) async fn take_challenge(
        &self,
        tx: &Tx,
        id: ChallengeId,
        code: &str,
    ) -> Result<Option<row::Model>, Fault> {
        let counted = row::Entity::update_many()
            .col_expr(row::Column::Tries, Expr::col(row::Column::Tries).add(1))
            .filter(row::Column::Id.eq(id))
            .filter(row::Column::Tries.lt(self.platform.config.accounts.code_tries))
            .filter(row::Column::ExpiresAt.gt(self.platform.clock.now()))
            .exec_with_returning(&**tx)
            .await?;
        let Some(challenge) = counted.into_iter().next() else { return Ok(None) };
        if !self.is_right(tx, &challenge, code).await? {
            return Ok(None);
        }
        row::Entity::delete_by_id(id).exec(&**tx).await?;
        Ok(Some(challenge))
    }

    /// The same for a change that this session began; anything else is not looked at, and not used up.
    pub(super) async fn take_own_challenge(
        &self,
        tx: &Tx,
        viewer: Viewer,
        purpose: row::Purpose,
        (id, code): (ChallengeId, &str),
    ) -> Result<Option<row::Model>, Fault> {
        let found = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.eq(id)).one(&**tx).await?;
        if found.is_some_and(|it| it.purpose == purpose && it.session_id == Some(viewer.session_id)) {
            return self.take_challenge(tx, id, code).await;
        }
        Ok(None)
    }

    async fn is_right(&self, tx: &Tx, challenge: &row::Model, code: &str) -> Result<bool, Fault> {
        let takes_recovery = matches!(challenge.purpose, row::Purpose::Login | row::Purpose::Reauthentication);
        if takes_recovery && self.use_recovery_code(tx, challenge.user_id, code).await? {
            return Ok(true);
        }
        match challenge.method {
            Method::Email => Ok(secret::equal(code_of(&self.platform, challenge).as_bytes(), code.as_bytes())),
            Method::Totp if challenge.purpose == row::Purpose::SecondFactorSetup => {
                Ok(self.totp_step(challenge.user_id, challenge.id.uuid(), code).is_some())
            }
            Method::Totp => self.use_totp_code(tx, challenge.user_id, code).await,
        }
    }

    /// Mails a new code for a challenge; the one before it is good no more.
    pub(super) async fn resend_code(self: &Arc<Self>, id: &str, origin: Origin) -> Result<row::Model, Refusal> {
        let id = input::id::<ChallengeId>("challengeId", id)?;
        let found = row::Entity::find_by_id(id).one(self.platform.db.read()).await?;
        let named = found.as_ref().map_or(Named::Nobody, |found| Named::Person(found.user_id));
        // Every mail counts; asking too early is told, and does not.
        let taken = self.attempt(Attempt::Register, named, &origin).await?;
        let gone = || Refusal::from(UserError::at("challengeId", Code::InvalidCode, "This is over. Begin again."));
        let found = found.ok_or_else(gone)?;
        let accounts = self.clone();
        let again = self
            .platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let person = lock_person(&tx, found.user_id).await?;
                let now = accounts.platform.clock.now();
                let settings = &accounts.platform.config.accounts;
                let challenge = row::Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(&*tx).await?;
                let challenge = challenge.filter(|challenge| challenge.expires_at > now).ok_or_else(gone)?;
                if challenge.method != Method::Email {
                    let message = "This code is not mailed: it is in the authenticator app.";
                    return Err(UserError::at("challengeId", Code::WrongState, message).into());
                }
                let again_at = challenge.code_sent_at + span(settings.code_cooldown);
                if let Ok(wait) = (again_at - now).to_std()
                    && !wait.is_zero()
                {
                    return Err(Fault::RateLimited(wait).into());
                }
                let mut challenge = challenge.into_active_model();
                challenge.code_sent_at = Set(now);
                challenge.expires_at = Set(now + span(settings.code_lifetime));
                challenge.tries = Set(0);
                let challenge = challenge.update(&*tx).await?;
                accounts.mail_code(&tx, &person, &challenge).await?;
                if let Some(email) = &challenge.new_email
                    && email_change::is_taken(&tx, &person, email).await?
                {
                    mails::retitle(&tx, challenge.id.uuid(), account_mail::Kind::EmailTaken).await?;
                }
                Ok(challenge)
            })
            .await?;
        taken.keep().await;
        Ok(again)
    }
}

/// One answer for a code that is wrong, used up, expired, or of nothing that there is.
pub(super) fn wrong_code() -> Refusal {
    let message = "This code is wrong, used up or expired. Try again, or begin again to get a new one.";
    UserError::at("code", Code::InvalidCode, message).into()
}

/// The six digits that are mailed: derived under the server's key, so that they are stored nowhere.
pub(super) fn code_of(platform: &Platform, challenge: &row::Model) -> String {
    let sent_at = challenge.code_sent_at.timestamp_micros().to_be_bytes();
    secret::six_digits(&platform.secrets.mac("challenge-code", &[challenge.id.uuid().as_bytes(), &sent_at]))
}
