//! What the servers of a test run log, and what must not be in it: every secret and every address that goes over the
//! wire here is noted, and `tests/logs` looks for each in all logs when the run is over.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{Mutex, Once, OnceLock},
};

use spacedly::platform::telemetry;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

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
        let log = spacedly::platform::config::SETTINGS.iter().find(|setting| setting.name == "LOG").expect("LOG");
        let filter = telemetry::filter(log.default).expect("a filter");
        let json = tracing_subscriber::fmt::layer().json().with_writer(Mutex::new(file));
        tracing_subscriber::registry().with(filter).with(json).init();
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

/// Notes the values of cookies and credentials.
pub fn note_header(name: &str, value: &str) {
    let values: Vec<String> = match name {
        "cookie" => value
            .split(';')
            .take(8)
            .filter_map(|pair| pair.trim().split_once('='))
            .map(|(_, value)| value.to_owned())
            .collect(),
        "authorization" => value.split_whitespace().skip(1).map(str::to_owned).collect(),
        _ => return,
    };
    // Attributes of cookies are short words.
    write_down(values.into_iter().filter(|value| value.len() >= 20).collect());
}

/// Notes a code that was read from a mail.
pub fn note_code(code: &str) {
    write_down(vec![code.to_owned()]);
}

/// Notes what is secret in what is sent or received.
pub fn note(body: &[u8]) {
    write_down(secrets_in(&String::from_utf8_lossy(body)));
}

fn write_down(found: Vec<String>) {
    static NOTED: OnceLock<Mutex<(HashSet<String>, File)>> = OnceLock::new();
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
    const FIELDS: [&str; 11] = [
        "accessToken",
        "refreshToken",
        "deviceToken",
        "password",
        "newPassword",
        "token",
        "secret",
        "code",
        "email",
        "otpauthUri",
        "t",
    ];
    let mut found = Vec::new();
    let plain = text.replace("\\\"", "\"");
    for field in FIELDS {
        // In variables and answers `"field":"value"`, in documents `field: "value"`.
        for (at, _) in plain.match_indices(field) {
            if plain[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = plain[at + field.len()..].trim_start_matches('"').trim_start();
            let Some(rest) = rest.strip_prefix(':') else { continue };
            let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
            let value: String = rest.chars().take_while(|c| *c != '"' && *c != '\\').take(512).collect();
            // Codes of errors are upper-case words; digits, and whatever holds a small letter, are not.
            let telling = match field {
                // Guesses are no secrets; the codes of mails are noted where they are read.
                "code" => value.len() >= 10 && value.chars().any(|c| c.is_ascii_digit()) && !value.contains('_'),
                "password" | "newPassword" => value.len() >= 8 && !value.chars().all(|c| c.is_ascii_lowercase()),
                "email" => value.contains('@'),
                // A word of its own may stand in any log.
                _ => value.len() >= 16 && !value.contains(char::is_whitespace),
            };
            if telling && !value.contains('\n') {
                found.push(value);
            }
        }
    }
    // A list of recovery codes: five, a dash, five.
    let part = |text: &str| text.len() == 5 && text.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
    let quoted = plain.split('"').filter(|text| text.split_once('-').is_some_and(|(a, b)| part(a) && part(b)));
    found.extend(quoted.map(str::to_owned));
    found
}
