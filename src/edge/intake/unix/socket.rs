//! Making the socket so that nobody gets in before it is locked, and who may come in after.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

use super::{UnixError, turn_away};
use crate::edge::intake::shared::Sessions;
use crate::hot::shard::Idle;
use crate::limits::ACCEPT_PAUSE_MS;

const ACCEPT_PAUSE: Duration = Duration::from_millis(ACCEPT_PAUSE_MS);

/// A bound socket. Its file goes when this is dropped.
#[derive(Debug)]
pub struct UnixIntake {
    listener: UnixListener,
    path: PathBuf,
    /// Our own user, and which file is ours.
    uid: u32,
    inode: u64,
    /// What goes through shared memory.
    pub(in crate::edge::intake) sessions: Sessions,
}

impl UnixIntake {
    /// Makes the socket at `path`, mode 0600: bound in a folder that only we can enter, then moved
    /// to its place. One that is left over from a process that is gone is replaced.
    ///
    /// # Errors
    /// [`UnixError::InUse`], [`UnixError::NotASocket`], [`UnixError::Bind`].
    pub async fn bind(path: &Path) -> Result<Self, UnixError> {
        let failed = |source| UnixError::Bind { path: path.to_owned(), source };
        match std::fs::symlink_metadata(path) {
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(UnixError::NotASocket { path: path.to_owned() });
            }
            Ok(_) => match UnixStream::connect(path).await {
                Ok(_) => {
                    return Err(UnixError::InUse { path: path.to_owned() });
                }
                Err(source) if source.kind() == ErrorKind::ConnectionRefused => {}
                Err(source) => return Err(failed(source)),
            },
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let private = folder.join(format!(".b{}", std::process::id()));
        let made = make(&private, path);
        // Also when something failed half way: nothing of it is of use.
        let _empty = std::fs::remove_file(private.join("s"));
        let _gone = std::fs::remove_dir(&private);
        made.map_err(failed)
    }

    /// How blocks in shared memory are watched while they are written: with [`Idle::Spin`] without
    /// a pause.
    #[must_use]
    pub fn watching(mut self, idle: Idle) -> Self {
        self.sessions = Sessions::new(idle);
        self
    }

    /// The next connection of somebody who may come in; `None` for one who may not.
    pub(super) async fn accept(&self) -> Option<UnixStream> {
        let stream = match self.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "the Unix socket could not accept a connection; check the open files limit");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return None;
            }
        };
        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
        if may_enter(uid, self.uid) {
            return Some(stream);
        }
        turn_away(uid);
        None
    }
}

/// Root and our own user.
pub(super) fn may_enter(uid: Option<u32>, own: u32) -> bool {
    uid.is_some_and(|uid| uid == own || uid == 0)
}

fn make(private: &Path, path: &Path) -> Result<UnixIntake, Error> {
    std::fs::DirBuilder::new().mode(0o700).create(private)?;
    let beside = private.join("s");
    let listener = UnixListener::bind(&beside)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
    let made = std::fs::metadata(&beside)?;
    std::fs::rename(&beside, path)?;
    let (path, sessions) = (path.to_owned(), Sessions::new(Idle::Sleep));
    Ok(UnixIntake { listener, path, uid: made.uid(), inode: made.ino(), sessions })
}

impl Drop for UnixIntake {
    fn drop(&mut self) {
        // Not if another engine has put its own there in the meantime.
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|now| now.ino() == self.inode);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            warn!(path = %self.path.display(), %error, "could not remove the Unix socket");
        }
    }
}
