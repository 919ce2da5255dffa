//! `broadside jitter`: who else ran on the cores of the shards, how often and for how long.
//!
//! Three ways to know, best first: the kernel tells of every interval ([`crate::sys::bpf`]); a probe
//! spins on the core and sees what it was kept from; the kernel's own sums in /proc.

pub mod counts;
pub mod probe;
pub mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use self::counts::{Counted, Counts};
use self::probe::{Hiccups, Probe, Unexplained};
use self::tally::Tally;
use super::BenchError;
use crate::limits::{JITTER_INTERVALS_MAX, JITTER_LOOK_MS};
use crate::sys::bpf::{BpfError, CoreWatch, Stolen};
use crate::sys::clock::now_ns;
use crate::sys::cpu;

/// One watched core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedCore {
    /// Its number.
    pub core: usize,
    /// The shard that runs there: its number and its thread (`gettid(2)`).
    pub shard: Option<(usize, u32)>,
}

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct Watching {
    /// The cores.
    pub cores: Vec<WatchedCore>,
    /// Cores that this program keeps to, so as not to be seen itself; empty: anywhere.
    pub rest: Vec<usize>,
    /// How long.
    pub time: Duration,
    /// Whether a probe spins on each core.
    pub probe: bool,
    /// Whether one does where the kernel tells nothing.
    pub probe_instead: bool,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// How long was watched, in ns.
    pub took_ns: u64,
    /// Why the kernel told nothing of single intervals; `None`: it did.
    pub silent: Option<String>,
    /// Intervals that found no room or were not told by the kernel: the sums are too low by them.
    pub lost: u64,
    /// One for each core.
    pub cores: Vec<CoreSeen>,
}

/// What was seen of one core.
#[derive(Debug)]
pub struct CoreSeen {
    /// The core.
    pub watched: WatchedCore,
    /// Who ran there; `None`: the kernel did not tell.
    pub tally: Option<Tally>,
    /// What a probe there was kept from, and of it what nobody in the tally explains (only where both
    /// are there).
    pub probe: Option<(Hiccups, Option<Unexplained>)>,
    /// What /proc has counted.
    pub counted: Counted,
}

/// Watches until the time is over or `stop` is set.
///
/// # Errors
/// A core that a probe can't be pinned to; no memory for histograms; no threads.
pub fn watch(watching: &Watching, stop: &Arc<AtomicBool>) -> Result<Seen, BenchError> {
    // Where there are no other cores it is seen there like anybody else.
    let _ = cpu::keep_on(&watching.rest);
    let numbers: Vec<_> = watching.cores.iter().map(|it| it.core).collect();
    let shards: Vec<_> = watching.cores.iter().filter_map(|it| it.shard).collect();
    let wants_probe = watching.probe;
    // A probe has to be there before the kernel is told whose running is ours.
    let probes = if wants_probe { start_probes(&numbers, stop)? } else { Vec::new() };
    let threads = shards.iter().map(|(_, thread)| *thread);
    let ours: Vec<u32> = threads.chain(probes.iter().map(Probe::thread)).collect();
    let (kernel, silent) = match CoreWatch::start(&numbers, &ours) {
        Ok(kernel) => (Some(kernel), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let probes = match (&kernel, watching.probe_instead && !wants_probe) {
        (None, true) => start_probes(&numbers, stop)?,
        _ => probes,
    };
    let mut gathered = Gathered::new(watching, kernel)?;
    let before = Counts::look(&shards);
    let start_ns = now_ns();
    let end_ns = start_ns + watching.time.as_nanos() as u64;
    let running: Result<Vec<_>, _> = probes.into_iter().map(|it| it.run_until(end_ns)).collect();
    let watched = gathered.until(end_ns, stop);
    let took_ns = now_ns() - start_ns;
    let after = Counts::look(&shards);
    stop.store(true, Ordering::Relaxed);
    let hiccups = joined(running?)?;
    // Whoever kept a probe from its end is told when it has gone.
    let watched = watched.and_then(|()| gathered.read());
    let silent = silent.or_else(|| watched.err().map(|error| error.to_string()));
    let counted = |core: &WatchedCore| after.since(&before, core);
    let counted: Vec<_> = watching.cores.iter().map(counted).collect();
    Ok(gathered.end(watching, hiccups, counted, took_ns, silent))
}

fn start_probes(cores: &[usize], stop: &Arc<AtomicBool>) -> Result<Vec<Probe>, BenchError> {
    cores.iter().map(|core| Probe::start(*core, Arc::clone(stop))).collect()
}

fn joined(probes: Vec<JoinHandle<Hiccups>>) -> Result<Vec<Hiccups>, BenchError> {
    let ended = |probe: JoinHandle<Hiccups>| {
        probe.join().map_err(|_| BenchError::Lacking("a probe's thread has ended".to_owned()))
    };
    probes.into_iter().map(ended).collect()
}

/// What the kernel has told so far.
struct Gathered {
    kernel: Option<CoreWatch>,
    tallies: Vec<(usize, Tally)>,
    /// Kept to hold a probe's gaps against; bounded.
    intervals: Vec<Stolen>,
    keeps: bool,
}

impl Gathered {
    fn new(watching: &Watching, kernel: Option<CoreWatch>) -> Result<Self, BenchError> {
        let mut tallies = Vec::new();
        for watched in watching.cores.iter().filter(|_| kernel.is_some()) {
            tallies.push((watched.core, Tally::new()?));
        }
        Ok(Self { kernel, tallies, intervals: Vec::new(), keeps: watching.probe })
    }

    /// Takes in what the kernel tells until then.
    fn until(&mut self, end_ns: u64, stop: &AtomicBool) -> Result<(), BpfError> {
        let mut told = Ok(());
        loop {
            let left = Duration::from_nanos(end_ns.saturating_sub(now_ns()));
            let is_over = left.is_zero() || stop.load(Ordering::Relaxed);
            if !is_over {
                std::thread::sleep(left.min(Duration::from_millis(JITTER_LOOK_MS)));
            }
            if told.is_ok() {
                told = self.read();
            }
            if is_over {
                return told;
            }
        }
    }

    fn read(&mut self) -> Result<(), BpfError> {
        let Self { kernel, tallies, intervals, keeps } = self;
        let Some(kernel) = kernel else { return Ok(()) };
        kernel.read(&mut |stolen| {
            let of = tallies.iter_mut().find(|(core, _)| *core == stolen.core as usize);
            if let Some((_, tally)) = of {
                tally.add(&stolen);
                if *keeps && intervals.len() < JITTER_INTERVALS_MAX {
                    intervals.push(stolen);
                }
            }
        })
    }

    fn end(
        self,
        watching: &Watching,
        hiccups: Vec<Hiccups>,
        counted: Vec<Counted>,
        took_ns: u64,
        silent: Option<String>,
    ) -> Seen {
        let lost = self.kernel.as_ref().map_or(0, CoreWatch::lost);
        let is_whole = self.intervals.len() < JITTER_INTERVALS_MAX;
        let mut tallies = self.tallies.into_iter();
        let mut hiccups = hiccups.into_iter();
        let cores = watching.cores.iter().zip(counted).map(|(watched, counted)| {
            let tally = tallies.next().map(|(_, tally)| tally);
            let probe = hiccups.next().map(|hiccups| {
                let here = self.intervals.iter().filter(|it| it.core as usize == watched.core);
                let explained = (tally.is_some() && self.keeps && is_whole)
                    .then(|| probe::unexplained(&hiccups.gaps, here));
                (hiccups, explained)
            });
            CoreSeen { watched: *watched, tally, probe, counted }
        });
        Seen { took_ns, silent, lost, cores: cores.collect() }
    }
}
