//! `[alerts]`, as the engine takes it.

use crate::cold::alert::delivery::{AlertSettings, WebhookUrl};
use crate::cold::alert::{Kind, Severity};
use crate::config::{Alerts, MinSeverity};

pub(super) fn alerts(told: &Alerts) -> AlertSettings {
    AlertSettings {
        // What the configuration took, this takes.
        webhooks: told.webhooks.iter().filter_map(|url| WebhookUrl::parse(&url.0)).collect(),
        command: told.command.clone(),
        min_severity: match told.min_severity {
            MinSeverity::Info => Severity::Info,
            MinSeverity::Warning => Severity::Warning,
            MinSeverity::Critical => Severity::Critical,
        },
        repeat: told.repeat,
        slow_factor: told.slow_factor.into(),
        off: told.off.iter().filter_map(|word| Kind::parse(word)).collect(),
        instance: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ALERT_KINDS;

    #[test]
    fn the_configuration_knows_all_kinds() {
        assert_eq!(Kind::ALL.map(Kind::word), ALERT_KINDS);
    }
}
