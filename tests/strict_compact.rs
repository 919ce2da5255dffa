//! Compact blocks of the whole engine to peers that hold everything against it that a node would.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::edge::engine::Engine;
use broadside::hot::link::Relay;
use broadside::hot::spawn::Backend;
use broadside::wire::chain::{Chain, Network, find};
use support::engine::{PATIENCE, connected, maker_of, settings_at};
use support::strict::rules::pool_of;
use support::strict::{Form, StrictPeer};
use tempfile::TempDir;

/// Large enough that its compact form is worth a question, small enough that a peer that is slow in
/// a debug build has its receipt out before the whole block is sent for want of it.
const BLOCK_BYTES: u32 = 400_000;
/// Transactions that the second peer lacks.
const LACKING: usize = 3;
/// Blocks sent each way; the first one is a chance to be chosen.
const BLOCKS: usize = 4;

async fn start(chain: &'static Chain, relay: Relay, peers: &[StrictPeer]) -> (Engine, TempDir) {
    let folder = TempDir::new().unwrap();
    let fixed = peers.iter().map(|peer| peer.address).collect();
    let mut settings = settings_at(&folder, Backend::Auto, fixed);
    (settings.chains[0].chain, settings.chains[0].relay) = (chain, relay);
    let engine = Engine::start(settings).await.expect("it starts");
    connected(&engine, peers.len() as u32).await;
    (engine, folder)
}

/// All peers have chosen us, and the shards know.
async fn chosen(engine: &Engine) {
    let mut view = engine.rosters()[0].view.clone();
    let all = view.wait_for(|view| view.peers.iter().all(|row| row.high_bandwidth.is_some()));
    let is_reached = tokio::time::timeout(PATIENCE, all).await.is_ok();
    assert!(is_reached, "every peer chooses who is first with a block");
}

/// Blocks by this policy to a peer that has every transaction, one that lacks a few and one that has
/// none: in which forms each got them, and block bytes sent to each.
async fn forms(name: &str, relay: Relay) -> [(Vec<Form>, u64); 3] {
    let chain = find(name, Network::Regtest).expect("a row");
    let peers = [0, 1, 2].map(|_| StrictPeer::start(chain, &[chain.genesis_hash]));
    let (engine, _folder) = start(chain, relay, &peers).await;
    let mut maker = maker_of(chain);
    for at in 0..BLOCKS {
        let block = maker.next(BLOCK_BYTES).expect("in reach");
        let pool = pool_of(chain, &block.raw);
        peers[1].state().pool = pool.clone().into_iter().skip(LACKING).collect();
        peers[0].state().pool = pool;
        let answer = engine.submit(0, block.raw.clone().into()).await;
        assert!(answer.published.is_some(), "{name}: {answer:?}");
        tokio::task::block_in_place(|| {
            for peer in &peers {
                peer.wait("the block", |state| state.blocks.len() > at);
            }
        });
        if at == 0 {
            chosen(&engine).await;
        }
    }
    engine.stop().await;
    for peer in &peers {
        peer.assert_content();
        assert!(peer.state().owed.is_empty(), "{name}: what was asked for was answered");
    }
    peers.each_ref().map(|peer| {
        let state = peer.state();
        (state.blocks.iter().map(|(_, form)| *form).collect(), state.block_bytes)
    })
}

fn count(forms: &[Form], form: Form) -> usize {
    forms.iter().filter(|it| **it == form).count()
}

const COINS: [&str; 3] = ["bitcoin", "litecoin", "dash"];

#[tokio::test(flavor = "multi_thread")]
async fn compact_alone_is_asked_about_where_something_lacks() {
    for name in COINS {
        let [(rich, rich_bytes), (some, some_bytes), (poor, poor_bytes)] =
            forms(name, Relay::Compact).await;
        assert!(count(&rich, Form::Compact) >= BLOCKS - 1, "{name}: {rich:?}");
        assert!(count(&some, Form::Asked) >= BLOCKS - 1, "{name}: {some:?}");
        // Where more is asked for than is worth an answer, the whole block comes in its place.
        assert_eq!((poor.len(), count(&poor, Form::Compact)), (BLOCKS, 0), "{name}: {poor:?}");
        eprintln!(
            "{name}, compact: {rich_bytes} bytes to a peer that has all transactions, {some_bytes} to \
             one that lacks {LACKING} in each block, {poor_bytes} to one that has none"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compact_and_full_needs_no_question() {
    for name in COINS {
        let [(rich, rich_bytes), _, (poor, _)] = forms(name, Relay::CompactAndFull).await;
        assert!(count(&rich, Form::Compact) >= BLOCKS - 1, "{name}: {rich:?}");
        assert_eq!(poor.len(), BLOCKS, "{name}: {poor:?}");
        eprintln!("{name}, compact+full: {rich_bytes} bytes each");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_is_full() {
    for name in COINS {
        let both = forms(name, Relay::Full).await;
        for (forms, bytes) in both {
            assert_eq!(count(&forms, Form::Full), BLOCKS, "{name}: {forms:?}");
            assert_eq!(bytes, u64::from(BLOCK_BYTES) * BLOCKS as u64, "{name}");
        }
    }
}

/// A real block with its proof of a parent's work, compact and answered: proof in header and key.
#[tokio::test(flavor = "multi_thread")]
async fn merged_blocks_go_compact_with_their_proof() {
    let beside = || format!("{}/../shared/data", env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var("BROADSIDE_VECTORS").unwrap_or_else(|_| beside());
    let Ok(raw) = std::fs::read(format!("{folder}/dogecoin-main-748634.bin")) else {
        eprintln!("SKIPPED: the real blocks are not in {folder}");
        return;
    };
    let chain = find("dogecoin", Network::Main).unwrap();
    let parent = raw[4..36].try_into().unwrap();
    let peers = [0, 1].map(|_| StrictPeer::start(chain, &[parent]));
    peers[0].state().pool = pool_of(chain, &raw);
    let (engine, _folder) = start(chain, Relay::CompactAndFull, &peers).await;
    assert!(engine.submit(0, raw.into()).await.published.is_some());
    tokio::task::block_in_place(|| {
        for peer in &peers {
            peer.wait("the block", |state| state.blocks.len() == 1);
        }
    });
    engine.stop().await;
    assert_eq!(peers[0].state().blocks[0].1, Form::Compact);
    peers.iter().for_each(StrictPeer::assert_content);
}
