//! `bench fanout`: from the pool's first byte to the last byte at every peer.

use super::BenchError;
use super::ensemble::{Cast, Ensemble, Run, deliver, shuffled};
use super::figure::Unit;
use super::plan::{self, Site, case_name};
use super::progress::{Progress, each_case};
use super::report::{Case, Measured};
use crate::limits::FRAME_HEADER_BYTES;
use crate::sim::blocks::BlockMaker;
use crate::sim::dice::Dice;

/// T(1) from t1.
pub const FIRST_FROM_LAST_BYTE: &str = "T(1) from t1";
/// T(1), T(half), T(90 %), T(all) from t0.
pub const SHARES: [(&str, usize); 4] = [("T(1)", 0), (HALF, 50), (NINETY, 90), (ALL, 100)];
/// T(half) from t0.
pub const HALF: &str = "T(half)";
/// T(90 %) from t0.
pub const NINETY: &str = "T(90 %)";
/// T(all) from t0.
pub const ALL: &str = "T(all)";
/// Processor time of the program for each MB that it sends.
pub const CPU: &str = "CPU";
/// Most memory during the runs less memory before the first.
pub const MEMORY: &str = "memory growth";
/// Kernel entries of the shard from taking the block up to all of it being queued.
pub const ENTRIES: &str = "kernel entries";
/// Rounds in which the entries are counted; they are not timed.
const ENTRY_ROUNDS: usize = 3;

/// Measures `cases`.
///
/// # Errors
/// See [`BenchError`].
pub fn run(site: &Site, cases: &[plan::Case], now: u32) -> Result<Vec<Case>, BenchError> {
    let rounds = |case: &plan::Case| (case.runs + 1) * case.subjects.len();
    each_case(cases, "runs", rounds, |case, progress| one(site, case, now, progress))
}

fn one(
    site: &Site,
    case: &plan::Case,
    now: u32,
    progress: &mut Progress,
) -> Result<Case, BenchError> {
    let plan::Case { peers, bytes, runs, ref subjects } = *case;
    let mut ensemble = Ensemble::start(site, Cast::plain(subjects, peers))?;
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let mut dice = Dice::new(site.seed);
    let mut programs: Vec<_> = ensemble
        .programs
        .iter()
        .map(|it| {
            let what = [it.subject().what(), it.facts()].join(" ");
            Measured::new(it.subject().name(), it.subject().is_product(), what.trim_end())
        })
        .collect();
    let before: Vec<u64> =
        ensemble.programs.iter().map(|it| it.memory_bytes()).collect::<Result<_, _>>()?;
    // The first round opens the windows of every connection and is not counted.
    for round in 0..=runs {
        let block = maker.next(bytes)?;
        for at in shuffled(subjects.len(), &mut dice) {
            let run = ensemble.run(at, &block)?;
            if let Some(told) = programs.get_mut(at).filter(|_| round > 0) {
                note(told, &run, subjects.get(at).is_some_and(|it| it.burns()), peers, bytes);
            }
            progress.step();
        }
    }
    for ((program, told), before) in ensemble.programs.iter().zip(&mut programs).zip(before) {
        let growth = program.peak_bytes()?.saturating_sub(before);
        told.add(MEMORY, Unit::Bytes, growth.cast_signed());
    }
    for (at, told) in programs.iter_mut().enumerate().filter(|(_, told)| told.product) {
        count_entries(&mut ensemble, at, &mut maker, case, told)?;
    }
    Ok(Case { name: case_name(peers, bytes), peers, bytes, programs, notes: Vec::new() })
}

/// Adds one run's figures.
fn note(told: &mut Measured, run: &Run, burns: bool, peers: usize, bytes: u32) {
    told.add(FIRST_FROM_LAST_BYTE, Unit::Ns, run.first_from_last_byte_ns());
    for (name, share) in SHARES {
        told.add(name, Unit::Ns, run.share_ns(share));
    }
    if !burns {
        let sent_bytes = peers as u64 * u64::from(bytes + FRAME_HEADER_BYTES);
        let per_mb_ns = u128::from(run.cpu_ns) * 1_000_000 / u128::from(sent_bytes.max(1));
        told.add(CPU, Unit::NsPerMb, per_mb_ns as i64);
    }
}

fn count_entries(
    ensemble: &mut Ensemble,
    at: usize,
    maker: &mut BlockMaker,
    case: &plan::Case,
    told: &mut Measured,
) -> Result<(), BenchError> {
    ensemble.wake(at)?;
    for _ in 0..ENTRY_ROUNDS {
        let block = maker.next(case.bytes)?;
        let Some(program) = ensemble.programs.get_mut(at) else { break };
        let sinks = &ensemble.sinks;
        let entries = program.entries(case.bytes, case.peers, |program| {
            deliver(program, sinks, program.http(), &block).map(drop)
        })?;
        if let Some(entries) = entries {
            told.add(ENTRIES, Unit::Entries, entries.cast_signed());
        }
    }
    ensemble.rest(at)
}
