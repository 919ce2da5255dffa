//! What connected peers and scouts' peers announce of the network's blocks.

use std::net::SocketAddr;

use super::keeper::Keeper;

impl Keeper {
    /// The peer at `address` announced a block of the network (wire order) at `at_ns`.
    pub(super) fn note_announced(&mut self, address: SocketAddr, _hash: [u8; 32], _at_ns: u64) {
        let now_s = super::keeper::epoch_s();
        if let Some(entry) = self.book.get_mut(address) {
            entry.last_seen_s = now_s;
        }
    }
}
