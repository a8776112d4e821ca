//! Mail: made once, sent by one of a closed set of ways.
//! Promise: a mail keeps its Message-ID however often it is tried; an error says whether trying again can help.

mod mailbox;

use std::{sync::Arc, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox as Address, MultiPart},
};
use secrecy::ExposeSecret;

pub use self::mailbox::{CaughtMail, Mailbox};
use super::{clock::Clock, config::Config, jobs::Failure};

/// A mail to one person, in both forms.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The part before the `@` of its Message-ID: the same for every try of the same mail.
    pub id: String,
    /// The bare address.
    pub to: String,
    pub to_name: String,
    pub subject: String,
    pub html: String,
    pub text: String,
}

/// Sends mail.
#[derive(Clone)]
pub struct Mailer {
    from: Address,
    way: Way,
}

/// The ways mail can take. The caught ones are for development and tests; production refuses to start with them.
#[derive(Clone)]
enum Way {
    Smtp(Arc<AsyncSmtpTransport<Tokio1Executor>>),
    Caught(Mailbox),
}

impl Mailer {
    /// By the configuration: SMTP when it is set, else caught in the data folder.
    ///
    /// # Errors
    /// When the settings make no mailer; in words for an operator.
    pub fn from_config(config: &Config, clock: Clock) -> Result<Self, String> {
        let from = config.mail.from.parse().map_err(|e| format!("MAIL_FROM: {e}"))?;
        let way = match &config.mail.smtp_url {
            Some(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
                    // The error could show the password that the address carries.
                    .map_err(|_| "SMTP_URL must be like smtps://user:password@host:465".to_owned())?;
                Way::Smtp(Arc::new(builder.timeout(Some(config.mail.timeout)).build()))
            }
            None => Way::Caught(Mailbox::open(config.server.data_dir.join("mailbox"), clock)?),
        };
        Ok(Self { from, way })
    }

    /// The mailbox in which mail is caught. None: mail goes out.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match &self.way {
            Way::Smtp(_) => None,
            Way::Caught(mailbox) => Some(mailbox),
        }
    }

    /// Hands the mail over.
    ///
    /// # Errors
    /// Refused (4xx) and unreachable ones may be tried again; a permanent one (5xx, an impossible address) not.
    pub async fn send(&self, mail: Mail) -> Result<(), Failure> {
        let message_id = format!("<{}@{}>", mail.id, self.from.email.domain());
        match &self.way {
            Way::Caught(mailbox) => mailbox.catch(mail, message_id).await.map_err(|cause| {
                tracing::error!(cause, "a mail cannot be caught");
                Failure::Unreachable("The mailbox could not be written.".into())
            }),
            Way::Smtp(transport) => {
                let message = self.compose(mail, message_id)?;
                transport.send(message).await.map(drop).map_err(|error| told(&error))
            }
        }
    }

    /// Whether the mail server answers, within `patience`. Caught mail always arrives.
    ///
    /// # Errors
    /// What is wrong, in words for an operator.
    pub async fn ping(&self, patience: Duration) -> Result<(), String> {
        let Way::Smtp(transport) = &self.way else { return Ok(()) };
        match tokio::time::timeout(patience, transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the mail server does not take commands".into()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the mail server did not answer within {} s", patience.as_secs())),
        }
    }

    fn compose(&self, mail: Mail, message_id: String) -> Result<Message, Failure> {
        let impossible = || Failure::Permanent("No mail can be made for this address.".into());
        let address = mail.to.parse().map_err(|_| impossible())?;
        Message::builder()
            .from(self.from.clone())
            .to(Address::new(Some(mail.to_name).filter(|name| !name.is_empty()), address))
            .subject(mail.subject)
            .message_id(Some(message_id))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .map_err(|_| impossible())
    }
}

/// What an error of SMTP means (RFC 5321 section 4.2.1). Its own text may name the address: only the code is told.
fn told(error: &lettre::transport::smtp::Error) -> Failure {
    let code = error.status().map(|code| code.to_string());
    match code.as_deref() {
        // Our own login is at fault (RFC 4954 section 6), not the mail: it goes out when that is mended.
        Some("530" | "534" | "535" | "538") => {
            tracing::error!(code, "the mail server refuses our login: see SMTP_URL");
            Failure::Unreachable("The mail server could not be used.".into())
        }
        Some(code) if error.is_permanent() => Failure::Permanent(format!("The mail server refused it ({code}).")),
        Some(code) => Failure::Refused(format!("The mail server asked to try later ({code}).")),
        None => {
            tracing::warn!(cause = %error, "the mail server cannot be reached");
            Failure::Unreachable("The mail server could not be reached.".into())
        }
    }
}
