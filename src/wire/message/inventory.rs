//! Lists of hashes and headers: inv, getdata, notfound, getheaders, headers.

use super::MessageError;
use crate::limits::{INVENTORY_MAX, LOCATOR_MAX, MESSAGE_HEADERS_MAX};
use crate::wire::auxpow;
use crate::wire::chain::Chain;
use crate::wire::cursor::{Cursor, push_compact_size};

/// Bytes of one entry: u32 kind and a hash.
const ITEM_BYTES: usize = 36;

/// What an entry is about, its flags aside. Compact blocks have the number in the chain's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvKind {
    /// A transaction, by txid or by wtxid.
    Transaction,
    /// A block in any form but compact.
    Block,
    /// Something else.
    Other,
}

/// One entry of an inv, getdata or notfound.
///
/// # Shape
///
/// `kind [u32 LE] · hash [32]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvItem {
    /// The number on the wire, flags included.
    pub kind: u32,
    /// Wire order.
    pub hash: [u8; 32],
}

impl InvItem {
    /// Flag: with witness.
    pub const WITNESS: u32 = 1 << 30;
    /// Flag: with extension block.
    pub const MWEB: u32 = 1 << 29;
    /// A block, as peers announce it.
    pub const BLOCK: u32 = 2;

    /// What it is about.
    #[must_use]
    pub const fn about(&self) -> InvKind {
        match self.kind & !(Self::WITNESS | Self::MWEB) {
            1 | 5 => InvKind::Transaction,
            Self::BLOCK => InvKind::Block,
            _ => InvKind::Other,
        }
    }
}

/// How many entries the payload says it has; `None` where nodes would refuse it.
#[must_use]
pub fn inv_count(payload: &[u8]) -> Option<u64> {
    Cursor::new(payload).compact_size().filter(|count| *count <= INVENTORY_MAX)
}

/// The whole entries at the front of an inv, getdata or notfound, of which `payload` may be a
/// part. None where nodes would refuse the message for its count.
pub fn inv_items(payload: &[u8]) -> impl Iterator<Item = InvItem> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.compact_size().filter(|count| *count <= INVENTORY_MAX).unwrap_or(0);
    (0..count).map_while(move |_| {
        let kind = cursor.u32()?;
        cursor.array().map(|hash| InvItem { kind, hash: *hash })
    })
}

/// The payload of an inv, getdata or notfound.
#[must_use]
pub fn encode_inv(items: &[InvItem]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + items.len() * ITEM_BYTES);
    push_compact_size(&mut out, items.len() as u64);
    for item in items {
        out.extend_from_slice(&item.kind.to_le_bytes());
        out.extend_from_slice(&item.hash);
    }
    out
}

/// `getheaders`: which headers a peer would like.
///
/// # Shape
///
/// `protocol version [u32 LE] · count [compact] · hashes [count × 32] · stop hash [32]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetHeaders {
    /// Protocol version of the sender; nobody looks at it.
    pub version: u32,
    /// Blocks that the sender has, newest first, in wire order.
    pub locator: Vec<[u8; 32]>,
    /// Where to stop; zeros for as many as possible.
    pub stop: [u8; 32],
}

impl GetHeaders {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        push_compact_size(&mut out, self.locator.len() as u64);
        self.locator.iter().for_each(|hash| out.extend_from_slice(hash));
        out.extend_from_slice(&self.stop);
        out
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// A field is missing, or there are more than 101 hashes.
    pub fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        let malformed = MessageError::Malformed("getheaders");
        let mut cursor = Cursor::new(payload);
        let version = cursor.u32().ok_or(malformed)?;
        let count = cursor.compact_size().ok_or(malformed)?;
        if count > LOCATOR_MAX {
            return Err(MessageError::TooLong("locator"));
        }
        let locator = (0..count).map(|_| cursor.array().copied()).collect::<Option<Vec<_>>>();
        let locator = locator.ok_or(malformed)?;
        let stop = *cursor.array().ok_or(malformed)?;
        Ok(Self { version, locator, stop })
    }
}

/// The hashes in a `getheaders` or `getblocks`, newest first, in wire order; `None` where a field is
/// missing or there are more of them than nodes take.
#[must_use]
pub fn locator(payload: &[u8]) -> Option<&[[u8; 32]]> {
    let mut cursor = Cursor::new(payload);
    let (_version, count) = (cursor.u32()?, cursor.compact_size()?);
    let hashes = cursor.take(32 * usize::try_from(count.min(LOCATOR_MAX + 1)).ok()?)?;
    cursor.take(32).filter(|_| count <= LOCATOR_MAX)?;
    Some(hashes.as_chunks().0)
}

/// The whole headers at the front of a `headers` payload, each with its proof where it has one.
/// None where nodes would refuse the message for its count.
pub fn header_items<'a>(
    chain: &'static Chain,
    payload: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.compact_size().filter(|count| *count <= MESSAGE_HEADERS_MAX).unwrap_or(0);
    (0..count).map_while(move |_| {
        let length = auxpow::header_bytes(chain, cursor.rest())?;
        let header = cursor.take(length)?;
        // A count of transactions follows each header. It is always zero.
        cursor.compact_size().map(|_| header)
    })
}

/// The payload of a `headers` message. Each header comes with its proof where it has one.
#[must_use]
pub fn encode_headers(headers: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    push_compact_size(&mut out, headers.len() as u64);
    for header in headers {
        out.extend_from_slice(header);
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chain::{Network, find};

    #[test]
    fn entries_read_back_whole_and_cut() {
        let items = [
            InvItem { kind: 2, hash: [1; 32] },
            InvItem { kind: 0x6000_0002, hash: [2; 32] },
            InvItem { kind: 5, hash: [3; 32] },
            InvItem { kind: 20, hash: [4; 32] },
        ];
        let payload = encode_inv(&items);
        assert_eq!(inv_items(&payload).collect::<Vec<_>>(), items);
        assert_eq!(inv_count(&payload), Some(4));
        for cut in 0..payload.len() {
            let whole = cut.saturating_sub(1) / ITEM_BYTES;
            assert_eq!(inv_items(&payload[..cut]).collect::<Vec<_>>(), items[..whole]);
        }
        let about: Vec<_> = items.iter().map(InvItem::about).collect();
        use InvKind::{Block, Other, Transaction};
        assert_eq!(about, [Block, Block, Transaction, Other]);
    }

    #[test]
    fn a_hostile_count_yields_nothing() {
        let mut payload = vec![0xfe, 0x51, 0xc3, 0, 0]; // 50,001
        payload[0] = 0xfd;
        payload.truncate(3);
        payload.resize(500, 7);
        assert_eq!((inv_items(&payload).count(), inv_count(&payload)), (0, None));
        payload.splice(..3, [0xff; 9]);
        assert_eq!(inv_items(&payload).count(), 0);
    }

    #[test]
    fn getheaders_and_headers_read_back() {
        let asked = GetHeaders { version: 70016, locator: vec![[1; 32], [2; 32]], stop: [0; 32] };
        let payload = asked.encode();
        assert_eq!(locator(&payload), Some(&asked.locator[..]));
        assert_eq!(GetHeaders::decode(&payload), Ok(asked));
        for cut in 0..payload.len() {
            assert!(
                GetHeaders::decode(&payload[..cut]).is_err() && locator(&payload[..cut]).is_none()
            );
        }
        let many = GetHeaders { version: 0, locator: vec![[1; 32]; 102], stop: [0; 32] }.encode();
        assert_eq!(GetHeaders::decode(&many), Err(MessageError::TooLong("locator")));
        assert_eq!(locator(&many), None);

        let chain = find("bitcoin", Network::Main).expect("there");
        let payload = encode_headers(&[&[1; 80], &[2; 80]]);
        let read: Vec<_> = header_items(chain, &payload).collect();
        assert_eq!(read, [&[1; 80][..], &[2; 80]]);
        assert_eq!(header_items(chain, &payload[..100]).count(), 1);
    }
}
