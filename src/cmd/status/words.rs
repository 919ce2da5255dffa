//! Indicators, alerts and spool in words: the same in the table and in the live view.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::cmd::text::{ago, number, printable};

/// The five indicators, as the engine tells them; nothing where it does not.
pub(super) fn indicators(name: &str, told: &Value) -> String {
    if !told.is_object() {
        return String::new();
    }
    printable(&format!("{name}: {}", five(told))) + "\n"
}

/// The five indicators on one line; what is not known yet is a dash.
pub(super) fn five(told: &Value) -> String {
    let share = |key: &str| {
        told[key].as_f64().map_or_else(|| "-".to_owned(), |it| format!("{:.1} %", it * 100.0))
    };
    let times = |key: &str| {
        let of = |which: &str| number(&told[key][which]);
        format!("{} ms mean, {} p50, {} p99", of("mean"), of("p50"), of("p99"))
    };
    format!(
        "success {}; broadcast {}; peers available {}; orphans {}; propagation {}",
        share("success_rate"),
        times("broadcast_ms"),
        share("peer_availability"),
        share("orphan_rate"),
        times("propagation_ms"),
    )
}

/// Blocks that wait; nothing where none does.
pub(super) fn spool(name: &str, told: &Value) -> String {
    match told["waiting"].as_u64() {
        Some(waiting @ 1..) => format!("{name}: {waiting} blocks wait for the node's verdict\n"),
        _ => String::new(),
    }
}

/// What is wrong now, one line each, the worst first. What concerns all chains is told once.
pub(super) fn alerts(stats: &Value) -> Vec<String> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut found: Vec<(usize, u64, String)> = Vec::new();
    let chains = stats.as_object().into_iter().flatten().map(|(_, chain)| chain);
    for alert in chains.flat_map(|chain| chain["alerts"]["active"].as_array().into_iter().flatten())
    {
        let word = |key: &str| alert[key].as_str().unwrap_or_default();
        let number = alert["id"].as_u64().unwrap_or(0);
        if found.iter().any(|(_, known, _)| *known == number) {
            continue;
        }
        let place = match word("severity") {
            "critical" => 0,
            "warning" => 1,
            _ => 2,
        };
        let (about, chain) = (word("subject"), word("chain"));
        let about = [chain, about].into_iter().filter(|it| !it.is_empty());
        let about = about.map(|it| format!(" {it}")).collect::<String>();
        let since = alert["since"].as_f64().map(|since_s| ago((now_s - since_s).max(0.0)));
        let line = format!(
            "{} {}{about}, since {}: {}",
            word("severity").to_uppercase(),
            word("kind"),
            since.unwrap_or_else(|| "-".to_owned()),
            word("text")
        );
        found.push((place, number, printable(&line)));
    }
    found.sort();
    found.into_iter().map(|(_, _, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_indicators_are_one_line() {
        let times = json!({"mean": 1.5, "p50": 1.25, "p90": 2.0, "p99": 3.0, "max": 4, "count": 9});
        let told = json!({"success_rate": 0.995, "broadcast_ms": times, "peer_availability": 0.9,
                          "orphan_rate": null, "propagation_ms": null});
        assert_eq!(
            indicators("x", &told),
            "x: success 99.5 %; broadcast 1.500 ms mean, 1.250 p50, 3.000 p99; peers available 90.0 %; \
             orphans -; propagation - ms mean, - p50, - p99\n"
        );
        assert_eq!(indicators("x", &json!(null)), "");
    }

    #[test]
    fn alerts_are_told_once_and_cleaned_with_the_worst_first() {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let clock = json!({"id": 1, "kind": "clock", "severity": "info", "chain": null,
                           "subject": "set", "text": "odd\u{1b}[2J", "since": now_s - 300.0});
        let node = json!({"id": 2, "kind": "node-lost", "severity": "critical", "chain": "x",
                          "subject": "rpc", "text": "away", "since": now_s - 8.0});
        let stats = json!({"x": {"alerts": {"active": [clock, node]}},
                           "y": {"alerts": {"active": [clock]}}});
        assert_eq!(
            alerts(&stats),
            [
                "CRITICAL node-lost x rpc, since 8 s ago: away",
                "INFO clock set, since 5 min ago: odd?[2J"
            ]
        );
        assert_eq!(alerts(&json!({"x": {}})), Vec::<String>::new());
    }

    #[test]
    fn an_empty_spool_is_not_told() {
        assert_eq!(spool("x", &json!({"waiting": 2})), "x: 2 blocks wait for the node's verdict\n");
        assert_eq!(spool("x", &json!({"waiting": 0})) + &spool("x", &json!(null)), "");
    }
}
