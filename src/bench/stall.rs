//! `bench stall`: what peers that stall, are slow or reset cost the others.
//!
//! The same program runs twice: once with all peers healthy, once with three tenths of them
//! misbehaving while a block is measured. The times are those of the same healthy peers in both.

use std::time::Duration;

use super::BenchError;
use super::ensemble::{Cast, Ensemble};
use super::fanout::{ALL, HALF, NINETY};
use super::figure::Unit;
use super::plan::{self, Site, case_name};
use super::progress::{Progress, each_case};
use super::report::{Case, Measured};
use super::sinks::Conduct;
use super::subject::Subject;
use crate::limits::BENCH_DEADLINE_MS;
use crate::sim::blocks::BlockMaker;
use crate::sim::dice::Dice;

/// What is added to a program's name where peers misbehave.
pub const WITH_FAULTS: &str = " with faults";
const FIGURES: [(&str, usize); 3] = [(HALF, 50), (NINETY, 90), (ALL, 100)];
const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);

/// Measures `cases`.
///
/// # Errors
/// See [`BenchError`].
pub fn run(site: &Site, cases: &[plan::Case], now: u32) -> Result<Vec<Case>, BenchError> {
    let rounds = |case: &plan::Case| (case.runs + 1) * case.subjects.len();
    each_case(cases, "pairs", rounds, |case, progress| {
        let plan::Case { peers, bytes, .. } = *case;
        if peers < 10 {
            return Err(BenchError::Lacking(format!(
                "of {peers} peers a tenth is less than one: ask for --peers 10 or more"
            )));
        }
        let mut programs = Vec::new();
        for subject in &case.subjects {
            programs.extend(one(site, case, *subject, now, progress)?);
        }
        Ok(Case { name: case_name(peers, bytes), peers, bytes, programs, notes: Vec::new() })
    })
}

fn conduct(at: usize) -> Conduct {
    match at % 10 {
        2 => Conduct::Stalls,
        5 => Conduct::Slow,
        8 => Conduct::Resets,
        _ => Conduct::Plain,
    }
}

fn one(
    site: &Site,
    case: &plan::Case,
    subject: Subject,
    now: u32,
    progress: &mut Progress,
) -> Result<[Measured; 2], BenchError> {
    let subjects = [subject];
    let faulty: Vec<_> = (0..case.peers).map(conduct).collect();
    let healthy: Vec<_> = faulty.iter().map(|conduct| *conduct == Conduct::Plain).collect();
    let start = |conducts: Vec<Conduct>| {
        let counted = healthy.clone();
        Ensemble::start(site, Cast { subjects: &subjects, conducts, counted, halting: true })
    };
    let mut ensembles = [start(vec![Conduct::Plain; case.peers])?, start(faulty)?];
    let name = |more: &str| format!("{}{more}", subject.name());
    let measured = |more| Measured::new(&name(more), subject.is_product(), subject.what());
    let mut told = [measured(""), measured(WITH_FAULTS)];
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let mut dice = Dice::new(site.seed);
    for round in 0..=case.runs {
        let block = maker.next(case.bytes)?;
        let first = dice.below(2) as usize;
        for at in [first, 1 - first] {
            let (ensemble, told) = (&mut ensembles[at], &mut told[at]);
            ensemble.sinks.misbehave(at == 1);
            let run = ensemble.run(0, &block)?;
            ensemble.sinks.misbehave(false);
            heal(ensemble, case.peers)?;
            for (figure, share) in FIGURES.iter().filter(|_| round > 0) {
                told.add(figure, Unit::Ns, run.share_ns(*share));
            }
        }
        progress.step();
    }
    Ok(told)
}

/// Waits until those that were reset are connected again and the block is through with everybody:
/// each run is to meet the same peers.
fn heal(ensemble: &mut Ensemble, peers: usize) -> Result<(), BenchError> {
    ensemble.wake(0)?;
    let live = ensemble.sinks.wait_for_live(peers, PATIENCE);
    let Some(program) = ensemble.programs.get_mut(0) else { return Ok(()) };
    if live < peers {
        return Err(program.fault(format!("{live} of {peers} peers are connected again")));
    }
    program.connected(peers)?;
    ensemble.rest(0)
}
