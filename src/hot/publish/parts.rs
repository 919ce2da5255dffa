//! What stands behind a block in its image slot: where its transactions end, and its compact form.

use super::ImageWriter;
use crate::limits::{COMPACT_IMAGE_BYTES_MAX, FRAME_HEADER_BYTES, PING_FRAME_BYTES};
use crate::sys::clock::now_ns;
use crate::wire::chain::Chain;
use crate::wire::frame::write_header;
use crate::wire::hash::sha256d;
use crate::wire::image::ImageLayout;

/// The parts behind a block start at a multiple of this, in bytes: a cache line.
const ALIGNMENT: u32 = 64;
/// Bytes of one transaction's end.
const END_BYTES: u32 = 4;

/// Where a block's parts are, in bytes from the start of the block; what is behind it, from the start
/// of its slot.
///
/// # Shape of the slot
///
/// `block frame · ping frame · ends [u32 LE × transactions] · cmpctblock frame · ping frame`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Length of the header with its proof.
    pub header_bytes: u32,
    /// Where the first transaction starts.
    pub transactions_start: u32,
    /// How many there are.
    pub transactions: u32,
    /// Where in the slot the transactions' ends are; 0: they are not there.
    pub ends_start: u32,
    /// The compact form, where there is one.
    pub compact: Option<CompactPart>,
}

/// A `cmpctblock` frame with a receipt ping behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactPart {
    /// Where in the slot it starts.
    pub start: u32,
    /// Length of both frames.
    pub total_bytes: u32,
    /// Nonce of the ping, which is not that behind the whole block.
    pub nonce: u64,
}

impl Parts {
    /// Where transaction `index` is in the block, read from its slot. `None`: there is no such one,
    /// or the ends are not there.
    #[must_use]
    pub fn transaction(&self, slot: &[u8], index: u32) -> Option<std::ops::Range<u32>> {
        if self.ends_start == 0 || index >= self.transactions {
            return None;
        }
        let end_of = |index: u32| {
            let at = (self.ends_start + index * END_BYTES) as usize;
            slot.get(at..)?.first_chunk().map(|octets| u32::from_le_bytes(*octets))
        };
        let start = match index.checked_sub(1) {
            Some(before) => end_of(before)?,
            None => self.transactions_start,
        };
        Some(start..end_of(index)?)
    }
}

/// What is put behind a block.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    /// Length of the header with its proof, in bytes.
    pub header_bytes: u32,
    /// Where the first transaction starts, in bytes from the start of the block.
    pub transactions_start: u32,
    /// Where each transaction ends.
    pub ends: &'a [u32],
    /// Payload of the `cmpctblock` message and the first bytes of its double SHA-256.
    pub compact: Option<(&'a [u8], [u8; 4])>,
}

impl ImageWriter {
    /// Puts more behind the block, all of which must have been pushed. What finds no room in the slot
    /// is left out: only the largest blocks leave too little.
    pub fn attach(&mut self, chain: &Chain, more: Attachment<'_>) {
        let layout = ImageLayout { block_bytes: self.length };
        let mut parts = Parts {
            header_bytes: more.header_bytes,
            transactions_start: more.transactions_start,
            transactions: more.ends.len() as u32,
            ..Parts::default()
        };
        let start = layout.total_bytes().next_multiple_of(ALIGNMENT);
        let ends_bytes = more.ends.len() * END_BYTES as usize;
        let room = self.slot.octets_mut().get_mut(start as usize..);
        let mut behind = start;
        if let Some(place) = room.and_then(|room| room.get_mut(..ends_bytes)) {
            for (place, end) in place.chunks_exact_mut(END_BYTES as usize).zip(more.ends) {
                place.copy_from_slice(&end.to_le_bytes());
            }
            parts.ends_start = start;
            behind = (start + ends_bytes as u32).next_multiple_of(ALIGNMENT);
        }
        parts.compact =
            more.compact.and_then(|compact| self.attach_compact(chain, behind, compact));
        self.parts = parts;
    }

    fn attach_compact(
        &mut self,
        chain: &Chain,
        start: u32,
        (payload, checksum): (&[u8], [u8; 4]),
    ) -> Option<CompactPart> {
        let total_bytes = payload.len() as u32 + FRAME_HEADER_BYTES + PING_FRAME_BYTES;
        if total_bytes > COMPACT_IMAGE_BYTES_MAX {
            return None;
        }
        let place = self.slot.octets_mut().get_mut(start as usize..)?;
        let place = place.get_mut(..total_bytes as usize)?;
        let (header, place) = place.split_first_chunk_mut()?;
        let (body, ping) = place.split_at_mut_checked(payload.len())?;
        let nonce = getrandom::u64().unwrap_or_else(|_| now_ns());
        write_header(header, chain.magic, "cmpctblock", payload.len() as u32, checksum);
        body.copy_from_slice(payload);
        let (header, octets) = ping.split_first_chunk_mut()?;
        let [c0, c1, c2, c3, ..] = sha256d(&nonce.to_le_bytes());
        write_header(header, chain.magic, "ping", octets.len() as u32, [c0, c1, c2, c3]);
        octets.copy_from_slice(&nonce.to_le_bytes());
        Some(CompactPart { start, total_bytes, nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::publish::Publisher;
    use crate::limits::BLOCK_BYTES_MAX;
    use crate::sys::memory::Arena;
    use crate::wire::chain::{Network, find};
    use crate::wire::frame::frame;

    #[test]
    fn parts_stand_behind_the_block() {
        let chain = find("litecoin", Network::Regtest).unwrap();
        let (publisher, _) = Publisher::new(Arena::new().unwrap(), &[]);
        let mut writer = publisher.begin().unwrap();
        writer.push(&[7; 200]).unwrap();
        let payload = [9; 100];
        let [c0, c1, c2, c3, ..] = sha256d(&payload);
        writer.attach(
            chain,
            Attachment {
                header_bytes: 80,
                transactions_start: 81,
                ends: &[120, 200],
                compact: Some((&payload, [c0, c1, c2, c3])),
            },
        );
        let parts = writer.parts;
        let slot = writer.slot.octets();
        assert_eq!(parts.transaction(slot, 0), Some(81..120));
        assert_eq!(parts.transaction(slot, 1), Some(120..200));
        assert_eq!(parts.transaction(slot, 2), None);
        let compact = parts.compact.unwrap();
        let octets = &slot[compact.start as usize..][..compact.total_bytes as usize];
        let ping = frame(chain.magic, "ping", &compact.nonce.to_le_bytes());
        assert_eq!(octets, [frame(chain.magic, "cmpctblock", &payload), ping].concat());
    }

    #[test]
    fn what_finds_no_room_is_left_out() {
        let chain = find("bitcoin", Network::Regtest).unwrap();
        let (publisher, _) = Publisher::new(Arena::new().unwrap(), &[]);
        let mut writer = publisher.begin().unwrap();
        writer.push(&vec![0; BLOCK_BYTES_MAX as usize]).unwrap();
        let attachment = Attachment {
            header_bytes: 80,
            transactions_start: 81,
            ends: &[100; 50_000],
            compact: Some((&[1; 1_000], [0; 4])),
        };
        writer.attach(chain, attachment);
        assert_eq!((writer.parts.ends_start, writer.parts.compact.is_some()), (0, true));
        let long = vec![1; COMPACT_IMAGE_BYTES_MAX as usize];
        writer.attach(
            chain,
            Attachment { ends: &[100], compact: Some((&long, [0; 4])), ..attachment },
        );
        assert_eq!((writer.parts.ends_start > 0, writer.parts.compact), (true, None));
        assert_eq!(Parts::default().transaction(&[], 0), None);
    }
}
