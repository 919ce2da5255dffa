//! A block that is made of a template we hold: what is the same is not hashed again.

use std::mem::take;
use std::sync::Arc;

use super::Walker;
use crate::wire::hash::Merkle;
use crate::wire::staged::Staged;

impl Walker {
    /// From now on transactions are compared with those of `staged` and hashed only from the first
    /// that differs on. What the walk comes to is the same with any template and without one. False
    /// where it differs already, or no transaction is there yet. `so_far` as at the last advance.
    pub fn follow(&mut self, so_far: &[u8], staged: &Arc<Staged>) -> bool {
        let mut spans = self.transactions.iter().enumerate().skip(1);
        let is_same = spans.all(|(index, span)| {
            staged.get(index).is_some_and(|(bytes, _)| so_far.get(span.range()) == Some(bytes))
        });
        if !is_same || self.transactions.is_empty() || self.following.is_some() {
            return false;
        }
        self.following = Some(Arc::clone(staged));
        true
    }

    /// Transactions that the block says it has, once that is there; 0 before.
    #[must_use]
    pub fn announced(&self) -> u64 {
        self.transactions_left + (self.transactions.len() + self.batch.count()) as u64
    }

    /// Transactions that were not hashed.
    #[must_use]
    pub const fn followed(&self) -> usize {
        self.followed
    }

    /// Takes in the transactions that became whole, where they are the template's. False: they are
    /// to be hashed, and so is everything that comes.
    pub(super) fn follow_on(&mut self, all: &[u8]) -> bool {
        let Some(staged) = self.following.take() else {
            return false;
        };
        let first = self.transactions.len();
        let is_same = (first..).zip(self.batch.ranges()).all(|(index, range)| {
            staged.get(index).is_some_and(|(bytes, _)| all.get(range) == Some(bytes))
        });
        if !is_same {
            self.catch_up(&staged);
            return false;
        }
        let (transactions, compact) = (&mut self.transactions, &mut self.compact);
        let keeps_ids = self.keeps_ids;
        self.batch.take(|end| {
            if let Some((_, ids)) = staged.get(transactions.len()) {
                compact.iter_mut().for_each(|compact| compact.push(ids));
                if keeps_ids {
                    transactions.push_ids(*ids);
                }
            }
            transactions.push(end);
        });
        self.followed += self.transactions.len() - first;
        self.following = Some(staged);
        true
    }

    /// Gives the merkle trees the ids that they have not had yet.
    fn catch_up(&mut self, staged: &Staged) {
        let there = self.transactions.len();
        for index in there - take(&mut self.followed)..there {
            if let Some((_, ids)) = staged.get(index) {
                self.merkle.push(ids.txid);
                if self.chain.has_witness {
                    self.witness_merkle.push(ids.wtxid);
                }
            }
        }
    }

    /// What the two merkle trees come to.
    pub(super) fn roots(&mut self) -> (Merkle, Merkle) {
        if let Some(staged) = self.following.take() {
            if self.transactions.len() == staged.len() + 1 {
                return (staged.merkle(self.coinbase_txid), staged.witness_merkle());
            }
            self.catch_up(&staged);
        }
        (take(&mut self.merkle).finish(), take(&mut self.witness_merkle).finish())
    }
}
