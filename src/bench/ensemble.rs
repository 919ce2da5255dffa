//! Everything of one case: the sinks, and the programs that are connected to them at the same time
//! and run one at a time.

use std::time::Duration;

use super::BenchError;
use super::child::{Line, Setup};
use super::client::{self, Door, Written};
use super::folder::Folder;
use super::plan::Site;
use super::program::Program;
use super::sinks::{Conduct, SinkSettings, Sinks};
use super::subject::{Subject, Variant};
use crate::limits::BENCH_DEADLINE_MS;
use crate::sim::blocks::MadeBlock;
use crate::sim::dice::Dice;
use crate::sys::cpu;

const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);
/// How long a program has to wake up before a run, and to finish what it does behind one: receipts,
/// log, disk. Its processor time counts.
const SETTLE: Duration = Duration::from_millis(20);
/// Open files of the bench itself.
const OWN_FILES: u64 = 200;

/// Who is in a case.
#[derive(Clone, Debug)]
pub(super) struct Cast<'a> {
    pub(super) subjects: &'a [Subject],
    pub(super) conducts: Vec<Conduct>,
    /// Whose arrivals count.
    pub(super) counted: Vec<bool>,
    /// Whether those whose turn it is not are halted.
    pub(super) halting: bool,
}

impl<'a> Cast<'a> {
    /// Well-behaved sinks, one program at a time.
    pub(super) fn plain(subjects: &'a [Subject], peers: usize) -> Self {
        let (conducts, counted) = (vec![Conduct::Plain; peers], vec![true; peers]);
        Self { subjects, conducts, counted, halting: subjects.len() > 1 }
    }
}

/// The running case.
pub(super) struct Ensemble {
    pub(super) programs: Vec<Program>,
    pub(super) sinks: Sinks,
    halting: bool,
    /// Dropped last: the programs live in it.
    _folder: Folder,
}

/// One block through one program.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) written: Written,
    /// Soonest first.
    pub(super) arrivals_ns: Vec<u64>,
    pub(super) cpu_ns: u64,
}

impl Run {
    /// T(k): the time from t0 at which `share` per cent of the peers have the block, in ns.
    pub(super) fn share_ns(&self, share: usize) -> i64 {
        let at = (self.arrivals_ns.len() * share).div_ceil(100).max(1) - 1;
        difference(self.arrivals_ns.get(at).copied(), self.written.first_byte_ns)
    }

    /// T(1) from t1, in ns.
    pub(super) fn first_from_last_byte_ns(&self) -> i64 {
        difference(self.arrivals_ns.first().copied(), self.written.last_byte_ns)
    }
}

/// `at_ns - from_ns`.
pub(super) fn difference(at_ns: Option<u64>, from_ns: u64) -> i64 {
    at_ns.unwrap_or(u64::MAX >> 1).cast_signed().saturating_sub(from_ns.cast_signed())
}

impl Ensemble {
    /// Starts sinks and programs, and waits until everybody is connected.
    pub(super) fn start(site: &Site, cast: Cast<'_>) -> Result<Self, BenchError> {
        let peers = cast.conducts.len();
        check(site, cast.subjects, peers)?;
        let folder = Folder::make()?;
        let sinks = Sinks::start(SinkSettings {
            chain: site.chain,
            conducts: cast.conducts,
            places: Vec::new(),
            counted: cast.counted,
            core: site.sink_core,
            seed: site.seed,
        })?;
        let mut programs: Vec<Program> = Vec::new();
        for (at, subject) in cast.subjects.iter().enumerate() {
            let mut own = folder.path().to_owned();
            own.push(at.to_string());
            std::fs::create_dir(&own)?;
            let setup = Setup {
                subject: subject.name().to_owned(),
                chain: site.chain.name.to_owned(),
                peers: sinks.addresses().to_vec(),
                folder: own,
                cores: site.cores.clone(),
                shard_cores: site.shard_cores.clone(),
                rest_cores: site.rest_cores.clone(),
                login: format!("bench:{:016x}", Dice::new(site.seed ^ at as u64).throw()),
                line: Line::None,
                node: None,
                congestion_control: None,
                first_window_packets: 0,
            };
            let mut program = Program::start(*subject, &setup)?;
            program.connected(peers)?;
            let live = sinks.wait_for_live(peers * (at + 1), PATIENCE);
            if live < peers * (at + 1) {
                return Err(program.fault(format!("the sinks see {live} connections in all")));
            }
            if cast.halting {
                program.pause()?;
            }
            programs.push(program);
        }
        Ok(Self { programs, sinks, halting: cast.halting, _folder: folder })
    }

    /// Sends one block through program `at`.
    pub(super) fn run(&mut self, at: usize, block: &MadeBlock) -> Result<Run, BenchError> {
        self.wake(at)?;
        let result = self.measure(at, block);
        self.rest(at)?;
        result
    }

    /// Gives program `at` its turn.
    pub(super) fn wake(&self, at: usize) -> Result<(), BenchError> {
        if let Some(program) = self.programs.get(at).filter(|_| self.halting) {
            program.resume()?;
            std::thread::sleep(SETTLE);
        }
        Ok(())
    }

    /// Takes it away again.
    pub(super) fn rest(&self, at: usize) -> Result<(), BenchError> {
        let program = self.programs.get(at).filter(|_| self.halting);
        program.map_or(Ok(()), Program::pause)
    }

    fn measure(&self, at: usize, block: &MadeBlock) -> Result<Run, BenchError> {
        let program = self.programs.get(at).ok_or_else(|| std::io::Error::other("no program"))?;
        let before_ns = program.cpu_ns()?;
        let (written, arrivals_ns) = deliver(program, &self.sinks, program.http(), block)?;
        std::thread::sleep(SETTLE);
        Ok(Run { written, arrivals_ns, cpu_ns: program.cpu_ns()? - before_ns })
    }
}

/// Hands `block` over at `door` of `program` and waits until every sink that counts has it.
pub(super) fn deliver(
    program: &Program,
    sinks: &Sinks,
    door: Door<'_>,
    block: &MadeBlock,
) -> Result<(Written, Vec<u64>), BenchError> {
    let header = block.raw.first_chunk().copied().unwrap_or([0; 80]);
    sinks.expect(header);
    let handed = client::hand_over(door, &block.raw);
    let (written, exchange) = handed.map_err(|error| program.fault(error))?;
    let arrivals = sinks.arrivals_ns(PATIENCE);
    exchange.answer().map_err(|error| program.fault(error))?;
    let short = |count| program.fault(format!("only {count} peers got the block"));
    Ok((written, arrivals.map_err(short)?))
}

/// Whether this host can carry the case.
fn check(site: &Site, subjects: &[Subject], peers: usize) -> Result<(), BenchError> {
    let needed = peers as u64 * (subjects.len() as u64 + 1) + OWN_FILES;
    let allowed = cpu::raise_open_files();
    if allowed < needed {
        return Err(BenchError::Lacking(format!(
            "{} programs with {peers} peers take {needed} open files, {allowed} are allowed: raise \
             the limit (ulimit -n {needed}), or name fewer programs or peers",
            subjects.len()
        )));
    }
    if site.sink_core.is_none() && subjects.contains(&Subject::Product(Variant::Spin)) {
        return Err(BenchError::Lacking(
            "a spinning shard needs a core of its own, and this process has one core: allow it \
             more (taskset, cpuset), or leave the engine's variant spin out (--engine wait)"
                .to_owned(),
        ));
    }
    Ok(())
}

/// A random order of `count` things.
pub(super) fn shuffled(count: usize, dice: &mut Dice) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, dice.below(at as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_right_peer() {
        let written = Written { first_byte_ns: 100, last_byte_ns: 150 };
        let run = Run { written, arrivals_ns: (1..=20).map(|k| 100 + k).collect(), cpu_ns: 0 };
        assert_eq!([0, 50, 90, 100].map(|share| run.share_ns(share)), [1, 10, 18, 20]);
        assert_eq!(run.first_from_last_byte_ns(), -49);
    }

    #[test]
    fn an_order_holds_each_once_and_follows_the_seed() {
        let mut dice = Dice::new(5);
        let orders: Vec<_> = (0..20).map(|_| shuffled(6, &mut dice)).collect();
        assert!(orders.iter().any(|order| *order != orders[0]));
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert_eq!(orders[0], shuffled(6, &mut Dice::new(5)));
    }
}
