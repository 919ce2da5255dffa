//! What the kernel saw of a block, in the whole engine with simulated peers. What needs root and the
//! feature `bpf` says so and is skipped otherwise.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use broadside::cold::history::{self, HistoryBounds, HistoryFile};
use broadside::cold::stats::{BlockRecord, StolenTime};
use broadside::edge::engine::{Engine, EngineSettings};
use broadside::edge::trace::{TraceSettings, TraceView};
use broadside::hot::shard::Idle;
use broadside::hot::spawn::Backend;
use broadside::sim::blocks::MadeBlock;
use broadside::sim::loopback::{Keep, Loopback};
use broadside::sys::bpf::Runner;
use broadside::sys::cpu;
use broadside::wire::hash::BlockHash;
use support::daemon::{Daemon, Told};
use support::engine::{PATIENCE, connected, maker, peers, settings, submit};
use tempfile::TempDir;

const PEERS: u32 = 8;

fn traced(folder: &TempDir, backend: Backend, loopback: &Loopback) -> EngineSettings {
    EngineSettings {
        cores: cpu::available().last().copied().into_iter().collect(),
        trace: TraceSettings { deliveries: true, cores: true, initial_window_packets: 30 },
        history: Some(HistoryBounds { keep_days: 1, keep_bytes: 100_000_000 }),
        ..settings(folder, backend, loopback)
    }
}

/// Whether everything is seen; says so where it is not.
fn is_seen(test: &str, view: &TraceView) -> bool {
    let why = view.deliveries.why_not.as_ref().or(view.cores.why_not.as_ref());
    if let Some(why) = why {
        eprintln!("SKIPPED {test}: needs root and --features bpf: {why}");
    }
    why.is_none()
}

/// The block's record, once `is_told` of it.
async fn told(
    engine: &Engine,
    block: &MadeBlock,
    is_told: impl Fn(&BlockRecord) -> bool,
) -> BlockRecord {
    let mut changes = engine.log().revision();
    let wanted = async {
        loop {
            let record = engine.log().find(0, &BlockHash(block.hash));
            if let Some(record) = record.filter(&is_told) {
                return record;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.expect("it is told in time")
}

/// Goal: of each peer it is known when its bytes were queued, on the wire and acknowledged, in the order
/// in which that can only happen, and it is in the history as well.
async fn each_peers_times_are_in_order(backend: Backend, test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), PEERS as usize, Keep::Nothing);
    let engine = Engine::start(traced(&folder, backend, &loopback)).await.unwrap();
    let view = Arc::clone(&engine.trace_view().borrow());
    if !is_seen(test, &view) {
        return engine.stop().await;
    }
    assert_eq!(view.initial_window_packets, 30);
    connected(&engine, PEERS).await;
    let mut maker = maker();
    let blocks = [1_000, 300_000, 1_500_000].map(|bytes| maker.next(bytes).unwrap());
    for block in &blocks {
        submit(&engine, block).await;
        let _ = loopback.wait_for(block.hash, PEERS as usize, PATIENCE);
        let record = told(&engine, block, |record| {
            let rows = record.rows.values().filter(|row| row.kernel.acked_ns != 0);
            rows.count() == PEERS as usize && record.stolen.is_some()
        })
        .await;
        let published_ns = record.published_ns();
        for row in record.rows.values() {
            let seen = row.kernel;
            let steps = [
                published_ns,
                row.submitted_ns,
                seen.given_ns,
                seen.queued_ns,
                seen.wire_ns,
                seen.acked_ns,
                row.handled_ns,
            ];
            assert!(steps.is_sorted(), "{row:?}");
            assert!(seen.given_ns <= row.sent_ns, "{row:?}");
            assert!(row.acked_ns == 0 || seen.acked_ns <= row.acked_ns, "{row:?}");
        }
        let json = record.to_json();
        let peer = &json["peers"][0];
        let (wire, acked) = (peer["wire_ms"].as_f64().unwrap(), peer["tcp_acked_ms"].as_f64());
        assert!(wire >= 0.0 && acked.unwrap() >= wire, "{peer}");
        assert!(json["stolen"]["total_ms"].as_f64().unwrap() >= 0.0, "{json}");
    }
    let totals = engine.log().totals(0);
    assert_eq!(totals.to_wire.percentiles().unwrap().count, u64::from(3 * PEERS));
    assert_eq!(totals.wire_to_acked.percentiles().unwrap().count, u64::from(3 * PEERS));
    let record = engine.log().find(0, &BlockHash(blocks[2].hash)).unwrap();
    engine.stop().await;
    let file = HistoryFile::open(&history::file(folder.path())).unwrap();
    let kept = file.find(&BlockHash(blocks[2].hash)).unwrap().unwrap();
    assert!(kept.peers.iter().all(|peer| peer.wire_us <= peer.tcp_acked_us));
    assert!(kept.peers.iter().all(|peer| peer.queued_us.is_some()));
    assert_eq!(kept.stolen.is_some(), record.stolen.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_saw_each_peers_bytes_on_io_uring() {
    each_peers_times_are_in_order(Backend::Auto, "on_io_uring").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_saw_each_peers_bytes_on_epoll() {
    each_peers_times_are_in_order(Backend::Epoll, "on_epoll").await;
}

/// Runs on `core` before everything ordinary, a few ms at a time, until told to stop.
fn steal(core: usize, stop: &Receiver<()>) {
    assert!(cpu::pin_to(core) && cpu::go_at_once());
    // It stands for something that comes and goes: whoever else is on the core lives on.
    while stop.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
        let end = Instant::now() + Duration::from_millis(4);
        while Instant::now() < end {}
    }
}

fn thief<'a>(stolen: &'a StolenTime, name: &str) -> Option<&'a broadside::cold::stats::Thief> {
    stolen.thieves.iter().find(|it| it.runner == Runner::Task && it.name == name)
}

/// Goal: who runs on a shard's core while it wants it is named, with its time, for the block that it
/// held up. Method: a thread that goes before the shard, on its core, until a block tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_holds_up_a_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), PEERS as usize, Keep::Nothing);
    let spinning = EngineSettings { idle: Idle::Spin, ..traced(&folder, Backend::Auto, &loopback) };
    let core = spinning.cores[0];
    let engine = Engine::start(spinning).await.unwrap();
    if !is_seen("who_holds_up_a_shard_is_named", &engine.trace_view().borrow()) {
        return engine.stop().await;
    }
    connected(&engine, PEERS).await;
    let (stop, stopped) = channel();
    let stealing = std::thread::Builder::new().name("made-up-thief".to_owned());
    let stealing = stealing.spawn(move || steal(core, &stopped)).unwrap();
    let mut maker = maker();
    let end = Instant::now() + PATIENCE;
    let found = loop {
        assert!(Instant::now() < end, "nobody was named");
        let block = maker.next(1_000_000).unwrap();
        submit(&engine, &block).await;
        let _ = loopback.wait_for(block.hash, PEERS as usize, PATIENCE);
        let is_told = |record: &BlockRecord| record.stolen.is_some();
        let record = told(&engine, &block, is_told).await;
        let stolen = record.stolen.unwrap();
        if let Some(found) = thief(&stolen, "made-up-thief") {
            break found.clone();
        }
    };
    drop(stop);
    stealing.join().unwrap();
    assert_eq!(found.core, core as u32);
    assert!(found.longest_ns > 0 && found.longest_ns <= found.total_ns, "{found:?}");
    let mut view = engine.trace_view();
    let summed = view.wait_for(|view| {
        let of_tasks = |it: &&(u32, Runner, _)| it.0 == core as u32 && it.1 == Runner::Task;
        view.stolen.iter().any(|it| of_tasks(&it) && it.2.total_ns >= found.total_ns)
    });
    tokio::time::timeout(PATIENCE, summed).await.expect("in time").expect("a trace");
    engine.stop().await;
}

/// Goal: where the kernel is not asked, or does not tell, blocks go out and are told of as ever.
#[tokio::test(flavor = "multi_thread")]
async fn without_it_all_else_works() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let bpf = !cfg!(feature = "bpf");
    let trace = TraceSettings { deliveries: bpf, cores: bpf, initial_window_packets: 0 };
    let told_to = EngineSettings { trace, ..settings(&folder, Backend::Auto, &loopback) };
    let engine = Engine::start(told_to).await.unwrap();
    let view = Arc::clone(&engine.trace_view().borrow());
    let why = view.deliveries.why_not.clone().expect("a reason");
    assert!(why.contains(if bpf { "--features bpf" } else { "trace.bpf is off" }), "{why}");
    connected(&engine, 2).await;
    let block = maker().next(100_000).unwrap();
    submit(&engine, &block).await;
    let record = told(&engine, &block, |record| record.counts.is_settled(1)).await;
    assert!(record.stolen.is_none());
    let json = record.to_json();
    assert!(json["peers"][0]["sent_ms"].is_number() && json["peers"][0]["wire_ms"].is_null());
    assert!(json["stolen"].is_null());
    engine.stop().await;
}

/// Goal: what an operator sees of it: the log's one line, `blocks show`, the metrics.
#[test]
fn the_daemon_tells_of_it() {
    let loopback = peers(Vec::new(), 3, Keep::Nothing);
    let told = Told { fixed: loopback.addresses(), traced: true, ..Told::default() };
    let mut daemon = Daemon::start(&told);
    let line = daemon.wait_for_line("kernel trace");
    let trace = &daemon.stats()["trace"];
    let is_on = trace["deliveries"]["on"] == true;
    let metric = format!("broadside_trace_on{{program=\"tcp_delivery\"}} {}\n", u8::from(is_on));
    assert!(daemon.page("/metrics").1.contains(&metric));
    if !is_on {
        assert!(line.contains("no kernel trace: ") && line.ends_with("All else works"), "{line}");
        eprintln!("SKIPPED the rest of the_daemon_tells_of_it: {line}");
        return;
    }
    assert!(line.contains("kernel trace: deliveries, and cores ["), "{line}");
    daemon.wait_for_peers(3);
    let block = maker().next(200_000).unwrap();
    let (code, out, errors) = daemon.submit(&block.raw, &[]);
    assert_eq!(code, 0, "{out}{errors}");
    let hash = BlockHash(block.hash).to_string();
    daemon.wait_for_stats("all that is known", |_| {
        let story = daemon.get(&format!("/blocks/{hash}")).1;
        let seen = story["peers"].as_array().into_iter().flatten();
        seen.filter(|peer| peer["tcp_acked_ms"].is_number()).count() == 3
    });
    let page = daemon.page("/metrics").1;
    let counted = page.lines().find(|line| {
        line.starts_with("broadside_kernel_step_seconds_count") && line.contains("step=\"acked\"")
    });
    assert!(counted.is_some_and(|line| line.ends_with(" 3")), "{counted:?}");
    let (_, running, _) = daemon.ask(&["blocks", "show", &hash]);
    assert!(running.contains("on wire") && running.contains("tcp acked"), "{running}");
    println!("{running}");
    assert!(daemon.page(&format!("/block/{hash}")).1.contains("TCP acknowledged"));
    assert!(daemon.terminate().success());
    let (_, stopped, _) = daemon.ask(&["blocks", "show", &hash]);
    assert!(stopped.contains("on wire"), "the file has it too: {stopped}");
}
