//! The same blocks to real nodes in each way there is, in one run: bytes sent and time to the receipt.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::net::Ipv4Addr;

use broadside::edge::engine::Engine;
use broadside::hot::link::{Outcome, Relay};
use broadside::hot::spawn::Backend;
use broadside::metrics::Counter;
use broadside::wire::chain::{Network, find};
use serde_json::json;
use support::bitcoind::{BITCOIND, Forge};
use support::engine::{PATIENCE, connected, settings_at};
use support::litecoind::{LITECOIND, Node, Program};
use support::miner::{Mined, Miner};
use tempfile::TempDir;

/// Payments in each block.
const PAYMENTS: usize = 25;
/// Blocks; the first one makes us a chosen sender.
const BLOCKS: usize = 4;
const WAYS: [Relay; 3] = [Relay::Full, Relay::CompactAndFull, Relay::Compact];

/// One node for each way, with an engine that has no other peer.
struct Lane {
    relay: Relay,
    node: Node,
    engine: Engine,
    _folder: TempDir,
}

impl Lane {
    async fn start(coin: &str, program: &'static Program, relay: Relay, chain: &[String]) -> Self {
        let node = Node::start_program(program, Ipv4Addr::LOCALHOST, &[]);
        node.feed(chain.iter().map(String::as_str));
        let folder = TempDir::new().expect("a folder");
        let mut settings = settings_at(&folder, Backend::Auto, vec![node.p2p]);
        settings.chains[0].chain = find(coin, Network::Regtest).expect("a row");
        settings.chains[0].relay = relay;
        let engine = Engine::start(settings).await.expect("it starts");
        connected(&engine, 1).await;
        Self { relay, node, engine, _folder: folder }
    }

    async fn submit(&self, block: &Mined) {
        let answer = self.engine.submit(0, block.raw().into()).await;
        assert!(answer.published.is_some(), "{answer:?}");
        let is_tip = tokio::task::block_in_place(|| self.node.wait_for_tip(&block.hash));
        assert!(is_tip, "{:?}: at {}", self.relay, self.node.tip());
        // Chosen, once it was first with a block.
        let mut view = self.engine.rosters()[0].view.clone();
        let chosen = view.wait_for(|it| it.peers.iter().all(|row| row.high_bandwidth.is_some()));
        let is_chosen = tokio::time::timeout(PATIENCE, chosen).await.is_ok();
        assert!(is_chosen, "{:?}: {:?}", self.relay, self.engine.rosters()[0].view.borrow().peers);
    }

    /// What the shards have counted so far.
    fn count(&self, counter: Counter) -> u64 {
        self.engine.links().iter().map(|link| link.counters.get(counter)).sum()
    }

    /// Waits until all offers have ended; none of them badly.
    async fn settled(&self) {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let totals = self.engine.log().totals(0);
            let ended: u64 = totals.outcomes.iter().sum();
            if ended >= BLOCKS as u64 {
                let handled = totals.of(Outcome::Handled);
                assert_eq!(handled, BLOCKS as u64, "{:?}: {:?}", self.relay, totals.outcomes);
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{:?}: {:?}", self.relay, totals.outcomes);
            tokio::task::yield_now().await;
        }
    }
}

/// Blocks made by `next`, which gives their payments to the nodes it is given, all but `lacking`.
async fn race(
    coin: &str,
    program: &'static Program,
    chain: Vec<String>,
    lacking: usize,
    mut next: impl FnMut(&[&Node]) -> Mined,
) {
    let mut lanes = Vec::new();
    for relay in WAYS {
        lanes.push(Lane::start(coin, program, relay, &chain).await);
    }
    let (mut block_bytes, mut before) = (0, vec![0; lanes.len()]);
    for turn in 0..BLOCKS {
        let nodes: Vec<_> = lanes.iter().map(|lane| &lane.node).collect();
        let block = tokio::task::block_in_place(|| next(&nodes));
        for lane in &lanes {
            lane.submit(&block).await;
        }
        if turn == 0 {
            before = lanes.iter().map(|lane| lane.count(Counter::SentBytes)).collect();
        } else {
            block_bytes += block.raw().len() as u64;
        }
    }
    let mut sent = Vec::new();
    for (lane, before) in lanes.iter().zip(before) {
        lane.settled().await;
        let bytes = lane.count(Counter::SentBytes) - before;
        let times = lane.engine.log().totals(0).handled.percentiles().expect("some");
        eprintln!(
            "{coin}, {lacking} of {PAYMENTS} payments unknown, {:?}: {bytes} bytes for blocks of \
             {block_bytes}, last byte in to receipt p50 {:.2} ms, most {:.2} ms",
            lane.relay, times.p50_ms, times.max_ms
        );
        if lane.relay == Relay::Compact {
            let answers = if lacking == 0 { 0 } else { BLOCKS as u64 - 1 };
            let answered = lane.count(Counter::AnswersSent);
            assert!(answered >= answers && (answers > 0 || answered == 0), "{answered} answers");
            assert_eq!(lane.count(Counter::RequestsRefused), 0);
        }
        sent.push(bytes);
    }
    assert!(sent[0] >= block_bytes, "whole blocks went out whole");
    assert!(sent[2] * 2 < sent[0], "compact ones took less than half: {sent:?}");
    for lane in lanes {
        lane.engine.stop().await;
    }
}

async fn bitcoin(lacking: usize) {
    let mut forge = tokio::task::block_in_place(Forge::start);
    tokio::task::block_in_place(|| forge.ripen((BLOCKS * PAYMENTS) as u64));
    let chain = forge.chain().map(str::to_owned).collect();
    race("bitcoin", &BITCOIND, chain, lacking, |nodes| {
        let payments: Vec<_> = (0..PAYMENTS).map(|_| forge.pay()).collect();
        for node in nodes {
            for payment in &payments[lacking..] {
                node.call("sendrawtransaction", json!([payment.hex]));
            }
        }
        forge.mine_with(&payments).clone()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_to_bitcoin_nodes() {
    bitcoin(0).await;
}

/// What lacks is asked for and answered out of the block's image, without the whole block.
#[tokio::test(flavor = "multi_thread")]
async fn ways_to_bitcoin_nodes_that_lack_something() {
    bitcoin(2).await;
}

async fn litecoin(lacking: usize) {
    let mut miner = tokio::task::block_in_place(Miner::start);
    tokio::task::block_in_place(|| miner.activate_mweb());
    let chain = miner.chain().map(str::to_owned).collect();
    race("litecoin", &LITECOIND, chain, lacking, |nodes| {
        miner.pay(PAYMENTS - lacking);
        miner.tell(nodes);
        miner.pay(lacking);
        miner.mine(1)[0].clone()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_to_litecoin_nodes_with_extension_blocks() {
    litecoin(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_to_litecoin_nodes_that_lack_something() {
    litecoin(2).await;
}
