//! What each connection lost around a block.

use std::collections::HashMap;

use super::belief::LostPackets;
use crate::hot::link::{ImageId, PeerId};
use crate::limits::UPLINK_LOSSES_MS;

/// Counts what was sent again from before a block until it is over. Pure; times come in as ms.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// What each connection had sent again when it was last looked at.
    last: HashMap<PeerId, u32>,
    /// The same before the block that is under way.
    before: HashMap<PeerId, u32>,
    image: Option<ImageId>,
    ends_ms: u64,
}

impl Losses {
    /// A connection has had to send so many segments again over its life.
    pub fn seen(&mut self, peer: PeerId, resent_segments: u32) {
        self.last.insert(peer, resent_segments);
    }

    /// Forgets all but `connected`, sorted by name.
    pub fn keep(&mut self, connected: &[PeerId]) {
        for counts in [&mut self.last, &mut self.before] {
            counts.retain(|peer, _| connected.binary_search(peer).is_ok());
        }
    }

    /// Something of block `image` went out or ended at `now_ms`. Blocks that overlap count as one.
    pub fn block(&mut self, image: ImageId, now_ms: u64) {
        if self.image.is_none() {
            self.before.clone_from(&self.last);
        }
        self.image = Some(image);
        self.ends_ms = now_ms.saturating_add(UPLINK_LOSSES_MS);
    }

    /// Whether a block is under way.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.image.is_some()
    }

    /// What each connection of the block's chain lost of it, once it is over.
    pub fn take(&mut self, now_ms: u64) -> Option<Vec<(PeerId, LostPackets)>> {
        let is_over = self.image.is_some() && now_ms >= self.ends_ms;
        if !is_over {
            return None;
        }
        self.image = None;
        let lost = |(peer, before): (PeerId, u32)| {
            Some((peer, self.last.get(&peer)?.saturating_sub(before)))
        };
        Some(std::mem::take(&mut self.before).into_iter().filter_map(lost).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_charged_with_its_own_losses_alone() {
        let (mut losses, peer) = (Losses::default(), |at| PeerId::new(0, at));
        for at in 1..=3 {
            losses.seen(peer(at), 10);
        }
        assert_eq!(losses.take(u64::MAX), None);
        losses.block(ImageId(1), 1_000);
        losses.seen(peer(1), 14);
        losses.block(ImageId(1), 1_500);
        losses.seen(peer(2), 9);
        losses.seen(peer(4), 99);
        losses.keep(&[peer(1), peer(2), peer(4)]);
        assert!(losses.is_under_way() && losses.take(1_000 + UPLINK_LOSSES_MS).is_none());
        let mut lost = losses.take(1_500 + UPLINK_LOSSES_MS).unwrap();
        lost.sort_unstable();
        assert_eq!(lost, [(peer(1), 4), (peer(2), 0)], "who came later is no witness");
        assert_eq!(losses.take(u64::MAX), None, "told once");
        losses.block(ImageId(2), 9_000);
        assert_eq!(losses.take(u64::MAX).unwrap().iter().find(|it| it.0 == peer(1)).unwrap().1, 0);
    }
}
