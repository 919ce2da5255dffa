//! Who is connected to real nodes: the worst goes for a better one, and those that were cut off are
//! found again, without an operator.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use broadside::sys::namespace::{Device, Network};
use serde_json::{Map, Value, json};
use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::Miner;

/// Writes the database that the daemon is to find: addresses with what they have earned so far.
fn remember(daemon: &Daemon, peers: &[(SocketAddr, f64)]) {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let entry = |score: &f64| json!({"score": score, "source": "operator", "first_seen": now_s, "last_seen": now_s});
    let peers: Map<String, Value> =
        peers.iter().map(|(address, score)| (address.to_string(), entry(score))).collect();
    let text = json!({"version": "1.0", "chain": "litecoin", "network": "regtest", "peers": peers});
    let file = daemon.data_dir().join("broadcaster_peers_litecoin_regtest.json");
    std::fs::create_dir_all(daemon.data_dir()).expect("a folder");
    std::fs::write(file, text.to_string()).expect("written");
}

fn connected(stats: &Value) -> Vec<String> {
    let peers = stats["top_peers"].as_array().expect("a list").iter();
    let mut all: Vec<_> =
        peers.map(|it| it["address"].as_str().expect("text").to_owned()).collect();
    all.sort_unstable();
    all
}

fn named(nodes: &[&Node]) -> Vec<String> {
    let mut all: Vec<_> = nodes.iter().map(|node| node.p2p.to_string()).collect();
    all.sort_unstable();
    all
}

fn row(list: &Value, node: &Node) -> Value {
    let rows = list["peers"].as_array().expect("a list");
    let of_node = |row: &&Value| row["address"] == node.p2p.to_string();
    rows.iter().find(of_node).expect("it is known").clone()
}

/// Goal: a better peer that turns up takes the place of the worst, and of nobody else; the pool's own
/// node and the operator's peer, worth nothing by themselves, stay connected all the time.
#[test]
fn rotation_drops_the_worst_and_keeps_the_node() {
    let (own, fixed) = (Node::start(), Node::start());
    let (good, fair, poor, mut late) = (Node::start(), Node::start(), Node::start(), Node::start());
    late.kill();
    let mut daemon = Daemon::prepare(&Told {
        node: Some(&own),
        fixed: &[fixed.p2p],
        options: &["--broadcast-max-peers", "5", "--broadcast-min-peers", "5"],
        ..Told::default()
    });
    let scores = [(good.p2p, 500.0), (fair.p2p, 400.0), (poor.p2p, 50.0), (late.p2p, 900.0)];
    remember(&daemon, &scores);
    daemon.restart();
    let before = daemon.wait_for_stats("all seats", |stats| stats["peers"]["connected"] == 5);
    assert_eq!(connected(&before), named(&[&own, &fixed, &good, &fair, &poor]));
    late.restart();
    // Replacing is made first and broken then: with min = max there is no other way.
    let after = daemon.wait_for_stats("the better one in its place", |stats| {
        let few = stats["peers"]["connected"].as_u64() < Some(5);
        assert!(!few, "below min: {}", stats["peers"]);
        stats["drops"]["rotated-out"] == 1 && stats["drops"]["asked"] == 1
    });
    assert_eq!(connected(&after), named(&[&own, &fixed, &good, &fair, &late]));
    assert_eq!(
        (&after["node"]["connected"], &after["health"]["issues"]),
        (&json!(true), &json!([]))
    );
    assert!(daemon.lines().iter().all(|line| !line.contains("CRITICAL")));
    assert!(daemon.lines().iter().all(|line| !line.contains("fixed peer is lost")));

    let (code, list, _) = daemon.ask(&["peers", "list", "--sort", "rank", "--json"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!((code, &row(&list, &poor)["connected"]), (0, &json!(false)));
    assert_eq!(list["peers"][0]["address"], own.p2p.to_string());
    assert_eq!(
        (&row(&list, &late)["rank"], &row(&list, &late)["chosen_by"]),
        (&json!(2), &json!("score"))
    );
    let why = row(&list, &late)["why"].to_string();
    assert!(why.contains("served as no. 3 by score"), "{why}");
    assert_eq!(row(&list, &poor)["why"], "out: 3 better ones");

    // The next start goes back to the best at once.
    assert!(daemon.terminate().success());
    let file = daemon.data_dir().join("broadcaster_peers_litecoin_regtest.json");
    let saved: Value = serde_json::from_slice(&std::fs::read(file).expect("saved")).expect("JSON");
    let anchors = saved["anchors"].as_array().expect("some");
    assert!(anchors.contains(&json!(good.p2p.to_string())), "{anchors:?}");
    assert!(anchors.iter().all(|it| *it != json!(own.p2p.to_string())), "{anchors:?}");
}

/// Sends everything for these addresses to nowhere, or lets it pass again.
fn cut_off(peers: &str, is_cut: bool) {
    let verb = if is_cut { "add" } else { "del" };
    let words = ["route", verb, "blackhole", peers, "table", "local"];
    assert!(Command::new("ip").args(words).status().expect("ip (iproute2)").success());
}

fn partition() {
    Device("lo").up(None, None).expect("its own loopback");
    let own = Node::start();
    let near: Vec<_> =
        (1..=3).map(|it| Node::start_on(Ipv4Addr::new(127, 0, 6, it), &[])).collect();
    let far: Vec<_> = (1..=3).map(|it| Node::start_on(Ipv4Addr::new(127, 0, 7, it), &[])).collect();
    let mut miner = Miner::start();
    miner.mine(1);
    let all = || near.iter().chain(&far).chain([&own]);
    all().for_each(|node| node.feed(miner.chain()));
    let mut daemon = Daemon::prepare(&Told {
        node: Some(&own),
        options: &["--broadcast-max-peers", "7", "--broadcast-min-peers", "4"],
        ..Told::default()
    });
    let earned: Vec<_> = near.iter().chain(&far).map(|node| (node.p2p, 300.0)).collect();
    remember(&daemon, &earned);
    daemon.restart();
    daemon.wait_for_peers(7);

    cut_off("127.0.7.0/24", true);
    let lost = miner.mine(1)[0].clone();
    let (status, answer) = daemon.pool().submit(&lost.hex);
    assert_eq!((status, &answer["result"]), (200, &json!(null)));
    assert!(near.iter().chain([&own]).all(|node| node.wait_for_tip(&lost.hash)), "nobody waits");
    let stats = daemon.wait_for_stats("the others gone", |stats| stats["peers"]["connected"] == 4);
    // The kernel may tell the sender at once that there is no way, or not at all.
    let broken = |word: &str| stats["drops"][word].as_u64().unwrap_or(0);
    assert_eq!(broken("stalled") + broken("reset"), 3, "{}", stats["drops"]);
    assert!(far.iter().all(|node| node.tip() != lost.hash));
    // They are tried in vain meanwhile, each by itself, further and further apart.
    let tries = stats["drops"]["local"].as_u64().unwrap_or(0);
    daemon.wait_for_stats("more tries", |stats| {
        let failed: u64 = ["local", "timeout", "unreachable"]
            .iter()
            .map(|word| stats["drops"][*word].as_u64().unwrap_or(0))
            .sum();
        assert!(stats["peers"]["connected"].as_u64() >= Some(4), "never below min");
        failed >= tries + 3
    });

    cut_off("127.0.7.0/24", false);
    daemon.wait_for_peers(7);
    for node in &far {
        // It may have had the block from us at once, being new enough.
        let _either = node.ask("submitblock", json!([lost.hex]));
    }
    let next = miner.mine(1)[0].clone();
    daemon.pool().submit(&next.hex);
    assert!(all().all(|node| node.wait_for_tip(&next.hash)), "all are served again");
    assert!(
        daemon.lines().iter().all(|line| !line.contains("CRITICAL")),
        "the node was never lost"
    );
}

/// Goal: half of the peers are cut off in the middle of a block: the others get it, the cut off ones
/// are given up, and are back when the network is, with nobody's help.
/// Method: a network of our own, in which the way to one half of the loopback leads nowhere for a time.
#[test]
fn half_of_the_peers_are_cut_off_and_found_again() {
    let network = match Network::new() {
        Ok(network) => network,
        Err(error) => return eprintln!("SKIPPED: no network namespaces here ({error})"),
    };
    if Command::new("ip").arg("-V").output().is_err() {
        return eprintln!("SKIPPED: ip is missing: apt-get install iproute2");
    }
    let done = network.spawn("partition", partition).expect("a thread").join();
    done.expect("the test's own words are above").expect("in the network");
}
