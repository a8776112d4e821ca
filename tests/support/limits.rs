//! What benchmarks and fault runs allow themselves beyond the product's own limits.
//! Promise: they say so, each setting once, so that no figure is taken for one of the product as it comes.

use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock},
};

use spacedly::platform::config::SETTINGS;

/// What was told of. Empty: nobody is to be told, as in the suite.
static TOLD: OnceLock<Mutex<BTreeSet<String>>> = OnceLock::new();

/// From here on this process says which limits it raises.
pub fn tell() {
    TOLD.get_or_init(Mutex::default);
}

/// Says which of these settings raise a limit, unless it was said before.
pub(crate) fn note<'s>(settings: impl IntoIterator<Item = (&'s str, &'s str)>) {
    let Some(told) = TOLD.get() else { return };
    let mut told = told.lock().expect("not poisoned");
    let new: Vec<String> = raised(settings).into_iter().filter(|setting| told.insert(setting.clone())).collect();
    if !new.is_empty() {
        println!("limits: {}", new.join(", "));
    }
}

/// Those that are larger or longer than they are by themselves. Of one that comes twice the last one counts.
pub fn raised<'s>(settings: impl IntoIterator<Item = (&'s str, &'s str)>) -> Vec<String> {
    let settings: Vec<(&str, &str)> = settings.into_iter().collect();
    let raised = |(at, (name, value)): (usize, &(&str, &str))| {
        let is_last = !settings[at + 1..].iter().any(|(other, _)| other == name);
        let by_itself = SETTINGS.iter().find(|setting| setting.name == *name && *name != "PORT")?.default;
        (is_last && size(value)? > size(by_itself)?).then(|| format!("{name}={value}"))
    };
    settings.iter().enumerate().filter_map(raised).collect()
}

/// How large a number is, or how many seconds a duration has. None: it is neither.
fn size(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * unit)
}
