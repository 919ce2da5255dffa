use super::family::{CHAIN_LABELS, Family, Kind, SHARD_LABELS, shard_counter, unit_of};
use super::*;
use crate::cold::alert::AlertView;
use crate::cold::node::verdict::Verdict;
use crate::cold::roster::{PeerRow, RosterView};
use crate::edge::http::testing;
use crate::edge::intake::desk::testing::{Bench, GENESIS, block, plain_chain};
use crate::metrics::Counter;
use crate::wire::hash::BlockHash;
use tokio::sync::watch;

/// What a stranger may call himself, and a node may answer.
const HOSTILE: &str = "x\"} 1\n# HELP evil <script>alert(1)</script>\\";

fn row(place: u32) -> PeerRow {
    PeerRow { high_bandwidth: Some(1), takes_compact: true, ..testing::peer_row(place, HOSTILE) }
}

fn state(bench: &Bench, peers: u32) -> HttpState {
    let view = RosterView {
        connected: peers,
        max: peers,
        min: 2,
        aimed: peers,
        node_connected: Some(false),
        peers: (0..peers).map(row).collect(),
        drops: [("reset", 3)].into(),
        ..RosterView::default()
    };
    let alert = testing::alert(plain_chain(), HOSTILE, HOSTILE);
    let alerts = AlertView { active: vec![alert], past: Vec::new() };
    HttpState {
        alerts: watch::Sender::new(Arc::new(alerts)).subscribe(),
        ..testing::state(plain_chain(), bench.desk.log(), view)
    }
}

/// Goal: nothing that a stranger has said gets into the page, in either format.
#[tokio::test]
async fn strangers_words_stay_out() {
    let bench = Bench::new(None, None);
    let refused = Verdict::Refused(HOSTILE.to_owned());
    bench.desk.log().note_verdict(0, &BlockHash([7; 32]), HOSTILE, true, &refused, 1);
    for format in [Format::OpenMetrics, Format::Text] {
        let text = page(Now::of(&state(&bench, 3)), format).unwrap();
        for word in ["evil", "<script", "198.51.100.7", "\\"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        let chain = format!("chain=\"{}\",network=\"regtest\"", plain_chain().name);
        for line in [
            format!("broadside_verdicts_total{{{chain},node=\"own\",verdict=\"refused\"}} 1\n"),
            format!("broadside_peers_connected{{{chain}}} 3\n"),
            format!("broadside_drops_total{{{chain},reason=\"reset\"}} 3\n"),
            format!(
                "broadside_alert_active{{kind=\"block-refused\",severity=\"critical\",chain=\"{}\"}} 1\n",
                plain_chain().name
            ),
            "broadside_alert_active{kind=\"node-lost\"} 0\n".to_owned(),
            "broadside_alerts_active 1\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}

/// Goal: each client gets the format that it asks for, with the type that belongs to it.
#[tokio::test]
async fn both_formats_are_what_they_say() {
    let bench = Bench::new(None, None);
    let ask = async |accept: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.extend(accept.map(|value| (ACCEPT, value.parse().unwrap())));
        let answer = metrics(State(Arc::new(state(&bench, 1))), headers).await;
        let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    };
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let (kind, open) = ask(Some(prometheus)).await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("# EOF\n") && open.contains("# UNIT broadside_stage_seconds seconds\n"));
    assert!(open.contains("# TYPE broadside_peer_sent_bytes counter\n"));
    for accept in [None, Some("*/*"), Some("text/plain;version=0.0.4")] {
        let (kind, text) = ask(accept).await;
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
        assert!(text.contains("# TYPE broadside_peer_sent_bytes_total counter\n"));
        let samples = |page: &str| page.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(samples(&text), samples(&open));
    }
}

#[test]
fn of_an_address_only_host_and_port_are_shown() {
    for (url, host) in [
        ("http://127.0.0.1:9332", "127.0.0.1:9332"),
        ("http://me:secret@node.example:1/wallet/x", "node.example:1"),
        ("http://[::1]:80/?a=b", "[::1]:80"),
        ("a\"b\n:1", "ab:1"),
    ] {
        assert_eq!(now::host_of(url), host);
    }
}

/// One line of the table in the documentation.
fn line(name: &str, kind: Kind, labels: &[&str], help: &str) -> String {
    let word = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let unit = unit_of(name.strip_suffix("_total").unwrap_or(name)).map_or("", |(_, unit)| unit);
    format!("| `{name}` | {word} | {unit} | {} | {help} |\n", labels.join(", "))
}

fn lines<T>(families: &[&[Family<T>]], more: &[&str]) -> String {
    let all = families.iter().copied().flatten();
    let told = all.map(|it| line(it.name, it.kind, &[more, it.labels].concat(), it.help));
    told.collect()
}

/// Goal: the documentation has the families that there are, word for word.
#[test]
fn the_documentation_has_every_family() {
    let shards = Counter::ALL.iter().map(|counter| {
        line(&shard_counter(*counter).0, Kind::Counter, SHARD_LABELS, counter.help())
    });
    let table = lines(chain::CHAIN, &CHAIN_LABELS)
        + &lines(engine::ENGINE, &[])
        + &shards.collect::<String>();
    for line in table.lines() {
        assert!(line.ends_with(". |") && !line.contains("\\"), "a help text is a sentence: {line}");
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let found: String = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert!(found == table, "docs/metrics.md should have these lines:\n{table}");
}

/// What a scrape costs with many peers; the figures are printed, not judged.
#[tokio::test]
async fn a_scrape_of_a_thousand_peers() {
    let bench = Bench::new(None, None);
    bench.submit(&block(GENESIS, 1, 1)).await;
    let state = state(&bench, 1_000);
    let mut took_us = Vec::new();
    let mut bytes = 0;
    for _ in 0..50 {
        let begun = std::time::Instant::now();
        bytes = page(Now::of(&state), Format::OpenMetrics).unwrap().len();
        took_us.push(begun.elapsed().as_micros());
    }
    took_us.sort_unstable();
    println!("1,000 peers: {bytes} bytes, median {} us, most {} us", took_us[25], took_us[49]);
    let few = page(Now::of(&self::state(&bench, 2)), Format::OpenMetrics).unwrap().len();
    assert!(bytes.abs_diff(few) < 100, "a page does not grow with its peers: {few} {bytes}");
}
