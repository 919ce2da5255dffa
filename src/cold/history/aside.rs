//! Moves a damaged file out of the way, for a later look.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::calendar::date;
use super::fault::Fault;
use crate::limits::HISTORY_DAMAGED_KEPT_MAX;

const MARK: &str = ".damaged-";

fn with(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

/// Gives the file the name under which it is kept, and what belongs to it; only the newest few are kept.
pub(super) fn put(file: &Path, now_s: i64) -> Result<PathBuf, Fault> {
    let date = date(now_s.max(0) as u64).replace(' ', "T").replace(':', "-");
    let aside = with(file, &format!("{MARK}{date}"));
    for end in ["-wal", "-shm", ""] {
        match fs::rename(with(file, end), with(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let mut kept = asides(file)?;
    while kept.len() > HISTORY_DAMAGED_KEPT_MAX {
        let oldest = kept.remove(0);
        for end in ["-wal", "-shm", ""] {
            // What can't be removed is tried again the next time.
            let _ = fs::remove_file(with(&oldest, end));
        }
    }
    Ok(aside)
}

/// Files put aside, oldest first.
fn asides(file: &Path) -> Result<Vec<PathBuf>, Fault> {
    let start = with(file, MARK);
    let folder = file.parent().unwrap_or(Path::new("."));
    let is_ours = |name: &Path| {
        let (name, start) = (name.as_os_str().as_encoded_bytes(), start.as_os_str());
        let rest = name.strip_prefix(start.as_encoded_bytes());
        rest.is_some_and(|rest| !rest.ends_with(b"-wal") && !rest.ends_with(b"-shm"))
    };
    let entries = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut kept: Vec<_> = entries.filter(|name| is_ours(name)).collect();
    kept.sort();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_damaged_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.sqlite3");
        for now_s in [100_000, 200_000, 300_000] {
            fs::write(&file, "spoilt").unwrap();
            fs::write(with(&file, "-wal"), "log").unwrap();
            let aside = put(&file, now_s).unwrap();
            assert!(aside.exists() && with(&aside, "-wal").exists() && !file.exists());
        }
        let names: Vec<_> = asides(&file).unwrap();
        let names: Vec<_> = names.iter().filter_map(|name| name.file_name()?.to_str()).collect();
        assert_eq!(
            names,
            [
                "history.sqlite3.damaged-1970-01-03T07-33-20",
                "history.sqlite3.damaged-1970-01-04T11-20-00"
            ]
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
