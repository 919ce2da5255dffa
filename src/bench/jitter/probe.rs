//! A probe that spins on one core and notes what it was kept from: a hiccup meter. It needs no rights,
//! and sees what no kernel tells of: other tenants of the machine, its firmware.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use hdrhistogram::Histogram;

use super::tally::histogram;
use crate::bench::BenchError;
use crate::limits::{JITTER_GAP_NS_MIN, JITTER_GAPS_MAX};
use crate::sys::bpf::Stolen;
use crate::sys::clock::now_ns;
use crate::sys::cpu;

/// A time in which the probe did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From when, CLOCK_MONOTONIC in ns,
    pub start_ns: u64,
    /// for how long, in ns.
    pub took_ns: u64,
}

/// What a probe was kept from.
#[derive(Debug)]
pub struct Hiccups {
    /// How long each gap was, in ns.
    pub histogram: Histogram<u64>,
    /// All together, in ns.
    pub total_ns: u64,
    /// The first so many, in order.
    pub gaps: Vec<Gap>,
    /// How long it has looked, in ns.
    pub took_ns: u64,
    /// The shortest time between two looks, in ns: what it can't see.
    pub pass_ns: u64,
}

impl Hiccups {
    /// Room for everything.
    ///
    /// # Errors
    /// No memory.
    fn new() -> Result<Self, BenchError> {
        let gaps = Vec::with_capacity(JITTER_GAPS_MAX);
        Ok(Self { histogram: histogram()?, total_ns: 0, gaps, took_ns: 0, pass_ns: u64::MAX })
    }

    /// Looks at the clock until `end_ns` or `stop`. `clock` is [`now_ns`] but in tests.
    fn look(&mut self, end_ns: u64, stop: &AtomicBool, mut clock: impl FnMut() -> u64) {
        let start_ns = clock();
        let mut last_ns = start_ns;
        while last_ns < end_ns && !stop.load(Ordering::Relaxed) {
            let now_ns = clock();
            let took_ns = now_ns.saturating_sub(last_ns);
            self.pass_ns = self.pass_ns.min(took_ns);
            if took_ns >= JITTER_GAP_NS_MIN {
                self.histogram.saturating_record(took_ns);
                self.total_ns += took_ns;
                if self.gaps.len() < JITTER_GAPS_MAX {
                    self.gaps.push(Gap { start_ns: last_ns, took_ns });
                }
            }
            last_ns = now_ns;
        }
        self.took_ns = last_ns - start_ns;
    }
}

/// A thread on its core that waits to be let go.
#[derive(Debug)]
pub struct Probe {
    number: u32,
    go: Sender<u64>,
    thread: JoinHandle<Hiccups>,
}

impl Probe {
    /// Starts it on `core`, before others there as a shard is, where this process may.
    ///
    /// # Errors
    /// This process may not use that core; no thread, no memory.
    pub fn start(core: usize, stop: Arc<AtomicBool>) -> Result<Self, BenchError> {
        let (go, begin): (Sender<u64>, Receiver<u64>) = channel();
        let (tell, told) = channel();
        let mut hiccups = Hiccups::new()?;
        let work = move || {
            let is_pinned = cpu::pin_to(core);
            let _ = cpu::go_first();
            let _ = tell.send((is_pinned, cpu::thread_id()));
            // Without an end nobody wants it any more.
            if let Ok(end_ns) = begin.recv() {
                hiccups.look(end_ns, &stop, now_ns);
            }
            hiccups
        };
        let thread = thread::Builder::new().name(format!("probe-{core}")).spawn(work)?;
        match told.recv() {
            Ok((true, number)) => Ok(Self { number, go, thread }),
            _ => Err(BenchError::Lacking(format!(
                "this process may not run on core {core}: name cores of {:?}",
                cpu::available()
            ))),
        }
    }

    /// Its thread: `gettid(2)`.
    #[must_use]
    pub const fn thread(&self) -> u32 {
        self.number
    }

    /// Lets it spin until `end_ns`.
    ///
    /// # Errors
    /// Its thread has ended.
    pub fn run_until(self, end_ns: u64) -> Result<JoinHandle<Hiccups>, BenchError> {
        let gone = |_| BenchError::Lacking("a probe's thread has ended".to_owned());
        self.go.send(end_ns).map(|()| self.thread).map_err(gone)
    }
}

/// Gaps of a probe that nobody in this kernel explains: the hypervisor gave the core to others, or
/// firmware took it (SMI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unexplained {
    /// Time of all gaps in which nobody was seen to run, in ns.
    pub total_ns: u64,
    /// The longest such part of one gap, in ns.
    pub longest_ns: u64,
    /// Gaps of which more than half is unexplained.
    pub gaps: u64,
}

/// Holds `gaps` (in order, not overlapping) against what the kernel has told of the same core.
pub fn unexplained<'a>(gaps: &[Gap], stolen: impl Iterator<Item = &'a Stolen>) -> Unexplained {
    let mut intervals: Vec<_> =
        stolen.map(|it| (it.start_ns, it.start_ns.saturating_add(it.took_ns))).collect();
    intervals.sort_unstable();
    // Made disjoint: one may lie within another.
    let mut covered: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
    for (start_ns, end_ns) in intervals {
        match covered.last_mut() {
            Some(last) if start_ns <= last.1 => last.1 = last.1.max(end_ns),
            _ => covered.push((start_ns, end_ns)),
        }
    }
    let mut found = Unexplained::default();
    for gap in gaps {
        let (from_ns, to_ns) = (gap.start_ns, gap.start_ns + gap.took_ns);
        let first = covered.partition_point(|(_, end_ns)| *end_ns <= from_ns);
        let within = covered.iter().skip(first).take_while(|(start_ns, _)| *start_ns < to_ns);
        let parts = within.map(|(start, end)| (*end).min(to_ns) - (*start).max(from_ns));
        let left_ns = gap.took_ns - parts.sum::<u64>();
        found.total_ns += left_ns;
        found.longest_ns = found.longest_ns.max(left_ns);
        found.gaps += u64::from(2 * left_ns > gap.took_ns);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::bpf::Runner;

    fn stolen(start_ns: u64, took_ns: u64) -> Stolen {
        let (runner, name) = (Runner::Task, [0; 16]);
        Stolen { core: 0, runner, number: 1, name, start_ns, took_ns, held_us_up: true }
    }

    #[test]
    fn gaps_are_what_the_clock_jumps_over() {
        let mut hiccups = Hiccups::new().unwrap();
        let mut times = [0, 100, 250, 5_250, 5_300, 65_300, 65_400, 70_000].into_iter();
        hiccups.look(65_400, &AtomicBool::new(false), || times.next().unwrap());
        let gaps = [(250, 5_000), (5_300, 60_000)];
        let gaps = gaps.map(|(start_ns, took_ns)| Gap { start_ns, took_ns });
        assert_eq!(hiccups.gaps, gaps);
        assert_eq!((hiccups.took_ns, hiccups.total_ns, hiccups.pass_ns), (65_400, 65_000, 50));
        assert_eq!(hiccups.histogram.len(), 2);
    }

    #[test]
    fn a_stopped_probe_ends_and_one_that_was_never_let_go_too() {
        let stop = Arc::new(AtomicBool::new(true));
        let core = cpu::available()[0];
        let probe = Probe::start(core, Arc::clone(&stop)).unwrap();
        assert!(probe.thread() > 0);
        let hiccups = probe.run_until(u64::MAX).unwrap().join().unwrap();
        assert_eq!((hiccups.took_ns, hiccups.gaps.len()), (0, 0));
        let Probe { go, thread, .. } = Probe::start(core, stop).unwrap();
        drop(go);
        assert_eq!(thread.join().unwrap().took_ns, 0);
        let refused = Probe::start(usize::MAX, Arc::default()).map(drop).unwrap_err();
        assert!(refused.to_string().contains("may not run on core"), "{refused}");
    }

    #[test]
    fn what_the_kernel_tells_explains_gaps() {
        let gaps = [(1_000, 500), (5_000, 1_000), (9_000, 400)];
        let gaps = gaps.map(|(start_ns, took_ns)| Gap { start_ns, took_ns });
        // The first wholly, by two of which one lies in the other; the second by a tenth.
        let told = [stolen(900, 700), stolen(1_100, 50), stolen(5_900, 300)];
        let found = unexplained(&gaps, told.iter());
        assert_eq!(found, Unexplained { total_ns: 1_300, longest_ns: 900, gaps: 2 });
        assert_eq!(unexplained(&gaps, [].iter()).total_ns, 1_900);
    }

    proptest! {
        /// Goal: never more than the gaps, and nothing is left where one interval covers all.
        #[test]
        fn a_gap_is_never_more_than_itself(
            lengths in prop::collection::vec((0_u64..1_000, 1_u64..1_000), 0..20),
            told in prop::collection::vec((0_u64..20_000, 0_u64..2_000), 0..20),
        ) {
            let mut at = 0;
            let gaps: Vec<_> = lengths.iter().map(|(pause, took_ns)| {
                let start_ns = at + pause;
                at = start_ns + took_ns;
                Gap { start_ns, took_ns: *took_ns }
            }).collect();
            let told: Vec<_> = told.into_iter().map(|(start, took)| stolen(start, took)).collect();
            let found = unexplained(&gaps, told.iter());
            let total: u64 = gaps.iter().map(|gap| gap.took_ns).sum();
            prop_assert!(found.total_ns <= total && found.gaps as usize <= gaps.len());
            let all = [stolen(0, at)];
            prop_assert_eq!(unexplained(&gaps, all.iter()), Unexplained::default());
        }
    }
}
