//! Locks of a chain whose masternodes sign blocks and transactions: the shape of the two messages.
//!
//! Signatures are not checked here: who relays a lock has to have it from somebody who did.
//!
//! Source: `chainlock/clsig.h`, `instantsend/lock.h`, `protocol.h` of the one chain that has them.

use thiserror::Error;

use crate::limits::LOCK_BYTES_MAX;
use crate::wire::cursor::Cursor;
use crate::wire::hash::sha256d;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 96;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Of a block: no other of its height can win any more.
    Block,
    /// Of a transaction: what it spends can't be spent otherwise.
    Transaction,
}

impl LockKind {
    /// Name of its message.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Block => "clsig",
            Self::Transaction => "isdlock",
        }
    }

    /// Its number in inv and getdata.
    #[must_use]
    pub const fn inventory(self) -> u32 {
        match self {
            Self::Block => 29,
            Self::Transaction => 31,
        }
    }

    /// The lock that an inventory number stands for.
    #[must_use]
    pub const fn of_inventory(kind: u32) -> Option<Self> {
        match kind {
            29 => Some(Self::Block),
            31 => Some(Self::Transaction),
            _ => None,
        }
    }
}

/// Why a lock is not passed on. All of them are ignored; [`LockError::word`] names the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LockError {
    /// It is longer than the shards carry.
    #[error("a lock is longer than {LOCK_BYTES_MAX} bytes: it is not passed on")]
    TooLong,
    /// It ends early, late, or a field is not in its shortest form.
    #[error("a lock is malformed at its {0}: it is not passed on")]
    Malformed(&'static str),
    /// A field has a value that no node would take.
    #[error("a lock has an impossible {0}: it is not passed on")]
    Impossible(&'static str),
}

impl LockError {
    /// One word for counters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Malformed(_) => "malformed",
            Self::Impossible(_) => "impossible",
        }
    }
}

/// What a lock says, its signature left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Which of the two.
    pub kind: LockKind,
    /// Identity in inv and getdata, in wire order.
    pub inventory_hash: [u8; 32],
    /// The block or transaction that it is about, in wire order.
    pub about: [u8; 32],
    /// Height of the block; `None`: it is about a transaction.
    pub height: Option<u32>,
}

/// Reads the payload of a `clsig` or an `isdlock`.
///
/// # Shape
///
/// * `clsig`: `height [i32 LE] · block [32] · signature [96]`
/// * `isdlock`: `version [u8] = 1 · count [compact] · outputs [count × (txid 32 · index u32 LE)] ·
///   txid [32] · cycle [32] · signature [96]`
///
/// # Errors
/// See [`LockError`]: ignore the message.
pub fn read_lock(kind: LockKind, payload: &[u8]) -> Result<Lock, LockError> {
    if payload.len() > LOCK_BYTES_MAX as usize {
        return Err(LockError::TooLong);
    }
    let mut cursor = Cursor::new(payload);
    let (about, height) = match kind {
        LockKind::Block => block_lock(&mut cursor)?,
        LockKind::Transaction => (transaction_lock(&mut cursor)?, None),
    };
    let signature = cursor.array::<SIGNATURE_BYTES>().ok_or(LockError::Malformed("signature"))?;
    if !cursor.is_empty() {
        return Err(LockError::Malformed("end"));
    }
    if about == [0; 32] {
        return Err(LockError::Impossible("hash"));
    }
    // The point at infinity in either of its forms, which no key signs with.
    if signature.iter().skip(1).all(|byte| *byte == 0) {
        return Err(LockError::Impossible("signature"));
    }
    Ok(Lock { kind, inventory_hash: sha256d(payload), about, height })
}

fn block_lock(cursor: &mut Cursor<'_>) -> Result<([u8; 32], Option<u32>), LockError> {
    let height = cursor.i32().ok_or(LockError::Malformed("height"))?;
    let height = u32::try_from(height).map_err(|_| LockError::Impossible("height"))?;
    let about = *cursor.array().ok_or(LockError::Malformed("block"))?;
    Ok((about, Some(height)))
}

fn transaction_lock(cursor: &mut Cursor<'_>) -> Result<[u8; 32], LockError> {
    match cursor.array::<1>() {
        Some([1]) => {}
        Some(_) => return Err(LockError::Impossible("version")),
        None => return Err(LockError::Malformed("version")),
    }
    let count = cursor.compact_size().ok_or(LockError::Malformed("count"))?;
    if count == 0 {
        return Err(LockError::Impossible("count"));
    }
    for _ in 0..count {
        // A count that the payload does not hold ends at its end.
        let _output = cursor.array::<36>().ok_or(LockError::Malformed("output"))?;
    }
    let about = *cursor.array().ok_or(LockError::Malformed("transaction"))?;
    let _cycle = cursor.array::<32>().ok_or(LockError::Malformed("cycle"))?;
    Ok(about)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clsig(height: i32) -> Vec<u8> {
        [&height.to_le_bytes()[..], &[7; 32], &[9; 96]].concat()
    }

    fn isdlock(outputs: u8) -> Vec<u8> {
        let spent = vec![3; 36 * usize::from(outputs)];
        [&[1, outputs][..], &spent, &[7; 32], &[8; 32], &[9; 96]].concat()
    }

    #[test]
    fn both_kinds_are_read() {
        let lock = read_lock(LockKind::Block, &clsig(2_200_000)).unwrap();
        assert_eq!((lock.about, lock.height), ([7; 32], Some(2_200_000)));
        assert_eq!(lock.inventory_hash, sha256d(&clsig(2_200_000)));
        let lock = read_lock(LockKind::Transaction, &isdlock(3)).unwrap();
        assert_eq!((lock.about, lock.height), ([7; 32], None));
        for kind in [LockKind::Block, LockKind::Transaction] {
            assert_eq!(LockKind::of_inventory(kind.inventory()), Some(kind));
        }
        assert_eq!(LockKind::of_inventory(2), None);
    }

    #[test]
    fn what_no_node_would_take_is_named() {
        use LockError::{Impossible, Malformed, TooLong};
        let block = |payload: &[u8]| read_lock(LockKind::Block, payload).unwrap_err();
        let transaction = |payload: &[u8]| read_lock(LockKind::Transaction, payload).unwrap_err();
        assert_eq!(block(&clsig(-1)), Impossible("height"));
        assert_eq!(block(&[clsig(1), vec![0]].concat()), Malformed("end"));
        assert_eq!(block(&clsig(1)[..131]), Malformed("signature"));
        let mut unsigned = clsig(1);
        unsigned[37..].fill(0);
        assert_eq!(block(&unsigned), Impossible("signature"));
        let mut about_nothing = clsig(1);
        about_nothing[4..36].fill(0);
        assert_eq!(block(&about_nothing), Impossible("hash"));
        assert_eq!(transaction(&isdlock(0)), Impossible("count"));
        assert_eq!(transaction(&[2]), Impossible("version"));
        assert_eq!(transaction(&[1, 0xfd, 1, 0]), Malformed("count"));
        // Many, and as many as can be said: nothing is reserved for them.
        assert_eq!(transaction(&[1, 0xfd, 0, 2, 7]), Malformed("output"));
        assert_eq!(transaction(&[&[1][..], &[0xff; 9]].concat()), Malformed("count"));
        assert_eq!(transaction(&isdlock(60)), TooLong);
        assert_eq!(block(&[]).word(), "malformed");
    }

    proptest! {
        #[test]
        fn anything_can_be_read_and_only_whole_locks_are(
            bytes in proptest::collection::vec(any::<u8>(), 0..1_100), which: bool,
        ) {
            let kind = if which { LockKind::Block } else { LockKind::Transaction };
            if let Ok(lock) = read_lock(kind, &bytes) {
                prop_assert_eq!(lock.kind, kind);
                prop_assert!(read_lock(kind, &bytes[..bytes.len() - 1]).is_err());
            }
        }

        #[test]
        fn a_lock_cut_anywhere_is_no_lock(outputs in 1_u8..20, cut in 0.0..1.0_f64) {
            let whole = isdlock(outputs);
            let end = (whole.len() as f64 * cut) as usize;
            prop_assert!(read_lock(LockKind::Transaction, &whole[..end]).is_err());
        }
    }
}
