//! What the servers of a test run log, and what must not be in it: every secret and every address that goes over the
//! wire here is noted, and `tests/logs` looks for each in all logs when the run is over.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{Mutex, Once, OnceLock},
};

/// Where logs and notes lie: beside the built programs.
pub fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a path");
    let built = program.ancestors().find(|folder| folder.join("deps").is_dir()).expect("a target folder");
    let folder = built.join("test-logs");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Lets the servers of this process log, as the product does by default, to a file.
pub fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let file = append("in-process");
        let filter = spacedly::platform::config::SETTINGS.iter().find(|setting| setting.name == "LOG").expect("LOG");
        tracing_subscriber::fmt()
            .json()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter.default))
            .with_writer(Mutex::new(file))
            .init();
    });
}

/// The log of a process that is started.
pub fn of_process() -> File {
    append("process")
}

fn append(name: &str) -> File {
    let path = folder().join(format!("{name}-{}.log", std::process::id()));
    OpenOptions::new().create(true).append(true).open(path).expect("a log")
}

/// Notes what is secret in what is sent or received.
pub fn note(body: &[u8]) {
    static NOTED: OnceLock<Mutex<(HashSet<String>, File)>> = OnceLock::new();
    let found = secrets_in(&String::from_utf8_lossy(body));
    if found.is_empty() {
        return;
    }
    let noted = NOTED.get_or_init(|| {
        let path = folder().join(format!("secrets-{}.txt", std::process::id()));
        Mutex::new((HashSet::new(), OpenOptions::new().create(true).append(true).open(path).expect("notes")))
    });
    let (known, file) = &mut *noted.lock().expect("not poisoned");
    for secret in found {
        if known.insert(secret.clone()) {
            writeln!(file, "{secret}").expect("noted");
        }
    }
}

/// The values of fields that open something or name somebody.
fn secrets_in(text: &str) -> Vec<String> {
    const FIELDS: [&str; 9] =
        ["accessToken", "refreshToken", "deviceToken", "password", "newPassword", "token", "secret", "code", "email"];
    let mut found = Vec::new();
    let plain = text.replace("\\\"", "\"");
    for field in FIELDS {
        // In variables and answers `"field":"value"`, in documents `field: "value"`.
        for (at, _) in plain.match_indices(field) {
            let rest = plain[at + field.len()..].trim_start_matches('"').trim_start();
            let Some(rest) = rest.strip_prefix(':') else { continue };
            let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
            let value: String = rest.chars().take_while(|c| *c != '"' && *c != '\\').take(512).collect();
            // Codes of errors are upper-case words; digits, and whatever holds a small letter, are not.
            let telling = match field {
                "code" => value.len() == 6 && value.chars().all(|c| c.is_ascii_digit()),
                "email" => value.contains('@'),
                // A word of its own may stand in any log.
                _ => value.len() >= 8 && !value.chars().all(|c| c.is_ascii_lowercase()),
            };
            if telling && !value.contains('\n') {
                found.push(value);
            }
        }
    }
    found
}
