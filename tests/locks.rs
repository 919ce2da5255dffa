//! Locks of blocks and transactions through the whole engine, among peers that check them as nodes do.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use broadside::edge::engine::Engine;
use broadside::hot::spawn::Backend;
use broadside::wire::chain::{Chain, Network, all};
use broadside::wire::hash::{hex, sha256d};
use broadside::wire::locks::LockKind;
use broadside::wire::message::{InvItem, encode_inv, name};
use serde_json::json;
use support::daemon::{Daemon, Told};
use support::engine::{connected, maker_of, settings_at};
use support::strict::StrictPeer;
use tempfile::TempDir;

/// The chain that has them.
fn chain() -> &'static Chain {
    all().find(|chain| chain.has_locks && chain.network == Network::Regtest).expect("a row")
}

fn block_lock(height: u32, block: [u8; 32]) -> Vec<u8> {
    [&height.to_le_bytes()[..], &block, &[9; 96]].concat()
}

fn transaction_lock(inputs: u8) -> Vec<u8> {
    let spent = vec![3; 36 * usize::from(inputs)];
    [&[1, inputs][..], &spent, &[7; 32], &[8; 32], &[9; 96]].concat()
}

struct World {
    engine: Engine,
    peers: Vec<StrictPeer>,
    _folder: TempDir,
}

impl World {
    async fn start(locks: bool) -> Self {
        let start_peer = |_| StrictPeer::start(chain(), &[chain().genesis_hash]);
        let peers: Vec<_> = (0..6).map(start_peer).collect();
        let folder = TempDir::new().unwrap();
        let fixed = peers.iter().map(|peer| peer.address).collect();
        let mut settings = settings_at(&folder, Backend::Auto, fixed);
        (settings.chains[0].chain, settings.chains[0].locks) = (chain(), locks);
        let engine = Engine::start(settings).await.expect("it starts");
        connected(&engine, 6).await;
        Self { engine, peers, _folder: folder }
    }

    /// All peers would believe this lock.
    fn sign(&self, kind: LockKind, lock: &[u8]) {
        let known = (kind.inventory(), sha256d(lock), lock.to_vec());
        self.peers.iter().for_each(|peer| peer.state().good_locks.push(known.clone()));
    }

    /// These peers say that they have it, as a node does once it has checked it.
    fn announce(&self, kind: LockKind, lock: &[u8], from: &[usize]) {
        let item = InvItem { kind: kind.inventory(), hash: sha256d(lock) };
        from.iter().for_each(|at| self.peers[*at].say(name::INV, &encode_inv(&[item])));
    }

    /// Says something that is answered behind all that was said before.
    fn settle(&self) {
        for peer in &self.peers {
            let pongs = |state: &support::strict::State| {
                state.heard.iter().filter(|it| *it == name::PONG).count()
            };
            let before = pongs(&peer.state());
            peer.say(name::PING, &[5; 8]);
            peer.wait("a pong", |state| pongs(state) > before);
        }
    }

    async fn stop(self) {
        self.peers.iter().for_each(StrictPeer::assert_content);
        self.engine.stop().await;
    }
}

/// Three peers have a lock: the other three get it unasked, and nobody gets what he had.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_three_peers_have_reaches_the_others() {
    let world = World::start(true).await;
    let block = maker_of(chain()).next(5_000).unwrap();
    assert!(world.engine.submit(0, block.raw.clone().into()).await.published.is_some());
    tokio::task::block_in_place(|| {
        let locks = [
            (LockKind::Block, block_lock(1, block.hash)),
            (LockKind::Transaction, transaction_lock(2)),
        ];
        for (taken, (kind, lock)) in locks.into_iter().enumerate() {
            world.sign(kind, &lock);
            world.announce(kind, &lock, &[0, 1, 2]);
            for peer in &world.peers[3..] {
                peer.wait("the lock", |state| state.taken.len() == taken + 1);
                assert_eq!(peer.state().taken[taken], lock);
            }
            // Again by those who were told: nothing more is asked or sent.
            world.announce(kind, &lock, &[3, 4, 5]);
        }
        world.settle();
        for peer in &world.peers[..3] {
            assert!(peer.state().taken.is_empty());
        }
        let asked =
            |peer: &StrictPeer| peer.state().heard.iter().filter(|it| *it == name::GETDATA).count();
        assert_eq!(world.peers.iter().map(asked).sum::<usize>(), 2, "each was asked for once");
    });
    let counts = world.engine.locks().counts(0).unwrap();
    assert_eq!((counts.blocks, counts.transactions, counts.asked), (1, 1, 2), "{counts:?}");
    world.stop().await;
}

/// Of an unknown block, with a wrong shape, or told of by too few: never relayed, and counted.
#[tokio::test(flavor = "multi_thread")]
async fn locks_that_nobody_can_vouch_for_go_nowhere() {
    let world = World::start(true).await;
    tokio::task::block_in_place(|| {
        let unknown = block_lock(1, [7; 32]);
        world.sign(LockKind::Block, &unknown);
        world.announce(LockKind::Block, &unknown, &[0, 1, 2, 3]);
        world.peers[0].say("clsig", &unknown[1..]);
        world.peers[0].say("isdlock", &transaction_lock(0));
        world.peers[0].say("isdlock", &vec![1; 3_000]);
        let few = transaction_lock(1);
        world.sign(LockKind::Transaction, &few);
        world.announce(LockKind::Transaction, &few, &[0, 1]);
        world.settle();
        world.settle();
        assert!(world.peers.iter().all(|peer| peer.state().taken.is_empty()));
    });
    let end = std::time::Instant::now() + support::engine::PATIENCE;
    let counts = loop {
        let counts = world.engine.locks().counts(0).unwrap();
        if counts.refused.len() >= 4 || std::time::Instant::now() > end {
            break counts;
        }
        tokio::task::yield_now().await;
    };
    let words: Vec<_> = counts.refused.keys().copied().collect();
    assert_eq!(words, ["impossible", "malformed", "too-long", "unknown-block"], "{counts:?}");
    assert_eq!((counts.blocks, counts.transactions), (0, 0));
    world.stop().await;
}

/// Switched off, nobody is asked and nothing is passed on.
#[tokio::test(flavor = "multi_thread")]
async fn locks_can_be_switched_off() {
    let world = World::start(false).await;
    tokio::task::block_in_place(|| {
        let lock = transaction_lock(1);
        world.announce(LockKind::Transaction, &lock, &[0, 1, 2]);
        world.settle();
        let asked = |peer: &StrictPeer| peer.state().heard.iter().any(|it| it == name::GETDATA);
        assert!(!world.peers.iter().any(asked));
    });
    assert!(world.engine.locks().counts(0).is_none());
    world.stop().await;
}

/// A transaction that the node takes by `sendrawtransaction` is pushed to every peer; one that it
/// refuses is not. The node's answers pass unchanged.
#[test]
fn a_transaction_that_the_node_accepts_is_pushed() {
    let txid = "ab".repeat(32);
    let refused = json!({"result": null, "error": {"code": -26, "message": "no"}, "id": 7});
    let accepted = json!({"result": txid, "error": null, "id": 7});
    let node = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", node.local_addr().unwrap());
    let answers = (refused.to_string(), accepted.to_string());
    std::thread::spawn(move || {
        for stream in node.incoming().map_while(Result::ok) {
            let answers = answers.clone();
            std::thread::spawn(move || serve(stream, &answers));
        }
    });
    let peers = [0, 1].map(|_| StrictPeer::start(chain(), &[chain().genesis_hash]));
    let login = format!("[chain.node]\nrpc = \"{url}\"\nuser = \"u\"\npassword = \"p\"\n");
    let fixed = [peers[0].address, peers[1].address];
    let coin = chain().name;
    let daemon = Daemon::start(&Told { coin, fixed: &fixed, chain: &login, ..Told::default() });
    daemon.wait_for_peers(2);
    let mut pool = daemon.pool();
    let (bad, good) = (vec![0xbb; 200], vec![0xaa; 220]);
    let (_, answer) = pool.ask("sendrawtransaction", &json!([hex(&bad)]));
    assert_eq!(answer, refused);
    let (status, answer) = pool.ask("sendrawtransaction", &json!([hex(&good)]));
    assert_eq!((status, answer), (200, accepted));
    for peer in &peers {
        peer.wait("the transaction", |state| !state.taken.is_empty());
        assert_eq!(peer.state().taken, std::slice::from_ref(&good));
        peer.assert_content();
    }
    assert_eq!(daemon.stats()["locks"]["own_transactions"], 1);
}

/// A node that takes transactions which begin with aa and nothing else.
fn serve(mut stream: std::net::TcpStream, (refused, accepted): &(String, String)) {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        text.extend_from_slice(&piece[..length]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let wanted = head.to_lowercase();
        let wanted = wanted.split_once("content-length: ").map_or(0, |(_, rest)| {
            rest.split("\r\n").next().unwrap_or_default().parse().unwrap_or(0)
        });
        if body.len() < wanted {
            continue;
        }
        let is_good = body.contains("sendrawtransaction") && body.contains("aaaaaaaa");
        let (status, answer) = match is_good {
            true => ("200 OK", accepted),
            false => ("500 Internal Server Error", refused),
        };
        let length = answer.len();
        let reply = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
        );
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
        text.clear();
    }
}
