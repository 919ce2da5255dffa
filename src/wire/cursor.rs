//! Reads little-endian fields off the front of untrusted bytes.

/// A place in a byte slice. Every read gives `None`, and moves nothing, where too little is left.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Largest count that nodes read (`serialize.h`, `MAX_SIZE`).
pub(crate) const COMPACT_SIZE_MAX: u64 = 0x0200_0000;

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(crate) fn u16_be(&mut self) -> Option<u16> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(|bytes| i32::from_le_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(|bytes| i64::from_le_bytes(*bytes))
    }

    /// A count in the 1, 3, 5 or 9 byte form; `None` also where it is not the shortest form or
    /// over [`COMPACT_SIZE_MAX`], as nodes refuse it (`serialize.h`, `ReadCompactSize`).
    pub(crate) fn compact_size(&mut self) -> Option<u64> {
        match compact_size(self.rest) {
            CompactSize::Value { value, bytes } => self.take(bytes).map(|_| value),
            CompactSize::NeedsMore | CompactSize::Malformed => None,
        }
    }

    /// A byte string behind its length, which must be at most `limit`.
    pub(crate) fn bytes(&mut self, limit: usize) -> Option<&'a [u8]> {
        let before = self.rest;
        let length = self.compact_size().and_then(|length| usize::try_from(length).ok());
        let taken = length.filter(|length| *length <= limit).and_then(|length| self.take(length));
        if taken.is_none() {
            self.rest = before;
        }
        taken
    }
}

/// What stands at the front of some bytes where a count should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompactSize {
    /// The count, and how many bytes it takes.
    Value { value: u64, bytes: usize },
    /// More bytes are needed to tell.
    NeedsMore,
    /// Not the shortest form, or over [`COMPACT_SIZE_MAX`].
    Malformed,
}

/// Reads a count at the front of `bytes`.
pub(crate) fn compact_size(bytes: &[u8]) -> CompactSize {
    let Some(first) = bytes.first() else {
        return CompactSize::NeedsMore;
    };
    let (value, length, least) = match first {
        0..=0xfc => {
            return CompactSize::Value { value: u64::from(*first), bytes: 1 };
        }
        0xfd => (little_endian(bytes, 2), 3, 0xfd),
        0xfe => (little_endian(bytes, 4), 5, 0x1_0000),
        0xff => (little_endian(bytes, 8), 9, 0x1_0000_0000),
    };
    match value {
        None => CompactSize::NeedsMore,
        Some(value) if value < least || value > COMPACT_SIZE_MAX => CompactSize::Malformed,
        Some(value) => CompactSize::Value { value, bytes: length },
    }
}

/// The `width` bytes behind the first one, as a number.
fn little_endian(bytes: &[u8], width: usize) -> Option<u64> {
    let field = bytes.get(1..=width)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Appends `value` in its shortest form.
pub(crate) fn push_compact_size(out: &mut Vec<u8>, value: u64) {
    let [b0, b1, b2, b3, ..] = value.to_le_bytes();
    match value {
        0..=0xfc => out.push(b0),
        0xfd..=0xffff => out.extend_from_slice(&[0xfd, b0, b1]),
        0x1_0000..=0xffff_ffff => out.extend_from_slice(&[0xfe, b0, b1, b2, b3]),
        _ => {
            out.push(0xff);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_the_way_out_and_back() {
        for value in [0, 1, 0xfc, 0xfd, 0xffff, 0x1_0000, COMPACT_SIZE_MAX] {
            let mut bytes = Vec::new();
            push_compact_size(&mut bytes, value);
            assert_eq!(compact_size(&bytes), CompactSize::Value { value, bytes: bytes.len() });
            for cut in 0..bytes.len() {
                assert_eq!(compact_size(&bytes[..cut]), CompactSize::NeedsMore);
            }
        }
    }

    #[test]
    fn long_forms_of_small_counts_and_huge_counts_are_malformed() {
        for bytes in [
            &[0xfd, 0xfc, 0][..],
            &[0xfe, 0xff, 0xff, 0, 0],
            &[0xff, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0xfe, 1, 0, 0, 2],
            &[0xff; 9],
        ] {
            assert_eq!(compact_size(bytes), CompactSize::Malformed, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_failed_read_moves_nothing() {
        let mut cursor = Cursor::new(&[5, 1, 2]);
        assert_eq!(cursor.bytes(16), None);
        assert_eq!(cursor.u64(), None);
        assert_eq!(cursor.rest(), &[5, 1, 2]);
    }
}
