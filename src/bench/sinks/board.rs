//! What the sinks' thread writes down and the bench waits for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A block is known by its header.
pub(super) type BlockHeader = [u8; 80];

#[derive(Debug)]
struct Notes {
    /// Connections whose handshake is done.
    live: usize,
    /// Those of them that were accepted since the last mark, of which this is the number.
    marked: usize,
    mark: u32,
    /// The marked ones are to be reset.
    cutting: bool,
    expected: BlockHeader,
    /// By sink.
    arrivals_ns: Vec<Option<u64>>,
    /// Sinks that count and do not have the expected block yet.
    missing: usize,
    misbehaving: bool,
    stopping: bool,
}

/// Shared by the sinks' thread and the bench.
#[derive(Debug)]
pub(super) struct Board {
    /// Which sinks are waited for.
    counted: Vec<bool>,
    notes: Mutex<Notes>,
    changed: Condvar,
}

impl Board {
    pub(super) fn new(counted: Vec<bool>) -> Self {
        let notes = Notes {
            live: 0,
            marked: 0,
            mark: 0,
            cutting: false,
            expected: [0; 80],
            arrivals_ns: vec![None; counted.len()],
            missing: 0,
            misbehaving: false,
            stopping: false,
        };
        Self { counted, notes: Mutex::new(notes), changed: Condvar::new() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the last block and waits for this one from now on.
    pub(super) fn expect(&self, header: BlockHeader) {
        let mut notes = self.notes();
        notes.expected = header;
        notes.arrivals_ns.fill(None);
        notes.missing = self.counted.iter().filter(|counted| **counted).count();
    }

    /// Sink `sink` has read the last byte of a block.
    pub(super) fn arrived(&self, sink: usize, header: &BlockHeader, at_ns: u64) {
        let mut notes = self.notes();
        if notes.expected != *header {
            return;
        }
        let Some(arrival @ None) = notes.arrivals_ns.get_mut(sink) else {
            return;
        };
        *arrival = Some(at_ns);
        if self.counted.get(sink) != Some(&true) {
            return;
        }
        notes.missing -= 1;
        // Nobody is woken on the way: that would take the sinks' core.
        if notes.missing == 0 {
            self.changed.notify_all();
        }
    }

    /// `change` more connections that were accepted under `mark` are live.
    pub(super) fn live(&self, change: isize, mark: u32) {
        let mut notes = self.notes();
        notes.live = notes.live.saturating_add_signed(change);
        if notes.mark == mark {
            notes.marked = notes.marked.saturating_add_signed(change);
        }
        self.changed.notify_all();
    }

    /// What connections are accepted under.
    pub(super) fn mark(&self) -> u32 {
        self.notes().mark
    }

    /// Connections accepted from now on are counted anew.
    pub(super) fn mark_anew(&self) {
        let mut notes = self.notes();
        (notes.mark, notes.marked, notes.cutting) = (notes.mark + 1, 0, false);
    }

    /// Has the marked ones reset.
    pub(super) fn cut(&self) {
        self.notes().cutting = true;
    }

    /// The mark whose connections are to be reset, once.
    pub(super) fn take_cut(&self) -> Option<u32> {
        let mut notes = self.notes();
        std::mem::take(&mut notes.cutting).then_some(notes.mark)
    }

    pub(super) fn misbehave(&self, misbehaving: bool) {
        self.notes().misbehaving = misbehaving;
    }

    pub(super) fn misbehaving(&self) -> bool {
        self.notes().misbehaving
    }

    pub(super) fn stop(&self) {
        self.notes().stopping = true;
    }

    pub(super) fn stopping(&self) -> bool {
        self.notes().stopping
    }

    /// Times of the sinks that count and have the expected block, soonest first, once all do.
    ///
    /// # Errors
    /// How many have it when `patience` is over.
    pub(super) fn arrivals_ns(&self, patience: Duration) -> Result<Vec<u64>, usize> {
        let notes = self.wait(patience, |notes| notes.missing == 0);
        let pairs = notes.arrivals_ns.iter().zip(&self.counted);
        let mut times: Vec<u64> =
            pairs.filter(|(_, counted)| **counted).filter_map(|(at_ns, _)| *at_ns).collect();
        times.sort_unstable();
        if notes.missing == 0 { Ok(times) } else { Err(times.len()) }
    }

    /// Waits until `count` connections are live; how many are.
    pub(super) fn wait_for_live(&self, count: usize, patience: Duration) -> usize {
        self.wait(patience, |notes| notes.live >= count).live
    }

    /// The same of the marked ones.
    pub(super) fn wait_for_marked(&self, count: usize, patience: Duration) -> usize {
        self.wait(patience, |notes| notes.marked >= count).marked
    }

    /// Waits until none of the marked is live; how many are.
    pub(super) fn wait_for_none_marked(&self, patience: Duration) -> usize {
        self.wait(patience, |notes| notes.marked == 0).marked
    }

    fn wait(&self, patience: Duration, ready: impl Fn(&Notes) -> bool) -> MutexGuard<'_, Notes> {
        let end = Instant::now() + patience;
        let mut notes = self.notes();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if ready(&notes) {
                break;
            }
            notes = match self.changed.wait_timeout(notes, left) {
                Ok((notes, _)) => notes,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_block_at_those_that_count() {
        let board = Board::new(vec![true, false, true]);
        board.expect([1; 80]);
        board.arrived(0, &[2; 80], 5);
        assert_eq!(board.arrivals_ns(Duration::ZERO), Err(0));
        board.arrived(1, &[1; 80], 6);
        board.arrived(2, &[1; 80], 9);
        board.arrived(2, &[1; 80], 7);
        assert_eq!(board.arrivals_ns(Duration::ZERO), Err(1));
        board.arrived(0, &[1; 80], 8);
        assert_eq!(board.arrivals_ns(Duration::ZERO), Ok(vec![8, 9]));
    }
}
