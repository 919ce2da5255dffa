//! The whole engine with simulated peers: what they get is the reference, byte for byte.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::edge::engine::Engine;
use broadside::hot::spawn::Backend;
use broadside::sim::blocks::{BlockMaker, MadeBlock};
use broadside::sim::loopback::Keep;
use broadside::sys::clock::now_ns;
use broadside::wire::frame::frame;
use support::engine::{PATIENCE, chain, connected, maker, peers, settings, submit};

/// Hands in a block by pieces.
async fn stream(engine: &Engine, block: &MadeBlock) {
    let mut reception = engine.receive(0, Some(block.raw.len() as u32)).expect("a place");
    for piece in block.raw.chunks(10_000) {
        reception.push(piece).expect("good bytes");
        tokio::task::yield_now().await;
    }
    let answer = reception.finish_now().await;
    assert!(answer.published.is_some(), "{answer:?}");
}

/// Goal: what 20 peers get is the reference message, byte for byte, with two blocks in flight.
async fn identical_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), 20, Keep::Bytes);
    let engine = Engine::start(settings(&folder, backend, &loopback)).await.unwrap();
    connected(&engine, 20).await;
    let mut maker = maker();
    let blocks = [maker.next(1_500_000).unwrap(), maker.next(400_000).unwrap()];
    // Together: the second is published while the first is on its way.
    tokio::join!(submit(&engine, &blocks[0]), stream(&engine, &blocks[1]));
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

/// From the last byte in until the shards were told, at 1.5 MB, in us: median, and the least, which
/// other work on the machine spoils less.
async fn tail_us(engine: &Engine, maker: &mut BlockMaker, bytes_per_us: Option<f64>) -> String {
    let mut tails = Vec::new();
    for _ in 0..41 {
        let block = maker.next(1_500_000).unwrap();
        let first_ns = now_ns();
        let (last_byte_ns, answer) = match bytes_per_us {
            None => {
                let raw = block.raw.into();
                let last_byte_ns = now_ns();
                (last_byte_ns, engine.submit(0, raw).await)
            }
            Some(bytes_per_us) => {
                let mut reception = engine.receive(0, Some(1_500_000)).expect("a place");
                let (mut come, mut last_byte_ns) = (0, first_ns);
                for piece in block.raw.chunks(64 * 1024) {
                    come += piece.len();
                    let due_ns = first_ns + (come as f64 / bytes_per_us * 1_000.0) as u64;
                    while now_ns() < due_ns {
                        std::hint::spin_loop();
                    }
                    last_byte_ns = now_ns();
                    reception.push(piece).expect("good bytes");
                }
                (last_byte_ns, reception.finish(last_byte_ns, None, None).await)
            }
        };
        tails.push(answer.published.expect("published").published_ns - last_byte_ns);
    }
    tails.sort_unstable();
    format!("{} (least {})", tails[tails.len() / 2] / 1_000, tails[0] / 1_000)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures that mean something on a quiet machine and in a release build alone"]
async fn what_is_left_after_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), 1, Keep::Nothing);
    let engine = Engine::start(settings(&folder, Backend::Auto, &loopback)).await.unwrap();
    connected(&engine, 1).await;
    let mut maker = maker();
    for round in 0..3 {
        let whole = tail_us(&engine, &mut maker, None).await;
        let [gigabit, ten, fastest] = [
            tail_us(&engine, &mut maker, Some(125.0)).await,
            tail_us(&engine, &mut maker, Some(1_250.0)).await,
            tail_us(&engine, &mut maker, Some(1e9)).await,
        ];
        println!(
            "round {round}: last byte to published, 1.5 MB, median us: whole {whole}, \
                  at 1 Gb/s {gigabit}, at 10 Gb/s {ten}, as fast as it goes {fastest}"
        );
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_peers_get_identical_bytes_on_epoll() {
    identical_on(Backend::Epoll).await;
}
