//! What the ids of a transaction are hashed of.

use super::{FLAG_WITNESS, FLAGS_BYTES, TransactionWalker};
use crate::wire::hash::{Checksum, Lanes, Message};

/// Version, in bytes.
const VERSION_BYTES: usize = 4;

/// The ids of a long transaction under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashers {
    txid: Checksum,
    wtxid: Checksum,
    /// Everything before this was given to the hashers, or is none of theirs.
    fed: usize,
}

impl TransactionWalker {
    /// What is to be hashed for txid and, with a witness, wtxid, once the walk is over. `None`
    /// where that was done on the way: see [`TransactionWalker::hashed`].
    pub(crate) fn messages<'a>(&self, all: &'a [u8]) -> Option<(Message<'a>, Option<Message<'a>>)> {
        self.hashers.is_none().then(|| self.parts(all, self.start, self.at))
    }

    /// Txid and wtxid, once the walk is over, where the transaction was hashed on the way.
    pub(crate) fn hashed(self) -> Option<([u8; 32], [u8; 32])> {
        let has_witness = self.has_witness();
        self.hashers.map(|hashers| {
            let txid = hashers.txid.finish();
            (txid, if has_witness { hashers.wtxid.finish() } else { txid })
        })
    }

    /// Txid, once the walk is over.
    pub(crate) fn txid(self, all: &[u8]) -> [u8; 32] {
        let mut hash = [[0; 32]];
        if let Some((txid, _)) = self.messages(all) {
            Lanes::PORTABLE.hash(&[txid], &mut hash);
        }
        let [hash] = hash;
        self.hashed().map_or(hash, |(txid, _)| txid)
    }

    /// What txid and, with a witness, wtxid cover of the bytes in `from..to` of the block. No part
    /// may end before `to` that was not walked over yet.
    fn parts<'a>(
        &self,
        all: &'a [u8],
        from: usize,
        to: usize,
    ) -> (Message<'a>, Option<Message<'a>>) {
        let part =
            |start: usize, end: usize| all.get(start.max(from)..end.min(to)).unwrap_or_default();
        let whole = [part(self.start, to), &[], &[], &[]];
        if self.flags == 0 {
            return (whole, None);
        }
        let flags = self.start + VERSION_BYTES;
        let inputs = flags + FLAGS_BYTES;
        let lock_time = self.witness_end.saturating_add(usize::from(self.is_hogex()));
        let (version, lock_time) = (part(self.start, flags), part(lock_time, to));
        let txid = [version, part(inputs, self.outputs_end), lock_time, &[]];
        let wtxid = match (self.has_witness(), self.is_hogex()) {
            (false, _) => None,
            (true, false) => Some(whole),
            // The markers are hashed as they would be without extension data.
            (true, true) => {
                let markers: &[u8] = if from <= flags { &[0, FLAG_WITNESS] } else { &[] };
                Some([version, markers, part(inputs, self.witness_end), lock_time])
            }
        };
        (txid, wtxid)
    }

    /// Gives the hashers what there is up to `to` and they have not had yet.
    pub(super) fn feed(&mut self, all: &[u8], to: usize) {
        let mut hashers = self.hashers.take().unwrap_or_default();
        let (txid, wtxid) = self.parts(all, hashers.fed, to);
        txid.iter().for_each(|part| hashers.txid.push(part));
        wtxid.iter().flatten().for_each(|part| hashers.wtxid.push(part));
        hashers.fed = to.max(hashers.fed);
        self.hashers = Some(hashers);
    }
}
