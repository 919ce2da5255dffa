//! The whole engine with peers of every manner. Alone in its process: its memory is looked at.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::collections::HashSet;

use broadside::edge::engine::Engine;
use broadside::hot::link::Outcome;
use broadside::hot::spawn::Backend;
use broadside::metrics::Counter;
use broadside::sim::blocks::BlockMaker;
use broadside::sim::loopback::{Fault, Keep, Loopback, PeerState};
use support::engine::{PATIENCE, connected, maker, peers, settings, submit};

/// Peers that do as they should.
const HEALTHY: usize = 17;
/// Blocks to each engine, taking turns.
const ROUNDS: usize = 15;
/// What the tests' own blocks, peers and clients may add while the rounds go on, in bytes.
const GROWTH_BYTES_MAX: u64 = 96 * 1024 * 1024;

/// Time to 90 % of the healthy peers for one more block, in ms.
async fn t90_ms(engine: &Engine, loopback: &Loopback, maker: &mut BlockMaker) -> f64 {
    let block = maker.next(1_000_000).unwrap();
    let before = broadside::sys::clock::now_ns();
    submit(engine, &block).await;
    let arrivals = loopback.wait_for(block.hash, HEALTHY, PATIENCE);
    let mut times: Vec<_> = arrivals.at_ns[..HEALTHY].iter().flatten().copied().collect();
    assert_eq!(times.len(), HEALTHY, "every healthy peer has it");
    times.sort_unstable();
    (times[(HEALTHY * 9).div_ceil(10) - 1] - before) as f64 / 1e6
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// One peer dies in the middle of a block, one stops reading, one sends garbage: the healthy ones
/// get every block, outcomes and reasons name the others, and memory stays bounded. How long it
/// takes is printed, beside an engine without such peers, block by block in turn.
#[tokio::test(flavor = "multi_thread")]
async fn bad_peers_do_not_slow_the_others() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut faults = vec![Fault::None; HEALTHY];
    faults.extend([Fault::ResetMidBlock { after_bytes: 100_000 }, Fault::Stall, Fault::Garbage]);
    let good = peers(Vec::new(), HEALTHY, Keep::Nothing);
    let mixed = peers(faults, HEALTHY + 3, Keep::Nothing);
    let quiet = Engine::start(settings(&other_folder, Backend::Auto, &good)).await.unwrap();
    let engine = Engine::start(settings(&folder, Backend::Auto, &mixed)).await.unwrap();
    connected(&quiet, HEALTHY as u32).await;
    let handshakes = |states: &[PeerState]| states.iter().all(|state| state.handshakes > 0);
    assert!(mixed.wait_until(PATIENCE, handshakes));
    let (mut one, mut other) = (maker(), maker());
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut resident = 0;
    for round in 0..ROUNDS {
        without.push(t90_ms(&quiet, &good, &mut one).await);
        with.push(t90_ms(&engine, &mixed, &mut other).await);
        if round == 2 {
            resident = resident_bytes();
        }
    }
    let growth = resident_bytes().saturating_sub(resident);
    eprintln!(
        "T(90 %) of {HEALTHY} healthy peers, 1 MB, median of {ROUNDS} in turn: {:.2} ms without bad \
         peers, {:.2} ms with three; memory grew by {} KiB over the rounds",
        median(without),
        median(with),
        growth / 1024
    );
    assert!(growth <= GROWTH_BYTES_MAX, "memory grew by {growth} bytes");
    let named = |word: &'static str| move |outcome: &Outcome| outcome.word() == word;
    let seen = outcomes(&engine);
    assert!(seen.iter().any(named("handled")) && seen.iter().any(named("reset")), "{seen:?}");
    // The one that stalls is given its time, then dropped with the reason; so are the others.
    let mut view = engine.rosters()[0].view.clone();
    let all_named = view.wait_for(|view| {
        ["reset", "bad-magic", "stalled"].iter().all(|word| view.drops.contains_key(word))
    });
    let drops = tokio::time::timeout(PATIENCE, all_named).await.expect("in time");
    eprintln!("connections ended: {:?}", drops.unwrap().drops);
    assert!(outcomes(&engine).contains(&Outcome::Stalled));
    quiet.stop().await;
    let links = engine.links().to_vec();
    engine.stop().await;
    let counters = &links[0].counters;
    assert_eq!(counters.get(Counter::Offered), counters.get(Counter::Settled), "nothing is lost");
}

fn outcomes(engine: &Engine) -> HashSet<Outcome> {
    let records = engine.log().recent(100);
    records.iter().flat_map(|it| it.rows.values().filter_map(|row| row.outcome)).collect()
}

/// Memory of this process that is in RAM (`proc_pid_statm(5)`).
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
