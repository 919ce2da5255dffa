//! What is wrong, and what was.

use maud::{Markup, html};

use super::text::{ago, foreign, many, sentence, stretch};
use crate::cold::alert::{Alert, AlertView, Severity};
use crate::limits::DASHBOARD_ALERTS_MAX;

/// The panel `alerts`, of all chains.
pub(super) fn alerts(view: &AlertView, now_ms: u64) -> Markup {
    let (active, past) = (&view.active, &view.past);
    html! {
        section.panel.wide.calm[active.is_empty()] data-panel="alerts" aria-labelledby="alerts" {
            h3 id="alerts" { "Alerts" }
            @if active.is_empty() {
                p.quiet { span.mark.ok aria-hidden="true" { "✓" } " Nothing is wrong." }
            } @else {
                ul.alerts role="alert" {
                    @for alert in active.iter().take(DASHBOARD_ALERTS_MAX) { (one(alert, now_ms)) }
                }
                @if active.len() > DASHBOARD_ALERTS_MAX {
                    p.note { "and " (active.len() - DASHBOARD_ALERTS_MAX) " more" }
                }
            }
            @if !past.is_empty() {
                details id="alerts-past" {
                    summary { (many(past.len() as u64, "past alert", "past alerts")) }
                    ul.alerts {
                        @for alert in past.iter().take(DASHBOARD_ALERTS_MAX) { (one(alert, now_ms)) }
                    }
                }
            }
        }
    }
}

fn one(alert: &Alert, now_ms: u64) -> Markup {
    let class = match (alert.cleared_unix_ms, alert.severity) {
        (Some(_), _) => "ok",
        (None, Severity::Critical) => "bad",
        (None, Severity::Warning | Severity::Info) => "warn",
    };
    html! {
        li {
            span.fate.(class) { (alert.kind) }
            @if let Some(chain) = alert.chain { " " span.tag { (chain) } }
            @if !alert.subject.is_empty() { " " span.mono { (foreign(&alert.subject)) } }
            " " (sentence(&alert.text)) " "
            span.note {
                (ago(alert.since_unix_ms, now_ms))
                @if let Some(cleared) = alert.cleared_unix_ms {
                    ", over after " (stretch(cleared.saturating_sub(alert.since_unix_ms) / 1_000))
                }
            }
        }
    }
}
