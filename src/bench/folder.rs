//! A folder of our own below the system's temporary one, gone when dropped.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one that nobody else can enter.
    ///
    /// # Errors
    /// The system's temporary folder can't be written: set TMPDIR.
    pub fn make() -> io::Result<Self> {
        let chance = getrandom::u64().unwrap_or_else(|_| crate::sys::clock::now_ns());
        let name = format!("broadside-{}-{chance:x}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            let path = path.display();
            io::Error::new(error.kind(), format!("{path}: can't be made: {error}; set TMPDIR"))
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is the system's to clean, as all of its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
