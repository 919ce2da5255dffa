//! A real Prometheus scrapes a running daemon with a real node for a minute: the numbers are those of
//! the JSON, nothing fires while all is well, and what should fire when the node is lost does.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::sim::loopback::{Keep, Loopback};
use serde_json::Value;
use support::daemon::{Daemon, Told};
use support::engine::{chain, peers};
use support::exposition::Page;
use support::grafana::expressions;
use support::indicators::{Numbers, assert_same_everywhere};
use support::litecoind::Node;
use support::miner::Miner;
use support::prometheus::{Prometheus, is_installed};
use support::rpc_node::{Manner, RpcNode};

/// Blocks that the pool finds: some of them are deep enough for good.
const BLOCKS: u64 = 9;
/// Simulated peers beside the node.
const PEERS: usize = 5;
/// Scrapes, one a second.
const SCRAPES: f64 = 60.0;

/// A node, a daemon with that node and some peers, and blocks of which some are decided.
fn pool(endpoint: &RpcNode) -> (Node, Daemon, Loopback) {
    let (mut miner, node) = (Miner::start(), Node::start());
    let common: Vec<_> = miner.mine(2).to_vec();
    node.feed(common.iter().map(|block| block.hex.as_str()));
    let loopback = peers(Vec::new(), PEERS, Keep::Nothing);
    let fixed = loopback.addresses();
    let further = format!(
        "[[chain.submit]]\nurl = \"{}\"\nuser = \"a\"\npassword = \"secret\"\n",
        endpoint.url()
    );
    let told = Told { node: Some(&node), fixed, chain: &further, ..Told::default() };
    let daemon = Daemon::start(&told);
    daemon.wait_for_peers(PEERS as u64 + 1);
    let mut intake = daemon.pool();
    for block in miner.mine(BLOCKS) {
        let (status, answer) = intake.submit(&block.hex);
        assert!(status == 200 && answer["result"].is_null(), "{answer}");
    }
    daemon.wait_for_stats("some blocks decided, all offers ended", |stats| {
        let count = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let offers = BLOCKS * (PEERS as u64 + 1);
        count("/confirmation/confirmed") == BLOCKS - 5
            && count("/total_broadcasts") == offers
            && count("/indicators/propagation_ms/count") >= BLOCKS * PEERS as u64
            && count("/spool/waiting") == 0
    });
    (node, daemon, loopback)
}

/// Every expression of the dashboard is understood, and most have something to show.
fn every_panel_is_understood(prometheus: &Prometheus) {
    let expressions = expressions();
    assert!(expressions.len() > 40, "{}", expressions.len());
    let is_empty = |it: &&String| prometheus.query(it).as_array().is_some_and(Vec::is_empty);
    let empty: Vec<_> = expressions.iter().filter(is_empty).collect();
    println!(
        "{} expressions of the dashboard answered, {} with nothing: {empty:#?}",
        expressions.len(),
        empty.len()
    );
    assert!(empty.len() < expressions.len() / 4, "{empty:#?}");
}

/// What is not at rest, of the rules and of broadside's own alerts. How this host's clock is kept, and
/// how busy it is, is none of the test's business.
fn wrong(prometheus: &Prometheus) -> Vec<String> {
    let mut wrong = prometheus.states();
    wrong.retain(|rule| !rule.contains("BroadsideSaysItself"));
    let own = "count by (kind) (broadside_alert_active{kind!~\"clock|cpu|slow-fan-out\"} > 0)";
    let own = prometheus.query(own);
    wrong.extend(own.as_array().expect("a vector").iter().map(ToString::to_string));
    wrong
}

#[test]
fn a_real_prometheus_for_a_minute() {
    if !is_installed() {
        return;
    }
    let endpoint = RpcNode::start(chain(), Manner::Right);
    let (mut node, mut daemon, _peers) = pool(&endpoint);
    let mut prometheus = Prometheus::start(daemon.http);
    prometheus.wait_for("a minute of scrapes", |it| {
        it.number("count_over_time(up{job=\"broadside\"}[5m])") >= Some(SCRAPES)
    });
    assert_eq!(prometheus.number("min_over_time(up{job=\"broadside\"}[5m])"), Some(1.0));
    let scrapes = prometheus.number("count_over_time(up{job=\"broadside\"}[5m])").unwrap();
    let took_s = prometheus.number("avg_over_time(scrape_duration_seconds[5m])").unwrap();
    let samples = prometheus.number("scrape_samples_scraped").unwrap();
    println!("{scrapes} scrapes of {samples} samples, {:.1} ms each", took_s * 1e3);

    let numbers = Numbers::of(&daemon.stats());
    assert!(numbers.0.values().all(|value| value.is_some()), "all five are known: {numbers:?}");
    numbers.assert_same("Prometheus", |name, labels| prometheus.number(&format!("{name}{labels}")));
    assert_same_everywhere(&daemon);
    let host = format!("host=\"{}\"", endpoint.address);
    assert_eq!(
        prometheus.number(&format!("broadside_endpoint_up{{leg=\"0\", {host}}}")),
        Some(1.0)
    );
    let page = daemon.page("/metrics").1;
    Page::read(&page);
    assert!(!page.contains("secret"), "{page}");
    every_panel_is_understood(&prometheus);

    assert_eq!(wrong(&prometheus), Vec::<String>::new(), "nothing is wrong");
    node.kill();
    prometheus.wait_for("the node's loss", |it| it.fires("BroadsideNodeLost"));
    prometheus.wait_for("what broadside says of it", |it| {
        it.number("sum(broadside_alert_active{kind=\"node-lost\"})") >= Some(1.0)
    });
    prometheus.wait_for("its connection's too", |it| it.fires("BroadsideNodeNotAPeer"));
    node.restart();
    prometheus.wait_for("the all-clear", |it| wrong(it).is_empty());
    daemon.kill();
    prometheus.wait_for("broadside's own loss", |it| it.fires("BroadsideDown"));
    prometheus.stop();
}
