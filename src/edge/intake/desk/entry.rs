//! The blocks that the desk remembers, and how far each has come.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::PublishedAt;
use crate::cold::node::row::LegRow;
use crate::cold::node::verdict::Verdict;
use crate::limits::BLOCKS_REMEMBERED_MAX;
use crate::wire::hash::BlockHash;

/// Why a block does not go to the peers on our own judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In words, for the operator.
    pub why: String,
    /// The word that a node would answer (BIP 22), where there is one.
    pub word: Option<&'static str>,
    /// It lies in the bytes: as they were handed in they never go to a peer, whatever the node says.
    pub unfit: bool,
}

/// How far a block has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The checks and, where they held, the publishing are over.
    pub(super) decided: bool,
    /// Why it was not published at once.
    pub(super) fault: Option<Fault>,
    /// It is with the shards.
    pub(super) published: Option<PublishedAt>,
    /// The node has spoken.
    pub(super) verdict: Option<Verdict>,
}

/// One remembered block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) chain_index: u8,
    pub(super) hash: BlockHash,
    pub(super) progress: watch::Sender<Progress>,
    /// The bytes, for as long as it is not known whether they are what the hash stands for.
    raw: Mutex<Option<Bytes>>,
    /// How it fares at each node. Bounded by the nodes that are configured.
    legs: Mutex<Vec<LegRow>>,
}

impl Entry {
    fn new(chain_index: u8, hash: BlockHash, raw: Bytes) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        let (raw, legs) = (Mutex::new(Some(raw)), Mutex::default());
        Self { chain_index, hash, progress, raw, legs }
    }

    /// Adds a node's row.
    pub(super) fn add_leg(&self, row: &LegRow) {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner).push(row.clone());
    }

    /// The nodes' rows.
    pub(super) fn legs(&self) -> Vec<LegRow> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The checks are over: with a fault or without.
    pub(super) fn decide(&self, fault: Option<Fault>, published: Option<PublishedAt>) {
        if fault.is_none() {
            // The merkle root and the commitment held: the hash says it all from here on.
            *self.raw.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.progress.send_modify(|progress| {
            progress.decided = true;
            progress.fault = fault;
            progress.published = published;
        });
    }

    /// The node has spoken.
    pub(super) fn set_verdict(&self, verdict: Verdict) {
        *self.raw.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.progress.send_modify(|progress| progress.verdict = Some(verdict));
    }

    /// Whether its bytes have passed the checks: no others do under the same header.
    pub(super) fn is_sound(&self) -> bool {
        let progress = self.progress.borrow();
        progress.decided && progress.fault.is_none()
    }

    /// Whether a further hand-over of the same hash is this very block. A hash covers the header
    /// alone: somebody may have put other transactions behind it.
    fn is_same(&self, raw: &Bytes) -> bool {
        let progress = self.progress.borrow();
        if progress.verdict.as_ref().is_some_and(Verdict::is_refusal) {
            return false;
        }
        if progress.decided && progress.fault.is_none() {
            return true;
        }
        let kept = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map_or(progress.verdict.is_some(), |kept| kept == raw)
    }
}

/// All remembered blocks. Bounded: the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    entries: HashMap<(u8, BlockHash), Arc<Entry>>,
    order: VecDeque<(u8, BlockHash)>,
    /// Blocks that are or are about to be with the shards.
    claimed: HashSet<(u8, BlockHash)>,
    /// Blocks that legs are handing to the chain's own node, and how many legs.
    carried: HashMap<(u8, BlockHash), u32>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a block that is handed in, and whether it is a new one.
    pub(super) fn enter(
        &self,
        chain_index: u8,
        hash: BlockHash,
        raw: &Bytes,
    ) -> (Arc<Entry>, bool) {
        let key = (chain_index, hash);
        let mut memory = self.lock();
        let before = memory.entries.get(&key);
        if let Some(entry) = before.filter(|entry| entry.is_same(raw)) {
            return (Arc::clone(entry), false);
        }
        let entry = Arc::new(Entry::new(chain_index, hash, raw.clone()));
        if memory.entries.insert(key, Arc::clone(&entry)).is_none() {
            memory.order.push_back(key);
        }
        if memory.order.len() > BLOCKS_REMEMBERED_MAX as usize
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.entries.remove(&oldest);
            memory.claimed.remove(&oldest);
        }
        (entry, true)
    }

    /// The entry of a block that is remembered.
    pub(super) fn find(&self, chain_index: u8, hash: BlockHash) -> Option<Arc<Entry>> {
        self.lock().entries.get(&(chain_index, hash)).map(Arc::clone)
    }

    /// The entry of this very block; one that nobody else sees where there is none.
    pub(super) fn find_same(&self, chain_index: u8, hash: BlockHash, raw: &Bytes) -> Arc<Entry> {
        let found = self.find(chain_index, hash).filter(|entry| entry.is_same(raw));
        found.unwrap_or_else(|| {
            let entry = Entry::new(chain_index, hash, raw.clone());
            entry.decide(None, None);
            Arc::new(entry)
        })
    }

    /// The right to publish a block; given once.
    pub(super) fn claim(&self, chain_index: u8, hash: BlockHash) -> bool {
        self.lock().claimed.insert((chain_index, hash))
    }

    /// Whether nothing is left to do for this block with the node: a leg carries it, or the node
    /// has spoken.
    pub(super) fn is_cared_for(&self, chain_index: u8, hash: BlockHash) -> bool {
        let key = (chain_index, hash);
        let memory = self.lock();
        let spoken = |entry: &Arc<Entry>| entry.progress.borrow().verdict.is_some();
        memory.carried.contains_key(&key) || memory.entries.get(&key).is_some_and(spoken)
    }

    /// Marks the block as being carried to the node until the guard is dropped.
    pub(super) fn carry(&self, chain_index: u8, hash: BlockHash) -> Carried<'_> {
        let key = (chain_index, hash);
        *self.lock().carried.entry(key).or_default() += 1;
        Carried { memory: self, key }
    }
}

/// A block on its way to the node.
pub(super) struct Carried<'a> {
    memory: &'a Memory,
    key: (u8, BlockHash),
}

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        let mut memory = self.memory.lock();
        if let Some(legs) = memory.carried.get_mut(&self.key) {
            *legs -= 1;
            if *legs == 0 {
                memory.carried.remove(&self.key);
            }
        }
    }
}
