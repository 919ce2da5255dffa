//! A folder of our own below the system's temporary one, gone when dropped. One whose process was
//! killed is removed by the next one that is made: its lock is free.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// How the names of all of them begin.
const PREFIX: &str = "broadside-";

/// The folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as the folder is in use (`flock(2)`); the kernel lets go of it.
    _lock: Option<File>,
}

impl Folder {
    /// Makes one that nobody else can enter.
    ///
    /// # Errors
    /// The system's temporary folder can't be written: set TMPDIR.
    pub fn make() -> io::Result<Self> {
        let chance = getrandom::u64().unwrap_or_else(|_| crate::sys::clock::now_ns());
        remove_forgotten();
        let name = format!("{PREFIX}{}-{chance:x}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            let path = path.display();
            io::Error::new(error.kind(), format!("{path}: can't be made: {error}; set TMPDIR"))
        })?;
        // Where the system has no such locks, nobody removes what is locked either.
        let lock = lock(&path);
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(folder)
}

/// Removes the folders of benches that were killed.
fn remove_forgotten() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let named = path.file_name().and_then(|name| name.to_str());
        let process = named.and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        // A folder that was made a moment ago may not be locked yet: its process is there.
        let is_over = |id: &str| id.parse::<u32>().is_ok() && !Path::new("/proc").join(id).exists();
        if process.is_some_and(|(id, _)| is_over(id)) && lock(&path).is_some() {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is the system's to clean, as all of its temporary folder.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a killed process has left goes with the next one; what is in use stays.
    #[test]
    fn what_was_left_is_removed() {
        let held = Folder::make().unwrap();
        // One more than any process can have (PID_MAX_LIMIT).
        let left = std::env::temp_dir()
            .join(format!("{PREFIX}4194305-{:x}", held.path().as_os_str().len()));
        std::fs::create_dir_all(left.join("inside")).unwrap();
        let other = Folder::make().unwrap();
        assert!(!left.exists() && held.path().exists());
        let path = other.path().to_owned();
        drop(other);
        assert!(!path.exists());
    }
}
