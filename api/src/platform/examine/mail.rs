//! The mail server: connecting, TLS, logging in. No mail is sent.

use secrecy::ExposeSecret;

use super::{Finding, PATIENCE};
use crate::platform::{clock::Clock, config::Config, mail::Mailer};

/// Looks at the mail server.
pub async fn mail(config: &Config, clock: &Clock) -> Vec<Finding> {
    let Some(url) = &config.mail.smtp_url else {
        return vec![caught(config)];
    };
    let url = url.expose_secret();
    let mailer = match Mailer::from_config(config, clock.clone()) {
        Ok(mailer) => mailer,
        Err(problem) => return vec![Finding::fail("mail: SMTP_URL cannot be used", problem)],
    };
    let mut found = vec![match mailer.ping(PATIENCE).await {
        Ok(()) => Finding::ok("mail: the mail server answers and takes our login"),
        Err(error) => Finding::fail(
            format!("mail: the mail server cannot be used ({error})"),
            "look at host, port, user and password of SMTP_URL; smtps:// is for port 465, smtp://…?tls=required for 587; \
             if its certificate is from an authority of your own, let SSL_CERT_FILE name that one",
        ),
    }];
    if !url.starts_with("smtps://") && !url.contains("tls=required") {
        let mend = "use smtps://… or smtp://…?tls=required";
        found.push(Finding::warn(
            "mail: SMTP_URL does not demand TLS: mails and the password can be read underway",
            mend,
        ));
    }
    found
}

fn caught(config: &Config) -> Finding {
    if let Some(setting) = config.shows_codes_to_others() {
        return Finding::warn(
            format!(
                "mail: caught in the mailbox of development, which others reach, as {setting} says: /dev/mailbox shows \
                 everybody's codes"
            ),
            "set ENVIRONMENT to production where people other than you come, or let only this machine reach it",
        );
    }
    Finding::ok("mail: caught in the mailbox of development, none goes out")
}
