//! Layout of one broadcast in memory: what leaves for every peer, byte for byte.

use crate::limits::{FRAME_HEADER_BYTES, PING_FRAME_BYTES};
use crate::wire::frame::write_header;
use crate::wire::hash::sha256d;

/// Where the parts of an image are.
///
/// # Shape
///
/// `header [24] · block [block_bytes] · ping header [24] · nonce [8]`
///
/// A node handles a connection's messages in order, so the pong to the ping right behind the
/// block says that the block was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLayout {
    /// Length of the block, in bytes.
    pub block_bytes: u32,
}

impl ImageLayout {
    /// Where the block itself starts.
    pub const BLOCK_START: usize = FRAME_HEADER_BYTES as usize;

    /// Length of the whole image, in bytes; saturates where no image can be.
    #[must_use]
    pub const fn total_bytes(self) -> u32 {
        self.block_bytes.saturating_add(FRAME_HEADER_BYTES + PING_FRAME_BYTES)
    }

    /// Where the block's payload is.
    #[must_use]
    pub const fn block(self) -> std::ops::Range<usize> {
        Self::BLOCK_START..Self::BLOCK_START + self.block_bytes as usize
    }

    /// Where the receipt ping's frame is.
    #[must_use]
    pub const fn ping(self) -> std::ops::Range<usize> {
        let start = Self::BLOCK_START + self.block_bytes as usize;
        start..start + PING_FRAME_BYTES as usize
    }
}

/// Writes the frame header before and the ping frame behind the block that already is in `image`.
///
/// `image` is exactly [`ImageLayout::total_bytes`] long; `block_checksum` are the first four bytes
/// of the block's double SHA-256; the pong will carry `nonce`. Returns whether the image had the
/// room; if not, nothing was written.
pub fn seal(image: &mut [u8], magic: [u8; 4], block_checksum: [u8; 4], nonce: u64) -> bool {
    let Some(rest) = image.len().checked_sub((FRAME_HEADER_BYTES + PING_FRAME_BYTES) as usize)
    else {
        return false;
    };
    let Ok(block_bytes) = u32::try_from(rest) else {
        return false;
    };
    let nonce = nonce.to_le_bytes();
    let [c0, c1, c2, c3, ..] = sha256d(&nonce);
    let Some((front, behind)) = image.split_first_chunk_mut::<24>() else {
        return false;
    };
    let Some((behind, payload)) = behind.split_last_chunk_mut::<8>() else {
        return false;
    };
    let Some((_, ping)) = behind.split_last_chunk_mut::<24>() else {
        return false;
    };
    write_header(front, magic, "block", block_bytes, block_checksum);
    write_header(ping, magic, "ping", 8, [c0, c1, c2, c3]);
    *payload = nonce;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::frame;

    #[test]
    fn a_sealed_image_is_the_two_reference_messages() {
        let (magic, block, nonce) = ([0xfa, 0xbf, 0xb5, 0xda], b"not a block, any bytes", 7_u64);
        let layout = ImageLayout { block_bytes: block.len() as u32 };
        let mut image = vec![0; layout.total_bytes() as usize];
        image[layout.block()].copy_from_slice(block);
        let [c0, c1, c2, c3, ..] = sha256d(block);
        assert!(seal(&mut image, magic, [c0, c1, c2, c3], nonce));
        let ping = frame(magic, "ping", &nonce.to_le_bytes());
        assert_eq!(image, [frame(magic, "block", block), ping.clone()].concat());
        assert_eq!(image[layout.ping()], ping);
    }

    #[test]
    fn an_image_without_room_is_left_alone() {
        let mut image = [9; 55];
        assert!(!seal(&mut image, [0; 4], [0; 4], 0));
        assert_eq!(image, [9; 55]);
    }
}
