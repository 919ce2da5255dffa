//! The peer database: one JSON file per chain, in the schema of the programs before us.
//!
//! # Shape
//!
//! `{version, last_updated (epoch s), bootstrapped, local_node "host:port", chain, network,
//! peers {"host:port": {score, first_seen, last_seen, source, protected, successful_broadcasts,
//! failed_broadcasts, ping_ms, …our own}}}`. `local_dashd` and `saved_at` are read as well.
//!
//! A damaged file is put aside, never overwritten; the last good one is kept beside as `.bak`.

mod book;
mod entry;
mod file;
mod json;

use std::io;
use std::path::{Path, PathBuf};

pub use book::PeerBook;
pub use entry::{PeerEntry, Source, format_address, parse_address};

use crate::limits::PEER_FILE_BYTES_MAX;

/// Why the database could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Reading failed.
    #[error("can't read the peer database {path}: {source}; check that it belongs to this user")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed.
    #[error("can't write the peer database {path}: {source}; check space and rights of its folder")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than we read.
    #[error("the peer database {path} is over {PEER_FILE_BYTES_MAX} bytes; remove it or prune it")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// It is not what we write or read.
    #[error("the peer database {path} is damaged ({reason})")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// It belongs to another chain.
    #[error(
        "the peer database {path} is of {found}, not of {expected}; set another [chain.peers] db"
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// "chain network" in the file.
        found: String,
        /// "chain network" that we serve.
        expected: String,
    },
    /// What could not be used could not be put aside either.
    #[error("not saving to {path} while an unusable file is there that can't be renamed: {source}")]
    InTheWay {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is true of a file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where the file is.
    pub path: PathBuf,
    /// The chain's name, as in the configuration.
    pub chain: String,
    /// The network's name.
    pub network: String,
    /// The port that nodes of this chain listen on: others are believed only of peers that
    /// answered, or that the node dialled.
    pub port: u16,
}

/// What loading gave.
#[derive(Debug)]
pub struct Loaded {
    /// The entries; empty where there was nothing to use.
    pub book: PeerBook,
    /// Entries that could not be used: host names, strange ports, wrong types.
    pub skipped: usize,
    /// What the operator should hear, one line each.
    pub warnings: Vec<String>,
}

/// Reads and writes one database file. Blocks: call it off the async threads.
#[derive(Debug)]
pub struct Store {
    settings: StoreSettings,
    in_the_way: Option<io::ErrorKind>,
}

impl Store {
    /// A store at `settings.path`; touches nothing yet.
    #[must_use]
    pub fn new(settings: StoreSettings) -> Self {
        Self { settings, in_the_way: None }
    }

    /// Loads the file; where it can't be used, puts it aside and loads the last good one.
    pub fn load(&mut self, now_s: f64) -> Loaded {
        let mut loaded = Loaded { book: PeerBook::default(), skipped: 0, warnings: Vec::new() };
        let path = self.settings.path.clone();
        match self.read(&path, now_s) {
            Ok(Some(read)) => {
                (loaded.book, loaded.skipped) = read;
                return loaded;
            }
            Ok(None) => {}
            Err(error) => loaded.warnings.push(self.put_aside(&error, now_s)),
        }
        let backup = file::beside(&path, ".bak");
        match self.read(&backup, now_s) {
            Ok(Some(read)) => {
                (loaded.book, loaded.skipped) = read;
                loaded.warnings.push(format!(
                    "took {} peers from the last good database {}",
                    loaded.book.len(),
                    backup.display()
                ));
            }
            Ok(None) => {}
            Err(error) => loaded.warnings.push(error.to_string()),
        }
        loaded
    }

    /// Writes `book`, keeping the file before it as `.bak`. After a crash at any moment either
    /// the old or the new file is there, whole.
    ///
    /// # Errors
    /// [`StoreError::Write`]: the old file is untouched. [`StoreError::InTheWay`]: nothing done.
    pub fn save(&self, book: &PeerBook, now_s: f64) -> Result<(), StoreError> {
        let path = &self.settings.path;
        if let Some(kind) = self.in_the_way {
            return Err(StoreError::InTheWay { path: path.clone(), source: kind.into() });
        }
        file::replace(path, &|out| json::write(out, &self.settings, book, now_s))
            .map_err(|source| StoreError::Write { path: path.clone(), source })
    }

    /// `None`: there is no such file.
    fn read(&self, path: &Path, now_s: f64) -> Result<Option<(PeerBook, usize)>, StoreError> {
        let text = match file::read_bounded(path, PEER_FILE_BYTES_MAX) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(StoreError::TooLarge { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(StoreError::Read { path: path.into(), source });
            }
        };
        let expected = &self.settings;
        json::read(&text, expected, now_s).map(Some).map_err(|problem| match problem {
            json::Problem::Damaged(reason) => StoreError::Damaged { path: path.into(), reason },
            json::Problem::Foreign(found) => StoreError::Foreign {
                path: path.into(),
                found,
                expected: format!("{} {}", expected.chain, expected.network),
            },
        })
    }

    /// Renames what can't be used, and says so.
    fn put_aside(&mut self, why: &StoreError, now_s: f64) -> String {
        let path = &self.settings.path;
        match file::put_aside(path, now_s) {
            Ok(aside) => format!("{why}; put aside as {}", aside.display()),
            Err(error) => {
                self.in_the_way = Some(error.kind());
                format!("{why}; it can't be renamed ({error}), so nothing is saved in its place")
            }
        }
    }
}

/// Replaces the file at `path` by `text`, whole after a crash at any moment.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    file::replace(path, &|out| out.write_all(text))
}

#[cfg(test)]
mod tests;
