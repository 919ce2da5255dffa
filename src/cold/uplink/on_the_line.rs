//! Which blocks are being sent: meanwhile nothing else is begun.

use crate::hot::link::ImageId;
use crate::limits::{BLOCKS_WATCHED_MAX, SEND_DEADLINE_MS, SHARDS_MAX};

/// Blocks of which a shard has not told the end. Pure; times come in as ms.
#[derive(Clone, Debug, Default)]
pub struct OnTheLine(Vec<Sending>);

#[derive(Clone, Copy, Debug)]
struct Sending {
    image: ImageId,
    shard: u8,
    since_ms: u64,
}

impl OnTheLine {
    /// Shard `shard` has begun with block `image`.
    pub fn begun(&mut self, image: ImageId, shard: u8, now_ms: u64) {
        self.over(image, shard);
        if self.0.len() >= (BLOCKS_WATCHED_MAX * SHARDS_MAX) as usize {
            // So many can't be watched; the oldest is the likeliest to have been told of and lost.
            self.0.remove(0);
        }
        self.0.push(Sending { image, shard, since_ms: now_ms });
    }

    /// All of its offers there have ended.
    pub fn over(&mut self, image: ImageId, shard: u8) {
        self.0.retain(|it| (it.image, it.shard) != (image, shard));
    }

    /// Whether a block is being sent. One that is not through by the time at which whoever has not
    /// taken it is dropped only waits for receipts.
    #[must_use]
    pub fn is_busy(&mut self, now_ms: u64) -> bool {
        self.0.retain(|it| now_ms < it.since_ms.saturating_add(SEND_DEADLINE_MS));
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_free_when_all_shards_are_through_or_late() {
        let mut it = OnTheLine::default();
        let (one, two) = (ImageId(1), ImageId(2));
        assert!(!it.is_busy(0));
        it.begun(one, 0, 0);
        it.begun(one, 1, 0);
        it.begun(one, 1, 5);
        it.over(one, 0);
        assert!(it.is_busy(100));
        it.over(one, 1);
        assert!(!it.is_busy(100));
        it.over(one, 1);
        it.begun(two, 0, 200);
        assert!(it.is_busy(199 + SEND_DEADLINE_MS) && !it.is_busy(200 + SEND_DEADLINE_MS));
        for number in 0..5_000 {
            it.begun(ImageId(number), 3, 0);
        }
        assert_eq!(it.0.len(), (BLOCKS_WATCHED_MAX * SHARDS_MAX) as usize);
    }
}
