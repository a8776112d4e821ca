//! The mails of this room, sent by the job engine: the request that asks for one does not wait for a mail server.
//! Promise: a mail is asked for in the transaction of what it tells, and no code and no token lies in a row.

use askama::Template;
use entity::{
    AccountMailId, ChallengeId, EmailChangeId, PasswordResetId, PendingRegistrationId, UserId,
    account_mail::{self as row, Kind},
    challenge, email_change, password_reset, pending_registration, user,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{challenge as challenges, links, register::code_of};
use crate::platform::{
    Platform,
    clock::Instant,
    db::Tx,
    error::Fault,
    jobs::{self, Engine, Failure, Held, NewJob},
    mail::Mail,
};

/// Mails the code of a registration, or says that the address has an account.
pub(super) const REGISTRATION_MAIL: &str = "accounts.registration_mail";
/// Mails the link for a forgotten password, if the address has an account.
pub(super) const RESET_MAIL: &str = "accounts.reset_mail";
/// Sends a row of `account_mails`.
const ACCOUNT_MAIL: &str = "accounts.mail";

#[derive(Template)]
#[template(path = "accounts/mail/code.html")]
struct CodeHtml<'a> {
    name: &'a str,
    code: &'a str,
    minutes: u64,
    otherwise: &'a str,
}

#[derive(Template)]
#[template(path = "accounts/mail/code.txt")]
struct CodeText<'a> {
    name: &'a str,
    code: &'a str,
    minutes: u64,
    otherwise: &'a str,
}

#[derive(Template)]
#[template(path = "accounts/mail/notice.html")]
struct NoticeHtml<'a> {
    name: &'a str,
    notice: &'a Notice<'a>,
}

#[derive(Template)]
#[template(path = "accounts/mail/notice.txt")]
struct NoticeText<'a> {
    name: &'a str,
    notice: &'a Notice<'a>,
}

/// A mail without a code: what happened, where to go, and what to do if it was not the person.
struct Notice<'a> {
    subject: &'a str,
    what: &'a str,
    label: &'a str,
    url: String,
    otherwise: &'a str,
}

/// A mail to be written down.
pub(super) struct NewMail {
    pub(super) user_id: UserId,
    pub(super) kind: Kind,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) subject_id: Option<Uuid>,
    pub(super) due_at: Instant,
}

/// Asks for a mail to a person at the address that they have now.
pub(super) async fn enqueue(
    platform: &Platform,
    tx: &Tx,
    person: &user::Model,
    kind: Kind,
    subject_id: Option<Uuid>,
) -> Result<(), Fault> {
    let (email, name) = (person.email.clone(), person.name.clone());
    let due_at = platform.clock.now();
    enqueue_to(platform, tx, NewMail { user_id: person.id, kind, email, name, subject_id, due_at }).await
}

/// Asks for a mail to an address.
pub(super) async fn enqueue_to(platform: &Platform, tx: &Tx, new: NewMail) -> Result<(), Fault> {
    let id = AccountMailId::from_uuid(platform.new_uuid());
    let mail = row::ActiveModel {
        id: Set(id),
        user_id: Set(new.user_id),
        kind: Set(new.kind),
        email: Set(new.email),
        name: Set(new.name),
        subject_id: Set(new.subject_id),
        created_at: Set(platform.clock.now()),
    };
    mail.insert(&**tx).await?;
    // Not the person's own job: the last mail outlives the account.
    let job = NewJob { kind: ACCOUNT_MAIL, subject_id: id.uuid(), user_id: None, due_at: new.due_at };
    Ok(jobs::enqueue(platform, tx, &[job]).await?)
}

/// Lets the mail about this subject say something else.
pub(super) async fn retitle(tx: &Tx, subject_id: Uuid, kind: Kind) -> Result<(), Fault> {
    let about = row::Entity::update_many().filter(row::Column::SubjectId.eq(subject_id));
    Ok(about.col_expr(row::Column::Kind, Expr::value(kind)).exec(&**tx).await.map(drop)?)
}

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.singles(REGISTRATION_MAIL, registration_mail);
    engine.singles(RESET_MAIL, reset_mail);
    engine.singles(ACCOUNT_MAIL, account_mail);
}

/// Sends it, if there still is one to send, and ends the job.
async fn send(platform: &Platform, job: Held, mail: Result<Option<Mail>, askama::Error>) -> Result<(), Failure> {
    let subject_id = job.subject_id;
    if let Some(mail) = mail.map_err(|e| Fault::Internal(e.to_string()))? {
        platform.mailer.send(mail).await?;
    }
    jobs::conclude(platform, move |_, tx| {
        let job = job.clone();
        async move {
            row::Entity::delete_by_id(AccountMailId::from_uuid(subject_id)).exec(&*tx).await?;
            jobs::finish_one(&tx, &job).await?;
            Ok(())
        }
    })
    .await
}

async fn registration_mail(platform: Platform, job: Held) -> Result<(), Failure> {
    let id = PendingRegistrationId::from_uuid(job.subject_id);
    let found = pending_registration::Entity::find_by_id(id).one(platform.db.read()).await.map_err(Fault::from)?;
    // Gone: verified or swept meanwhile. Expired: a code that no longer opens anything helps nobody. Later: another
    // code was asked for, and its own job mails it.
    let wanted = found.filter(|it| it.code_expires_at > platform.clock.now());
    let mail = wanted.map(|it| {
        // The name is not in it: until the address is verified, somebody else may have written it.
        let to = (it.email.clone(), String::new());
        if it.taken {
            let notice = Notice {
                subject: "You already have a Spacedly account",
                what: "somebody, perhaps you, wanted to register at Spacedly with this address. It has an account already: \
                       log in instead.",
                label: "Log in",
                url: place(&platform, "/login"),
                otherwise: "If it was not you, you need do nothing.",
            };
            return notice.mail(format!("{}-{}", it.id, it.code_sent_at.timestamp_micros()), to);
        }
        let otherwise = "If you did not register at Spacedly, you need do nothing.";
        code_mail(&platform, format!("{}-{}", it.id, it.code_sent_at.timestamp_micros()), to, &code_of(&platform, &it), otherwise)
    });
    send(&platform, job, mail.transpose()).await
}

async fn reset_mail(platform: Platform, job: Held) -> Result<(), Failure> {
    let id = PasswordResetId::from_uuid(job.subject_id);
    let db = platform.db.read();
    let found = password_reset::Entity::find_by_id(id).one(db).await.map_err(Fault::from)?;
    let reset = found.filter(|reset| reset.expires_at > platform.clock.now());
    let person = match &reset {
        None => None,
        Some(reset) => {
            let whose = user::Entity::find().filter(user::Column::EmailKey.eq(&reset.email_key));
            whose.one(db).await.map_err(Fault::from)?
        }
    };
    let mail = person.map(|person| {
        let notice = Notice {
            subject: "Reset your Spacedly password",
            what: "you, or somebody else, asked for a new password for this account. The link is good for an hour, once.",
            label: "Choose a new password",
            url: place(&platform, &format!("/reset-password?token={}", links::PASSWORD_RESET.token(&platform, id.uuid()))),
            otherwise: "If it was not you, you need do nothing: your password stays as it is.",
        };
        notice.mail(id.to_string(), (person.email, person.name))
    });
    send(&platform, job, mail.transpose()).await
}

async fn account_mail(platform: Platform, job: Held) -> Result<(), Failure> {
    let id = AccountMailId::from_uuid(job.subject_id);
    let found = row::Entity::find_by_id(id).one(platform.db.read()).await.map_err(Fault::from)?;
    let mail = match found {
        None => None,
        Some(mail) => compose(&platform, mail).await?,
    };
    send(&platform, job, mail.transpose()).await
}

/// None: there is nothing to tell any more.
async fn compose(platform: &Platform, mail: row::Model) -> Result<Option<Result<Mail, askama::Error>>, Fault> {
    let (id, to) = (mail.id.to_string(), (mail.email, mail.name));
    if mail.kind == Kind::Code {
        let challenge = ChallengeId::from_uuid(mail.subject_id.unwrap_or_default());
        let found = challenge::Entity::find_by_id(challenge).one(platform.db.read()).await?;
        let Some(it) = found.filter(|it| it.expires_at > platform.clock.now()) else { return Ok(None) };
        let otherwise = match it.purpose {
            challenge::Purpose::Login | challenge::Purpose::Reauthentication => {
                "If you are not logging in just now, somebody knows your password: change it."
            }
            challenge::Purpose::SecondFactorSetup => {
                "If you are not turning on a second factor just now, somebody is in your account: change your password."
            }
            challenge::Purpose::EmailChange => {
                "If you do not want to use this address at Spacedly, you need do nothing."
            }
        };
        return Ok(Some(code_mail(platform, id, to, &challenges::code_of(platform, &it), otherwise)));
    }
    let undo = match mail.subject_id {
        Some(change) if mail.kind == Kind::EmailChanged => {
            let change = EmailChangeId::from_uuid(change);
            if email_change::Entity::find_by_id(change).one(platform.db.read()).await?.is_none() {
                return Ok(None);
            }
            links::EMAIL_UNDO.token(platform, change.uuid())
        }
        _ => String::new(),
    };
    Ok(notice_of(platform, mail.kind, &undo).map(|notice| notice.mail(id, to)))
}

fn notice_of(platform: &Platform, kind: Kind, undo: &str) -> Option<Notice<'static>> {
    let not_me = "If it was not you, choose a new password at once: this ends every other session.";
    let forgot = || place(platform, "/forgot-password");
    let (subject, what, label, url, otherwise) = match kind {
        Kind::Code => return None,
        Kind::EmailTaken => (
            "This address has a Spacedly account already",
            "somebody, perhaps you, wanted to make this the address of another Spacedly account. It has one already, so \
             nothing was changed.",
            "Log in",
            place(platform, "/login"),
            "If it was not you, you need do nothing.",
        ),
        Kind::EmailChanged => (
            "Your Spacedly address was changed",
            "another address belongs to your account now; reminders go there. For a day you can take this back.",
            "Take it back",
            place(platform, &format!("/undo-email-change?token={undo}")),
            "If you changed it yourself, you need do nothing.",
        ),
        Kind::PasswordChanged => (
            "Your Spacedly password was changed",
            "your password was changed, and every other session was ended.",
            "Reset the password",
            forgot(),
            "If you changed it yourself, you need do nothing. If not, reset it at once.",
        ),
        Kind::SecondFactorOn => (
            "Two-step login is on",
            "from now on a code is asked for when you log in. Keep the recovery codes where you find them.",
            "Reset the password",
            forgot(),
            not_me,
        ),
        Kind::SecondFactorOff => (
            "Two-step login is off",
            "from now on your password is enough to log in.",
            "Reset the password",
            forgot(),
            not_me,
        ),
        Kind::IdentityLinked => (
            "Another way into your Spacedly account",
            "an account at another provider was linked to yours: whoever can log in there can log in here.",
            "Look at your account",
            place(platform, "/profile"),
            not_me,
        ),
        Kind::SessionStolen => (
            "A Spacedly session was ended for your safety",
            "one of your sessions was used from two places with the same token, as happens when a device is copied. We \
             ended it. Nothing else was changed.",
            "Look at your sessions",
            place(platform, "/sessions"),
            "If you do not know why, choose a new password.",
        ),
        Kind::AccountDeleted => (
            "Your Spacedly account is deleted",
            "your account and everything in it is gone. This is the last mail from us.",
            "Spacedly",
            place(platform, "/"),
            "It was nice to have you.",
        ),
    };
    Some(Notice { subject, what, label, url, otherwise })
}

fn place(platform: &Platform, path: &str) -> String {
    format!("{}{path}", platform.config.server.frontend_url.trim_end_matches('/'))
}

impl Notice<'_> {
    fn mail(&self, id: String, (to, to_name): (String, String)) -> Result<Mail, askama::Error> {
        let html = NoticeHtml { name: &to_name, notice: self }.render()?;
        let text = NoticeText { name: &to_name, notice: self }.render()?;
        Ok(Mail { id, to, subject: self.subject.to_owned(), html, text, to_name })
    }
}

fn code_mail(
    platform: &Platform,
    id: String,
    (to, to_name): (String, String),
    code: &str,
    otherwise: &str,
) -> Result<Mail, askama::Error> {
    let minutes = platform.config.accounts.code_lifetime.as_secs() / 60;
    let html = CodeHtml { name: &to_name, code, minutes, otherwise }.render()?;
    let text = CodeText { name: &to_name, code, minutes, otherwise }.render()?;
    Ok(Mail { id, to, subject: "Your Spacedly code".to_owned(), html, text, to_name })
}
