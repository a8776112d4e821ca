//! Mail: made once, sent by one of a closed set of ways.
//! Promise: a mail keeps its Message-ID however often it is tried; an error says whether trying again can help.

mod breaker;
mod mailbox;

use std::{fmt, sync::Arc, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox as Address, MultiPart},
};
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, oneshot};

use self::breaker::Breaker;
pub use self::mailbox::{CaughtMail, Mailbox};
use super::{
    clock::Clock,
    config::Config,
    jobs::{Failure, Pass},
};

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

/// Why the mail server does not answer as it should.
#[derive(Debug)]
pub enum NoPing {
    /// It said nothing in time.
    Silent,
    /// It could not be reached, or refused; in words for an operator.
    Refused(String),
}

impl fmt::Display for NoPing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer in time"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// Sends mail.
#[derive(Clone)]
pub struct Mailer {
    from: Address,
    way: Way,
    breaker: Arc<Breaker>,
    /// How long to wait for the end of a conversation.
    patience: Duration,
    /// One at a time asks whether the server answers.
    pinging: Arc<Mutex<()>>,
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
        let breaker = Arc::new(Breaker::new(config.mail.breaker_after, config.mail.breaker_longest));
        Ok(Self { from, way, breaker, patience: config.mail.timeout, pinging: Arc::default() })
    }

    /// The mailbox in which mail is caught. None: mail goes out.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match &self.way {
            Way::Smtp(_) => None,
            Way::Caught(mailbox) => Some(mailbox),
        }
    }

    /// Whether mails may be begun: not while the mail server is known to be away.
    pub fn pass(&self) -> Pass {
        self.breaker.pass(tokio::time::Instant::now())
    }

    /// Whether mails wait because the mail server could not be reached.
    pub fn waits(&self) -> bool {
        self.breaker.is_open()
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
                let transport = transport.clone();
                let sent = match within(self.patience, async move { transport.send(message).await }).await {
                    Some(sent) => sent.map(drop).map_err(|error| told(&error)),
                    None => Err(Failure::Unreachable("The mail server did not answer in time.".into())),
                };
                let answered = !matches!(sent, Err(Failure::Unreachable(_)));
                self.breaker.learn(answered, tokio::time::Instant::now());
                sent
            }
        }
    }

    /// Whether the mail server answers, within `patience`. Caught mail always arrives.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn ping(&self, patience: Duration) -> Result<(), NoPing> {
        let Way::Smtp(transport) = &self.way else { return Ok(()) };
        let turn =
            tokio::time::timeout(patience, self.pinging.clone().lock_owned()).await.map_err(|_| NoPing::Silent)?;
        // The next one may ask when this one is through, or is given up: a server that fell silent and came back would
        // otherwise be taken for silent as long as the old connection lasts.
        let (done, over) = oneshot::channel::<()>();
        let longest = self.patience;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(longest, over).await;
            drop(turn);
        });
        let transport = transport.clone();
        let asked = async move {
            let _done = done;
            transport.test_connection().await
        };
        match within(patience, asked).await {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(NoPing::Refused("the mail server does not take commands".into())),
            Some(Err(error)) => Err(NoPing::Refused(error.to_string())),
            None => Err(NoPing::Silent),
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

/// Waits so long for a conversation with the mail server, and then lets it go on by itself. lettre's own timeout covers
/// connecting alone; and a conversation that is cut off goes back into its pool with an answer still to come, which the
/// next mail would take for its own.
async fn within<T: Send + 'static>(
    patience: Duration,
    conversation: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::time::timeout(patience, tokio::spawn(conversation)).await.ok()?.ok()
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
        Some(code) => Failure::Refused(format!("The mail server asked to try later ({code})."), None),
        None => {
            tracing::warn!(cause = %error, "the mail server cannot be reached");
            Failure::Unreachable("The mail server could not be reached.".into())
        }
    }
}
