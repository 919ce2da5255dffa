//! Who ran on the shards' cores while the shards wanted them. Pure: what was stolen in, sums out.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::cold::stats::{StolenTime, Thief, thief_name};
use crate::limits::{THIEVES_SHOWN_MAX, TRACE_LOSSES_MAX, TRACE_STOLEN_MAX};
use crate::sys::bpf::{Runner, Stolen};

/// Losses that follow each other sooner are one stretch.
const LOSSES_APART_NS: u64 = 1_000_000;

/// How often something was stolen, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StolenSum {
    /// How often.
    pub count: u64,
    /// For how long in all, in ns,
    pub total_ns: u64,
    /// and at most, in ns.
    pub longest_ns: u64,
}

impl StolenSum {
    fn add(&mut self, took_ns: u64) {
        self.count += 1;
        self.total_ns = self.total_ns.saturating_add(took_ns);
        self.longest_ns = self.longest_ns.max(took_ns);
    }
}

/// The newest of what held up a shard, and sums over all.
#[derive(Debug, Default)]
pub(super) struct Thefts {
    events: VecDeque<Stolen>,
    /// By core and kind, since the start.
    sums: BTreeMap<(u32, u8), (Runner, StolenSum)>,
    /// Stretches in which something was lost, in ns.
    losses: VecDeque<(u64, u64)>,
}

fn end_ns(it: &Stolen) -> u64 {
    it.start_ns.saturating_add(it.took_ns)
}

impl Thefts {
    /// Takes one in. What held nobody up is passed over.
    pub(super) fn note(&mut self, stolen: Stolen) {
        if !stolen.held_us_up {
            return;
        }
        let kind = match stolen.runner {
            Runner::Task => 0,
            Runner::Interrupt => 1,
            Runner::SoftInterrupt => 2,
        };
        let none = (stolen.runner, StolenSum::default());
        self.sums.entry((stolen.core, kind)).or_insert(none).1.add(stolen.took_ns);
        if self.events.len() >= TRACE_STOLEN_MAX
            && let Some(oldest) = self.events.pop_front()
        {
            self.note_lost(oldest.start_ns, end_ns(&oldest));
        }
        self.events.push_back(stolen);
    }

    /// Something was lost from `from_ns` to `to_ns`.
    pub(super) fn note_lost(&mut self, from_ns: u64, to_ns: u64) {
        let is_full = self.losses.len() >= TRACE_LOSSES_MAX;
        match self.losses.back_mut() {
            // Losses come in rows: one stretch will do.
            Some((begin, end)) if is_full || from_ns <= end.saturating_add(LOSSES_APART_NS) => {
                (*begin, *end) = (from_ns.min(*begin), to_ns.max(*end));
            }
            _ => self.losses.push_back((from_ns, to_ns)),
        }
    }

    /// Forgets what ended before `before_ns`.
    pub(super) fn forget(&mut self, before_ns: u64) {
        while self.events.front().is_some_and(|it| end_ns(it) < before_ns) {
            self.events.pop_front();
        }
        self.losses.retain(|(_, end_ns)| *end_ns >= before_ns);
    }

    /// Sums by core and kind, since the start.
    pub(super) fn sums(&self) -> Vec<(u32, Runner, StolenSum)> {
        self.sums.iter().map(|((core, _), (runner, sum))| (*core, *runner, *sum)).collect()
    }

    /// Who held us up from `from_ns` to `to_ns`: what reaches beyond is counted within alone.
    pub(super) fn within(&self, from_ns: u64, to_ns: u64) -> StolenTime {
        let mut sums: HashMap<(u32, Runner, u32, [u8; 16]), StolenSum> = HashMap::new();
        for it in &self.events {
            let (start_ns, end_ns) = (it.start_ns.max(from_ns), end_ns(it).min(to_ns));
            if start_ns < end_ns {
                let who = (it.core, it.runner, it.number, it.name);
                sums.entry(who).or_default().add(end_ns - start_ns);
            }
        }
        let mut thieves: Vec<Thief> = sums
            .into_iter()
            .map(|((core, runner, number, name), sum)| {
                let StolenSum { count, total_ns, longest_ns } = sum;
                Thief { core, runner, number, name: thief_name(&name), count, total_ns, longest_ns }
            })
            .collect();
        thieves.sort_by(|a, b| {
            let key = |it: &Thief| (u64::MAX - it.total_ns, it.core, it.number);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        let rest = thieves.split_off(thieves.len().min(THIEVES_SHOWN_MAX));
        let may_lack =
            self.losses.iter().any(|(begin_ns, end_ns)| *begin_ns <= to_ns && *end_ns >= from_ns);
        StolenTime {
            thieves,
            rest_count: rest.iter().map(|thief| thief.count).sum(),
            rest_ns: rest.iter().map(|thief| thief.total_ns).sum(),
            may_lack,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stolen(number: u32, start_ns: u64, took_ns: u64) -> Stolen {
        Stolen {
            core: 1,
            runner: Runner::Task,
            number,
            name: *b"thi\x1bef\0rubbish..",
            start_ns,
            took_ns,
            held_us_up: true,
        }
    }

    #[test]
    fn the_largest_are_named_and_the_rest_is_summed() {
        let mut thefts = Thefts::default();
        let count = THIEVES_SHOWN_MAX as u32 + 3;
        for number in 0..count {
            thefts.note(stolen(number, 1_000, 10 + u64::from(number)));
            thefts.note(stolen(number, 2_000, 10));
        }
        thefts.note(Stolen { held_us_up: false, ..stolen(99, 1_000, 1_000) });
        let found = thefts.within(500, 3_000);
        assert_eq!(found.thieves.len(), THIEVES_SHOWN_MAX);
        let first = &found.thieves[0];
        assert_eq!((first.number, first.count, first.total_ns), (count - 1, 2, 38));
        assert_eq!((first.name.as_str(), first.longest_ns), ("thi?ef", 28));
        assert_eq!((found.rest_count, found.rest_ns), (6, 20 + 21 + 22));
        assert!(!found.may_lack);
        let all: u64 = (0..u64::from(count)).map(|number| 20 + number).sum();
        assert_eq!(found.total_ns(), all);
        let sums = thefts.sums();
        assert_eq!((sums.len(), sums[0].2.count, sums[0].2.total_ns), (1, 2 * 19, all));
    }

    #[test]
    fn only_what_is_within_counts() {
        let mut thefts = Thefts::default();
        for (start_ns, took_ns) in [(0, 50), (90, 20), (150, 10), (195, 100), (300, 1)] {
            thefts.note(stolen(1, start_ns, took_ns));
        }
        let found = thefts.within(100, 200);
        assert_eq!((found.thieves[0].count, found.total_ns()), (3, 10 + 10 + 5));
        assert_eq!(thefts.within(400, 500), StolenTime::default());
        thefts.forget(140);
        assert_eq!(thefts.within(0, 200).total_ns(), 15);
    }

    #[test]
    fn what_is_kept_is_bounded_and_losses_are_told() {
        let mut thefts = Thefts::default();
        for at in 0..TRACE_STOLEN_MAX as u64 + 10 {
            thefts.note(stolen(1, at * 10, 5));
        }
        assert_eq!(thefts.events.len(), TRACE_STOLEN_MAX);
        assert!(thefts.within(0, 50).may_lack && !thefts.within(1_000, 2_000).may_lack);
        for at in 0..1_000 {
            thefts.note_lost(10_000_000 + at * 10_000, 10_000_001 + at * 10_000);
        }
        assert!(thefts.losses.len() <= TRACE_LOSSES_MAX);
        assert!(thefts.within(11_000_000, 12_000_000).may_lack);
        thefts.forget(u64::MAX);
        assert!(thefts.losses.is_empty() && thefts.events.is_empty());
    }
}
