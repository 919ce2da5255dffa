//! How a command changes a database that a running engine has in memory, and may save at any time.
//!
//! Beside each database is a folder, `<database>.edits`. Whoever has the lock in it owns the
//! database: a running engine for as long as it runs, a command while it changes the file. A
//! command that does not get the lock leaves its edit in the folder, as a file of its own; the
//! owner takes it in, saves, and only then removes it. Taking an edit in twice changes nothing, so
//! none is lost, whoever ends when.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::json::Whose;
use super::{Ban, Merged, PeerBook, StoreError, StoreSettings, file, json};
use crate::limits::{CLAIM_PAUSE_MS, EDITS_AT_ONCE, PEER_FILE_BYTES_MAX};

const CLAIM_PAUSE: Duration = Duration::from_millis(CLAIM_PAUSE_MS);

/// What a command wants changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// Entries and bans to take in.
    pub book: PeerBook,
    /// Bans to lift.
    pub unbanned: Vec<Ban>,
}

/// What an edit has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// Entries.
    pub merged: Merged,
    /// Bans that were not there before.
    pub banned: usize,
    /// Bans that are no more.
    pub lifted: usize,
}

impl Edit {
    /// Changes `book`. Banned first, then lifted: nobody asks for both at once.
    pub fn apply(self, book: &mut PeerBook) -> Edited {
        let before = book.bans().count();
        let merged = book.merge(self.book);
        let banned = book.bans().count() - before;
        let lifted = self.unbanned.into_iter().map(|ban| book.unban(ban)).sum();
        Edited { merged, banned, lifted }
    }
}

/// The edits that wait, the oldest first.
#[derive(Debug, Default)]
pub struct Edits {
    /// What they want.
    pub list: Vec<Edit>,
    /// Their files: to be removed once a save has gone well.
    pub files: Vec<PathBuf>,
    /// What the operator should hear, one line each.
    pub warnings: Vec<String>,
}

/// Who owns a database.
#[derive(Debug)]
pub(super) enum Claim {
    /// We do, for as long as the file is held.
    Ours(#[expect(dead_code, reason = "held, not read")] File),
    /// Somebody else does.
    Anothers,
}

/// The folder of edits beside the database at `path`.
pub(super) fn folder(path: &Path) -> PathBuf {
    file::beside(path, ".edits")
}

/// Tries to own the database at `path`, for at most `patience`. Blocks.
pub(super) fn claim(path: &Path, patience: Duration) -> io::Result<Claim> {
    let folder = folder(path);
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        file::give_to_owner_of_folder(&folder);
    }
    let end = Instant::now() + patience;
    let lock = open_lock(&folder.join("lock"))?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Claim::Ours(lock)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => return Ok(Claim::Anothers),
            Err(TryLockError::WouldBlock) => std::thread::sleep(CLAIM_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Whether somebody else owns the database at `path` right now. Changes nothing.
pub(super) fn is_owned(path: &Path) -> bool {
    let lock = File::open(folder(path).join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// A lock file made by root must not lock out the engine's own user: reading is enough.
fn open_lock(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = OpenOptions::new().read(true).append(true).create(true).open(path);
            file::give_to_owner_of_folder(path);
            made
        }
        opened => opened,
    }
}

/// Leaves `edit` for the owner of the database; gives the file, which is gone once it has been
/// taken in and saved.
pub(super) fn leave(settings: &StoreSettings, edit: &Edit, now_s: f64) -> io::Result<PathBuf> {
    // Names sort by time; the process tells apart what comes at the same moment.
    let name = format!("{:020.6}-{}.edit", now_s, std::process::id());
    let path = folder(&settings.path).join(name);
    let write =
        |out: &mut dyn io::Write| json::write(out, settings, &edit.book, &edit.unbanned, now_s);
    file::replace(&path, false, &write)?;
    file::give_to_owner_of_folder(&path);
    Ok(path)
}

/// Reads the edits that wait. What can't be read is put aside and named.
pub(super) fn waiting(settings: &StoreSettings, now_s: f64) -> Edits {
    let mut edits = Edits::default();
    let Ok(found) = fs::read_dir(folder(&settings.path)) else { return edits };
    let paths = found.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "edit")).collect();
    paths.sort();
    paths.truncate(EDITS_AT_ONCE);
    for path in paths {
        match read(settings, &path, now_s) {
            Ok(edit) => {
                edits.list.push(edit);
                edits.files.push(path);
            }
            Err(error) => {
                let aside = match file::put_aside(&path, now_s) {
                    Ok(aside) => format!("put aside as {}", aside.display()),
                    Err(error) => format!("it can't be renamed ({error}); remove it"),
                };
                edits.warnings.push(format!("an edit is left out: {error}; {aside}"));
            }
        }
    }
    edits
}

fn read(settings: &StoreSettings, path: &Path, now_s: f64) -> Result<Edit, StoreError> {
    let text = file::read_bounded(path, PEER_FILE_BYTES_MAX)
        .map_err(|source| StoreError::Read { path: path.into(), source })?
        .ok_or_else(|| StoreError::TooLarge { path: path.into() })?;
    let read = json::read(&text, settings, Whose::Ours, now_s)
        .map_err(|problem| StoreError::of(problem, path, settings))?;
    Ok(Edit { book: read.book, unbanned: read.unbanned })
}

/// Removes the files of edits that have been saved.
pub(super) fn done(files: &[PathBuf]) -> io::Result<()> {
    for file in files {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
