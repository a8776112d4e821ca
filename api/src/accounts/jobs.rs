//! The mails of this room, sent by the job engine: the request that asks for one does not wait for a mail server.

use askama::Template;
use entity::{PendingRegistrationId, pending_registration as row};
use sea_orm::EntityTrait;

use super::register::code_of;
use crate::platform::{
    Platform,
    error::Fault,
    jobs::{self, Engine, Failure, Held},
    mail::Mail,
};

/// Mails the code of a registration, or says that the address has an account.
pub(super) const REGISTRATION_MAIL: &str = "accounts.registration_mail";

#[derive(Template)]
#[template(path = "accounts/mail/code.html")]
struct CodeHtml<'a> {
    name: &'a str,
    code: &'a str,
    minutes: u64,
}

#[derive(Template)]
#[template(path = "accounts/mail/code.txt")]
struct CodeText<'a> {
    name: &'a str,
    code: &'a str,
    minutes: u64,
}

#[derive(Template)]
#[template(path = "accounts/mail/taken.html")]
struct TakenHtml<'a> {
    name: &'a str,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "accounts/mail/taken.txt")]
struct TakenText<'a> {
    name: &'a str,
    url: &'a str,
}

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.singles(REGISTRATION_MAIL, registration_mail);
}

async fn registration_mail(platform: Platform, job: Held) -> Result<(), Failure> {
    let id = PendingRegistrationId::from_uuid(job.subject_id);
    let registration = row::Entity::find_by_id(id).one(platform.db.read()).await.map_err(Fault::from)?;
    // Gone: verified or swept meanwhile. Expired: a code that no longer opens anything helps nobody.
    let wanted = registration.filter(|registration| registration.code_expires_at > platform.clock.now());
    if let Some(registration) = wanted {
        let mail = compose(&platform, &registration).map_err(|e| Fault::Internal(e.to_string()))?;
        platform.mailer.send(mail).await?;
    }
    platform.db.write::<_, Fault, _, _>(move |tx| async move { Ok(jobs::finish(&tx, &[job]).await?) }).await?;
    Ok(())
}

fn compose(platform: &Platform, registration: &row::Model) -> Result<Mail, askama::Error> {
    let name = registration.name.as_str();
    let (subject, html, text) = if registration.taken {
        let url = platform.config.server.frontend_url.as_str();
        let subject = "You already have a Spacedly account".to_owned();
        (subject, TakenHtml { name, url }.render()?, TakenText { name, url }.render()?)
    } else {
        let code = code_of(platform, registration);
        let minutes = platform.config.accounts.code_lifetime.as_secs() / 60;
        let subject = "Your Spacedly code".to_owned();
        let html = CodeHtml { name, code: &code, minutes }.render()?;
        (subject, html, CodeText { name, code: &code, minutes }.render()?)
    };
    Ok(Mail {
        id: registration.id.to_string(),
        to: registration.email.clone(),
        to_name: registration.name.clone(),
        subject,
        html,
        text,
    })
}
