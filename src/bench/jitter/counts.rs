//! What /proc has counted of cores and threads (proc(5)). Coarse, but every kernel tells it, to
//! everybody.

use std::fs::read_to_string;

use rustix::param::clock_ticks_per_second;

use super::WatchedCore;
use crate::limits::{JITTER_COUNTED_MAX, JITTER_NAME_CHARS_MAX};

/// One look.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    interrupts: Table,
    softirqs: Table,
    /// Core, then ns in interrupts, softirqs and taken by other tenants.
    times: Vec<(usize, [u64; 3])>,
    /// Thread, then ns for which it waited for its core.
    waits: Vec<(u32, u64)>,
}

/// What was counted between two looks, of one core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Interrupts, by name, most first.
    pub interrupts: Vec<(String, u64)>,
    /// Softirqs, by name, most first.
    pub softirqs: Vec<(String, u64)>,
    /// Time in interrupts, in ns, to a tick,
    pub interrupt_ns: u64,
    /// in softirqs,
    pub softirq_ns: u64,
    /// and taken by other tenants of the machine (steal).
    pub steal_ns: u64,
    /// How long the shard's thread was ready to run and waited for its core, in ns. `None`: no shard,
    /// or the kernel does not count that.
    pub waited_ns: Option<u64>,
}

/// Rows of counts per core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Table {
    cores: Vec<usize>,
    rows: Vec<(String, Vec<u64>)>,
}

impl Counts {
    /// Looks at the host, and at these shards' threads (number, thread).
    #[must_use]
    pub fn look(shards: &[(usize, u32)]) -> Self {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let waited = |(_, thread): &(usize, u32)| {
            let text = read_to_string(format!("/proc/{thread}/schedstat")).ok()?;
            Some((*thread, text.split_ascii_whitespace().nth(1)?.parse().ok()?))
        };
        Self {
            interrupts: Table::parse(&read("/proc/interrupts")),
            softirqs: Table::parse(&read("/proc/softirqs")),
            times: times(&read("/proc/stat"), 1_000_000_000 / clock_ticks_per_second().max(1)),
            waits: shards.iter().filter_map(waited).collect(),
        }
    }

    /// What has come since `before`, on this core.
    #[must_use]
    pub fn since(&self, before: &Self, watched: &WatchedCore) -> Counted {
        let core = watched.core;
        let of = |counts: &Self| {
            let found = counts.times.iter().find(|(number, _)| *number == core);
            found.map_or([0; 3], |(_, times)| *times)
        };
        let (now, then) = (of(self), of(before));
        let [interrupt_ns, softirq_ns, steal_ns] =
            [0, 1, 2].map(|at: usize| now[at].saturating_sub(then[at]));
        let wait = |counts: &Self| {
            let thread = watched.shard?.1;
            counts.waits.iter().find(|(number, _)| *number == thread).map(|(_, waited)| *waited)
        };
        let waits = wait(self).zip(wait(before));
        Counted {
            interrupts: self.interrupts.since(&before.interrupts, core),
            softirqs: self.softirqs.since(&before.softirqs, core),
            interrupt_ns,
            softirq_ns,
            steal_ns,
            waited_ns: waits.map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

impl Table {
    /// `CPU0 CPU2 ...`, then `name: count count ... what it is`. Rows without a count for each core
    /// (sums over all) are left out.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default().split_ascii_whitespace();
        let cores = head.filter_map(|word| word.strip_prefix("CPU")?.parse().ok());
        let cores: Vec<usize> = cores.collect();
        let row = |line: &str| {
            let (name, rest) = line.trim_start().split_once(':')?;
            let mut words = rest.split_ascii_whitespace();
            let counts = words.by_ref().take(cores.len()).map(str::parse);
            let counts: Vec<u64> = counts.collect::<Result<_, _>>().ok()?;
            let what: Vec<_> = words.collect();
            let is_numbered = name.bytes().all(|byte| byte.is_ascii_digit());
            // Of a device its name stands last, behind chip and line.
            let name = match (is_numbered, what.last()) {
                (true, Some(device)) => format!("{device} ({name})"),
                (false, Some(_)) => format!("{name} ({})", what.join(" ")),
                _ => name.to_owned(),
            };
            let name = name.chars().take(JITTER_NAME_CHARS_MAX).collect();
            (!counts.is_empty() && counts.len() == cores.len()).then_some((name, counts))
        };
        let rows = lines.filter_map(row).collect();
        Self { cores, rows }
    }

    fn since(&self, before: &Self, core: usize) -> Vec<(String, u64)> {
        let at = |table: &Self, counts: &[u64]| {
            let place = table.cores.iter().position(|number| *number == core)?;
            counts.get(place).copied()
        };
        let grown = self.rows.iter().filter_map(|(name, counts)| {
            let then = before.rows.iter().find(|(other, _)| other == name);
            let then = then.and_then(|(_, counts)| at(before, counts)).unwrap_or(0);
            let more = at(self, counts)?.saturating_sub(then);
            (more > 0).then(|| (name.clone(), more))
        });
        let mut grown: Vec<_> = grown.collect();
        grown.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        grown.truncate(JITTER_COUNTED_MAX);
        grown
    }
}

/// `cpuN user nice system idle iowait irq softirq steal ...`, in ticks.
fn times(text: &str, tick_ns: u64) -> Vec<(usize, [u64; 3])> {
    let row = |line: &str| {
        let (core, rest) = line.strip_prefix("cpu")?.split_once(' ')?;
        let ticks: Vec<u64> =
            rest.split_ascii_whitespace().map_while(|it| it.parse().ok()).collect();
        let ns = |at: usize| ticks.get(at).map_or(0, |ticks| ticks.saturating_mul(tick_ns));
        Some((core.parse().ok()?, [ns(5), ns(6), ns(7)]))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTS: &str = "           CPU0       CPU2       \n  \
        1:          9          1   IO-APIC   1-edge      i8042\n \
        25:       100         50  PCI-MSIX-0000:00:03.0   1-edge      virtio1-input.0\n\
        LOC:       1000       2000   Local timer interrupts\n\
        ERR:          0\n";

    #[test]
    fn tables_are_read_by_core_and_name() {
        let table = Table::parse(INTERRUPTS);
        assert_eq!(table.cores, [0, 2]);
        let names: Vec<_> = table.rows.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["i8042 (1)", "virtio1-input.0 (25)", "LOC (Local timer interrupts)"]);
        let later = Table::parse(
            &INTERRUPTS.replace("         50 ", "         57 ").replace("2000", "2003"),
        );
        let grown = later.since(&table, 2);
        let expected = [("virtio1-input.0 (25)", 7), ("LOC (Local timer interrupts)", 3)];
        assert_eq!(grown, expected.map(|(name, count)| (name.to_owned(), count)));
        assert!(later.since(&table, 0).is_empty() && later.since(&table, 1).is_empty());
        assert_eq!(Table::parse(""), Table::default());
        assert!(Table::parse("nothing\nof: the sort\n").rows.is_empty());
    }

    #[test]
    fn times_are_of_the_right_columns() {
        let text = "cpu  9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu11 1 1 1\nintr 5\n";
        let told = times(text, 10);
        assert_eq!(told, [(0, [60, 70, 80]), (11, [0, 0, 0])]);
    }

    /// What has gone backwards or away counts as nothing.
    #[test]
    fn this_host_is_read() {
        let shard = Some((0, crate::sys::cpu::thread_id()));
        let core = crate::sys::cpu::available()[0];
        let watched = WatchedCore { core, shard };
        let before = Counts::look(&[(0, crate::sys::cpu::thread_id())]);
        let told = Counts::look(&[(0, crate::sys::cpu::thread_id())]).since(&before, &watched);
        assert!(told.interrupts.len() <= JITTER_COUNTED_MAX);
        let nothing = Counts::default().since(&before, &watched);
        assert_eq!(nothing, Counted::default());
    }
}
