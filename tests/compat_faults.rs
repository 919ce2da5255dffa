//! Faults of the broadcasters that came before: for each of them a test that it is not left in us,
//! here or by name in [`ELSEWHERE`].

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use axum::routing::post;
use axum::{Json, Router};
use broadside::cold::node::{NodeAuth, NodeSettings};
use broadside::edge::engine::Engine;
use broadside::hot::spawn::Backend;
use broadside::sim::blocks::BlockMaker;
use broadside::sim::loopback::{Fault, Keep, Loopback, LoopbackSettings};
use broadside::wire::chain::{self, Chain, Network};
use serde_json::{Value, json};
use support::engine::{PATIENCE, connected, maker, peers, settings, submit};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The fault, and the tests that hold it down, wherever they stand.
const ELSEWHERE: [(&str, &[&str]); 10] = [
    (
        "a block re-serialised without its extension part",
        &[
            "blocks_with_extension_blocks_reach_them_too",
            "twenty_peers_get_identical_bytes_on_epoll",
        ],
    ),
    (
        "two blocks' frames spliced on one connection",
        &["every_offer_has_one_outcome", "identical_bytes"],
    ),
    (
        "one dead RPC peer holds up the others",
        &["a_node_that_is_away_delays_no_peer_and_gets_the_block_when_it_is_back"],
    ),
    (
        "peers dropped after 100 s of silence",
        &[
            "a_silent_peer_is_dropped_after_its_chains_limit",
            "every_row_is_found_by_its_name_and_network",
        ],
    ),
    ("failed dials not scored", &["a_dial_that_fails_costs_score"]),
    (
        "sockets of superseded reconnects left open",
        &[
            "a_socket_comes_home_and_is_closed_even_when_reports_are_dropped",
            "an_address_is_one_peer_however_often_it_is_named",
        ],
    ),
    (
        "topping up only below 5",
        &[
            "fills_up_to_max_from_the_nodes_peers_the_node_first",
            "refresh_finds_peers_that_come_later",
        ],
    ),
    ("a database not saved at stop", &["sigterm_saves_the_peers_and_leaves_no_socket"]),
    (
        "a database removed before the rename",
        &[
            "what_is_saved_is_loaded_and_the_file_before_is_kept",
            "a_folder_that_refuses_is_an_error_and_the_old_file_stays",
        ],
    ),
    (
        "submission skipped because P2P \"succeeded\"",
        &[
            "a_good_block_goes_to_peers_node_endpoints_and_spool",
            "a_duplicate_by_our_own_peers_is_success_and_inconclusive_is_said_as_it_is",
        ],
    ),
];

/// All Rust text below `folder`.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn the_tests_elsewhere_are_still_there() {
    let (root, mut text) = (Path::new(env!("CARGO_MANIFEST_DIR")), String::new());
    sources(&root.join("src"), &mut text);
    sources(&root.join("tests"), &mut text);
    for (fault, tests) in ELSEWHERE {
        for test in tests {
            let is_there =
                ["(", "<"].iter().any(|after| text.contains(&format!("fn {test}{after}")));
            assert!(is_there, "{fault}: there is no test {test}");
        }
    }
}

/// Fault: success was counted when the bytes were queued. A peer that takes no more, but whose socket
/// still has room for all of a small block, has not got it.
#[tokio::test(flavor = "multi_thread")]
async fn queued_is_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(vec![Fault::Stall, Fault::None], 2, Keep::Nothing);
    let engine = Engine::start(settings(&folder, Backend::Auto, &loopback)).await.unwrap();
    connected(&engine, 2).await;
    submit(&engine, &maker().next(2_000).unwrap()).await;
    let mut view = engine.rosters()[0].view.clone();
    let delivered = |at: usize| {
        let address = loopback.addresses()[at];
        move |view: &Arc<broadside::cold::roster::RosterView>| {
            let row = view.peers.iter().find(|row| row.label.address == address);
            row.map(|row| row.successful_broadcasts)
        }
    };
    let (stalled, good) = (delivered(0), delivered(1));
    let reached = view.wait_for(|view| good(view) == Some(1));
    let shown = tokio::time::timeout(PATIENCE, reached).await.expect("in time").unwrap().clone();
    assert_eq!(stalled(&shown), Some(0), "it has not dealt with anything");
    engine.stop().await;
}

/// Commands of all messages in `stream`.
fn commands(chain: &Chain, stream: &[u8]) -> BTreeSet<String> {
    let (mut found, mut at) = (BTreeSet::new(), 0);
    while let Some(header) = stream.get(at..at + 24) {
        assert_eq!(header[..4], chain.magic, "a frame was cut by another");
        let command = String::from_utf8(header[4..16].to_vec()).expect("text");
        found.insert(command.trim_end_matches('\0').to_owned());
        at += 24 + u32::from_le_bytes(header[16..20].try_into().unwrap()) as usize;
    }
    found
}

/// Faults: an inv that nobody serves, a compact block announced and its body never served. On every
/// chain a peer gets the block itself, and nothing that would make it ask.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_announced_that_is_not_sent() {
    for name in chain::names() {
        let chain = chain::find(name, Network::Regtest).expect("a row");
        let told =
            LoopbackSettings { chain, peers: 2, faults: Vec::new(), keep: Keep::Bytes, seed: 3 };
        let start = move || Loopback::start(told).unwrap();
        let loopback = std::thread::spawn(start).join().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, Backend::Auto, &loopback);
        settings.chains[0].chain = chain;
        let engine = Engine::start(settings).await.unwrap();
        connected(&engine, 2).await;
        let block = BlockMaker::new(chain, 7, 1_700_000_000).next(20_000).unwrap();
        submit(&engine, &block).await;
        assert_eq!(loopback.wait_for(block.hash, 2, PATIENCE).times_ns().len(), 2);
        engine.stop().await;
        for peer in 0..2 {
            let said = commands(chain, &loopback.kept(peer)[0]);
            let allowed = ["block", "ping", "pong", "sendcmpct"].map(str::to_owned);
            assert!(said.contains("block"), "{name}: {said:?}");
            assert!(said.iter().all(|it| allowed.contains(it)), "{name}: {said:?}");
        }
    }
}

/// A node that takes every block, and tells how many it was handed.
async fn willing_node() -> (NodeSettings, watch::Receiver<u32>) {
    let (count, handed) = watch::channel(0);
    let serve = move |Json(call): Json<Value>| async move {
        if call["method"] == "submitblock" {
            count.send_modify(|count| *count += 1);
        }
        Json(json!({"result": null, "error": null, "id": call["id"]}))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(serve));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (NodeSettings { url, auth: NodeAuth::None }, handed)
}

/// Fault: one dead RPC peer held up the others. One that takes connections and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = NodeSettings {
        url: format!("http://{}", dead.local_addr().unwrap()),
        auth: NodeAuth::None,
    };
    let (willing, mut handed) = willing_node().await;
    let mut settings = settings(&folder, Backend::Auto, &loopback);
    settings.chains[0].submit = [nowhere.clone(), willing, nowhere].map(Into::into).into();
    let engine = Engine::start(settings).await.unwrap();
    connected(&engine, 2).await;
    let mut maker = maker();
    for number in 1..=3 {
        let block = maker.next(20_000).unwrap();
        submit(&engine, &block).await;
        assert_eq!(loopback.wait_for(block.hash, 2, PATIENCE).times_ns().len(), 2);
        let reached = handed.wait_for(|handed| *handed >= number);
        tokio::time::timeout(PATIENCE, reached).await.expect("it waits for the dead").unwrap();
    }
    engine.stop().await;
}

/// Fault: the DNS seeds were all dead, and the only way in. Each public network names those that are
/// known to answer (sources in the chain table), and none is needed: a list or a node will do.
#[test]
fn public_networks_name_their_seeds_and_private_ones_none() {
    for row in chain::all() {
        assert_eq!(row.dns_seeds.is_empty(), row.network == Network::Regtest, "{}", row.name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(row.dns_seeds.iter().all(|seed| seed.chars().all(plain) && seed.contains('.')));
    }
}
