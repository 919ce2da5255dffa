//! How much may be put on the uplink now, and into which connection.
//!
//! Connections that share an uplink of a known rate are fed from its tokens: [`bucket`] has them,
//! [`order`] says who is first, [`feed`] gives the ones to the others, and `hot/govern.rs` ties all of
//! it to a shard. For the others there is one law, kept here: a kernel entry carries at most
//! [`ENTRY_BYTES_MAX`] of image, so that completions are read in between; within it everything goes
//! out at once, in rank order.

pub mod bucket;
pub mod feed;
pub mod order;

use crate::limits::ENTRY_BYTES_MAX;

/// Grants bytes to connections. Pure: what it answers depends on what it was told alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Governor {
    debited_bytes: u32,
}

/// What a connection may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// So much may be queued for it.
    pub bytes: u32,
    /// So much of the entry is used up by it, until [`Governor::taken`] says what it was.
    pub debited_bytes: u32,
}

impl Governor {
    /// A new kernel entry is being filled.
    pub fn begin_entry(&mut self) {
        self.debited_bytes = 0;
    }

    /// How much of `wanted_bytes` the next connection in rank order may be given in this entry.
    /// `None`: nothing, nor any other connection; enter first. A grant is never cut in the middle of
    /// what is wanted, so an entry may carry one image more than its share. Of a socket that is
    /// `likely_bytes` short of full only so much is debited: a peer that takes next to nothing does
    /// not use up the entry of the others.
    pub fn grant(&mut self, wanted_bytes: u32, likely_bytes: u32) -> Option<Grant> {
        if self.debited_bytes >= ENTRY_BYTES_MAX {
            return None;
        }
        let debited_bytes = wanted_bytes.min(likely_bytes);
        self.debited_bytes = self.debited_bytes.saturating_add(debited_bytes);
        Some(Grant { bytes: wanted_bytes, debited_bytes })
    }

    /// A granted send is over and the kernel took `bytes` of it: the debit becomes what it was.
    pub fn taken(&mut self, debited_bytes: u32, bytes: u32) {
        self.debited_bytes = self.debited_bytes.saturating_sub(debited_bytes).saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Governor, Grant};
    use crate::limits::{BLOCK_BYTES_MAX, ENTRY_BYTES_MAX};

    #[test]
    fn an_entry_is_bounded_and_the_next_begins_anew() {
        let mut governor = Governor::default();
        let mut granted = 0;
        for _ in 0..1_000 {
            granted += governor.grant(1_000_000, u32::MAX).map_or(0, |grant| grant.bytes);
        }
        assert!((ENTRY_BYTES_MAX..=ENTRY_BYTES_MAX + BLOCK_BYTES_MAX).contains(&granted));
        governor.begin_entry();
        assert_eq!(governor.grant(7, u32::MAX), Some(Grant { bytes: 7, debited_bytes: 7 }));
    }

    #[test]
    fn what_was_not_taken_is_given_to_others() {
        let mut governor = Governor::default();
        let first = governor.grant(ENTRY_BYTES_MAX, u32::MAX).unwrap();
        assert_eq!(governor.grant(1, u32::MAX), None);
        governor.taken(first.debited_bytes, 1_000);
        assert_eq!(governor.grant(ENTRY_BYTES_MAX, 50_000).unwrap().debited_bytes, 50_000);
        assert!(governor.grant(1, u32::MAX).is_some(), "sockets that are nearly full cost little");
        governor.taken(50_000, ENTRY_BYTES_MAX);
        assert_eq!(governor.grant(1, u32::MAX), None, "it took more than was likely");
    }
}
