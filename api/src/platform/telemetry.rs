//! Logs: readable lines in development, one JSON object a line in production.
//! Promise: nothing that a person wrote and nothing that opens a session is ever a field of a log line.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::config::{Config, LogFormat};

/// Starts logging to standard error. Called once, by the program; tests start their own.
///
/// # Errors
/// When `LOG` is not a filter; in words for an operator.
pub fn start(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.operations.log).map_err(|e| format!("LOG is not a filter: {e}"))?;
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
