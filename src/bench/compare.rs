//! `bench compare`: two results side by side, and which differences are beyond noise.

use super::figure::{Figure, Unit};
use super::report::{Case, Measured, Report};
use super::table::columns;

/// On a machine that shares its cores nothing under this share is a difference.
const NOISE: f64 = 0.15;

/// What the comparison says.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// For people.
    pub text: String,
    /// Figures of the engine that are worse in the second result, beyond noise.
    pub worse: usize,
    /// Figures that both results have.
    pub common: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Better,
    Worse,
}

/// Compares `new` with `old`, figure by figure. Only the engine's count as worse: a baseline that
/// has changed says that the host has.
#[must_use]
pub fn compare(old: &Report, new: &Report) -> Comparison {
    let head = ["case, program, figure", "A", "B", "B / A", ""].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    let (mut worse, mut common) = (0, 0);
    for (case, one, two, product) in pairs(old, new) {
        let (Some(from), Some(to)) = (one.spread(), two.spread()) else { continue };
        common += 1;
        let verdict = judge(one, two);
        worse += usize::from(product && verdict == Verdict::Worse);
        let word = match (verdict, product) {
            (Verdict::Same, _) => "",
            (Verdict::Better, _) => "better",
            (Verdict::Worse, true) => "WORSE",
            (Verdict::Worse, false) => "worse",
        };
        let show =
            |value| format!("{} {}", one.unit.show(value), one.unit.shown()).trim_end().to_owned();
        let ratio = format!("{:.2}", to.median as f64 / from.median as f64);
        rows.push(vec![case, show(from.median), show(to.median), ratio, word.to_owned()]);
    }
    let mut text =
        format!("A: {}\nB: {}\n\n{}\n", old.host.line(), new.host.line(), columns(&rows));
    text += "beyond noise: medians more than 15 % apart, and each outside of the range that holds \
             the other's true median with 95 % certainty\n";
    if old.host != new.host {
        text += "the hosts or their settings differ: compare ratios to a baseline, not times\n";
    }
    Comparison { text, worse, common }
}

/// Figures that are in both: where, the old one, the new one, whether it is the engine's.
fn pairs<'a>(
    old: &'a Report,
    new: &'a Report,
) -> impl Iterator<Item = (String, &'a Figure, &'a Figure, bool)> {
    let same = |one: &Case, two: &Case| one.name == two.name && old.bench == new.bench;
    // Two cases of a report may have one name: the first meets the first, the second the second.
    let cases = move |(at, one): (usize, &'a Case)| {
        let before = old.cases.iter().take(at).filter(|other| other.name == one.name).count();
        new.cases.iter().filter(|two| same(one, two)).nth(before).zip(Some(one))
    };
    old.cases.iter().enumerate().filter_map(cases).flat_map(|(two, one)| {
        let program = |it: &'a Measured| {
            two.programs.iter().find(|two| two.name == it.name).map(|two| (it, two))
        };
        one.programs.iter().filter_map(program).flat_map(move |(from, to)| {
            from.figures.iter().filter_map(move |figure| {
                let found = to.figures.iter().find(|it| it.name == figure.name)?;
                let name = format!("{}, {}, {}", one.name, from.name, figure.name);
                Some((name, figure, found, from.product))
            })
        })
    })
}

fn judge(old: &Figure, new: &Figure) -> Verdict {
    if old.unit == Unit::BitsPerS {
        return Verdict::Same;
    }
    let (Some(from), Some(to)) = (old.spread(), new.spread()) else { return Verdict::Same };
    let (Some(old_range), Some(new_range)) = (old.median_range(), new.median_range()) else {
        return Verdict::Same;
    };
    let size = from.median.unsigned_abs().max(1) as f64;
    let apart = to.median.abs_diff(from.median) as f64 / size > NOISE;
    if apart && to.median > old_range.1 && from.median < new_range.0 {
        Verdict::Worse
    } else if apart && to.median < old_range.0 && from.median > new_range.1 {
        Verdict::Better
    } else {
        Verdict::Same
    }
}

#[cfg(test)]
mod tests {

    use super::super::host::Host;
    use super::super::report::SCHEMA;
    use super::*;

    fn report(product: bool, samples: &[i64]) -> Report {
        let figure = Figure { samples: samples.to_vec(), ..Figure::new("T(1)", Unit::Ns) };
        let mut told = Measured::new("a program", product, "");
        told.figures.push(figure);
        let case = Case {
            name: "a case".to_owned(),
            peers: 1,
            bytes: 1,
            programs: vec![told],
            notes: Vec::new(),
        };
        Report {
            schema: SCHEMA,
            bench: "fanout".to_owned(),
            broadside: "0".to_owned(),
            unix_s: 0,
            seed: 0,
            host: Host::default(),
            cases: vec![case],
            goals: Vec::new(),
        }
    }

    #[test]
    fn only_what_is_beyond_noise_is_worse() {
        let slow: Vec<i64> = (0..15).map(|at| 2_000 + at).collect();
        let fast: Vec<i64> = (0..15).map(|at| 1_000 + at).collect();
        let near: Vec<i64> = (0..15).map(|at| 1_100 + at).collect();
        let wide: Vec<i64> = (0..15).map(|at| 100 * at * at).collect();
        let worse =
            |one: &[i64], two: &[i64]| compare(&report(true, one), &report(true, two)).worse;
        assert_eq!(worse(&fast, &slow), 1);
        assert_eq!(worse(&slow, &fast), 0);
        assert_eq!(worse(&fast, &near), 0, "within 15 %");
        assert_eq!(worse(&fast, &wide), 0, "nothing is known of the wide one");
        let baseline = compare(&report(false, &fast), &report(false, &slow));
        assert_eq!((baseline.worse, baseline.common), (0, 1));
        assert!(baseline.text.contains(" worse"), "{}", baseline.text);
    }

    #[test]
    fn cases_of_one_name_meet_in_order() {
        let slow: Vec<i64> = (0..15).map(|at| 2_000 + at).collect();
        let mut both = report(true, &slow[..1]);
        both.cases.extend(report(true, &slow).cases);
        let comparison = compare(&both, &both);
        assert_eq!((comparison.worse, comparison.common), (0, 2));
        let rows = comparison.text.matches("a case, a program").count();
        assert_eq!(rows, 2, "{}", comparison.text);
        let mut faster = both.clone();
        faster.cases[1] = report(true, &[1_000; 15]).cases.remove(0);
        assert_eq!(compare(&faster, &both).worse, 1, "the second case of both");
        assert_eq!(compare(&both, &report(true, &slow)).common, 1, "the first alone");
    }

    #[test]
    fn other_benches_have_nothing_in_common() {
        let (one, mut two) = (report(true, &[1]), report(true, &[1]));
        two.bench = "idle".to_owned();
        assert_eq!(compare(&one, &two).common, 0);
    }
}
