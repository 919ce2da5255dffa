//! Blocks as text: one in a line, or one whole.

use serde_json::Value;

use crate::bench::table::columns;
use crate::cmd::text::printable;
use crate::cold::history::calendar::date;
use crate::limits::CONFIRM_DEPTH;

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), printable)
}

fn whole(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn ms(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.3}"))
}

fn received(block: &Value) -> String {
    block["received_at"].as_f64().map_or_else(|| "-".to_owned(), |at_s| date(at_s as u64))
}

/// What has become of it, in a few words.
fn fate(told: &Value) -> String {
    match (told["state"].as_str(), told["depth"].as_u64()) {
        (Some("in-chain"), Some(depth)) => format!("{depth} of {CONFIRM_DEPTH} deep"),
        _ => text(&told["state"]),
    }
}

/// The own node's verdict.
fn verdict(block: &Value) -> String {
    let mut all = block["verdicts"].as_array().into_iter().flatten();
    all.find(|said| said["own"] == true)
        .map_or_else(|| "-".to_owned(), |said| text(&said["verdict"]))
}

/// Peers that surely had it, of those that it was offered to.
fn delivered(block: &Value) -> String {
    let count = |word: &str| block["outcomes"][word].as_u64().unwrap_or(0);
    format!("{}/{}", count("handled") + count("already-had"), whole(&block["offers"]))
}

/// One block in a line.
pub(super) fn list(blocks: &[Value]) -> String {
    if blocks.is_empty() {
        return "no block has been sent yet\n".to_owned();
    }
    let head = [
        "received (UTC)",
        "chain",
        "height",
        "bytes",
        "in ms",
        "delivered",
        "verdict",
        "state",
        "hash",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(blocks.iter().map(|block| {
        vec![
            received(block),
            text(&block["chain"]),
            whole(&block["height"]),
            whole(&block["bytes"]),
            ms(&block["stages"]["published"]),
            delivered(block),
            verdict(block),
            fate(&block["confirmation"]),
            text(&block["hash"]),
        ]
    }));
    columns(&rows)
}

/// One block whole: what happened, in the order in which it did.
pub(super) fn block(block: &Value) -> String {
    let mut out = format!(
        "{}\n{} {}, height {}, {} bytes, {} transactions, received {} UTC\n",
        text(&block["hash"]),
        text(&block["chain"]),
        text(&block["network"]),
        whole(&block["height"]),
        whole(&block["bytes"]),
        whole(&block["transactions"]),
        received(block),
    );
    let told = &block["confirmation"];
    out += &format!("{}: {} peers have it", fate(told), whole(&told["have"]));
    if let Some(rival) = told["rival"].as_str() {
        out += &format!("; in its place: {}", printable(rival));
    }
    out += "\n";
    out += &stages(block);
    out += &legs(block);
    out += &peers(block);
    out += &stolen(block);
    out += &back(block);
    out
}

fn section(title: &str, rows: &[Vec<String>]) -> String {
    let table = columns(rows);
    let lines: String = table.lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{lines}")
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// When it had come how far, earliest first.
fn stages(block: &Value) -> String {
    let stages = block["stages"].as_object().into_iter().flatten();
    let mut reached: Vec<(f64, String)> = stages
        .filter_map(|(name, at)| Some((at.as_f64()?, printable(&name.replace('_', " ")))))
        .collect();
    reached.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut rows = vec![row(["stage", "ms"])];
    rows.extend(reached.into_iter().map(|(at_ms, name)| vec![name, format!("{at_ms:.3}")]));
    section("Stages, in ms after its first byte", &rows)
}

fn legs(block: &Value) -> String {
    let mut rows = vec![row(["node", "verdict", "ms"])];
    for said in block["verdicts"].as_array().into_iter().flatten() {
        let own = if said["own"] == true { " (own)" } else { "" };
        let node = text(&said["node"]) + own;
        rows.push(vec![node, text(&said["verdict"]), ms(&said["after_ms"])]);
    }
    match rows.len() {
        1 => "\nNo node has said anything of it\n".to_owned(),
        _ => section("Nodes, in ms after publishing", &rows),
    }
}

fn peers(block: &Value) -> String {
    let all = || block["peers"].as_array().into_iter().flatten();
    // What the kernel saw has columns where it told anything.
    let seen = all().any(|peer| peer["wire_ms"].is_number() || peer["tcp_acked_ms"].is_number());
    let times = [
        ("queued", "submitted_ms", true),
        ("sent", "sent_ms", true),
        ("at device", "queued_ms", seen),
        ("on wire", "wire_ms", seen),
        ("tcp acked", "tcp_acked_ms", seen),
        ("acked", "acked_ms", true),
        ("receipt", "handled_ms", true),
        ("announced back", "echo_ms", true),
    ];
    let times = times.iter().filter(|(_, _, shown)| *shown);
    let head = ["peer", "outcome", "form", "bytes"].into_iter();
    let head = head.chain(times.clone().map(|(head, _, _)| *head)).map(str::to_owned);
    let mut rows = vec![head.collect::<Vec<_>>()];
    rows.extend(all().map(|peer| {
        let who = [text(&peer["address"]), text(&peer["outcome"]), text(&peer["way"])];
        let bytes = [whole(&peer["sent_bytes"])];
        let times = times.clone().map(|(_, key, _)| ms(&peer[*key]));
        who.into_iter().chain(bytes).chain(times).collect()
    }));
    let outcomes = block["outcomes"].as_object().into_iter().flatten();
    let outcomes: Vec<_> =
        outcomes.map(|(word, count)| format!("{} {}", whole(count), printable(word))).collect();
    let sums = format!("{} offers: {}", whole(&block["offers"]), outcomes.join(", "));
    match rows.len() {
        1 => format!("\nNo peer's part is kept ({sums})\n"),
        _ => section(&format!("Peers, in ms after publishing ({sums})"), &rows),
    }
}

/// Who held up the shards.
fn stolen(block: &Value) -> String {
    let told = &block["stolen"];
    if !told.is_object() {
        return String::new();
    }
    let mut rows = vec![row(["held up by", "kind", "number", "core", "times", "ms", "longest"])];
    for thief in told["by"].as_array().into_iter().flatten() {
        rows.push(vec![
            text(&thief["name"]),
            text(&thief["kind"]),
            whole(&thief["number"]),
            whole(&thief["core"]),
            whole(&thief["count"]),
            ms(&thief["total_ms"]),
            ms(&thief["longest_ms"]),
        ]);
    }
    let least = if told["may_lack"] == true { "at least " } else { "" };
    let total = ms(&told["total_ms"]);
    let title = format!("The shards were held up for {least}{total} ms until the last receipt");
    let rest = match told["rest_count"].as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!("  and {count} more times, {} ms in all\n", ms(&told["rest_ms"])),
    };
    match rows.len() {
        1 => format!("\n{title}\n"),
        _ => section(&title, &rows) + &rest,
    }
}

/// Who told us of it.
fn back(block: &Value) -> String {
    let mut out = String::new();
    let told = &block["confirmation"];
    let first = &told["first_back"];
    if first.is_object() {
        out += &format!(
            "\nFirst announced back by {} ({}) after {} ms, by half of those who did after {} ms\n",
            text(&first["address"]),
            text(&first["by"]),
            ms(&first["after_ms"]),
            ms(&told["half_back_ms"]),
        );
    }
    let mut rows = vec![row(["witness", "ms"])];
    for scout in block["scouts"].as_array().into_iter().flatten() {
        rows.push(vec![text(&scout["address"]), ms(&scout["after_ms"])]);
    }
    if rows.len() > 1 {
        out += &section("Witnesses that scouts heard, in ms after publishing", &rows);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made() -> Value {
        json!({"hash": "00ab", "chain": "x", "network": "main", "height": 7, "bytes": 1000,
            "transactions": 3, "received_at": 1_795_314_183.5,
            "stages": {"published": 1.5, "first_byte": 0.0, "header": null, "last_byte": 0.25},
            "offers": 3, "outcomes": {"handled": 1, "already-had": 1, "reset": 1},
            "verdicts": [{"node": "b\u{1b}[2J", "own": false, "verdict": "bad\nword", "after_ms": 1.0},
                         {"node": "a", "own": true, "verdict": "accepted", "after_ms": 40.0}],
            "confirmation": {"state": "in-chain", "depth": 2, "have": 2, "rival": null,
                "first_back": {"address": null, "by": "witness", "after_ms": 2.0},
                "half_back_ms": 3.5},
            "peers": [{"address": "192.0.2.1:5", "outcome": "handled", "way": "full",
                "sent_bytes": 1000, "submitted_ms": 0.1, "sent_ms": 0.2, "acked_ms": null,
                "handled_ms": 1.25, "echo_ms": null}],
            "scouts": [{"address": "192.0.2.9:1", "after_ms": 2.0}]})
    }

    #[test]
    fn a_list_has_a_line_for_each_block() {
        let text = list(&[made()]);
        let line: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let expected = "2026-11-22 02:23:03 x 7 1000 1.500 2/3 accepted 2 of 6 deep 00ab";
        assert_eq!(line.join(" "), expected, "{text}");
        assert_eq!(list(&[]), "no block has been sent yet\n");
    }

    #[test]
    fn a_block_is_told_in_order_and_nothing_moves_the_cursor() {
        let text = block(&made());
        assert!(!text.contains('\u{1b}') && text.contains("b?[2J") && text.contains("bad?word"));
        let places = [
            "first byte",
            "last byte",
            "published",
            "a (own)",
            "192.0.2.1:5",
            "First",
            "192.0.2.9",
        ]
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in {text}")));
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("3 offers: 1 already-had, 1 handled, 1 reset"), "{text}");
        assert!(!text.contains("on wire") && !text.contains("held up"), "{text}");
        // What is missing is a dash or a sentence, never a fault.
        let bare = block(&json!({}));
        assert!(bare.contains("No node") && bare.contains("No peer's part"), "{bare}");
    }

    #[test]
    fn what_the_kernel_saw_is_told_where_it_is_known() {
        let mut told = made();
        told["peers"][0]["wire_ms"] = json!(0.15);
        told["stolen"] = json!({"total_ms": 0.0125, "may_lack": true, "rest_count": 2,
            "rest_ms": 0.001, "by": [{"core": 3, "kind": "task", "number": 77, "name": "x\u{1b}y",
            "count": 4, "total_ms": 0.0115, "longest_ms": 0.01}]});
        let text = block(&told);
        for part in ["on wire", "0.150", "for at least 0.013 ms", "x?y", "2 more times"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        told["stolen"] = json!({"total_ms": 0.0, "by": []});
        assert!(block(&told).contains("held up for 0.000 ms until the last receipt\n"));
    }
}
