//! What left when, and how long it had to wait: the two series that the rate follows from.

use std::collections::VecDeque;

use crate::limits::{
    UPLINK_BIN_US, UPLINK_BINS_MAX, UPLINK_NEAR_PEERS_MAX, UPLINK_ROUND_TRIP_US_MAX,
};

/// Peers that must have told of a stretch before its delay is known: one alone can be slow itself.
const PEERS_TELLING_MIN: usize = 2;

/// One stretch of sending time.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    /// Line bytes sent before it.
    sent_before: u64,
    /// Least round trip by near peer, in us; 0: none.
    least_us: [u32; UPLINK_NEAR_PEERS_MAX],
}

/// The last stretches of a measurement.
#[derive(Clone, Debug)]
pub struct Delays {
    /// Least round trip of each near peer when it began, and ever since, in us.
    told_us: Vec<u32>,
    base_us: Vec<u32>,
    /// What the host itself adds to every delay.
    allowance_us: u32,
    bins: VecDeque<Bin>,
    /// Number of the first bin held.
    first: u64,
    start_us: u64,
    sent: u64,
}

impl Delays {
    /// Nothing measured yet; `base_us` are the least round trips of the near peers known so far.
    #[must_use]
    pub fn new(base_us: &[u32], start_us: u64) -> Self {
        let near = base_us.iter().take(UPLINK_NEAR_PEERS_MAX);
        let near: Vec<_> = near.map(|us| (*us).clamp(1, UPLINK_ROUND_TRIP_US_MAX)).collect();
        Self {
            told_us: near.clone(),
            base_us: near,
            allowance_us: 0,
            bins: VecDeque::from([Bin::default()]),
            first: 0,
            start_us,
            sent: 0,
        }
    }

    /// All line bytes that have been sent by `now_us`. Neither may go back.
    pub fn sent(&mut self, now_us: u64, total_bytes: u64) {
        let at = self.bin_of(now_us);
        self.sent = self.sent.max(total_bytes);
        // A pause of hours is no reason to make bins for it.
        let missing = at.saturating_sub(self.newest()).min(UPLINK_BINS_MAX as u64);
        if missing == UPLINK_BINS_MAX as u64 {
            self.bins.clear();
            self.first = at + 1 - missing;
        }
        for _ in 0..missing {
            self.bins.push_back(Bin { sent_before: self.sent, ..Bin::default() });
            if self.bins.len() > UPLINK_BINS_MAX {
                self.bins.pop_front();
                self.first += 1;
            }
        }
    }

    /// A packet that left for near peer `near` at `sent_us` was answered `round_trip_us` later.
    pub fn round_trip(&mut self, near: usize, sent_us: u64, round_trip_us: u32) {
        let at = self.bin_of(sent_us);
        let Some(base_us) = self.base_us.get_mut(near) else {
            return;
        };
        if round_trip_us == 0 || round_trip_us > UPLINK_ROUND_TRIP_US_MAX {
            return;
        }
        *base_us = round_trip_us.min(*base_us);
        let Some(index) = at.checked_sub(self.first) else {
            return;
        };
        let bin = self.bins.get_mut(index as usize);
        if let Some(least_us) = bin.and_then(|bin| bin.least_us.get_mut(near)) {
            *least_us = if *least_us == 0 { round_trip_us } else { round_trip_us.min(*least_us) };
        }
    }

    /// The queue that packets of bin `at` met, in us: the lower median over the near peers, so that
    /// a minority can neither hide nor feign one. `None`: too few have told.
    #[must_use]
    pub fn queue_us(&self, at: u64) -> Option<u32> {
        let bin = self.bins.get(usize::try_from(at.checked_sub(self.first)?).ok()?)?;
        // A way does not become a fifth shorter: such a peer acknowledges what it does not have yet.
        // When most do, it was a queue from before that is gone.
        let too_soon = |near: usize| self.base_us[near] < self.told_us[near] / 5 * 4;
        let near = 0..self.base_us.len();
        let distrust = near.clone().filter(|near| too_soon(*near)).count() * 2 < near.len();
        let told = near.filter(|near| bin.least_us[*near] > 0 && !(distrust && too_soon(*near)));
        let mut waits: Vec<_> = told.map(|at| bin.least_us[at] - self.base_us[at]).collect();
        waits.sort_unstable();
        let wait_us = match waits.len() {
            0..PEERS_TELLING_MIN => None,
            2 => waits.first().copied(),
            told => waits.get((told - 1) / 2).copied(),
        };
        Some(wait_us?.saturating_sub(self.allowance_us))
    }

    /// So much more of every delay is the host's own.
    pub fn allow_for(&mut self, us: u32) {
        self.allowance_us = self.allowance_us.saturating_add(us);
    }

    /// The newest bin, in which sending goes on.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.first + self.bins.len() as u64 - 1
    }

    /// The newest bins whose queue is known, newest first: number and queue.
    pub fn known(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let all = (self.first..=self.newest()).rev();
        all.filter_map(|at| self.queue_us(at).map(|queue_us| (at, queue_us)))
    }

    /// What the line let through between the bins `from` and `to`, in bytes/s: what was sent in
    /// between, over the time in which it left. Right as long as the queue did not run empty.
    #[must_use]
    pub fn line_rate(&self, from: u64, to: u64) -> Option<u64> {
        let (before_us, after_us) = (self.queue_us(from)?, self.queue_us(to)?);
        let taken_us = (to.checked_sub(from)? * UPLINK_BIN_US + u64::from(after_us))
            .checked_sub(u64::from(before_us))
            .filter(|taken_us| *taken_us > 0)?;
        Some(self.sent_between(from, to)? * 1_000_000 / taken_us)
    }

    /// Line bytes sent from the beginning of bin `from` to that of bin `to`.
    #[must_use]
    pub fn sent_between(&self, from: u64, to: u64) -> Option<u64> {
        let before = |at: u64| {
            let index = usize::try_from(at.checked_sub(self.first)?).ok()?;
            self.bins.get(index).map(|bin| bin.sent_before)
        };
        before(to)?.checked_sub(before(from)?)
    }

    /// Bytes/s sent over the last `span_us`, or since the beginning; `None` in the first bin.
    #[must_use]
    pub fn sent_rate(&self, span_us: u64) -> Option<u64> {
        let (to, bins) = (self.newest(), (span_us / UPLINK_BIN_US).max(1));
        let from = to.saturating_sub(bins).max(self.first);
        let span_us = (to - from) * UPLINK_BIN_US;
        (span_us > 0).then(|| Some(self.sent_between(from, to)? * 1_000_000 / span_us))?
    }

    /// Line bytes sent since the beginning of bin `from`.
    #[must_use]
    pub fn sent_since(&self, from: u64) -> u64 {
        let begun = self.sent_between(from, self.newest()).unwrap_or(0);
        begun + self.bins.back().map_or(0, |bin| self.sent.saturating_sub(bin.sent_before))
    }

    /// The bin of a time.
    #[must_use]
    pub fn bin_of(&self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.start_us) / UPLINK_BIN_US
    }
}
