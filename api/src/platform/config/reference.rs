//! The reference of all settings as a file that a shell can read, made from their one definition.
//! Promise: `.env.example` is what is printed here; a test compares them.

use super::{SECTIONS, Setting};

/// What is said before the first setting.
const HEAD: &str = "\
# Every setting of Spacedly with its default: none is needed to start in development.
# Printed by `spacedly settings` from api/src/platform/config/settings.rs.
#
#   cp .env.example .env            then take the # off what you change
#   set -a; . ./.env; set +a        the program reads its environment, not this file
#   cargo run
#
# Durations are written 250ms, 30s, 5m, 12h, 7d. Where the default is empty, empty means unset; elsewhere a setting that
# is there must have a value. ENVIRONMENT=production demands SECRET_KEY, DATABASE_URL, SMTP_URL, PUBLIC_URL,
# FRONTEND_URL, TRUSTED_PROXIES, MAIL_FROM and S3_*, and names every one that is missing or unsafe.

# A TOML file with the same names, upper or lower case; the environment goes before it. Unset: no file.
#CONFIG=spacedly.toml
";

/// Every setting with its meaning and its default, in sections.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let concern = section.concern.trim().trim_end_matches('.');
        text.push_str(&format!("\n# --- {concern} ---\n\n"));
        section.settings.iter().for_each(|setting| text.push_str(&entry(setting)));
    }
    text
}

fn entry(setting: &Setting) -> String {
    let mut text = String::new();
    for line in setting.doc.lines() {
        text.push_str(format!("# {}", line.trim()).trim_end());
        text.push('\n');
    }
    // What a shell would not take as one word is quoted.
    let special = |c: char| c.is_whitespace() || "<>&;|$`*?#'\"()".contains(c);
    let quote = if setting.default.contains(special) { "'" } else { "" };
    text.push_str(&format!("#{}={quote}{}{quote}\n", setting.name, setting.default));
    text
}
