//! How much may be put on the uplink now, and into which connection.
//!
//! Every send of an image asks here first. This governor knows one law: a kernel entry carries at
//! most [`ENTRY_BYTES_MAX`] of image, so that completions are read in between. Within it everything
//! goes out at once, in rank order.

use crate::limits::ENTRY_BYTES_MAX;

/// Grants bytes to connections. Pure: what it answers depends on what it was told alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Governor {
    granted_bytes: u32,
}

impl Governor {
    /// A new kernel entry is being filled.
    pub fn begin_entry(&mut self) {
        self.granted_bytes = 0;
    }

    /// How many of `wanted_bytes` the next connection in rank order may be given in this entry.
    /// 0: none, nor any other connection; enter first. A grant is never cut in the middle of what
    /// is wanted, so an entry may carry one image more than its share.
    pub fn grant(&mut self, wanted_bytes: u32) -> u32 {
        if self.granted_bytes >= ENTRY_BYTES_MAX {
            return 0;
        }
        self.granted_bytes = self.granted_bytes.saturating_add(wanted_bytes);
        wanted_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Governor;
    use crate::limits::{BLOCK_BYTES_MAX, ENTRY_BYTES_MAX};

    #[test]
    fn an_entry_is_bounded_and_the_next_begins_anew() {
        let mut governor = Governor::default();
        let mut granted = 0;
        for _ in 0..1_000 {
            granted += governor.grant(1_000_000);
        }
        assert!((ENTRY_BYTES_MAX..=ENTRY_BYTES_MAX + BLOCK_BYTES_MAX).contains(&granted));
        governor.begin_entry();
        assert_eq!(governor.grant(7), 7);
    }
}
