//! What connected peers and scouts' peers announce of the network's blocks.

use std::net::SocketAddr;

use super::keeper::{Keeper, epoch_s};

impl Keeper {
    /// A peer or a scout's peer announced the block `hash` (wire order) at `at_ns`, CLOCK_MONOTONIC.
    pub(super) fn note_announced(&mut self, address: SocketAddr, _hash: [u8; 32], _at_ns: u64) {
        if let Some(entry) = self.book.get_mut(address) {
            entry.last_seen_s = epoch_s();
        }
    }

    /// Somebody listens to `address` from now on.
    pub(super) fn listen_to(&mut self, _address: SocketAddr) {}

    /// Nobody listens to `address` any more.
    pub(super) fn stop_listening(&mut self, _address: SocketAddr) {}
}
