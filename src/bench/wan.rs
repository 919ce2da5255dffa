//! `bench wan`: the engine and the ways that others have, on one emulated uplink that all peers share
//! (goals W1 to W10).
//!
//! The programs run in the sender's network of [`crate::sim::wan`], the sinks in the peers'. Those that
//! are to be cold are started anew for each block; the others stay connected and are halted while it
//! is not their turn.

mod bound;
mod cases;
mod goals;
mod house;
pub(super) mod stage;

use std::sync::Arc;

pub use cases::{WanCase, Way};

use self::goals::judge;
use self::stage::{Stage, WanRun};
use super::BenchError;
use super::ensemble::shuffled;
use super::fanout::SHARES;
use super::figure::Unit;
use super::plan::{RUNS, Site};
use super::progress::Progress;
use super::report::{Case, Goal, Measured};
use crate::sim::blocks::BlockMaker;
use crate::sim::dice::Dice;
use crate::sim::wan::{Wan, WanError};
use crate::sys::bpf::{DeliverySettings, DeliveryWatch};
use crate::sys::cpu;

/// Segments that TCP sent again while a block was under way.
pub const RETRANSMITS: &str = "retransmits";
/// Segments that found the line's queue full.
pub const QUEUE_DROPS: &str = "queue drops";
/// Segments that were lost by chance.
pub const CHANCE_DROPS: &str = "lost by chance";
/// The uplink's rate that the engine has learnt.
pub const LEARNT: &str = "learnt rate";
/// The row that holds what no program can beat.
pub const BOUND: &str = "bound";
/// The case that has a way by BPF.
const BPF_CASE: &str = "W10";
/// Packets that are handed on later than this make a run worthless, in ns.
pub(super) const LATE_NS_MAX: u64 = 30_000_000;
/// Times that the emulator is asked whether it is honest before it is not believed.
const HONESTY_TRIES: usize = 3;
/// Runs that may be worthless for each that counts, before the host is too busy.
pub(super) const WORTHLESS_RATIO_MAX: usize = 2;

/// What the user said; what is empty was not said.
#[derive(Clone, Debug, Default)]
pub struct WanWishes {
    /// Names of cases: `W1` and so on.
    pub cases: Vec<String>,
    /// Names of ways.
    pub ways: Vec<Way>,
    /// Counted runs.
    pub runs: Option<usize>,
    /// As little as shows that it works.
    pub quick: bool,
}

impl WanWishes {
    fn cases(&self) -> Vec<WanCase> {
        let wanted = |case: &WanCase| match self.cases.as_slice() {
            [] if self.quick => case.name == "W4",
            [] => true,
            names => names.iter().any(|name| name == case.name),
        };
        let mut cases: Vec<_> = cases::all().into_iter().filter(wanted).collect();
        for case in &mut cases {
            if !self.ways.is_empty() {
                // What all are held against is always there.
                case.ways.retain(|way| *way == Way::AllAtOnce || self.ways.contains(way));
            }
            if self.quick {
                (case.peers, case.bytes) = (6, 20_000);
            }
        }
        cases
    }
}

/// Whether there is a case of this name.
#[must_use]
pub fn has_case(name: &str) -> bool {
    cases::all().iter().any(|case| case.name == name)
}

/// Measures what `wishes` ask for.
///
/// # Errors
/// See [`BenchError`]; [`BenchError::Lacking`] where the host has no TUN devices or gives no networks.
pub fn run(
    site: &Site,
    wishes: &WanWishes,
    now: u32,
) -> Result<(Vec<Case>, Vec<Goal>), BenchError> {
    let mut cases = wishes.cases();
    let left_out = leave_out(&mut cases, wishes)?;
    let (mut measured, mut goals) = (Vec::new(), Vec::new());
    for case in cases {
        let runs = wishes.runs.unwrap_or(if wishes.quick { 1 } else { RUNS });
        let wan = Arc::new(Wan::start(case.network(site.sink_core)).map_err(lacking)?);
        let mut notes = honesty(&wan, wishes.quick)?;
        let inside = Round {
            site: site.clone(),
            case: case.clone(),
            runs,
            now,
            // In a debug build on a busy host everything is late.
            strict: !wishes.quick,
            wan: Arc::clone(&wan),
        };
        let mut told = wan.sender().run(move || inside.run())??;
        notes.append(&mut told.notes);
        if case.name == BPF_CASE {
            notes.extend(left_out.clone());
        }
        told.notes = notes;
        if !wishes.quick {
            goals.extend(judge(&case, &told));
        }
        measured.push(told);
    }
    Ok((measured, goals))
}

/// Where the kernel does not take BPF from this process, the way that needs it is left out; why, in words.
fn leave_out(cases: &mut [WanCase], wishes: &WanWishes) -> Result<Option<String>, BenchError> {
    let way = Way::GovernorBpf;
    if !cases.iter().any(|case| case.ways.contains(&way)) {
        return Ok(None);
    }
    let settings = DeliverySettings { initial_window_packets: 1, window_only: true };
    let Err(error) = DeliveryWatch::start(settings) else { return Ok(None) };
    if wishes.ways.contains(&way) {
        return Err(BenchError::Lacking(format!("{}: {error}", way.name())));
    }
    cases.iter_mut().for_each(|case| case.ways.retain(|it| *it != way));
    Ok(Some(format!("{} is left out: {error}", way.name())))
}

pub(super) fn lacking(error: WanError) -> BenchError {
    BenchError::Lacking(error.to_string())
}

/// Has the emulator show that it does what it says; the last finding, in words.
pub(super) fn honesty(wan: &Wan, quick: bool) -> Result<Vec<String>, BenchError> {
    let mut faults = Vec::new();
    for _ in 0..HONESTY_TRIES {
        let found = wan.check()?;
        faults = found.faults();
        if faults.is_empty() || quick {
            let trips = found.round_trips_us.iter();
            let trips: Vec<_> = trips.map(|(set, found)| format!("{set}: {found}")).collect();
            let flow = found.flow_percent.unwrap_or(0);
            return Ok(vec![
                format!(
                    "emulator: round trips set and found, us: {}; a single flow has {flow} % of the \
                     line; at most {:.1} ms late",
                    trips.join(", "),
                    found.late_ns_max as f64 / 1e6
                ),
                format!("TCP in there: {}", wan.stack()),
            ]);
        }
    }
    Err(BenchError::Lacking(format!(
        "the emulated network is not honest on this host now ({}): quieten it, give it more cores",
        faults.join("; ")
    )))
}

/// All that one case needs, inside the sender's network.
struct Round {
    site: Site,
    case: WanCase,
    runs: usize,
    now: u32,
    strict: bool,
    wan: Arc<Wan>,
}

impl Round {
    fn run(self) -> Result<Case, BenchError> {
        let Self { ref site, ref case, runs, .. } = self;
        // Whatever this thread starts inherits it: programs and sinks before the host's other work.
        let is_first = cpu::go_first();
        let mut progress = Progress::start(((runs + 1) * case.ways.len()) as u64, "runs");
        progress.say(&case.title());
        let mut maker = BlockMaker::new(site.chain, site.seed, self.now);
        let mut stage = Stage::start(site, case, &self.wan, &mut maker)?;
        let mut dice = Dice::new(site.seed);
        let measured = |way: &Way| Measured::new(way.name(), way.is_product(), way.what());
        let mut told: Vec<_> = case.ways.iter().map(measured).collect();
        let (mut worthless, mut round) = (0, 0);
        // The first round is not counted.
        while round <= runs {
            let block = maker.next(case.bytes)?;
            let mut found = Vec::new();
            for at in shuffled(case.ways.len(), &mut dice) {
                found.push((at, stage.run(case.ways[at], &block)?));
                progress.step();
            }
            // A whole round counts or none of it: each way is to have met the same host.
            if self.strict && found.iter().any(|(_, run)| run.late_ns > LATE_NS_MAX) {
                worthless += 1;
                if worthless > WORTHLESS_RATIO_MAX * (runs + 1) {
                    return Err(BenchError::Lacking(format!(
                        "{worthless} rounds came to nothing because packets were handed on more \
                         than {} ms late: this host is too busy for {}",
                        LATE_NS_MAX / 1_000_000,
                        case.title()
                    )));
                }
                continue;
            }
            for (at, run) in found.iter().filter(|_| round > 0) {
                note(&mut told[*at], run);
            }
            round += 1;
        }
        told.push(self.bound());
        let mut notes = stage.notes();
        if !is_first {
            notes.push("not allowed to run before the host's other work (nice -20)".to_owned());
        }
        if worthless > 0 {
            notes.push(format!("{worthless} rounds were late and dropped"));
        }
        let WanCase { peers, bytes, .. } = *case;
        Ok(Case { name: case.title(), peers, bytes, programs: told, notes })
    }

    /// What the line and the delays alone take, as a row beside the programs.
    fn bound(&self) -> Measured {
        let what = "serialisation and delay, windows open: no one order meets all four";
        let mut bound = Measured::new(BOUND, false, what);
        for (name, share) in SHARES {
            let ns = bound::bound_ns(&self.case.healthy(), self.case.line(), share);
            bound.add(name, Unit::Ns, ns.cast_signed());
        }
        bound
    }
}

/// Adds one run's figures.
fn note(told: &mut Measured, run: &WanRun) {
    for (name, share) in SHARES {
        told.add(name, Unit::Ns, run.share_ns(share));
    }
    told.add(RETRANSMITS, Unit::Entries, run.retransmits.cast_signed());
    told.add(QUEUE_DROPS, Unit::Entries, run.queue_drops.cast_signed());
    if run.chance_drops > 0 {
        told.add(CHANCE_DROPS, Unit::Entries, run.chance_drops.cast_signed());
    }
    if let Some(bits_per_s) = run.learnt_bits_per_s {
        told.add(LEARNT, Unit::BitsPerS, bits_per_s.cast_signed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_counts() {
        let wishes = WanWishes { cases: vec!["W9".to_owned()], ..WanWishes::default() };
        assert_eq!(wishes.cases().len(), 2);
        let wishes = WanWishes { ways: vec![Way::Governor], ..WanWishes::default() };
        let cases = wishes.cases();
        assert!(cases.len() >= 10 && cases[0].ways == [Way::AllAtOnce, Way::Governor]);
        let quick = WanWishes { quick: true, ..WanWishes::default() }.cases();
        assert!(quick.len() == 1 && quick[0].bytes == 20_000);
    }
}
