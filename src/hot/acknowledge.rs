//! When a peer's TCP has acknowledged a block: its bytes have arrived, whatever the peer makes of
//! them.
//!
//! The kernel is asked how much of what a socket was given is unacknowledged. Never while anything
//! could be sent instead, always together with what is submitted anyway, first
//! [`ACKNOWLEDGED_PAUSE_MIN_MS`] after the bytes went out, then with pauses that grow with the time
//! it takes, until it is acknowledged or the receipt is here, which says as much.

use super::inflight::Stage;
use super::shard::Shard;
use crate::limits::{
    ACKNOWLEDGED_PAUSE_MAX_MS, ACKNOWLEDGED_PAUSE_MIN_MS, ACKNOWLEDGED_PAUSE_SHARE,
    BLOCKS_WATCHED_MAX,
};
use crate::sys::ring::Ring;

const MS: u64 = 1_000_000;

/// The pause before asking again, in ns, `since_ns` after the last bytes went out.
fn pause_ns(since_ns: u64) -> u64 {
    (since_ns / ACKNOWLEDGED_PAUSE_SHARE)
        .clamp(ACKNOWLEDGED_PAUSE_MIN_MS * MS, ACKNOWLEDGED_PAUSE_MAX_MS * MS)
}

impl<R: Ring> Shard<R> {
    /// Queues the questions that are due.
    pub(super) fn ask_acknowledgements(&mut self) {
        if self.work || self.watch.unacknowledged == 0 {
            return;
        }
        let now_ns = self.ring.now_ns();
        for place in 0..BLOCKS_WATCHED_MAX as u8 {
            let block = self.watch.get(place);
            if block.unacknowledged == 0 || now_ns < block.ask_ns {
                continue;
            }
            for at in &self.order {
                let offer = &self.watch.get(place).offers[usize::from(*at)];
                if offer.awaits_acknowledgement() && !self.ring.ask_unacknowledged(*at) {
                    return; // the queue is full: the next turn goes on
                }
            }
            let block = self.watch.get_mut(place);
            block.ask_ns = now_ns + pause_ns(now_ns.saturating_sub(block.sent_ns));
        }
    }

    /// Time until the next question is due, in ns; `None` where there is none.
    pub(super) fn until_question(&self) -> Option<u64> {
        if self.watch.unacknowledged == 0 {
            return None;
        }
        let places = 0..BLOCKS_WATCHED_MAX as u8;
        let blocks = places.map(|place| self.watch.get(place));
        let due = blocks.filter(|block| block.unacknowledged > 0).map(|block| block.ask_ns);
        due.min().map(|due_ns| due_ns.saturating_sub(self.ring.now_ns()))
    }

    /// The kernel's answer: so many of the connection's last bytes are not acknowledged.
    pub(super) fn unacknowledged(&mut self, at: u16, result: Result<u32, i32>, now_ns: u64) {
        let (Ok(unacknowledged), Some(slot)) = (result, self.slots.get(usize::from(at))) else {
            return;
        };
        let sent_bytes = slot.sent_bytes as u32;
        for place in 0..BLOCKS_WATCHED_MAX as u8 {
            let offer = self.watch.get(place).offers[usize::from(at)];
            // What was sent after the block may be unacknowledged: TCP acknowledges in order.
            let after = sent_bytes.wrapping_sub(offer.end_bytes);
            if offer.stage == Stage::Sent && unacknowledged <= after {
                self.watch.acknowledged(place, at, now_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MS, pause_ns};

    #[test]
    fn pauses_grow_with_the_time_it_takes() {
        let (mut now_ns, mut asked) = (MS, 0);
        while now_ns < 100 * MS {
            assert!((MS..=now_ns.max(MS)).contains(&pause_ns(now_ns)));
            now_ns += pause_ns(now_ns);
            asked += 1;
        }
        assert!(asked < 40, "{asked} questions within 100 ms");
        assert_eq!(pause_ns(10_000 * MS), 50 * MS);
    }
}
