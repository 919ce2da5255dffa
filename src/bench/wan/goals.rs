//! What a case's figures mean for its goals. Pure.

use super::cases::{Trouble, WanCase, Way};
use super::{BOUND, LEARNT, RETRANSMITS};
use crate::bench::fanout::{ALL, HALF};
use crate::bench::report::{Case, Goal};

/// A learnt rate is right within these, of the true one; in so many of the runs.
const LEARNT_LEAST: f64 = 0.90;
const LEARNT_MOST: f64 = 1.03;
const LEARNT_SHARE: f64 = 0.95;
/// What the block may take with a learnt rate, of what it takes with the known one.
const LEARNT_TIME: f64 = 1.06;

fn median(told: &Case, program: &str, figure: &str) -> Option<f64> {
    let program = told.programs.iter().find(|it| it.name == program)?;
    program.spread(figure).map(|spread| spread.median as f64)
}

fn least(name: &str, text: String, figure: f64, bound: f64) -> Goal {
    let bounds = format!(">= {bound}");
    Goal { goal: name.to_owned(), text, figure, bound: bounds, reached: figure >= bound }
}

fn most(name: &str, text: String, figure: f64, bound: f64) -> Goal {
    let bounds = format!("<= {bound}");
    Goal { goal: name.to_owned(), text, figure, bound: bounds, reached: figure <= bound }
}

/// The goals that `told` says something about.
pub(super) fn judge(case: &WanCase, told: &Case) -> Vec<Goal> {
    let (own, name) = (case.aims.way.name(), case.name);
    let of = |program: Way, figure| median(told, program.name(), figure);
    let text = |what: &str| format!("{}, {own}: {what}", told.name);
    let mut goals = Vec::new();
    for (figure, aim) in [(HALF, case.aims.half_gain), (ALL, case.aims.all_gain)] {
        if let (Some(theirs), Some(ours)) = (of(Way::AllAtOnce, figure), of(case.aims.way, figure))
        {
            let what = format!("gain at {figure} against {}", Way::AllAtOnce.name());
            goals.push(least(name, text(&what), theirs / ours.max(1.0), aim));
        }
    }
    if let (Some(aim), Some(ours), Some(bound)) =
        (case.aims.half_of_bound, of(case.aims.way, HALF), median(told, BOUND, HALF))
    {
        goals.push(most(name, text("T(half) / bound"), ours / bound.max(1.0), aim));
    }
    if let Some(retransmits) = of(case.aims.way, RETRANSMITS) {
        // What is lost by chance has to be sent again.
        let drops = match case.trouble {
            Trouble::Loses => of(case.aims.way, super::CHANCE_DROPS).unwrap_or(0.0),
            _ => 0.0,
        };
        goals.push(most(name, text("retransmits, median"), retransmits, drops));
    }
    if case.aims.way == Way::Learnt {
        goals.extend(learnt(case, told));
    }
    goals
}

fn learnt(case: &WanCase, told: &Case) -> Vec<Goal> {
    let mut goals = Vec::new();
    let own = Way::Learnt.name();
    let text = |what: &str| format!("{}, {own}: {what}", told.name);
    let program = told.programs.iter().find(|it| it.name == own);
    let figures = program.map(|it| it.figures.as_slice()).unwrap_or_default();
    if let Some(rates) = figures.iter().find(|figure| figure.name == LEARNT) {
        let share = |bits: &i64| *bits as f64 / case.uplink_bits_per_s as f64;
        let right = |share: f64| (LEARNT_LEAST..=LEARNT_MOST).contains(&share);
        let count = rates.samples.iter().map(share).filter(|share| right(*share)).count();
        let part = count as f64 / rates.samples.len().max(1) as f64;
        goals.push(least(case.name, text("runs with the right rate"), part, LEARNT_SHARE));
    }
    for figure in [HALF, ALL] {
        let (ours, known) = (median(told, own, figure), median(told, Way::Governor.name(), figure));
        if let (Some(ours), Some(known)) = (ours, known) {
            let what = format!("{figure} / with the known rate");
            goals.push(most(case.name, text(&what), ours / known.max(1.0), LEARNT_TIME));
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::Unit;
    use crate::bench::report::Measured;

    fn program(name: &str, figures: &[(&str, i64)]) -> Measured {
        let mut told = Measured::new(name, false, "");
        figures.iter().for_each(|(figure, value)| told.add(figure, Unit::Ns, *value));
        told
    }

    fn told(case: &WanCase, programs: Vec<Measured>) -> Case {
        let WanCase { peers, bytes, .. } = *case;
        Case { name: case.title(), peers, bytes, programs, notes: Vec::new() }
    }

    #[test]
    fn gains_and_the_bound_are_judged() {
        let case = &super::super::cases::all()[0];
        let programs = vec![
            program("all-at-once", &[(HALF, 600), (ALL, 1_200)]),
            program("governor", &[(HALF, 100), (ALL, 300), (RETRANSMITS, 1)]),
            program(BOUND, &[(HALF, 95)]),
        ];
        let goals = judge(case, &told(case, programs));
        let reached: Vec<_> = goals.iter().map(|goal| goal.reached).collect();
        assert_eq!(reached, [true, false, true, false], "{goals:?}");
        assert!(judge(case, &told(case, Vec::new())).is_empty());
    }

    #[test]
    fn a_learnt_rate_is_held_against_the_true_one() {
        let cases = super::super::cases::all();
        let case = cases.iter().find(|case| case.name == "W9").unwrap();
        let mut own = program("governor-learnt", &[(HALF, 105), (ALL, 300)]);
        (0..20).for_each(|at| own.add(LEARNT, Unit::BitsPerS, 890_000_000 + at * 10_000_000));
        let known = program("governor", &[(HALF, 100), (ALL, 200)]);
        let goals = judge(case, &told(case, vec![own, known]));
        // 900 to 1,030 Mbit/s are right: 14 of 20.
        let learnt = goals.iter().find(|goal| goal.text.contains("right rate")).unwrap();
        assert!((learnt.figure - 0.7).abs() < 1e-9 && !learnt.reached);
        let reached: Vec<_> = goals.iter().rev().take(2).map(|goal| goal.reached).collect();
        assert_eq!(reached, [false, true]);
    }
}
