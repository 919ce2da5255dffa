//! Files that are whole after a crash at any moment.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use crate::limits::PUT_ASIDE_NAMES_MAX;

/// `path` with `suffix` behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The whole file; `None` when it is longer than `bytes_max`.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    // A folder, a pipe or a device opens as well, and may never end.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut text = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= bytes_max).then_some(text))
}

/// Replaces `path` by what `write` gives: written beside, fsynced, renamed, folder fsynced. At no
/// moment is there no file. With `has_backup` the file before it stays as `.bak`.
pub(super) fn replace(
    path: &Path,
    has_backup: bool,
    write: &dyn Fn(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(folder) = folder_of(path) {
        fs::create_dir_all(folder)?;
    }
    let new = beside(path, ".new");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    if has_backup {
        give_to_owner_of_folder(&new);
        keep_backup(path)?;
    }
    fs::rename(&new, path)?;
    match folder_of(path) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Gives the file at `path` a second name, `.bak`, in the place of the backup before.
fn keep_backup(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let (backup, fresh) = (beside(path, ".bak"), beside(path, ".bak.new"));
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Some file systems have no second names: then it is a copy, synced before it counts.
    if fs::hard_link(path, &fresh).is_err() {
        fs::copy(path, &fresh)?;
        File::open(&fresh)?.sync_all()?;
    }
    fs::rename(&fresh, &backup)
}

/// Renames `path` to `path.damaged-<epoch s>`, or that with a number behind, never onto a file.
pub(super) fn put_aside(path: &Path, now_s: f64) -> io::Result<PathBuf> {
    for number in 0..PUT_ASIDE_NAMES_MAX {
        let suffix = match number {
            0 => format!(".damaged-{now_s:.0}"),
            _ => format!(".damaged-{now_s:.0}-{number}"),
        };
        let aside = beside(path, &suffix);
        if !aside.exists() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many damaged files beside it"))
}

/// What root makes in a folder of the engine's user is to be that user's: a command run by root
/// must not leave what the engine can't replace. Where that is not allowed it changes nothing.
pub(super) fn give_to_owner_of_folder(path: &Path) {
    let Some(Ok(folder)) = path.parent().map(fs::metadata) else { return };
    let is_theirs = fs::metadata(path).is_ok_and(|it| it.uid() == folder.uid());
    if !is_theirs {
        let _ = chown(path, Some(folder.uid()), Some(folder.gid()));
    }
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}
