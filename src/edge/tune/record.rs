//! What was set, and what it was before: a JSON file that is whole at every moment.
//!
//! It is on the disk before the first value is changed, and again before each further one, with a mark on
//! the value that is being changed. So whatever stops us, and wherever, the next command knows what
//! may be ours.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::limits::TUNE_RECORD_BYTES_MAX;

/// Written into each record, so that a later format can tell.
const VERSION: u64 = 1;
/// Who may write a record besides its owner: nobody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// One value that was set, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The setting's name.
    pub unit: String,
    /// Where, in the words of its knob.
    pub place: String,
    /// What it was: goes back there.
    pub before: String,
    /// What was asked for.
    pub wanted: String,
    /// What it has been since, as read back: the kernel may round. None: it was not set yet.
    pub applied: Option<String>,
    /// It was being changed when this was written.
    pub under_way: bool,
    /// The boot in which it was set; no setting outlives its boot.
    pub boot: String,
    /// The network namespace that it belongs to, for what each of them has.
    pub network: Option<String>,
}

/// A record that can't be used. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It can't be read.
    #[error("{path}: can't be read: {source}; nothing was changed", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its contents make no sense.
    #[error(
        "{path}: is damaged ({why}); nothing was changed. Put back by hand what it names \
         (`before`), then remove it",
        path = path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        why: String,
    },
    /// A later version wrote it.
    #[error(
        "{path}: was written by a newer broadside (format {version}, this one knows {VERSION}); \
         nothing was changed. Use that one",
        path = path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        version: u64,
    },
    /// Somebody else could have written it.
    #[error(
        "{path}: {why}, so others may have written what it says; nothing was changed. If you trust \
         it: chown {owner} {path} && chmod 644 {path}",
        path = path.display()
    )]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        why: String,
        /// Whose it should be, as a user's number.
        owner: u32,
    },
    /// It can't be written.
    #[error(
        "{path}: can't be written: {source}; no further value was changed. Run as root, or name \
         another file with --record",
        path = path.display()
    )]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another command has it.
    #[error("{folder}: another `broadside tune` is at work there; wait for its end", folder = folder.display())]
    Busy {
        /// The folder of the record.
        folder: PathBuf,
    },
}

/// The file as it stands on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    broadside_tuning: u64,
    values: Vec<Entry>,
}

/// A record that is ours alone until it is dropped.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    /// In the order in which they were set, oldest first.
    pub entries: Vec<Entry>,
    /// Its lock (`flock(2)`) is ours; the kernel lets go of it, however we end.
    folder: File,
}

impl Record {
    /// What the record at `path` says, without taking it. Empty where there is none.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn peek(path: &Path) -> Result<Vec<Entry>, RecordError> {
        let unreadable = |source| RecordError::Unreadable { path: path.to_owned(), source };
        // A link could lead to a file that others write.
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let file = match open {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(unreadable)?,
        };
        let facts = file.metadata().map_err(unreadable)?;
        let damaged = |why: String| RecordError::Damaged { path: path.to_owned(), why };
        if !facts.is_file() {
            return Err(damaged("not a regular file".to_owned()));
        }
        check_owner(path, &facts)?;
        let mut text = Vec::new();
        file.take(TUNE_RECORD_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > TUNE_RECORD_BYTES_MAX {
            return Err(damaged(format!("over {TUNE_RECORD_BYTES_MAX} bytes")));
        }
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        match value.get("broadside_tuning").and_then(serde_json::Value::as_u64) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => {
                return Err(RecordError::Newer { path: path.to_owned(), version });
            }
            _ => return Err(damaged("it has no format that is known".to_owned())),
        }
        let whole: Whole =
            serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
        Ok(whole.values)
    }

    /// Takes the record at `path`, which need not be there yet; its folder is made.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let unwritable = |source| RecordError::Unwritable { path: path.to_owned(), source };
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(unwritable)?;
        let lock = File::open(folder).map_err(unwritable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(RecordError::Busy { folder: folder.to_owned() });
            }
            other => other.map_err(|error| unwritable(error.into()))?,
        }
        Ok(Self { path: path.to_owned(), entries: Self::peek(path)?, folder: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it on the disk: written beside, synced, renamed, the folder synced. Without entries there is no
    /// file.
    ///
    /// # Errors
    /// It can't be written: what was there before is still there, whole.
    pub fn save(&self) -> Result<(), RecordError> {
        let saved = if self.entries.is_empty() { self.remove() } else { self.replace() };
        saved.map_err(|source| RecordError::Unwritable { path: self.path.clone(), source })
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.and_then(|()| self.folder.sync_all()),
        }
    }

    fn replace(&self) -> io::Result<()> {
        let mut beside = OsString::from(&self.path);
        beside.push(".new");
        let beside = PathBuf::from(beside);
        // What a killed command left. Made anew, so that nobody's link is followed.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
        let whole = Whole { broadside_tuning: VERSION, values: self.entries.clone() };
        let mut text = serde_json::to_vec_pretty(&whole)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        self.folder.sync_all()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a record says is written into the kernel by root: only root, or who runs this, may have said it.
fn check_owner(path: &Path, facts: &fs::Metadata) -> Result<(), RecordError> {
    let own = rustix::process::geteuid().as_raw();
    let why = if facts.uid() != own && facts.uid() != 0 {
        format!("belongs to user {}", facts.uid())
    } else if facts.mode() & WRITABLE_BY_OTHERS != 0 {
        format!("may be written by others (mode {:o})", facts.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(RecordError::NotOurs { path: path.to_owned(), why, owner: own })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn entry(place: &str) -> Entry {
        Entry {
            unit: "tcp/x".to_owned(),
            place: place.to_owned(),
            before: "1".to_owned(),
            wanted: "0".to_owned(),
            applied: None,
            under_way: true,
            boot: "b".to_owned(),
            network: Some("net:[1]".to_owned()),
        }
    }

    #[test]
    fn it_comes_back_as_it_was_written_and_goes_when_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/tuning.json");
        let mut record = Record::open(&path).unwrap();
        assert!(record.entries.is_empty());
        // What a killed one left is in nobody's way, and a link there is not followed.
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, folder.path().join("deep/tuning.json.new")).unwrap();
        record.entries = vec![entry("/a"), entry("/b")];
        record.save().unwrap();
        assert_eq!(Record::peek(&path).unwrap(), record.entries);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        record.entries.clear();
        record.save().unwrap();
        record.save().unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn two_never_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tuning.json");
        let first = Record::open(&path).unwrap();
        assert!(matches!(Record::open(&path), Err(RecordError::Busy { .. })));
        drop(first);
        Record::open(&path).unwrap();
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tuning.json");
        for text in [
            "",
            "{",
            "[]",
            "{\"values\": []}",
            "{\"broadside_tuning\": \"1\", \"values\": []}",
            "{\"broadside_tuning\": 1}",
            "{\"broadside_tuning\": 1, \"values\": [{}]}",
            "{\"broadside_tuning\": 1, \"values\": [], \"more\": 1}",
        ] {
            fs::write(&path, text).unwrap();
            assert!(matches!(Record::peek(&path), Err(RecordError::Damaged { .. })), "{text}");
            assert!(Record::open(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "it is left as it is");
        }
        fs::write(&path, "{\"broadside_tuning\": 2, \"new\": 1}").unwrap();
        assert!(matches!(Record::peek(&path), Err(RecordError::Newer { version: 2, .. })));
    }

    #[test]
    fn nobody_elses_word_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tuning.json");
        let mut record = Record::open(&path).unwrap();
        record.entries.push(entry("/a"));
        record.save().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let error = Record::peek(&path).unwrap_err();
        assert!(error.to_string().contains("mode 666"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(Record::peek(&link), Err(RecordError::Unreadable { .. })));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            let error = Record::peek(&path).unwrap_err();
            assert!(error.to_string().contains("belongs to user 65534"), "{error}");
        }
    }
}
