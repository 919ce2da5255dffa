//! The goals, and whether the figures reach them. Each variant of the engine is held to them alone.

use super::baseline::Kind;
use super::fanout::{ALL, CPU, ENTRIES, FIRST_FROM_LAST_BYTE, HALF, MEMORY};
use super::idle::{AFTER_PAUSE, BACK_TO_BACK};
use super::intake::{SHARED, SUBMITTED};
use super::page::DASHBOARD;
use super::plan::{Bench, FULL_BYTES};
use super::report::{Case, Goal, Measured};
use super::stall::WITH_FAULTS;
use super::subject::{Subject, Variant};
use crate::limits::{BLOCK_WORKING_BYTES, ENTRY_BYTES_MAX, FRAME_HEADER_BYTES};

/// The engine that never tries to send without copying.
const PLAIN: &str = Subject::Product(Variant::Plain).name();
/// Up to here a block is as small as a compact one, in bytes.
const COMPACT_BYTES: u32 = 40_000;

/// The goals that `cases` of `bench` say something about.
#[must_use]
pub fn judge(bench: Bench, cases: &[Case]) -> Vec<Goal> {
    let one: fn(&Case) -> Vec<Goal> = match bench {
        Bench::Intake => intake,
        Bench::Fanout => fanout,
        Bench::Idle => idle,
        Bench::Stall => stall,
        Bench::Page => page,
        // They judge their own.
        Bench::Wan | Bench::Node => return Vec::new(),
    };
    cases.iter().flat_map(one).collect()
}

fn products(case: &Case) -> impl Iterator<Item = &Measured> {
    case.programs.iter().filter(|program| program.product)
}

fn median(program: &Measured, figure: &str) -> Option<f64> {
    // A time below one microsecond is none: nothing is divided by it.
    program.spread(figure).map(|spread| (spread.median as f64).max(1_000.0))
}

/// The best baseline at `figure`, and its median.
fn best<'a>(case: &'a Case, figure: &str) -> Option<(&'a str, f64)> {
    let baselines = case.programs.iter().filter(|program| !program.product);
    let found = baselines.filter_map(|it| Some((it.name.as_str(), median(it, figure)?)));
    found.min_by(|one, other| one.1.total_cmp(&other.1))
}

fn goal(name: &str, text: String, figure: f64, most: f64) -> Goal {
    let reached = figure <= most;
    Goal { goal: name.to_owned(), text, figure, bound: format!("<= {most}"), reached }
}

fn intake(case: &Case) -> Vec<Goal> {
    if case.bytes != 2_000_000 {
        return Vec::new();
    }
    let one = |program: &Measured| {
        let us = program.spread(SUBMITTED)?.median as f64 / 1_000.0;
        let is_shared = program.name.rsplit_once(", ").is_some_and(|(_, way)| way == SHARED);
        let (from, most) = if is_shared { ("ring", 20.0) } else { ("last byte in", 100.0) };
        let text = format!("{}, {}: {from} to first submission, us", case.name, program.name);
        Some(goal("L1", text, us, most))
    };
    products(case).filter_map(one).collect()
}

/// Which goals hold for the case: `(goal, figure, most of the best baseline)`.
fn ratios(case: &Case) -> Vec<(&'static str, &'static str, f64)> {
    match (case.peers, case.bytes) {
        (20, 20_000) => vec![("L4", ALL, 0.85)],
        (20, 1_000_000) => vec![("L2", FIRST_FROM_LAST_BYTE, 0.2), ("L4", ALL, 0.85)],
        (64, 1_000_000) => vec![("L3", HALF, 0.75), ("L4", ALL, 0.85)],
        (20, FULL_BYTES) => vec![("L2", FIRST_FROM_LAST_BYTE, 0.2), ("L3", HALF, 0.75)],
        _ => Vec::new(),
    }
}

fn fanout(case: &Case) -> Vec<Goal> {
    let mut goals = Vec::new();
    for program in products(case) {
        let name = &program.name;
        for (number, figure, most) in ratios(case) {
            if let (Some(own), Some((against, theirs))) =
                (median(program, figure), best(case, figure))
            {
                let text = format!("{}, {name}: {figure} / {against}'s, the best", case.name);
                goals.push(goal(number, text, own / theirs, most));
            }
        }
        let sequential = case.programs.iter().find(|it| it.name == Kind::Sequential.name());
        let theirs = sequential.and_then(|program| median(program, CPU));
        if let (Some(own), Some(theirs)) = (median(program, CPU), theirs) {
            let text = format!("{}, {name}: processor time per MB / sequential's", case.name);
            goals.push(goal("L5", text, own / theirs, 1.0));
        }
        if let Some(entries) = program.spread(ENTRIES) {
            let queued_bytes = case.peers as u64 * u64::from(case.bytes + FRAME_HEADER_BYTES);
            let most = match case.bytes <= COMPACT_BYTES {
                true => 2,
                false => queued_bytes.div_ceil(ENTRY_BYTES_MAX.into()),
            };
            let text = format!("{}, {name}: kernel entries, least of a few", case.name);
            goals.push(goal("L8", text, entries.least as f64, most as f64));
        }
        let plain = case.programs.iter().find(|it| it.name == PLAIN).filter(|it| it.name != *name);
        if let (Some(own), Some(theirs)) =
            (median(program, ALL), plain.and_then(|plain| median(plain, ALL)))
        {
            let text = format!("{}, {name}: {ALL} / {PLAIN}'s", case.name);
            goals.push(goal("L10", text, own / theirs, 1.02));
        }
        if let (1_000, FULL_BYTES, Some(memory)) = (case.peers, case.bytes, program.spread(MEMORY))
        {
            let text = format!("{}, {name}: memory growth / one block", case.name);
            let grown = memory.most - BLOCK_WORKING_BYTES;
            goals.push(goal("L9", text, grown as f64 / f64::from(case.bytes), 1.1));
        }
    }
    goals
}

fn idle(case: &Case) -> Vec<Goal> {
    let one = |program: &Measured| {
        let ratio = median(program, AFTER_PAUSE)? / median(program, BACK_TO_BACK)?;
        let text = format!("{}, {}: T(all) / back-to-back", case.name, program.name);
        Some(goal("L7", text, ratio, 1.2))
    };
    products(case).filter_map(one).collect()
}

fn stall(case: &Case) -> Vec<Goal> {
    let one = |program: &Measured| {
        let name = program.name.strip_suffix(WITH_FAULTS)?;
        let without = case.programs.iter().find(|it| it.name == name)?;
        let figure = super::fanout::NINETY;
        let ratio = median(program, figure)? / median(without, figure)?;
        let text = format!("{}, {name}: {figure} of the healthy / without faults", case.name);
        Some(goal("L6", text, ratio, 1.05))
    };
    products(case).filter_map(one).collect()
}

/// A page within 300 ms, however many peers and blocks there are.
fn page(case: &Case) -> Vec<Goal> {
    let one = |program: &Measured| {
        let ms = program.spread(DASHBOARD)?.median as f64 / 1e6;
        let text = format!("{}, {}: {DASHBOARD}, ms", case.name, program.name);
        Some(goal("page", text, ms, 300.0))
    };
    products(case).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::figure::Unit;
    use super::*;

    fn program(name: &str, product: bool, figures: &[(&str, i64)]) -> Measured {
        let mut told = Measured::new(name, product, "");
        figures.iter().for_each(|(figure, value)| told.add(figure, Unit::Ns, *value));
        told
    }

    fn case(peers: usize, bytes: u32, programs: Vec<Measured>) -> Case {
        Case { name: "a case".to_owned(), peers, bytes, programs, notes: Vec::new() }
    }

    /// The best baseline counts, not the first; a figure that was not measured makes no goal.
    #[test]
    fn the_engine_is_held_against_the_best() {
        let programs = vec![
            program("broadside", true, &[(ALL, 80_000), (FIRST_FROM_LAST_BYTE, -5)]),
            program("sequential", false, &[(ALL, 200_000), (FIRST_FROM_LAST_BYTE, 9_000)]),
            program("epoll", false, &[(ALL, 100_000), (FIRST_FROM_LAST_BYTE, 4_000)]),
        ];
        let goals = judge(Bench::Fanout, &[case(20, 1_000_000, programs)]);
        assert_eq!(goals.len(), 2);
        assert!((goals[0].figure - 0.25).abs() < 1e-9 && !goals[0].reached, "{:?}", goals[0]);
        assert!((goals[1].figure - 0.8).abs() < 1e-9 && goals[1].reached, "{:?}", goals[1]);
        assert!(goals[1].text.contains("epoll"));
    }

    #[test]
    fn no_figure_no_goal() {
        let programs = vec![program("broadside", true, &[])];
        for bench in Bench::ALL {
            assert!(judge(bench, &[case(20, 2_000_000, programs.clone())]).is_empty());
        }
    }

    #[test]
    fn the_ring_has_a_goal_of_its_own() {
        let figures = [(SUBMITTED, 30_000)];
        let programs = ["http", SHARED, "library"]
            .map(|way| program(&format!("broadside-spin, {way}"), true, &figures));
        let goals = judge(Bench::Intake, &[case(20, 2_000_000, programs.to_vec())]);
        assert_eq!(goals.iter().map(|it| it.reached).collect::<Vec<_>>(), [true, false, true]);
        assert!(goals[1].text.contains("ring") && goals[1].bound == "<= 20", "{:?}", goals[1]);
    }

    #[test]
    fn faults_and_pauses_are_held_against_none() {
        let faulty = format!("broadside{WITH_FAULTS}");
        let programs = vec![
            program("broadside", true, &[("T(90 %)", 100_000)]),
            program(&faulty, true, &[("T(90 %)", 104_000)]),
        ];
        let goals = judge(Bench::Stall, &[case(60, 1_000_000, programs)]);
        assert!(goals.len() == 1 && goals[0].reached, "{goals:?}");
        let figures = [(AFTER_PAUSE, 130_000), (BACK_TO_BACK, 100_000)];
        let programs = vec![program("broadside", true, &figures)];
        let goals = judge(Bench::Idle, &[case(20, 1_000_000, programs)]);
        assert!(goals.len() == 1 && !goals[0].reached, "{goals:?}");
    }
}
