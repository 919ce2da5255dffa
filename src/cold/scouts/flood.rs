//! How much a scout's peer may say before it is sent away.

use crate::cold::gossip::Bucket;
use crate::limits::{
    SCOUT_BAD_CHECKSUMS_MAX, SCOUT_BLOCKS_BURST, SCOUT_BLOCKS_PER_S, SCOUT_BYTES_BURST,
    SCOUT_BYTES_PER_S, SCOUT_MESSAGES_BURST, SCOUT_MESSAGES_PER_S,
};

/// The bounds of one connection.
#[derive(Debug)]
pub(super) struct Patience {
    bytes: Bucket,
    messages: Bucket,
    blocks: Bucket,
    bad_checksums: u32,
}

impl Patience {
    pub(super) const fn new(now_ns: u64) -> Self {
        Self {
            bytes: Bucket::new(SCOUT_BYTES_BURST, SCOUT_BYTES_PER_S, now_ns),
            messages: Bucket::new(SCOUT_MESSAGES_BURST, SCOUT_MESSAGES_PER_S, now_ns),
            blocks: Bucket::new(SCOUT_BLOCKS_BURST, SCOUT_BLOCKS_PER_S, now_ns),
            bad_checksums: 0,
        }
    }

    /// So many bytes came; `false`: too many.
    #[expect(clippy::cast_precision_loss, reason = "a read is small")]
    pub(super) fn takes_bytes(&mut self, bytes: usize, now_ns: u64) -> bool {
        self.bytes.take(bytes as f64, now_ns)
    }

    /// A message came; `false`: too many have.
    pub(super) fn takes_message(&mut self, now_ns: u64) -> bool {
        self.messages.take(1.0, now_ns)
    }

    /// A message came that is not what it was sent as; `false`: too many have.
    pub(super) const fn takes_bad_checksum(&mut self) -> bool {
        self.bad_checksums += 1;
        self.bad_checksums < SCOUT_BAD_CHECKSUMS_MAX
    }

    /// Whether one more announced block is looked at.
    pub(super) fn takes_block(&mut self, now_ns: u64) -> bool {
        self.blocks.take(1.0, now_ns)
    }
}
