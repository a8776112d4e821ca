//! Whether somebody can see from outside how it goes. Pure.

use super::Finding;
use crate::platform::config::Config;

/// Looks at what the settings say of metrics.
pub fn watching(config: &Config) -> Finding {
    metrics(config.watching.metrics_token.is_some(), config.is_production())
}

fn metrics(has_token: bool, is_production: bool) -> Finding {
    match (has_token, is_production) {
        (true, _) => Finding::ok("metrics: /metrics asks for METRICS_TOKEN"),
        (false, false) => Finding::ok("metrics: /metrics is open, as in development"),
        (false, true) => Finding::warn(
            "metrics: METRICS_TOKEN is not set, so that there are none, and no alarm is raised when reminders wait",
            "make one with `openssl rand -hex 32`, and let whoever reads /metrics show it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::examine::Grade;

    #[test]
    fn production_without_metrics_is_told() {
        assert_eq!(metrics(false, true).grade, Grade::Warn);
        assert_eq!(
            [metrics(true, true), metrics(true, false), metrics(false, false)].map(|it| it.grade),
            [Grade::Ok; 3]
        );
    }
}
