//! A setting of the whole host: recorded and set as `tune apply` does it, tried on a fan-out over
//! loopback, put back. However this ends, `tune undo` finds what is left.

use std::time::Duration;

use super::TuneWishes;
use super::scene::Scene;
use super::sides::{SIDES, set_values, shown};
use super::worth::{Pairs, Told, Worth};
use crate::bench::BenchError;
use crate::bench::ensemble::{Cast, Ensemble, Run, shuffled};
use crate::bench::fanout::{ALL, CPU, HALF};
use crate::bench::figure::Unit as Measure;
use crate::bench::plan::{Site, case_name};
use crate::bench::progress::Progress;
use crate::bench::subject::{Subject, Variant};
use crate::edge::tune::apply::{self, Outcome, Plan, Step};
use crate::edge::tune::here::{Belongs, Here};
use crate::edge::tune::knob::Host;
use crate::edge::tune::record::{Entry, Record};
use crate::edge::tune::undo;
use crate::edge::tune::unit::Unit;
use crate::limits::FRAME_HEADER_BYTES;
use crate::sim::blocks::BlockMaker;
use crate::sim::dice::Dice;

/// Quiet time before each block: the processor goes to sleep.
const PAUSE: Duration = Duration::from_millis(200);
/// How often putting back is tried, that long apart.
const UNDO_TRIES: usize = 25;

/// What the user said, and how many pairs that makes.
pub(super) struct Wishes<'a> {
    pub(super) runs: usize,
    pub(super) wishes: &'a TuneWishes,
}

/// Measures `unit` and puts back what it has changed.
pub(super) fn run(
    site: &Site,
    unit: &Unit,
    host: &Host,
    wishes: &Wishes<'_>,
    now: u32,
) -> Result<Told, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::Lacking(error.to_string());
    let here = Here::look(host);
    let mut record = Record::open(&wishes.wishes.record).map_err(|error| failed(&error))?;
    let kept = record.entries.clone();
    let units = std::slice::from_ref(unit);
    let plan = apply::plan(host, units, &record.entries, &here, false);
    let mut trouble = plan.iter().find_map(|row| match &row.plan {
        Plan::Cannot(why) => Some(why.to_string()),
        Plan::ChangedByOthers { .. } => {
            Some(format!("{} was changed by something else", row.place))
        }
        _ => None,
    });
    let applied = apply::apply(host, units, &mut record, &here, &plan, &mut |step| {
        if let Step::Ended(row, Outcome::Failed(why)) = step {
            trouble = Some(format!("{}: {why}", row.place));
        }
    });
    // What is ours now, and what was there before: also where `tune apply` had set it earlier.
    let ours = record.entries.iter().filter(|entry| {
        entry.unit == unit.name && here.belongs(entry) == Belongs::Here && !entry.under_way
    });
    let rows: Vec<_> = ours
        .filter_map(|entry| {
            let applied = entry.applied.clone()?;
            Some((entry.place.clone(), [entry.before.clone(), applied]))
        })
        .collect();
    let measured =
        match (&applied, rows.is_empty()) {
            (Ok(()), false) => measure(site, unit, host, &rows, wishes, now).map(Told::Measured),
            _ => Ok(Told::NotMeasured(trouble.unwrap_or_else(|| {
                "as it should be, and nothing of ours: set by others".to_owned()
            }))),
        };
    // Set again what was ours before, put back what was not.
    let back = set_values(&unit.text.how, host, &rows, 1).map_err(|error| failed(&error));
    let undone = put_back(unit, host, &mut record, &here, &kept);
    applied.map_err(|error| failed(&error))?;
    undone?;
    let told = measured?;
    back.map(|()| told)
}

/// Undoes what was not in the record before.
fn put_back(
    unit: &Unit,
    host: &Host,
    record: &mut Record,
    here: &Here,
    kept: &[Entry],
) -> Result<(), BenchError> {
    let was_ours = |place: &str| kept.iter().any(|it| it.unit == unit.name && it.place == place);
    let is_meant = |entry: &Entry| entry.unit == unit.name && !was_ours(&entry.place);
    let mut left = None;
    // What the programs had, huge pages above all, is free a moment after they have ended.
    for _ in 0..UNDO_TRIES {
        left = None;
        let mut tell = |step: undo::Step<'_>| {
            if let undo::Step::Ended(entry, _, outcome) = step
                && !matches!(outcome, undo::Outcome::Back | undo::Outcome::Dropped)
            {
                left = Some(entry.place.clone());
            }
        };
        let units = std::slice::from_ref(unit);
        undo::undo(host, units, record, here, false, &is_meant, &mut tell)
            .map_err(|error| BenchError::Lacking(error.to_string()))?;
        if left.is_none() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    left.map_or(Ok(()), |place| {
        let record = record.path().display();
        let why = format!("{place} could not be put back: broadside tune undo --record {record}");
        Err(BenchError::Lacking(why))
    })
}

fn measure(
    site: &Site,
    unit: &Unit,
    host: &Host,
    rows: &[(String, [String; 2])],
    wishes: &Wishes<'_>,
    now: u32,
) -> Result<Worth, BenchError> {
    let (peers, bytes) = if wishes.wishes.quick { (4, 20_000) } else { (20, 1_000_000) };
    let set = |side| {
        set_values(&unit.text.how, host, rows, side)
            .map_err(|why| BenchError::Lacking(why.to_string()))
    };
    let mut progress = Progress::start(((wishes.runs + 1) * SIDES.len()) as u64, "runs");
    progress.say(unit.name);
    let subjects = [Subject::Product(Variant::Wait)];
    // One for each side: what counts when a program starts is as it is on its side.
    let mut sides = Vec::new();
    for side in 0..SIDES.len() {
        set(side)?;
        let cast = Cast { halting: true, ..Cast::plain(&subjects, peers) };
        sides.push(Ensemble::start(site, cast)?);
    }
    let mut maker = BlockMaker::new(site.chain, site.seed, now);
    let mut dice = Dice::new(site.seed);
    let figures = [(HALF, Measure::Ns), (ALL, Measure::Ns), (CPU, Measure::NsPerMb)];
    let mut pairs = figures.map(|(name, unit)| Pairs::new(name, unit));
    // The first pair is not counted.
    for round in 0..=wishes.runs {
        let block = maker.next(bytes)?;
        let mut found: [Option<Run>; 2] = [None, None];
        for side in shuffled(SIDES.len(), &mut dice) {
            set(side)?;
            std::thread::sleep(PAUSE);
            found[side] = sides.get_mut(side).map(|it| it.run(0, &block)).transpose()?;
            progress.step();
        }
        if let ([Some(as_is), Some(wanted)], true) = (found, round > 0) {
            let sent_bytes = peers as u64 * u64::from(bytes + FRAME_HEADER_BYTES);
            note(&mut pairs, &as_is, &wanted, sent_bytes);
        }
    }
    let scene = format!("{}, {}", case_name(peers, bytes), Scene::Loopback.what());
    Ok(Worth { scene, shown: shown(rows), pairs: pairs.into(), notes: Vec::new() })
}

fn note(pairs: &mut [Pairs], as_is: &Run, wanted: &Run, sent_bytes: u64) {
    for told in pairs {
        let of = |run: &Run| match told.name {
            HALF => run.share_ns(50),
            ALL => run.share_ns(100),
            _ => (u128::from(run.cpu_ns) * 1_000_000 / u128::from(sent_bytes.max(1))) as i64,
        };
        told.add(of(as_is), of(wanted));
    }
}
