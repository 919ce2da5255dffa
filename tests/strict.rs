//! The whole engine against peers that hold everything against it that a node would, on all chains.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::edge::engine::Engine;
use broadside::hot::spawn::Backend;
use broadside::sim::blocks::{BlockMaker, MadeBlock};
use broadside::wire::chain::{Chain, Network, find, names};
use broadside::wire::message::name;
use support::engine::{connected, settings_at};
use support::spoil::without_work;
use support::strict::{BAN_POINTS, StrictPeer};
use support::wire_peer::WirePeer;
use tempfile::TempDir;

/// Peers of each engine.
const PEERS: usize = 3;
/// Blocks in rapid succession, small and large ones in turn.
const BLOCKS: u32 = 24;

fn regtest(name: &str) -> &'static Chain {
    find(name, Network::Regtest).expect("a row")
}

fn maker(chain: &'static Chain) -> BlockMaker {
    BlockMaker::new(chain, 11, 1_700_000_000)
}

fn blocks(chain: &'static Chain, count: u32) -> Vec<MadeBlock> {
    let mut maker = maker(chain);
    (0..count).map(|at| maker.next(if at % 2 == 0 { 600 } else { 150_000 }).unwrap()).collect()
}

async fn start(chain: &'static Chain, folder: &TempDir, peers: &[StrictPeer]) -> Engine {
    let fixed = peers.iter().map(|peer| peer.address).collect();
    let mut settings = settings_at(folder, Backend::Auto, fixed);
    settings.chains[0].chain = chain;
    let engine = Engine::start(settings).await.expect("it starts");
    connected(&engine, peers.len() as u32).await;
    engine
}

/// Blocks as fast as they are taken, on every chain: parents first, each once, nothing to complain of.
#[tokio::test(flavor = "multi_thread")]
async fn strict_peers_of_every_chain_have_nothing_to_complain_of() {
    for name in names() {
        let chain = regtest(name);
        let folder = TempDir::new().unwrap();
        let start_peer = |_| StrictPeer::start(chain, &[chain.genesis_hash]);
        let peers: Vec<_> = (0..PEERS).map(start_peer).collect();
        let engine = start(chain, &folder, &peers).await;
        let made = blocks(chain, BLOCKS);
        for block in &made {
            let answer = engine.submit(0, block.raw.clone().into()).await;
            assert!(answer.published.is_some(), "{name}: {answer:?}");
        }
        let wanted: Vec<_> = made.iter().map(|block| block.hash).collect();
        tokio::task::block_in_place(|| {
            for peer in &peers {
                peer.wait("all blocks", |state| state.blocks.len() == made.len());
                let state = peer.state();
                let got: Vec<_> = state.blocks.iter().map(|(hash, _)| *hash).collect();
                assert_eq!(got, wanted, "{name}: parents first");
                assert!(state.owed.is_empty() && state.handshakes == 1, "{name}: {state:?}");
                drop(state);
                peer.assert_content();
            }
        });
        let bytes: u64 = peers.iter().map(|peer| peer.state().block_bytes).sum();
        eprintln!("{name}: {} blocks to {PEERS} peers in {bytes} bytes", made.len());
        engine.stop().await;
    }
}

/// Real blocks of the main networks, with their proofs and special transactions, pass as they are.
#[tokio::test(flavor = "multi_thread")]
async fn real_blocks_of_the_main_networks_pass() {
    let here = env!("CARGO_MANIFEST_DIR");
    let folder = std::env::var("BROADSIDE_VECTORS");
    let folder = folder.unwrap_or_else(|_| format!("{here}/../shared/data"));
    let files = [
        ("dogecoin", "dogecoin-main-748634.bin"),
        ("dogecoin", "dogecoin-main-894863.bin"),
        ("dash", "dash-main-providerregister.bin"),
        ("dash", "dash-main-providerupdate.bin"),
        ("bitcoin", "bitcoin-main-0c835b2a.bin"),
    ];
    for (coin, file) in files {
        let Ok(raw) = std::fs::read(format!("{folder}/{file}")) else {
            eprintln!("SKIPPED: {file} is not in {folder}");
            continue;
        };
        let chain = find(coin, Network::Main).unwrap();
        let parent = raw[4..36].try_into().unwrap();
        let (peer, folder) = (StrictPeer::start(chain, &[parent]), TempDir::new().unwrap());
        let peers = [peer];
        let engine = start(chain, &folder, &peers).await;
        let answer = engine.submit(0, raw.clone().into()).await;
        assert!(answer.published.is_some(), "{file}: {answer:?}");
        tokio::task::block_in_place(|| {
            peers[0].wait("the block", |state| state.blocks.len() == 1);
            peers[0].assert_content();
        });
        engine.stop().await;
    }
}

/// The strict peer is as strict as it says: otherwise the tests above would show nothing.
#[test]
fn a_strict_peer_marks_down_what_nodes_do() {
    for name in names() {
        let chain = regtest(name);
        let made = blocks(chain, 2);
        let (first, orphan) = (made[0].raw.clone(), made[1].raw.clone());
        let high = without_work(chain, &first);
        let mut other_root = first.clone();
        *other_root.last_mut().unwrap() ^= 1;
        let is_point = *name != "bitcoin";
        let cases: [(&str, &str, Vec<u8>, u32); 7] = [
            ("a good block", name::BLOCK, first.clone(), 0),
            ("unknown parent", name::BLOCK, orphan, if is_point { 10 } else { BAN_POINTS }),
            ("high-hash", name::BLOCK, high, if *name == "dogecoin" { 50 } else { BAN_POINTS }),
            ("wrong root", name::BLOCK, other_root, BAN_POINTS),
            ("cut", name::BLOCK, first[..first.len() - 3].to_vec(), 0),
            ("no compact block", name::CMPCTBLOCK, [&[0; 89][..], &[1, 5]].concat(), BAN_POINTS),
            ("a late version", name::SENDADDRV2, Vec::new(), BAN_POINTS),
        ];
        for (what, command, payload, points) in cases {
            let peer = StrictPeer::start(chain, &[chain.genesis_hash]);
            let compact = Some((false, chain.compact_version));
            let mut us = WirePeer::connect(chain, peer.address, 9, compact);
            let is_chosen = *name != "bitcoin" || command != name::CMPCTBLOCK;
            let after = us.say(&[(command, &payload)]);
            let points = if is_chosen { points } else { 0 };
            assert_eq!(peer.state().points, points, "{name}: {what}");
            assert_eq!(after.pong, points < BAN_POINTS, "{name}: {what}");
            let is_clean = what == "a good block";
            assert_eq!(peer.state().why.is_empty(), is_clean, "{name}: {what}");
        }
    }
}
