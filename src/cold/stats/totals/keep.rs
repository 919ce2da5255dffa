//! A chain's sums by name, as they are kept over restarts.

use std::sync::{Mutex, PoisonError};

use super::ChainTotals;
use crate::cold::stats::{Stage, Times};
use crate::hot::link::{Outcome, Way};
use crate::limits::KEPT_WORDS_MAX;
use crate::wire::hash::BlockHash;

/// Begins the name of a count of held-back blocks; the word follows.
const HELD_BACK: &str = "held_back.";

/// Times of one kind, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeptTimes {
    /// How many there are.
    pub count: u64,
    /// Their sum, in us.
    pub sum_us: u64,
    /// Their histogram in HdrHistogram's V2 encoding, in us.
    pub histogram: Vec<u8>,
}

/// The sums of one chain by name. Names stay what they are from version to version; one that this
/// version does not know is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptTotals {
    /// Counts, without the zeros.
    pub counts: Vec<(String, u64)>,
    /// Times, without those that there are none of.
    pub times: Vec<(String, KeptTimes)>,
    /// The newest block, and when it came, in ms since 1970.
    pub last_block: Option<(BlockHash, u64)>,
}

impl ChainTotals {
    /// Every count but those of held-back blocks, with its name.
    fn counts_by_name(&mut self) -> Vec<(String, &mut u64)> {
        let mut all = vec![("blocks_broadcast".to_owned(), &mut self.blocks_broadcast)];
        let outcomes = Outcome::ALL.iter().zip(&mut self.outcomes);
        all.extend(outcomes.map(|(it, count)| (format!("outcome.{}", it.word()), count)));
        for (way, sums) in Way::ALL.iter().zip(&mut self.ways) {
            all.push((format!("way.{}.offers", way.word()), &mut sums.offers));
            all.push((format!("way.{}.bytes", way.word()), &mut sums.bytes));
        }
        all.push(("fate.confirmed".to_owned(), &mut self.fates.confirmed));
        all.push(("fate.stale".to_owned(), &mut self.fates.stale));
        let nodes =
            [("verdict", &mut self.verdicts), ("endpoint_verdict", &mut self.endpoint_verdicts)];
        for (name, said) in nodes {
            let words = [
                ("accepted", &mut said.accepted),
                ("duplicate", &mut said.duplicate),
                ("inconclusive", &mut said.inconclusive),
                ("refused", &mut said.refused),
                ("error", &mut said.error),
            ];
            all.extend(words.map(|(word, count)| (format!("{name}.{word}"), count)));
        }
        all
    }

    /// Every kind of times, with its name.
    fn times_by_name(&mut self) -> Vec<(String, &mut Times)> {
        let stages = Stage::ALL.iter().zip(&mut self.stages);
        let mut all: Vec<_> =
            stages.map(|(stage, times)| (format!("stage.{}", stage.word()), times)).collect();
        let others = [
            ("publish", &mut self.publish),
            ("submitted", &mut self.submitted),
            ("sent", &mut self.sent),
            ("acked", &mut self.acked),
            ("handled", &mut self.handled),
            ("back", &mut self.back),
            ("to_wire", &mut self.to_wire),
            ("wire_to_acked", &mut self.wire_to_acked),
            ("first_back", &mut self.first_back),
        ];
        all.extend(others.map(|(name, times)| (name.to_owned(), times)));
        all
    }

    /// Adds all of `others`.
    pub(in crate::cold::stats) fn absorb(&mut self, others: &Self) {
        let mut others = others.clone();
        for ((_, sum), (_, more)) in self.counts_by_name().into_iter().zip(others.counts_by_name())
        {
            *sum = sum.saturating_add(*more);
        }
        for ((_, sum), (_, more)) in self.times_by_name().into_iter().zip(others.times_by_name()) {
            sum.absorb(more);
        }
        for (word, count) in &others.held_back {
            *self.held_back.entry(word).or_default() += count;
        }
        let came_ms = |last: Option<(BlockHash, u64)>| last.map_or(0, |(_, ms)| ms);
        if came_ms(others.last_block) > came_ms(self.last_block) {
            self.last_block = others.last_block;
        }
    }
}

impl From<&ChainTotals> for KeptTotals {
    fn from(totals: &ChainTotals) -> Self {
        let last_block = totals.last_block;
        let mut totals = totals.clone();
        let held_back = totals.held_back.iter();
        let held_back: Vec<_> =
            held_back.map(|(word, count)| (format!("{HELD_BACK}{word}"), *count)).collect();
        let counts = totals.counts_by_name().into_iter().map(|(name, count)| (name, *count));
        let counts = counts.chain(held_back).filter(|(_, count)| *count > 0).collect();
        let times = totals.times_by_name().into_iter().filter_map(|(name, times)| {
            let histogram = times.to_bytes()?;
            Some((name, KeptTimes { count: times.count(), sum_us: times.sum_us(), histogram }))
        });
        Self { counts, times: times.collect(), last_block }
    }
}

impl KeptTotals {
    /// The sums, and the names of those that are damaged and begin at zero.
    #[must_use]
    pub fn read(&self) -> (ChainTotals, Vec<String>) {
        let mut totals = ChainTotals { last_block: self.last_block, ..ChainTotals::default() };
        for (name, sum) in totals.counts_by_name() {
            *sum = self.counts.iter().find(|(kept, _)| *kept == name).map_or(0, |(_, sum)| *sum);
        }
        for (name, count) in &self.counts {
            if let Some(word) = name.strip_prefix(HELD_BACK).and_then(word_for_good) {
                *totals.held_back.entry(word).or_default() += count;
            }
        }
        let mut damaged = Vec::new();
        for (name, times) in totals.times_by_name() {
            let Some((_, kept)) = self.times.iter().find(|(kept, _)| *kept == name) else {
                continue;
            };
            match Times::from_bytes(&kept.histogram, kept.sum_us) {
                Some(read) if read.count() == kept.count => *times = read,
                _ => damaged.push(name),
            }
        }
        (totals, damaged)
    }
}

/// `word` for as long as the process lives; the same word is kept once.
fn word_for_good(word: &str) -> Option<&'static str> {
    static WORDS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.iter().find(|known| **known == word) {
        return Some(known);
    }
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if words.len() >= KEPT_WORDS_MAX || word.len() > KEPT_WORDS_MAX || !is_plain {
        return None;
    }
    let kept: &'static str = Box::leak(word.to_owned().into_boxed_str());
    words.push(kept);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums in which no name has what another has.
    fn made() -> ChainTotals {
        let mut totals = ChainTotals::default();
        for (at, (_, count)) in (1..).zip(totals.counts_by_name()) {
            *count = at;
        }
        for (at, (_, times)) in (1..).zip(totals.times_by_name()) {
            (0..at).for_each(|step| times.add(step * 777_000));
        }
        totals.held_back = [("bad-diffbits", 3), ("high-hash", 1)].into();
        totals.last_block = Some((BlockHash([9; 32]), 1_234));
        totals
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let kept = KeptTotals::from(&made());
        let (read, damaged) = kept.read();
        assert!(damaged.is_empty(), "{damaged:?}");
        assert_eq!(KeptTotals::from(&read), kept);
        assert_eq!(read.sent.percentiles(), made().sent.percentiles());
        let names: Vec<_> = kept.counts.iter().map(|(name, _)| name).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), distinct.len());
    }

    #[test]
    fn sums_of_two_processes_are_added() {
        let mut sums = made();
        sums.absorb(&made());
        assert_eq!(sums.blocks_broadcast, 2 * made().blocks_broadcast);
        assert_eq!(sums.sent.count(), 2 * made().sent.count());
        assert_eq!(sums.sent.sum_us(), 2 * made().sent.sum_us());
        assert_eq!(sums.held_back["high-hash"], 2);
        assert_eq!(sums.last_block, made().last_block);
        let mut none = ChainTotals::default();
        none.absorb(&made());
        assert_eq!(KeptTotals::from(&none), KeptTotals::from(&made()));
    }

    /// Whatever is done to a histogram's bytes, it is refused or read, and takes little memory.
    #[test]
    fn damaged_bytes_begin_at_zero() {
        let kept = KeptTotals::from(&made());
        let last = kept.times.len() - 1;
        for at in 0..kept.times[last].1.histogram.len() {
            for with in [0, 0x7f, 0xff] {
                let mut spoilt = kept.clone();
                spoilt.times[last].1.histogram[at] = with;
                let (read, damaged) = spoilt.read();
                assert!(damaged.len() <= 1, "{damaged:?}");
                let expected = if damaged.is_empty() { made().first_back.count() } else { 0 };
                assert_eq!(read.first_back.count(), expected);
            }
        }
        let mut cut = kept;
        cut.times[last].1.histogram.truncate(20);
        cut.counts.push(("held_back.\u{1b}[2J".to_owned(), 1));
        let (read, damaged) = cut.read();
        assert_eq!((damaged, read.held_back.len()), (vec!["first_back".to_owned()], 2));
    }
}
