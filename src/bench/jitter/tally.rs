//! Who ran on one core, summed up. Pure.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::bench::BenchError;
use crate::limits::{JITTER_INTERVAL_NS_MAX, JITTER_RUNNERS_MAX};
use crate::sys::bpf::{Runner, Stolen};

/// Significant digits of the histograms.
const DIGITS: u8 = 3;

/// Times of intervals, in ns, room for all made at the start.
///
/// # Errors
/// No memory.
pub(super) fn histogram() -> Result<Histogram<u64>, BenchError> {
    Histogram::new_with_bounds(1, JITTER_INTERVAL_NS_MAX, DIGITS)
        .map_err(|error| BenchError::Lacking(format!("no histogram: {error}")))
}

/// One who ran there. Threads of one name are one: programs that come and go, a kernel's workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// What it is.
    pub runner: Runner,
    /// Its interrupt number or softirq vector; 0 for a thread.
    pub number: u32,
    /// Its name, ended by zeros.
    pub name: [u8; 16],
}

impl Who {
    fn of(stolen: &Stolen) -> Self {
        let number = if stolen.runner == Runner::Task { 0 } else { stolen.number };
        Self { runner: stolen.runner, number, name: stolen.name }
    }

    /// Its name as text. Programs name themselves: it may hold anything.
    #[must_use]
    pub fn name(&self) -> String {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        let name = String::from_utf8_lossy(self.name.get(..end).unwrap_or_default());
        match self.runner {
            Runner::Interrupt if end == 0 => format!("interrupt {}", self.number),
            Runner::Interrupt => format!("{name} ({})", self.number),
            Runner::SoftInterrupt if end == 0 => format!("softirq {}", self.number),
            _ => name.into_owned(),
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.runner {
            Runner::Task => "thread",
            Runner::Interrupt => "interrupt",
            Runner::SoftInterrupt => "softirq",
        }
    }
}

/// How often and how long somebody ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Times.
    pub times: u64,
    /// In all, in ns.
    pub total_ns: u64,
    /// The longest time, in ns.
    pub longest_ns: u64,
    /// Thread id, interrupt number or vector of the longest.
    pub longest_number: u32,
    /// Of the times those that held up a thread of ours,
    pub held_times: u64,
    /// and how long these took, in ns.
    pub held_ns: u64,
}

impl Sum {
    fn add(&mut self, stolen: &Stolen) {
        self.times += 1;
        self.total_ns = self.total_ns.saturating_add(stolen.took_ns);
        if stolen.took_ns >= self.longest_ns {
            (self.longest_ns, self.longest_number) = (stolen.took_ns, stolen.number);
        }
        if stolen.held_us_up {
            self.held_times += 1;
            self.held_ns = self.held_ns.saturating_add(stolen.took_ns);
        }
    }
}

/// Everything that ran on one core and is not ours.
#[derive(Debug)]
pub struct Tally {
    who: HashMap<Who, Sum>,
    /// Those for whom there was no row left.
    pub others: Sum,
    /// All of it.
    pub all: Sum,
    /// How long the single intervals were, in ns.
    pub histogram: Histogram<u64>,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// No memory for the histogram.
    pub fn new() -> Result<Self, BenchError> {
        let (others, all) = (Sum::default(), Sum::default());
        Ok(Self { who: HashMap::new(), others, all, histogram: histogram()? })
    }

    /// Adds one interval.
    pub fn add(&mut self, stolen: &Stolen) {
        self.all.add(stolen);
        self.histogram.saturating_record(stolen.took_ns.max(1));
        let (who, is_full) = (Who::of(stolen), self.who.len() >= JITTER_RUNNERS_MAX);
        match self.who.get_mut(&who) {
            Some(sum) => sum.add(stolen),
            None if is_full => self.others.add(stolen),
            None => self.who.entry(who).or_default().add(stolen),
        }
    }

    /// Each with its sum: who held us up longest first, then who took most.
    #[must_use]
    pub fn rows(&self) -> Vec<(Who, Sum)> {
        let mut rows: Vec<_> = self.who.iter().map(|(who, sum)| (*who, *sum)).collect();
        let rank = |(who, sum): &(Who, Sum)| (sum.held_ns, sum.total_ns, who.number, who.name);
        rows.sort_by_key(|row| std::cmp::Reverse(rank(row)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stolen(runner: Runner, number: u32, name: &str, took_ns: u64) -> Stolen {
        let mut bytes = [0; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Stolen { core: 1, runner, number, name: bytes, start_ns: 0, took_ns, held_us_up: false }
    }

    #[test]
    fn threads_of_one_name_are_one_and_interrupts_are_not() {
        let mut tally = Tally::new().unwrap();
        tally.add(&stolen(Runner::Task, 7, "cc1", 1_000));
        tally.add(&Stolen { held_us_up: true, ..stolen(Runner::Task, 8, "cc1", 3_000) });
        tally.add(&stolen(Runner::Interrupt, 24, "virtio0", 9_000));
        tally.add(&stolen(Runner::Interrupt, 25, "virtio0", 500));
        tally.add(&stolen(Runner::SoftInterrupt, 3, "", 200));
        let rows = tally.rows();
        let told: Vec<_> = rows.iter().map(|(who, sum)| (who.name(), sum.times)).collect();
        let expected = [("cc1", 2), ("virtio0 (24)", 1), ("virtio0 (25)", 1), ("softirq 3", 1)];
        assert_eq!(told, expected.map(|(name, times)| (name.to_owned(), times)));
        let first = rows[0].1;
        assert_eq!((first.total_ns, first.longest_ns, first.longest_number), (4_000, 3_000, 8));
        assert_eq!((first.held_times, first.held_ns), (1, 3_000));
        assert_eq!((tally.all.times, tally.all.total_ns), (5, 13_700));
        assert_eq!(tally.histogram.len(), 5);
    }

    /// Goal: whoever starts programs without end does not fill our memory, and no time is lost.
    #[test]
    fn sums_hold_when_the_rows_are_full() {
        let mut tally = Tally::new().unwrap();
        for number in 0..2 * JITTER_RUNNERS_MAX as u32 {
            tally.add(&stolen(Runner::Interrupt, number, "x", 10));
        }
        let rows = tally.rows();
        assert_eq!(rows.len(), JITTER_RUNNERS_MAX);
        let sum: u64 = rows.iter().map(|(_, sum)| sum.total_ns).sum();
        assert_eq!(sum + tally.others.total_ns, tally.all.total_ns);
        // A time beyond all bounds counts as the longest that fits.
        tally.add(&stolen(Runner::Task, 1, "y", u64::MAX));
        assert_eq!(tally.all.longest_ns, u64::MAX);
        assert_eq!(tally.histogram.len(), tally.all.times);
    }
}
