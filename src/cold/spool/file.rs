//! One file of the spool: a line of JSON, then the raw block.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{SpoolEntry, SpoolError, SpoolState};
use crate::limits::{BLOCK_BYTES_MAX, SPOOL_HEAD_BYTES_MAX};
use crate::wire::chain::Chain;
use crate::wire::hash::{BlockHash, hex, sha256d};

/// Written into each file, so that a later format can tell.
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    broadside_spool: u32,
    chain: String,
    network: String,
    hash: String,
    received_unix_ms: u64,
    bytes: u64,
    /// SHA-256 twice over the raw block, in hex: a torn write is seen.
    checksum: String,
}

impl Head {
    pub(super) fn new(chain: &Chain, hash: &BlockHash, received_unix_ms: u64, raw: &[u8]) -> Self {
        Self {
            broadside_spool: VERSION,
            chain: chain.name.to_owned(),
            network: chain.network.name().to_owned(),
            hash: hash.to_string(),
            received_unix_ms,
            bytes: raw.len() as u64,
            checksum: checksum(raw),
        }
    }

    /// The file's name, without the state.
    pub(super) fn stem(&self) -> String {
        let content = self.checksum.get(..8).unwrap_or("");
        format!("{}-{}-{}-{content}", self.chain, self.network, self.hash)
    }
}

fn checksum(raw: &[u8]) -> String {
    hex(&sha256d(raw))
}

pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes `beside`, makes it durable, and gives it its name.
pub(super) fn write(beside: &Path, path: &Path, head: &Head, raw: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    let mut line = serde_json::to_vec(head)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.write_all(raw)?;
    file.sync_data()?;
    rename(beside, path)
}

/// Renames and makes the new name durable.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// What the file at `path` is: `None` where it is none of ours. Removes what a stop left half
/// written; puts aside what is damaged.
pub(super) fn scan(path: &Path) -> Result<Option<SpoolEntry>, SpoolError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let Some((stem, ending)) = name.rsplit_once('.') else {
        return Ok(None);
    };
    if ending == "tmp" {
        fs::remove_file(path)
            .map_err(|source| SpoolError::File { path: path.to_owned(), source })?;
        return Ok(None);
    }
    let Some(state) = SpoolState::ALL.into_iter().find(|state| state.word() == ending) else {
        return Ok(None);
    };
    let (head, _, length) = open(path)?;
    let Some(hash) = BlockHash::from_hex(&head.hash) else {
        return Err(put_aside(path, "its hash is no hash"));
    };
    if stem != head.stem() {
        return Err(put_aside(path, "its name is not that of its content"));
    }
    if length != head.bytes {
        return Err(put_aside(path, "it is cut short"));
    }
    Ok(Some(SpoolEntry {
        hash,
        received_unix_ms: head.received_unix_ms,
        state,
        key: format!("{}-{}", head.chain, head.network),
        stem: stem.to_owned(),
    }))
}

/// Reads the block in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Bytes, SpoolError> {
    let (head, file, length) = open(path)?;
    if length != head.bytes || length > u64::from(BLOCK_BYTES_MAX) {
        return Err(put_aside(path, "its length is not what it says"));
    }
    let mut raw = Vec::new();
    file.take(u64::from(BLOCK_BYTES_MAX))
        .read_to_end(&mut raw)
        .map_err(|source| SpoolError::File { path: path.to_owned(), source })?;
    if checksum(&raw) != head.checksum {
        return Err(put_aside(path, "its checksum does not match"));
    }
    Ok(Bytes::from(raw))
}

/// The first line, the file behind it, and how many bytes are left in it.
fn open(path: &Path) -> Result<(Head, BufReader<File>, u64), SpoolError> {
    let failed = |source| SpoolError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    (&mut file).take(SPOOL_HEAD_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
    let head: Head =
        serde_json::from_slice(&line).map_err(|_| put_aside(path, "its first line is broken"))?;
    if head.broadside_spool != VERSION {
        return Err(put_aside(path, "it is of another version"));
    }
    let left = size.saturating_sub(line.len() as u64);
    Ok((head, file, left))
}

/// Gives the file a name under which nobody looks at it again.
fn put_aside(path: &Path, why: &'static str) -> SpoolError {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    match fs::rename(path, name) {
        Ok(()) => SpoolError::Damaged { path: path.to_owned(), why },
        Err(source) => SpoolError::File { path: path.to_owned(), source },
    }
}
