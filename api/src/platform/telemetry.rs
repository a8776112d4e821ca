//! Logs: readable lines in development, one JSON object a line in production.
//! Promise: nothing that a person wrote and nothing that opens a session is ever a field of a log line, whatever `LOG`
//! asks for.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::config::{Config, LogFormat};

/// Starts logging to standard error. Called once, by the program; tests start their own.
///
/// # Errors
/// When `LOG` is not a filter; in words for an operator.
pub fn start(config: &Config) -> Result<(), String> {
    let filter = filter(&config.operations.log)?;
    let json = match config.operations.log_format {
        Some(format) => format == LogFormat::Json,
        None => config.is_production(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
    } else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let layer = fmt::layer().compact().with_target(false).with_ansi(colours).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    };
    started.map_err(|e| format!("logging was started before: {e}"))
}

/// What is told of what `LOG` asks for.
///
/// # Errors
/// When it is not a filter; in words for an operator.
pub fn filter(log: &str) -> Result<impl Layer<Registry> + use<>, String> {
    let asked = EnvFilter::try_new(log).map_err(|e| format!("LOG is not a filter: {e}"))?;
    // The filter of LOG last: what it never wants is then not asked about again.
    Ok(filter_fn(may_be_told).and_then(asked))
}

/// Libraries tell no more than warnings: below that some of them tell what they send, and with it passwords, mails and
/// keys (lettre each line of SMTP, s3s each request). That one shows signatures in warnings too.
fn may_be_told(what: &Metadata<'_>) -> bool {
    let from = what.target().split("::").next().unwrap_or_default();
    match from {
        "spacedly" | "entity" | "media" | "migration" => true,
        "s3s" => false,
        _ => *what.level() <= Level::WARN,
    }
}
