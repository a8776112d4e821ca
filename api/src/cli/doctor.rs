//! `spacedly doctor`: looks at the settings and at everything they lead to, beside a running server.
//! Promise: a line for each thing that was looked at; what does not work says how to mend it, and none shows a secret.

use secrecy::ExposeSecret;

use crate::{
    platform::{
        clock::Clock,
        config::Config,
        examine::{self, Finding, Grade, PATIENCE},
        random::Random,
        secret::Secrets,
        storage::Storage,
    },
    schema::Documents,
};

/// Looks at everything and prints what it finds. Whether it all works.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn run() -> bool {
    let (config, problems) = Config::from_env_even_if_wrong();
    let mut found: Vec<Finding> = problems.into_iter().map(setting).collect();
    if found.is_empty() {
        found.push(Finding::ok("settings: none is missing, malformed or unsafe"));
    }
    if let Some(config) = &config {
        found.extend(look(config).await);
    }
    found.iter().for_each(|finding| println!("{finding}"));
    let count = |grade| found.iter().filter(|finding| finding.grade == grade).count();
    let (failing, doubtful) = (count(Grade::Fail), count(Grade::Warn));
    println!("{failing} to mend, {doubtful} to look at, {} as they should be", count(Grade::Ok));
    failing == 0
}

/// A problem of the settings says itself what to do.
fn setting(problem: String) -> Finding {
    match problem.split_once(": ") {
        Some((what, mend)) => Finding::fail(format!("settings: {what}"), mend),
        None => Finding::fail("settings", problem),
    }
}

async fn look(config: &Config) -> Vec<Finding> {
    let clock = Clock::default();
    let random = match Random::from_system() {
        Ok(random) => random,
        Err(problem) => return vec![Finding::fail("randomness", problem)],
    };
    let (database, redis, files, mail) = tokio::join!(
        examine::database(config, &clock),
        examine::redis(config, &random),
        files(config, &clock, &random),
        examine::mail(config, &clock),
    );
    let mut found = examine::addresses(config);
    for part in [database, redis, files, mail, examine::machine(config, &clock)] {
        found.extend(part);
    }
    found.extend(documents(config));
    found.push(examine::watching(config));
    found
}

/// The manifest of trusted documents, read as the server reads it. None: there is none.
fn documents(config: &Config) -> Option<Finding> {
    let path = config.documents.trusted.as_ref()?;
    Some(match Documents::from_config(config) {
        Ok(_) => Finding::ok(format!("documents: the trusted ones are read from {}", path.display())),
        Err(problem) => Finding::fail(
            format!("documents: {problem}"),
            "let TRUSTED_DOCUMENTS name the manifest that graphql-codegen, Relay or Apollo wrote",
        ),
    })
}

/// Files in an S3. The store in the process is the disk of DATA_DIR, which is looked at anyway.
async fn files(config: &Config, clock: &Clock, random: &Random) -> Vec<Finding> {
    if config.storage.endpoint.is_none() {
        return vec![Finding::ok("files: kept by the server itself, in DATA_DIR")];
    }
    let secret = config.security.secret_key.as_ref().map(|key| key.expose_secret().as_bytes()).unwrap_or_default();
    match Storage::from_config(config, &Secrets::new(secret)) {
        Ok(storage) => storage.examine(clock, random, PATIENCE).await,
        Err(problem) => vec![Finding::fail("files: the settings of S3 cannot be used", problem)],
    }
}
