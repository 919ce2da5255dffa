//! Blocks on disk until our node has spoken: nothing is lost, whatever is killed.
//!
//! One file per block, `CHAIN-NETWORK-HASH-CONTENT.STATE`: a line of JSON, then the raw block.
//! CONTENT is the front of a checksum: two hand-overs of one header with other transactions behind
//! it are two files.
//! It is written
//! beside, fsynced, renamed, and the folder fsynced; a change of state is a rename.
//!
//! What is kept, and for how long:
//! * `pending` (no verdict): until there is one.
//! * `accepted`: until it is buried and longer here than a node may take to write its block index to
//!   disk ([`NODE_FLUSH_MS`](crate::limits::NODE_FLUSH_MS): a node that is killed may have forgotten
//!   a block that it had accepted), or until it is stale. See [`crate::cold::confirm`]. Where nobody
//!   watches the chain, for [`ACCEPTED_KEPT_MS`]. At most [`ACCEPTED_KEPT_MAX`] per chain.
//! * `refused`: the last [`REFUSED_KEPT_MAX`] per chain, for the operator to look at.
//! * `damaged`: put aside, never read, never removed by us.
//!
//! All functions here block on the disk: call them from a thread that may.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tracing::warn;

use crate::limits::{ACCEPTED_KEPT_MAX, ACCEPTED_KEPT_MS, REFUSED_KEPT_MAX, SPOOL_BLOCKS_MAX};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

/// What can go wrong with the spool.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The folder can't be used.
    #[error("cannot use the spool folder {}: {source}; check data_dir, its owner and free space", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be written, renamed or read.
    #[error("cannot keep {} on disk: {source}; check free space and permissions of data_dir", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// All places are taken by blocks without a verdict.
    #[error(
        "the spool holds {SPOOL_BLOCKS_MAX} blocks that the node has not spoken about; bring the node back"
    )]
    Full,
    /// A file does not hold what it should, and was put aside.
    #[error("the spool file {} is damaged ({why}) and was put aside as .damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

/// How far a block has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpoolState {
    /// No verdict yet.
    Pending,
    /// The node has it.
    Accepted,
    /// The node will not have it.
    Refused,
}

impl SpoolState {
    const ALL: [Self; 3] = [Self::Pending, Self::Accepted, Self::Refused];

    /// The file name's ending.
    const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// One block in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolEntry {
    /// Its hash.
    pub hash: BlockHash,
    /// When it was handed to us, in ms since 1970.
    pub received_unix_ms: u64,
    /// How far it has come.
    pub state: SpoolState,
    /// Its chain and network.
    key: String,
    /// Its file's name, without the state.
    stem: String,
}

/// The folder and what is in it.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// By the files' names, without the state.
    entries: Mutex<BTreeMap<String, SpoolEntry>>,
    /// Chains whose accepted blocks are let go of by who watches them, not by age.
    watched: Mutex<BTreeSet<String>>,
    serial: AtomicU64,
}

fn chain_key(chain: &Chain) -> String {
    format!("{}-{}", chain.name, chain.network.name())
}

impl Spool {
    /// Opens `folder` (made where it is missing) and reads what an earlier process left. Damaged
    /// files are put aside with a warning.
    ///
    /// # Errors
    /// [`SpoolError::Folder`]: it can't be made, listed or written to.
    pub fn open(folder: &Path) -> Result<Self, SpoolError> {
        let unusable = |source| SpoolError::Folder { folder: folder.to_owned(), source };
        file::make_folder(folder).map_err(unusable)?;
        let mut entries = BTreeMap::new();
        for item in std::fs::read_dir(folder).map_err(unusable)? {
            let path = item.map_err(unusable)?.path();
            match file::scan(&path) {
                Ok(Some(entry)) => {
                    // Two states of one block: a stop in the middle. The accepted one counts.
                    let place = entries.entry(entry.stem.clone()).or_insert(entry.clone());
                    if place.state != SpoolState::Accepted {
                        *place = entry;
                    }
                }
                Ok(None) => {}
                Err(error) => warn!(%error, "spool"),
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            entries: Mutex::new(entries),
            watched: Mutex::default(),
            serial: AtomicU64::new(0),
        })
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, SpoolEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a block down. When this returns it survives a power cut.
    ///
    /// # Errors
    /// Disk full and the like, or [`SpoolError::Full`]. Broadcasting goes on without.
    pub fn store(
        &self,
        chain: &Chain,
        hash: &BlockHash,
        received_unix_ms: u64,
        raw: &[u8],
    ) -> Result<SpoolEntry, SpoolError> {
        self.make_room()?;
        let head = file::Head::new(chain, hash, received_unix_ms, raw);
        let entry = SpoolEntry {
            hash: *hash,
            received_unix_ms,
            state: SpoolState::Pending,
            key: chain_key(chain),
            stem: head.stem(),
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let beside = format!("{}.{}-{serial}.tmp", entry.stem, std::process::id());
        let (beside, path) = (self.folder.join(beside), self.path(&entry));
        file::write(&beside, &path, &head, raw).map_err(|source| {
            // Half a file is of no use to anyone; if even this fails, the next start removes it.
            let _removed = std::fs::remove_file(&beside);
            SpoolError::File { path, source }
        })?;
        let before = self.entries().insert(entry.stem.clone(), entry.clone());
        if let Some(before) = before.filter(|before| before.state != SpoolState::Pending) {
            self.remove(&before);
        }
        Ok(entry)
    }

    /// Notes the node's verdict on a block, and lets go of what need not be kept any longer.
    ///
    /// # Errors
    /// The rename failed: the block will be submitted again at the next start, which does no harm.
    pub fn settle(
        &self,
        entry: &SpoolEntry,
        state: SpoolState,
        now_unix_ms: u64,
    ) -> Result<(), SpoolError> {
        let Some(entry) = self.entries().get(&entry.stem).cloned() else {
            return Ok(());
        };
        if entry.state != state {
            let next = SpoolEntry { state, ..entry.clone() };
            let (from, to) = (self.path(&entry), self.path(&next));
            file::rename(&from, &to).map_err(|source| SpoolError::File { path: from, source })?;
            self.entries().insert(next.stem.clone(), next);
        }
        self.let_go(&entry.key, now_unix_ms);
        Ok(())
    }

    /// From now on accepted blocks of `chain` are let go of by [`Self::let_go_of`] alone, whatever
    /// their age: somebody watches what becomes of them.
    pub fn watch(&self, chain: &Chain) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).insert(chain_key(chain));
    }

    /// Lets go of the accepted block `hash` where it was handed in by `until_unix_ms`: it is buried,
    /// or stale. How many files that were.
    pub fn let_go_of(&self, chain: &Chain, hash: &BlockHash, until_unix_ms: u64) -> usize {
        let mut gone = self.list(chain, SpoolState::Accepted);
        gone.retain(|entry| entry.hash == *hash && entry.received_unix_ms <= until_unix_ms);
        for entry in &gone {
            self.entries().remove(&entry.stem);
            self.remove(entry);
        }
        gone.len()
    }

    /// Blocks of `chain` that are `state`, oldest first.
    #[must_use]
    pub fn list(&self, chain: &Chain, state: SpoolState) -> Vec<SpoolEntry> {
        let key = chain_key(chain);
        let entries = self.entries();
        let ours = entries.values().filter(|entry| entry.key == key && entry.state == state);
        let mut found: Vec<SpoolEntry> = ours.cloned().collect();
        found.sort_by_key(|entry| entry.received_unix_ms);
        found
    }

    /// The block `hash` where it is here and was not refused: the accepted file before a pending.
    #[must_use]
    pub fn find(&self, chain: &Chain, hash: &BlockHash) -> Option<SpoolEntry> {
        let key = chain_key(chain);
        let entries = self.entries();
        let same = entries.values().filter(|entry| entry.hash == *hash && entry.key == key);
        let fit = same.filter(|entry| entry.state != SpoolState::Refused);
        fit.max_by_key(|entry| entry.state == SpoolState::Accepted).cloned()
    }

    /// Blocks of `chain` without a verdict, oldest first.
    #[must_use]
    pub fn pending(&self, chain: &Chain) -> Vec<SpoolEntry> {
        self.list(chain, SpoolState::Pending)
    }

    /// All blocks without a verdict, of all chains.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.entries().values().filter(|entry| entry.state == SpoolState::Pending).count()
    }

    /// Reads one block back.
    ///
    /// # Errors
    /// The disk failed, or the file is damaged and was put aside, or it is gone.
    pub fn read(&self, entry: &SpoolEntry) -> Result<Bytes, SpoolError> {
        let read = file::read(&self.path(entry));
        let gone = match &read {
            Err(SpoolError::Damaged { .. }) => true,
            Err(SpoolError::File { source, .. }) => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        };
        if gone {
            self.entries().remove(&entry.stem);
        }
        read
    }

    fn path(&self, entry: &SpoolEntry) -> PathBuf {
        self.folder.join(format!("{}.{}", entry.stem, entry.state.word()))
    }

    /// Room for one more: the oldest block with a verdict goes first.
    fn make_room(&self) -> Result<(), SpoolError> {
        let mut entries = self.entries();
        if entries.len() < SPOOL_BLOCKS_MAX as usize {
            return Ok(());
        }
        let settled = entries.iter().filter(|(_, entry)| entry.state != SpoolState::Pending);
        let oldest = settled.min_by_key(|(_, entry)| entry.received_unix_ms);
        let key = oldest.map(|(key, _)| key.clone()).ok_or(SpoolError::Full)?;
        let gone = entries.remove(&key);
        drop(entries);
        gone.iter().for_each(|entry| self.remove(entry));
        Ok(())
    }

    /// Removes what the rules at the top no longer keep.
    fn let_go(&self, key: &str, now_unix_ms: u64) {
        let is_watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).contains(key);
        let mut entries = self.entries();
        let mut gone = Vec::new();
        for (state, kept_max) in
            [(SpoolState::Accepted, ACCEPTED_KEPT_MAX), (SpoolState::Refused, REFUSED_KEPT_MAX)]
        {
            let ours = entries.values().filter(|entry| entry.key == key && entry.state == state);
            let mut ours: Vec<_> =
                ours.map(|entry| (entry.received_unix_ms, entry.stem.clone())).collect();
            ours.sort();
            let over = ours.len().saturating_sub(kept_max as usize);
            for (at, (received_unix_ms, place)) in ours.into_iter().enumerate() {
                let age_ms = now_unix_ms.saturating_sub(received_unix_ms);
                let old = age_ms > ACCEPTED_KEPT_MS && !is_watched;
                if at < over || (old && state == SpoolState::Accepted) {
                    gone.extend(entries.remove(&place));
                }
            }
        }
        drop(entries);
        gone.iter().for_each(|entry| self.remove(entry));
    }

    fn remove(&self, entry: &SpoolEntry) {
        let path = self.path(entry);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                warn!(error = %SpoolError::File { path, source }, "spool");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
