//! The whole engine with simulated peers: what they get is the reference, byte for byte.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::edge::engine::Engine;
use broadside::hot::spawn::Backend;
use broadside::sim::loopback::Keep;
use broadside::wire::frame::frame;
use support::engine::{PATIENCE, chain, connected, maker, peers, settings, submit};

/// Goal: what 20 peers get is the reference message, byte for byte, with two blocks in flight.
async fn identical_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), 20, Keep::Bytes);
    let engine = Engine::start(settings(&folder, backend, &loopback)).await.unwrap();
    connected(&engine, 20).await;
    let mut maker = maker();
    let blocks = [maker.next(1_500_000).unwrap(), maker.next(400_000).unwrap()];
    // Together: the second is published while the first is on its way.
    tokio::join!(submit(&engine, &blocks[0]), submit(&engine, &blocks[1]));
    for block in &blocks {
        let arrivals = loopback.wait_for(block.hash, 20, PATIENCE);
        assert_eq!(arrivals.times_ns().len(), 20);
    }
    engine.stop().await;
    let references = blocks.map(|block| frame(chain().magic, "block", &block.raw));
    for peer in 0..20 {
        let connections = loopback.kept(peer);
        assert_eq!(connections.len(), 1);
        let places = references.each_ref().map(|reference| {
            let found = connections[0].windows(reference.len()).position(|part| part == reference);
            found.expect("the reference message, whole and unbroken")
        });
        // Nothing but pings (32 bytes each) around the two: after the handshake's last byte.
        let rest = connections[0].len() - references.iter().map(Vec::len).sum::<usize>();
        // One sendcmpct (33 bytes) ends the handshake; then there are pings and nothing else.
        assert_eq!((rest - 33) % 32, 0, "peer {peer}");
        assert_ne!(places[0], places[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_peers_get_identical_bytes_on_io_uring() {
    identical_on(Backend::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_peers_get_identical_bytes_on_epoll() {
    identical_on(Backend::Epoll).await;
}
