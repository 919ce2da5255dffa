//! The last doubt: a little more than the rate that was found must make the queue grow.

use crate::cold::uplink::delays::Delays;
use crate::limits::{UPLINK_BIN_US, UPLINK_ROUND_TRIP_US_MAX};

/// How much more is sent, of what was found, and for how long: 5 ms of queue, which stays below what
/// makes CUBIC leave slow start and fits into the shortest queues.
const PUSH: f64 = 1.2;
const PUSH_BINS: u64 = 25_000 / UPLINK_BIN_US;
/// What is sent afterwards, until it is known what became of it.
const EASE: f64 = 0.9;
/// Stretches behind the push that tell of it too: what it piled up goes slowly.
const BINS_AFTER: u64 = 2;
/// Growth that can be told from noise, in us, and what of the expected growth must be there.
const GROWTH_US_MIN: i64 = 2_000;
const GROWTH_PERCENT: i64 = 40;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not known (yet), or there was not enough to send.
    Unknown,
    /// The queue has grown: the rate is right.
    Grows,
    /// It has not: the line carries more. What was taken for a queue is `queue_us`.
    Stays { queue_us: u32 },
}

/// A push under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Push {
    /// The rate that is in doubt, in line bytes/s.
    pub(super) candidate: f64,
    /// First stretch with more, and the first one without it.
    from: u64,
    to: u64,
}

impl Push {
    /// Of `candidate`, from the stretch behind `newest` on.
    pub(super) const fn new(candidate: f64, newest: u64) -> Self {
        Self { candidate, from: newest + 1, to: newest + 1 + PUSH_BINS }
    }

    /// Line bytes/s to send now.
    pub(super) fn rate(&self, newest: u64) -> f64 {
        if newest < self.to { self.tried() } else { EASE * self.candidate }
    }

    /// What was sent without a queue, if there was none.
    pub(super) fn tried(&self) -> f64 {
        PUSH * self.candidate
    }

    pub(super) fn judge(&self, delays: &Delays) -> Verdict {
        let last = self.to + BINS_AFTER;
        if delays.known().next().is_none_or(|(newest, _)| newest <= last) {
            return Verdict::Unknown;
        }
        let before = median_us(delays, self.from.saturating_sub(PUSH_BINS), self.from);
        let after = median_us(delays, self.to - 1, last);
        let sent = delays.sent_between(self.from, self.to);
        let (Some(before_us), Some(after_us), Some(sent)) = (before, after, sent) else {
            return Verdict::Grows;
        };
        let span_us = (self.to - self.from) * UPLINK_BIN_US;
        let expected_us = (sent as f64 * 1e6 / self.candidate.max(1.0)) as i64 - span_us as i64;
        // Without data enough for a push there is no doubt either.
        let grown_us = i64::from(after_us) - i64::from(before_us);
        if expected_us < GROWTH_US_MIN || grown_us * 100 >= expected_us * GROWTH_PERCENT {
            return Verdict::Grows;
        }
        Verdict::Stays { queue_us: before_us.min(after_us).min(UPLINK_ROUND_TRIP_US_MAX) }
    }
}

/// The middle of what is known of the queue between two stretches, both of them included.
fn median_us(delays: &Delays, from: u64, to: u64) -> Option<u32> {
    let mut queues: Vec<_> = (from..=to).filter_map(|at| delays.queue_us(at)).collect();
    queues.sort_unstable();
    queues.get(queues.len() / 2).copied()
}
