//! What can go wrong with the file, told apart by what is to be done, in an operator's words.

use std::io;
use std::path::Path;

use rusqlite::{Error, ErrorCode};

use super::schema::VERSION;

/// Free space under which a failed write counts as a full disk, in bytes.
const FULL_BYTES: u64 = 256 * 1024;

/// Why the history can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another program has it locked.
    #[error("another program keeps the file locked; nothing is written until it lets go")]
    Locked,
    /// Another program reads it in one long transaction.
    #[error(
        "another program has had the file open in one transaction for long; nothing is written \
         until that ends"
    )]
    Held,
    /// No space is left.
    #[error("no space is left on its disk; free some, or set a lower history.keep_bytes")]
    Full,
    /// It is damaged.
    #[error("the file is damaged ({0})")]
    Damaged(String),
    /// It can't be written.
    #[error("the file can't be written ({0}); let broadside's user write it and its folder")]
    Refused(String),
    /// A newer program wrote it.
    #[error(
        "the file was written by a newer broadside (schema {0}, this one writes {VERSION}); it is left \
         alone: update broadside, or move the file away"
    )]
    Newer(i64),
    /// It is somebody else's.
    #[error("the file is another program's database; it is left alone: move it away")]
    Foreign,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// Whether waiting can mend it.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Newer(_) | Self::Foreign)
    }

    /// The same fault as `other`, whatever its words.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Tells a full disk from other trouble with it.
    pub(super) fn with_disk(self, file: &Path) -> Self {
        let folder = file.parent().unwrap_or(file);
        let free = rustix::fs::statvfs(folder).ok();
        let free_bytes = free.map(|it| it.f_bavail.saturating_mul(it.f_frsize));
        match self {
            Self::Other(_) if free_bytes.is_some_and(|free| free < FULL_BYTES) => Self::Full,
            other => other,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(what),
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied,
            ) => Self::Refused(what),
            _ => Self::Other(what),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::Full,
            _ => Self::Refused(error.to_string()),
        }
    }
}
