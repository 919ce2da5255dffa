//! The peer database: one JSON file per chain, in the schema of the programs before us.
//!
//! # Shape
//!
//! `{version, last_updated (epoch s), bootstrapped, local_node "host:port", chain, network,
//! peers {"host:port": {score, first_seen, last_seen, source, protected, successful_broadcasts,
//! failed_broadcasts, ping_ms, …our own}}, connected ["host:port"], banned {"host": since}}`.
//! `saved_at` is read as well.
//!
//! A damaged file is put aside, never overwritten; the last good one is kept beside as `.bak`.
//! A database has one owner at a time; others leave it their edits (`edit`).

mod ban;
mod book;
mod edit;
mod entry;
pub mod export;
mod faults;
mod file;
pub mod import;
mod json;
mod netgroup;
pub mod places;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use ban::{Ban, BanFault};
pub use book::{Merged, PeerBook};
pub use edit::{Edit, Edited, Edits};
pub use entry::{PeerEntry, Source, format_address, parse_address};
pub use faults::{Fault, Faults};
pub use netgroup::Netgroup;

use crate::limits::{CLAIM_DEADLINE_MS, PEER_FILE_BYTES_MAX};
use edit::Claim;
use json::Whose;

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
    /// Somebody else keeps its peers there.
    #[error(
        "not saving to {path}: another broadside keeps its peers there; set another \
         [chain.peers] db, or stop that one and start this one anew"
    )]
    Owned {
        /// Which file.
        path: PathBuf,
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

impl StoreError {
    fn of(problem: json::Problem, path: &Path, expected: &StoreSettings) -> Self {
        let path = path.into();
        match problem {
            json::Problem::Damaged(reason) => Self::Damaged { path, reason },
            json::Problem::Foreign(found) => Self::Foreign {
                path,
                found,
                expected: format!("{} {}", expected.chain, expected.network),
            },
        }
    }
}

/// What loading gave.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The entries; empty where there was nothing to use. Edits that waited are in it.
    pub book: PeerBook,
    /// Entries that could not be used: host names, strange ports, wrong types.
    pub faults: Faults,
    /// What the operator should hear, one line each.
    pub warnings: Vec<String>,
    /// Edits that were taken in: to be given to [`Store::done`] after the next save.
    pub edits: Vec<PathBuf>,
    /// When the file was written, epoch s; `None`: there is none.
    pub saved_at_s: Option<f64>,
}

/// Reads and writes one database file. Blocks: call it off the async threads.
#[derive(Debug)]
pub struct Store {
    settings: StoreSettings,
    in_the_way: Option<io::ErrorKind>,
    claim: Option<Claim>,
}

impl Store {
    /// A store at `settings.path`; touches nothing yet.
    #[must_use]
    pub fn new(settings: StoreSettings) -> Self {
        Self { settings, in_the_way: None, claim: None }
    }

    /// Makes the database ours for as long as this store lives, where nobody else has it; `false`:
    /// somebody has, now or even after `patience`.
    ///
    /// # Errors
    /// [`StoreError::Write`]: its folder can't be written.
    pub fn claim(&mut self, patience: Duration) -> Result<bool, StoreError> {
        if !matches!(self.claim, Some(Claim::Ours(_))) {
            let path = &self.settings.path;
            let claim = edit::claim(path, patience);
            self.claim =
                Some(claim.map_err(|source| StoreError::Write { path: path.clone(), source })?);
        }
        Ok(matches!(self.claim, Some(Claim::Ours(_))))
    }

    /// Loads the file; where it can't be used, puts it aside and loads the last good one. Then
    /// takes in the edits that wait. Somebody else's database is read and left alone.
    pub fn load(&mut self, now_s: f64) -> Loaded {
        // Where nothing can be written, which the next save says, what there is can be read.
        let is_ours = self.claim(Duration::from_millis(CLAIM_DEADLINE_MS)).unwrap_or(true);
        if !is_ours {
            let mut loaded = Self::peek(&self.settings, now_s);
            let path = self.settings.path.clone();
            loaded.warnings.push(StoreError::Owned { path }.to_string());
            loaded.edits.clear();
            return loaded;
        }
        let settings = self.settings.clone();
        let mut put_aside = |error: &StoreError| self.put_aside(error, now_s);
        let mut loaded = load_either(&settings, now_s, &mut put_aside);
        take_edits(&settings, &mut loaded, now_s);
        loaded
    }

    /// What is there, the edits that wait included. Changes nothing, and may be asked of anybody's
    /// database.
    #[must_use]
    pub fn peek(settings: &StoreSettings, now_s: f64) -> Loaded {
        let mut loaded = load_either(settings, now_s, &mut |error| error.to_string());
        take_edits(settings, &mut loaded, now_s);
        loaded
    }

    /// Whether somebody owns the database, a running engine as a rule.
    #[must_use]
    pub fn is_owned(settings: &StoreSettings) -> bool {
        edit::is_owned(&settings.path)
    }

    /// Leaves an edit for whoever owns the database; gives its file, which is gone once the edit
    /// has been taken in and saved.
    ///
    /// # Errors
    /// [`StoreError::Write`]: the folder beside the database can't be written.
    pub fn leave(settings: &StoreSettings, edit: &Edit, now_s: f64) -> Result<PathBuf, StoreError> {
        edit::leave(settings, edit, now_s)
            .map_err(|source| StoreError::Write { path: edit::folder(&settings.path), source })
    }

    /// The edits that wait. Nothing while the database is not ours.
    #[must_use]
    pub fn edits(&self, now_s: f64) -> Edits {
        match self.claim {
            Some(Claim::Ours(_)) => edit::waiting(&self.settings, now_s),
            _ => Edits::default(),
        }
    }

    /// Removes the files of edits that have been saved.
    ///
    /// # Errors
    /// [`StoreError::Write`]: they will be taken in again, which changes nothing.
    pub fn done(&self, edits: &[PathBuf]) -> Result<(), StoreError> {
        edit::done(edits)
            .map_err(|source| StoreError::Write { path: edit::folder(&self.settings.path), source })
    }

    /// Writes `book`, keeping the file before it as `.bak`. After a crash at any moment either
    /// the old or the new file is there, whole.
    ///
    /// # Errors
    /// [`StoreError::Write`]: the old file is untouched. [`StoreError::InTheWay`],
    /// [`StoreError::Owned`]: nothing done.
    pub fn save(&self, book: &PeerBook, now_s: f64) -> Result<(), StoreError> {
        let path = &self.settings.path;
        if let Some(kind) = self.in_the_way {
            return Err(StoreError::InTheWay { path: path.clone(), source: kind.into() });
        }
        if matches!(self.claim, Some(Claim::Anothers)) {
            return Err(StoreError::Owned { path: path.clone() });
        }
        let write = |out: &mut dyn io::Write| json::write(out, &self.settings, book, &[], now_s);
        file::replace(path, true, &write)
            .map_err(|source| StoreError::Write { path: path.clone(), source })
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
    file::replace(path, false, &|out| out.write_all(text))
}

/// The file, or where it can't be used the last good one; `give_up` deals with the former and says
/// what became of it.
fn load_either(
    settings: &StoreSettings,
    now_s: f64,
    give_up: &mut dyn FnMut(&StoreError) -> String,
) -> Loaded {
    let mut warnings = Vec::new();
    let of = |read: json::Read, warnings| Loaded {
        book: read.book,
        faults: read.faults,
        saved_at_s: read.saved_at_s,
        edits: Vec::new(),
        warnings,
    };
    match read(settings, &settings.path, now_s) {
        Ok(Some(read)) => return of(read, warnings),
        Ok(None) => {}
        Err(error) => warnings.push(give_up(&error)),
    }
    let backup = file::beside(&settings.path, ".bak");
    match read(settings, &backup, now_s) {
        Ok(Some(read)) => {
            let (count, place) = (read.book.len(), backup.display());
            warnings.push(format!("took {count} peers from the last good database {place}"));
            return of(read, warnings);
        }
        Ok(None) => {}
        Err(error) => warnings.push(error.to_string()),
    }
    Loaded { warnings, ..Loaded::default() }
}

fn take_edits(settings: &StoreSettings, loaded: &mut Loaded, now_s: f64) {
    let edits = edit::waiting(settings, now_s);
    for edit in edits.list {
        edit.apply(&mut loaded.book);
    }
    loaded.edits = edits.files;
    loaded.warnings.extend(edits.warnings);
}

/// `None`: there is no such file.
fn read(
    settings: &StoreSettings,
    path: &Path,
    now_s: f64,
) -> Result<Option<json::Read>, StoreError> {
    let text = match file::read_bounded(path, PEER_FILE_BYTES_MAX) {
        Ok(Some(text)) => text,
        Ok(None) => return Err(StoreError::TooLarge { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::Read { path: path.into(), source }),
    };
    let read = json::read(&text, settings, Whose::Ours, now_s);
    read.map(Some).map_err(|problem| StoreError::of(problem, path, settings))
}

#[cfg(test)]
mod tests;
