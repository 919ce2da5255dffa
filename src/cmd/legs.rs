//! Tables of nodes: how one block fares at each, and what is known of each further endpoint.

use serde_json::Value;

use crate::bench::table::columns;

/// A row per node that a block is handed to; nothing where an engine does not say.
pub(super) fn leg_table(answer: &Value) -> String {
    let Some(legs) = answer["legs"].as_array().filter(|legs| !legs.is_empty()) else {
        return String::new();
    };
    let head = ["node", "state", "verdict", "tries", "after ms", "trouble"];
    let row = |leg: &Value| {
        let own = if leg["own"].as_bool() == Some(true) { " (own)" } else { "" };
        vec![
            format!("{}{own}", text(&leg["node"])),
            text(&leg["state"]),
            text(&leg["verdict"]),
            leg["tries"]
                .as_u64()
                .filter(|tries| *tries > 0)
                .map_or_else(nothing, |it| it.to_string()),
            milliseconds(&leg["after_ms"]),
            text(&leg["trouble"]),
        ]
    };
    table(&head, legs.iter().map(row))
}

/// A row per further endpoint of all chains; nothing where there is none.
pub(super) fn endpoint_table<'a>(chains: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let head = [
        "endpoint", "chain", "breaker", "blocks", "accepted", "refused", "other", "gave up",
        "waiting", "tries", "p50 ms", "max ms", "trouble",
    ];
    let mut rows = Vec::new();
    for (name, chain) in chains {
        let each = chain["endpoints"]["each"].as_array().into_iter().flatten();
        rows.extend(each.map(|told| endpoint_row(name, told)));
    }
    if rows.is_empty() { String::new() } else { table(&head, rows.into_iter()) }
}

fn endpoint_row(chain: &str, told: &Value) -> Vec<String> {
    let count = |key: &str| told[key].as_u64().unwrap_or(0);
    let verdicts = |keys: &[&str]| -> String {
        let sum: u64 = keys.iter().filter_map(|key| told["verdicts"][key].as_u64()).sum();
        sum.to_string()
    };
    let breaker = match (text(&told["breaker"]).as_str(), told["here"].as_bool()) {
        ("closed", Some(false)) => "AWAY".to_owned(),
        ("closed", None) => nothing(),
        ("closed", Some(true)) => "ok".to_owned(),
        (word, _) => word.to_uppercase(),
    };
    vec![
        text(&told["url"]),
        chain.to_owned(),
        breaker,
        count("blocks").to_string(),
        verdicts(&["accepted", "duplicate"]),
        verdicts(&["refused", "error"]),
        verdicts(&["inconclusive"]),
        (count("gave_up") + count("turned_away")).to_string(),
        count("waiting").to_string(),
        count("tries").to_string(),
        milliseconds(&told["answer_ms"]["p50"]),
        milliseconds(&told["answer_ms"]["max"]),
        text(&told["last_trouble"]),
    ]
}

/// What became of proofs of merged mining; nothing where a chain takes none or got none.
pub(super) fn proofs(name: &str, chain: &Value) -> String {
    let told = &chain["merged_mining"];
    let count = |key: &str| told[key].as_u64().unwrap_or(0);
    let handed_in = count("accepted") + count("refused") + count("unanswered");
    if handed_in == 0 {
        return String::new();
    }
    format!(
        "{name}: {handed_in} proofs handed in, {} accepted, {} refused, {} unanswered; {} blocks \
         fetched, {} known already, {} LOST\n",
        count("accepted"),
        count("refused"),
        count("unanswered"),
        count("fetched"),
        count("known"),
        count("lost"),
    )
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    columns(&[head].into_iter().chain(rows).collect::<Vec<_>>())
}

fn nothing() -> String {
    "-".to_owned()
}

/// One line, whatever a node says.
fn text(value: &Value) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    value.as_str().map_or_else(nothing, |text| text.chars().map(plain).collect())
}

fn milliseconds(value: &Value) -> String {
    value.as_f64().map_or_else(nothing, |ms| format!("{ms:.3}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(table: &str) -> Vec<Vec<&str>> {
        table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
    }

    #[test]
    fn every_node_of_a_block_has_a_row() {
        let answer = json!({"legs": [
            {"node": "http://a:1", "own": true, "state": "answered", "verdict": "accepted",
             "tries": 1, "trouble": null, "after_ms": 1.25},
            {"node": "http://b:1", "own": false, "state": "asked", "verdict": null, "tries": 2,
             "trouble": "it\u{1b}hangs", "after_ms": 0},
        ]});
        let table = leg_table(&answer);
        let rows = rows(&table);
        assert_eq!(rows[0], ["http://a:1", "(own)", "answered", "accepted", "1", "1.250", "-"]);
        assert_eq!(rows[1], ["http://b:1", "asked", "-", "2", "0.000", "it?hangs"]);
        assert_eq!(leg_table(&json!({})), "");
    }

    #[test]
    fn every_endpoint_has_a_row() {
        let told = json!({"endpoints": {"each": [
            {"url": "http://b:1", "breaker": "open", "here": false, "blocks": 4, "waiting": 1,
             "verdicts": {"accepted": 1, "duplicate": 1, "inconclusive": 0, "refused": 0, "error": 0},
             "gave_up": 1, "turned_away": 0, "tries": 9, "last_trouble": "no answer",
             "answer_ms": {"p50": 1.5, "max": 2}},
            {"url": "http://c:1", "breaker": "closed", "here": true},
        ]}});
        let none = json!({"endpoints": {"configured": 0, "each": []}});
        let table = endpoint_table([("x", &told), ("y", &none)].into_iter());
        let rows = rows(&table);
        assert_eq!(rows[0].join(" "), "http://b:1 x OPEN 4 2 0 0 1 1 9 1.500 2.000 no answer");
        assert_eq!(rows[1].join(" "), "http://c:1 x ok 0 0 0 0 0 0 0 - - -");
        assert_eq!(endpoint_table([("y", &none)].into_iter()), "");
    }

    #[test]
    fn proofs_are_one_line() {
        let told = json!({"merged_mining": {"accepted": 3, "refused": 1, "unanswered": 0,
                                            "fetched": 2, "known": 1, "lost": 0}});
        let line = "x: 4 proofs handed in, 3 accepted, 1 refused, 0 unanswered; 2 blocks fetched, \
                    1 known already, 0 LOST\n";
        assert_eq!(proofs("x", &told), line);
        assert_eq!(proofs("x", &json!({"merged_mining": null})), "");
    }
}
