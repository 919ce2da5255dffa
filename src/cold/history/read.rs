//! Blocks out of the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ToSql, params};

use super::columns::{self, Read};
use super::fault::Fault;
use super::{schema, stolen};
use crate::cold::stats::BlockStory;
use crate::limits::VERDICTS_PER_BLOCK_MAX;
use crate::limits::{HASH_MATCHES_MAX, HISTORY_READ_LOCK_MS, PEER_ROWS_MAX, SCOUT_ROWS_MAX};
use crate::wire::hash::BlockHash;

/// Where a block stands among all: its process, and its number there. Both rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The process; 0 while that has no number.
    pub run: i64,
    /// The block's number in it.
    pub image: u64,
}

impl Place {
    /// Reads `RUN-IMAGE`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (run, image) = text.split_once('-')?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        Some(Self { run: run.parse().ok()?, image: image.parse().ok()? }).filter(|_| is_plain)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}-{}", self.run, self.image)
    }
}

/// What a block's hash, or a part of it, leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// That one.
    One(T),
    /// There is none.
    None,
    /// Several begin or end so: at most [`HASH_MATCHES_MAX`] of them.
    Several(Vec<BlockHash>),
}

/// The file, opened to read. Never waits for the writer, nor makes it wait.
#[derive(Debug)]
pub struct HistoryFile {
    connection: Connection,
}

impl HistoryFile {
    /// Opens the file of a running or a stopped engine.
    ///
    /// # Errors
    /// It is not there, is damaged, or is of another version.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        let opened = Self::open_with(file, "");
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        match opened {
            // Nobody may write beside it, and nobody does: then it is whole without its log.
            Err(Fault::Refused(_) | Fault::Other(_)) if !Path::new(&log).exists() => {
                Self::open_with(file, "?immutable=1")
            }
            opened => opened,
        }
    }

    fn open_with(file: &Path, options: &str) -> Result<Self, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri(file)? + options, flags)?;
        connection.busy_timeout(Duration::from_millis(HISTORY_READ_LOCK_MS))?;
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON")?;
        match schema::version(&connection)? {
            schema::VERSION => Ok(Self { connection }),
            older => Err(Fault::Other(format!(
                "the file is of schema {older}: an engine that starts on it brings it up to {}",
                schema::VERSION
            ))),
        }
    }

    /// Looks the whole file through.
    ///
    /// # Errors
    /// It is damaged.
    pub fn check(&self) -> Result<(), Fault> {
        let check = "PRAGMA quick_check(1)";
        let found: String = self.connection.query_row(check, [], |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(Fault::Damaged(found)) }
    }

    /// At most `limit` blocks below `before`, newest first, without their peers and scouts.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn page(
        &self,
        chain: Option<&str>,
        before: Place,
        limit: usize,
    ) -> Result<Vec<(Place, BlockStory)>, Fault> {
        let names = columns::names().join(", ");
        let of_chain = if chain.is_some() { "chain = ?4 AND" } else { "" };
        let find = format!(
            "SELECT id, {names} FROM blocks WHERE {of_chain} (run, image) < (?1, ?2) \
             ORDER BY run DESC, image DESC LIMIT ?3"
        );
        let image = before.image.min(i64::MAX as u64) as i64;
        let (limit, mut stories) = (limit as i64, Vec::new());
        let mut values: Vec<&dyn ToSql> = vec![&before.run, &image, &limit];
        values.extend(chain.as_ref().map(|chain| chain as &dyn ToSql));
        let mut find = self.connection.prepare_cached(&find)?;
        for read in find.query_map(&*values, columns::read)? {
            let Some(Read { id, run, mut story }) = read? else {
                continue;
            };
            self.add_verdicts(id, &mut story)?;
            stories.push((Place { run, image: story.image }, story));
        }
        Ok(stories)
    }

    /// The whole story of the newest block of this hash.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn find(&self, hash: &BlockHash) -> Result<Option<BlockStory>, Fault> {
        let find = "hash = ?1 ORDER BY run DESC, image DESC LIMIT 1";
        self.one(find, params![hash.to_string()])
    }

    /// The same of one block of one process.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn at(&self, place: Place) -> Result<Option<BlockStory>, Fault> {
        self.one("run = ?1 AND image = ?2", params![place.run, place.image as i64])
    }

    fn one(&self, which: &str, values: &[&dyn ToSql]) -> Result<Option<BlockStory>, Fault> {
        let find = format!("SELECT id, {} FROM blocks WHERE {which}", columns::names().join(", "));
        let mut find = self.connection.prepare_cached(&find)?;
        let Some(read) = find.query_map(values, columns::read)?.next().transpose()?.flatten()
        else {
            return Ok(None);
        };
        let Read { id, mut story, .. } = read;
        self.add_verdicts(id, &mut story)?;
        let find =
            format!("SELECT {} FROM peers WHERE block = ?1 ORDER BY place LIMIT ?2", columns::PEER);
        let mut find = self.connection.prepare_cached(&find)?;
        story.peers = find
            .query_map(params![id, PEER_ROWS_MAX], columns::read_peer)?
            .collect::<rusqlite::Result<_>>()?;
        let find =
            "SELECT address, after_us FROM witnesses WHERE block = ?1 ORDER BY place LIMIT ?2";
        let mut find = self.connection.prepare_cached(find)?;
        let scouts = find.query_map(params![id, SCOUT_ROWS_MAX as i64], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })?;
        for scout in scouts {
            let (address, after_us) = scout?;
            story.scouts.extend(address.parse().ok().map(|address| (address, after_us)));
        }
        story.stolen = stolen::read(&self.connection, id)?;
        Ok(Some(story))
    }

    fn add_verdicts(&self, id: i64, story: &mut BlockStory) -> Result<(), Fault> {
        let find = "SELECT node, own, word, after_us FROM verdicts WHERE block = ?1 \
                    ORDER BY place LIMIT ?2";
        let mut find = self.connection.prepare_cached(find)?;
        let limit = VERDICTS_PER_BLOCK_MAX as i64;
        story.verdicts = find
            .query_map(params![id, limit], columns::read_verdict)?
            .collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    /// The hashes that begin or end with these digits, at most one more than [`HASH_MATCHES_MAX`].
    ///
    /// # Errors
    /// The file can't be read.
    pub fn hashes_like(&self, digits: &str) -> Result<Vec<BlockHash>, Fault> {
        // Only digits reach the pattern, so there is nothing in it to escape.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        let digits = digits.to_ascii_lowercase();
        let find = "SELECT DISTINCT hash FROM blocks WHERE hash GLOB ?1 OR hash GLOB ?2 LIMIT ?3";
        let values =
            params![format!("{digits}*"), format!("*{digits}"), HASH_MATCHES_MAX as i64 + 1];
        let mut find = self.connection.prepare_cached(find)?;
        let hashes = find.query_map(values, |row| row.get::<_, String>(0))?;
        let hashes: Vec<String> = hashes.collect::<rusqlite::Result<_>>()?;
        Ok(hashes.iter().filter_map(|hash| BlockHash::from_hex(hash)).collect())
    }

    /// The block that these digits stand for.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn find_like(&self, digits: &str) -> Result<Found<BlockStory>, Fault> {
        match &*self.hashes_like(digits)? {
            [] => Ok(Found::None),
            [hash] => Ok(self.find(hash)?.map_or(Found::None, Found::One)),
            several => Ok(Found::Several(several.iter().copied().take(HASH_MATCHES_MAX).collect())),
        }
    }
}

/// The file's name as SQLite takes it with options behind: what has a meaning there is written in hex.
fn uri(file: &Path) -> Result<String, Fault> {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;
    let whole = std::path::absolute(file)?;
    let mut uri = "file://".to_owned();
    for byte in whole.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            // Writing to a String can't fail.
            byte => drop(write!(uri, "%{byte:02x}")),
        }
    }
    Ok(uri)
}
