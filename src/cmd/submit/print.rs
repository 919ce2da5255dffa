//! What an engine tells of one block, in lines and columns.

use serde_json::Value;

use crate::bench::table::columns;

/// When the block had come how far, in ms from its first byte; `None` where it was not published.
pub(super) fn stage_line(stages: &Value) -> Option<String> {
    let published = stages["published"].as_f64()?;
    let names = ["header", "work_checked", "last_byte", "checked", "published"];
    let reached = names.into_iter().filter_map(|name| {
        let ms = stages[name].as_f64()?;
        Some(format!("{} {ms:.2}", name.replace('_', " ")))
    });
    Some(format!("in {published:.2} ms: {}", reached.collect::<Vec<_>>().join(", ")))
}

/// Who has told of the block so far; `None` where nobody has, or nobody was asked.
pub(super) fn back_line(told: &Value) -> Option<String> {
    let have = told["have"].as_u64()?;
    let state = told["state"].as_str()?;
    let mut line = format!("{state}: {have} peers have it");
    if let Some(ms) = told["first_back"]["after_ms"].as_f64() {
        let address = told["first_back"]["address"].as_str().unwrap_or("a peer");
        line += &format!("; first announced back by {address} after {ms:.3} ms");
    }
    if let Some(rival) = told["rival"].as_str() {
        line += &format!("; in its place: {rival}");
    }
    Some(line)
}

/// A row per peer, in the order in which they had the block.
pub(super) fn peer_table(answer: &Value) -> String {
    let Some(peers) = answer["peers"].as_array().filter(|peers| !peers.is_empty()) else {
        return String::from("no peer was connected\n");
    };
    let head = ["peer", "outcome", "sent ms", "acked ms", "receipt ms", "echo ms"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for peer in peers {
        let text = |key: &str| peer[key].as_str().unwrap_or("-").to_owned();
        let time =
            |key: &str| peer[key].as_f64().map_or_else(|| "-".into(), |ms| format!("{ms:.3}"));
        rows.push(vec![
            text("address"),
            text("outcome"),
            time("sent_ms"),
            time("acked_ms"),
            time("handled_ms"),
            time("echo_ms"),
        ]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_peer_has_a_row() {
        let answer = json!({"peers": [
            {"address": "1.2.3.4:5", "outcome": "handled", "sent_ms": 1.5, "acked_ms": 1.75, "handled_ms": 2.25, "echo_ms": null},
            {"address": null, "outcome": null, "sent_ms": null, "handled_ms": null, "echo_ms": null},
        ]});
        let rows: Vec<Vec<String>> = peer_table(&answer)
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        assert_eq!(rows[0], ["1.2.3.4:5", "handled", "1.500", "1.750", "2.250", "-"]);
        assert_eq!(rows[1], ["-"; 6]);
        assert!(peer_table(&json!({"peers": []})).contains("no peer"));
    }

    #[test]
    fn stages_become_one_line() {
        let stages = json!({"header": 0.1, "work_checked": 0.31, "last_byte": 1.7, "walked": 1.8,
            "checked": null, "published": 1.9, "verdict": 40.0});
        assert_eq!(
            stage_line(&stages).as_deref(),
            Some("in 1.90 ms: header 0.10, work checked 0.31, last byte 1.70, published 1.90")
        );
        assert_eq!(stage_line(&Value::Null), None);
    }

    #[test]
    fn who_has_it_is_one_line() {
        let told = json!({"state": "behind", "have": 2, "rival": "00ab",
            "first_back": {"address": "1.2.3.4:5", "by": "echo", "after_ms": 1.25}});
        assert_eq!(
            back_line(&told).as_deref(),
            Some(
                "behind: 2 peers have it; first announced back by 1.2.3.4:5 after 1.250 ms; in its place: 00ab"
            )
        );
        assert_eq!(back_line(&Value::Null), None);
    }
}
