//! What numbers and times must be at least.
//! Promise: none switches off what it is the measure of.

use std::time::Duration;

use super::Config;

impl Config {
    pub(super) fn check_numbers(&self, problems: &mut Vec<String>) {
        if self.limits.keep_alive < self.limits.header_timeout {
            problems.push("KEEP_ALIVE_TIMEOUT must not be shorter than HEADER_TIMEOUT".into());
        }
        if self.limits.page_default > self.limits.page_limit {
            problems.push("PAGE_DEFAULT cannot be more than PAGE_LIMIT".into());
        }
        for (name, number) in [
            ("DATABASE_READERS", u64::from(self.database.readers)),
            ("DATABASE_WRITERS", u64::from(self.database.writers)),
            ("PASSWORD_PERMITS", self.security.password_permits as u64),
            ("JOB_BATCH", self.jobs.batch),
            ("JOB_CONCURRENCY", self.jobs.concurrency as u64),
            ("CONNECTION_LIMIT", self.limits.connections as u64),
            ("SESSIONS_PER_USER", self.security.sessions_per_user),
            ("FILE_LIMIT", self.storage.file_limit),
            ("FILES_PER_REQUEST", self.storage.files_per_request as u64),
            ("UPLOADS_AT_ONCE", self.storage.uploads_at_once as u64),
            ("UPLOADS_PER_USER", self.storage.uploads_per_user as u64),
            ("IMAGE_PERMITS", self.storage.image_permits as u64),
            ("IMAGE_WIDTH", self.storage.image_width.into()),
            ("IMAGE_HEIGHT", self.storage.image_height.into()),
            ("THUMBNAIL_SIZE", self.storage.thumbnail_size.into()),
            ("SOCKETS_PER_ADDRESS", self.sockets.per_address as u64),
            ("COST_BUDGET", self.budget.person),
            ("COST_BUDGET_ANONYMOUS", self.budget.anonymous),
            ("UPLOAD_RATE", self.storage.upload_rate),
            ("CODE_TRIES", u64::try_from(self.accounts.code_tries).unwrap_or_default()),
        ] {
            if number == 0 {
                problems.push(format!("{name} must be at least 1"));
            }
        }
        if self.documents.trusted_only && self.documents.trusted.is_none() {
            problems.push("TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS, or nothing could run".into());
        }
        if !(1..=100).contains(&self.storage.image_quality) {
            problems.push("IMAGE_QUALITY must be 1 to 100".into());
        }
    }

    /// With less than this, work is put aside at its first trouble, tried again without a pause, or taken from its worker.
    pub(super) fn check_jobs(&self, problems: &mut Vec<String>) {
        let jobs = &self.jobs;
        for (name, number) in [("JOB_ATTEMPTS", jobs.attempts), ("JOB_CRASHES", jobs.crashes)] {
            if number < 1 {
                problems.push(format!("{name} must be at least 1"));
            }
        }
        at_least(problems, &[("JOB_LEASE", jobs.lease)], Duration::from_secs(1), "1s");
        let waits = [
            ("JOB_POLL", jobs.poll),
            ("JOB_RETRY_FIRST", jobs.retry_first),
            ("JOB_RETRY_LONGEST", jobs.retry_longest),
            ("JOB_GIVE_UP_AFTER", jobs.give_up_after),
        ];
        more_than_nothing(problems, &waits);
    }

    /// A window of no length counts nothing, so that its limit would be none; a wait of no length is a loop without a
    /// pause, or a time in which nothing can be done.
    pub(super) fn check_times(&self, problems: &mut Vec<String>) {
        let (attempts, sockets, limits) = (&self.attempts, &self.sockets, &self.limits);
        let windows = [
            ("LOGIN_WINDOW", attempts.login_window),
            ("REGISTER_WINDOW", attempts.register_window),
            ("CODE_WINDOW", attempts.code_window),
            ("CHALLENGE_WINDOW", attempts.challenge_window),
            ("OIDC_WINDOW", attempts.oidc_window),
            ("FORGOT_WINDOW", attempts.forgot_window),
            ("EXPORT_WINDOW", attempts.export_window),
            ("PUSH_TEST_WINDOW", self.push.test_window),
            ("UPLOAD_WINDOW", self.storage.upload_window),
            ("COST_WINDOW", self.budget.window),
        ];
        at_least(problems, &windows, Duration::from_secs(1), "1s");
        let times = [
            ("SUBSCRIPTION_POLL", sockets.poll),
            ("SOCKET_PING", sockets.ping),
            ("SOCKET_INIT_TIMEOUT", sockets.init_timeout),
            ("SOCKET_WRITE_TIMEOUT", sockets.write_timeout),
            ("REQUEST_TIMEOUT", limits.request_timeout),
            ("HEADER_TIMEOUT", limits.header_timeout),
            ("BODY_TIMEOUT", limits.body_timeout),
            ("DATABASE_ACQUIRE_TIMEOUT", self.database.acquire_timeout),
            ("SMTP_TIMEOUT", self.mail.timeout),
            ("PUSH_TIMEOUT", self.push.timeout),
            ("S3_TIMEOUT", self.storage.timeout),
            ("OIDC_TIMEOUT", self.oidc.timeout),
            ("STORAGE_SWEEP", self.storage.sweep_every),
            ("HEALTH_TIMEOUT", self.operations.health_timeout),
            ("OTLP_EVERY", self.watching.otlp_every),
            ("CODE_LIFETIME", self.accounts.code_lifetime),
            ("RESET_LIFETIME", self.accounts.reset_lifetime),
            ("ACCESS_TOKEN_LIFETIME", self.security.access_token_lifetime),
        ];
        more_than_nothing(problems, &times);
    }
}

/// Tells which of these are too short.
pub(super) fn at_least(problems: &mut Vec<String>, times: &[(&str, Duration)], least: Duration, words: &str) {
    let short = times.iter().filter(|(_, time)| *time < least);
    problems.extend(short.map(|(name, _)| format!("{name} must be at least {words}")));
}

/// Tells which of these are no time at all.
fn more_than_nothing(problems: &mut Vec<String>, times: &[(&str, Duration)]) {
    let none = times.iter().filter(|(_, time)| time.is_zero());
    problems.extend(none.map(|(name, _)| format!("{name} must be more than 0s")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_could_not_be_done_are_refused_everywhere() {
        let wrong = [
            ("JOB_ATTEMPTS", "0"),
            ("JOB_CRASHES", "0"),
            ("JOB_LEASE", "999ms"),
            ("JOB_POLL", "0s"),
            ("JOB_RETRY_FIRST", "0s"),
            ("JOB_RETRY_LONGEST", "0s"),
            ("JOB_GIVE_UP_AFTER", "0s"),
        ];
        let config = |pairs: &[(&'static str, &str)]| {
            Config::from_pairs(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())))
        };
        let problems = config(&wrong).expect_err("all are wrong");
        assert_eq!(problems.len(), wrong.len(), "{problems:?}");
        for (name, _) in wrong {
            assert!(problems.iter().any(|problem| problem.starts_with(&format!("{name} must be "))), "{name}");
        }
        let least = [("JOB_ATTEMPTS", "1"), ("JOB_CRASHES", "1"), ("JOB_LEASE", "1s"), ("JOB_GIVE_UP_AFTER", "1ms")];
        assert!(config(&least).is_ok());
    }
}
