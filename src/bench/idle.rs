//! `bench idle`: the first fan-out after a pause against one right behind it.

use std::time::{Duration, Instant};

use super::BenchError;
use super::ensemble::{Cast, Ensemble};
use super::figure::Unit;
use super::plan::{self, Site, case_name};
use super::progress::{Progress, each_case};
use super::report::{Case, Measured};
use super::subject::Subject;
use crate::sim::blocks::BlockMaker;

/// T(all) of the first block after the pause.
pub const AFTER_PAUSE: &str = "T(all) after the pause";
/// T(all) of the block behind it.
pub const BACK_TO_BACK: &str = "T(all) back-to-back";
/// Copies of a program that are idle side by side, so that fifteen pauses take the time of three.
const COPIES: usize = 5;

/// Measures `cases` with pauses of `idle_s`. Programs are not halted: a halted one is not idle.
///
/// # Errors
/// See [`BenchError`].
pub fn run(
    site: &Site,
    cases: &[plan::Case],
    now: u32,
    idle_s: u32,
) -> Result<Vec<Case>, BenchError> {
    let pauses = |case: &plan::Case| case.subjects.len() * case.runs.div_ceil(COPIES);
    each_case(cases, "pauses", pauses, |case, progress| {
        let plan::Case { peers, bytes, .. } = *case;
        let name = format!("{}, {idle_s} s idle", case_name(peers, bytes));
        let mut programs = Vec::new();
        for subject in &case.subjects {
            programs.push(one(site, case, *subject, (now, idle_s), progress)?);
        }
        Ok(Case { name, peers, bytes, programs, notes: Vec::new() })
    })
}

fn one(
    site: &Site,
    case: &plan::Case,
    subject: Subject,
    (now, idle_s): (u32, u32),
    progress: &mut Progress,
) -> Result<Measured, BenchError> {
    let copies = vec![subject; case.runs.min(COPIES)];
    let mut cast = Cast::plain(&copies, case.peers);
    cast.halting = false;
    let mut ensemble = Ensemble::start(site, cast)?;
    let mut told = Measured::new(subject.name(), subject.is_product(), subject.what());
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let mut left = case.runs;
    for at in 0..copies.len() {
        ensemble.run(at, &maker.next(case.bytes)?)?;
    }
    while left > 0 {
        let since = Instant::now();
        let blocks = (0..2 * copies.len()).map(|_| maker.next(case.bytes));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let pause = Duration::from_secs(idle_s.into());
        std::thread::sleep(pause.saturating_sub(since.elapsed()));
        for (at, pair) in blocks.chunks_exact(2).enumerate().take(left) {
            for (block, figure) in pair.iter().zip([AFTER_PAUSE, BACK_TO_BACK]) {
                told.add(figure, Unit::Ns, ensemble.run(at, block)?.share_ns(100));
            }
        }
        left = left.saturating_sub(copies.len());
        progress.step();
    }
    Ok(told)
}
