//! What one connection may make us do: messages that are read, bytes that are received, items that it
//! asks for. Each has a token bucket: a rate, and what can be saved up.
//!
//! What a block of ours brings with it does not count against a peer: its receipt and its echo are
//! given back, and the rest ([`BLOCK_REPLIES_MAX`]) is far below what is saved.
//!
//! [`BLOCK_REPLIES_MAX`]: crate::limits::BLOCK_REPLIES_MAX

use super::link::Flood;
use crate::limits::{
    RECEIVED_BYTES_PER_S, RECEIVED_BYTES_SAVED, RECEIVED_MESSAGES_PER_S, RECEIVED_MESSAGES_SAVED,
    REQUESTED_ITEMS_PER_S, REQUESTED_ITEMS_SAVED,
};

const SECOND_NS: u64 = 1_000_000_000;

/// A rate and what can be saved up, in the time that they stand for.
#[derive(Clone, Copy)]
struct Ration {
    each_ns: u64,
    saved_ns: u64,
}

impl Ration {
    const fn new(per_s: u64, saved: u64) -> Self {
        let each_ns = SECOND_NS / per_s;
        Self { each_ns, saved_ns: saved * each_ns }
    }
}

const MESSAGES: Ration = Ration::new(RECEIVED_MESSAGES_PER_S, RECEIVED_MESSAGES_SAVED);
const BYTES: Ration = Ration::new(RECEIVED_BYTES_PER_S, RECEIVED_BYTES_SAVED);
const ITEMS: Ration = Ration::new(REQUESTED_ITEMS_PER_S, REQUESTED_ITEMS_SAVED);

/// When all that was taken so far will have been earned, in ns of the shard's clock.
#[derive(Clone, Copy, Debug, Default)]
struct Meter(u64);

impl Meter {
    /// Takes `count`; `false`: it is more than there was.
    fn take(&mut self, ration: Ration, count: u64, now_ns: u64) -> bool {
        let cost_ns = count.saturating_mul(ration.each_ns);
        self.0 = self.0.max(now_ns).saturating_add(cost_ns);
        self.0 - now_ns <= ration.saved_ns
    }

    fn give_back(&mut self, ration: Ration, count: u64) {
        self.0 = self.0.saturating_sub(count.saturating_mul(ration.each_ns));
    }
}

/// The three buckets of one connection. New ones are full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    messages: Meter,
    bytes: Meter,
    items: Meter,
}

impl Allowance {
    /// A whole message was read.
    pub(super) fn message(&mut self, now_ns: u64) -> Result<(), Flood> {
        self.messages.take(MESSAGES, 1, now_ns).then_some(()).ok_or(Flood::Messages)
    }

    /// That message was the answer to a block of ours: it does not count.
    pub(super) fn give_message_back(&mut self) {
        self.messages.give_back(MESSAGES, 1);
    }

    /// So many bytes were received.
    pub(super) fn bytes(&mut self, count: u32, now_ns: u64) -> Result<(), Flood> {
        self.bytes.take(BYTES, count.into(), now_ns).then_some(()).ok_or(Flood::Bytes)
    }

    /// So many items are asked for.
    pub(super) fn items(&mut self, count: u64, now_ns: u64) -> Result<(), Flood> {
        self.items.take(ITEMS, count, now_ns).then_some(()).ok_or(Flood::Requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: u64 = 5 * SECOND_NS;

    #[test]
    fn what_is_saved_goes_at_once_and_comes_back_at_the_rate() {
        let mut it = Allowance::default();
        for _ in 0..RECEIVED_MESSAGES_SAVED {
            assert_eq!(it.message(NOW_NS), Ok(()));
        }
        let later_ns = NOW_NS + SECOND_NS;
        for _ in 0..RECEIVED_MESSAGES_PER_S {
            assert_eq!(it.message(later_ns), Ok(()));
        }
        assert_eq!(it.message(later_ns), Err(Flood::Messages));
        assert_eq!(it.bytes(RECEIVED_BYTES_SAVED as u32, NOW_NS), Ok(()), "each has its own");
        assert_eq!(it.bytes(1, NOW_NS), Err(Flood::Bytes));
        assert_eq!(it.items(REQUESTED_ITEMS_SAVED, NOW_NS), Ok(()));
        assert_eq!(it.items(1, NOW_NS), Err(Flood::Requests));
    }

    #[test]
    fn nobody_saves_more_than_that_or_loses_by_a_clock_that_stands() {
        let mut it = Allowance::default();
        let much_later_ns = 1_000_000 * SECOND_NS;
        assert_eq!(it.items(REQUESTED_ITEMS_SAVED + 1, much_later_ns), Err(Flood::Requests));
        assert_eq!(it.items(u64::MAX, much_later_ns), Err(Flood::Requests));
        let mut it = Allowance::default();
        for _ in 0..10 * RECEIVED_MESSAGES_SAVED {
            assert_eq!(it.message(NOW_NS), Ok(()));
            it.give_message_back();
        }
    }

    /// A peer that keeps to the rates is never over them, however its messages fall.
    #[test]
    fn whoever_keeps_to_the_rate_is_never_dropped() {
        let (mut it, mut now_ns) = (Allowance::default(), NOW_NS);
        for step in 0..100_000_u64 {
            now_ns += SECOND_NS * (step % 7) / (3 * RECEIVED_MESSAGES_PER_S);
            assert_eq!(it.message(now_ns), Ok(()), "message {step}");
        }
    }
}
