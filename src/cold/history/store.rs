//! The file, opened to write: by one thread alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::fault::Fault;
use super::sums::{self, ChainName, Saved};
use super::write::{self, Written};
use super::{bound, schema};
use crate::cold::stats::{Changes, Fate, KeptTotals};
use crate::limits::{BLOCKS_REMEMBERED_MAX, HISTORY_LOCK_MS, HISTORY_LOG_PAGES};
use crate::wire::hash::BlockHash;

/// The file, opened to write.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    file: PathBuf,
    /// This process's number in it.
    pub(super) run: i64,
    /// Blocks that are in it.
    pub(super) blocks: u64,
    /// Digests of the rows of this process's newest blocks.
    known: BTreeMap<u64, u64>,
    saved: Saved,
}

/// What is written in one transaction.
pub(super) struct Batch<'a> {
    pub(super) changes: &'a Changes,
    pub(super) chains: &'a [ChainName],
    /// By chain.
    pub(super) totals: &'a [KeptTotals],
    /// See [`bound::log_bytes_max`].
    pub(super) log_bytes_max: u64,
}

impl Store {
    /// Opens or makes the file. `run`: this process's number where it has one already, else 0.
    pub(super) fn open(file: &Path, run: i64, started_us: i64) -> Result<Self, Fault> {
        let opened = Self::open_as(file, run, started_us);
        opened.map_err(|fault| fault.with_disk(file))
    }

    fn open_as(file: &Path, run: i64, started_us: i64) -> Result<Self, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(Duration::from_millis(HISTORY_LOCK_MS))?;
        if connection.is_readonly("main")? {
            return Err(Fault::Refused("it can only be read".to_owned()));
        }
        if schema::version(&connection)? == 0 {
            // Has to be said before the first table is made.
            connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        }
        // Readers never wait for the writer then. What is lost by a power cut is the last seconds; by
        // an end of the process, nothing.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000; \
             PRAGMA wal_autocheckpoint = {HISTORY_LOG_PAGES}; \
             PRAGMA journal_size_limit = {}",
            bound::log_bytes()
        ))?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection)?;
        let run = claim_run(&mut connection, run, started_us)?;
        let count = "SELECT count(*) FROM blocks";
        let blocks: i64 = connection.query_row(count, [], |row| row.get(0))?;
        Ok(Self {
            connection,
            file: file.to_owned(),
            run,
            blocks: blocks.max(0) as u64,
            known: BTreeMap::new(),
            saved: Saved::new(),
        })
    }

    /// The kept sums of a chain, and the fates of its newest blocks.
    pub(super) fn kept(
        &self,
        chain: &ChainName,
    ) -> Result<(KeptTotals, Vec<(BlockHash, Fate)>), Fault> {
        Ok((sums::read(&self.connection, chain)?, sums::fates(&self.connection, chain)?))
    }

    /// Writes a batch, whole or not at all. How many of its blocks had lost their rows before.
    pub(super) fn write(&mut self, batch: &Batch<'_>) -> Result<u64, Fault> {
        self.write_all(batch).map_err(|fault| fault.with_disk(&self.file))
    }

    fn write_all(&mut self, batch: &Batch<'_>) -> Result<u64, Fault> {
        if self.log_bytes() > batch.log_bytes_max && !self.write_back()? {
            return Err(Fault::Held);
        }
        let file = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written: Vec<Written> = Vec::new();
        for story in &batch.changes.stories {
            let known = self.known.get(&story.image).copied();
            written.push(write::block(&file, self.run, story, known)?);
        }
        for news in &batch.changes.fates {
            if let Some(name) = batch.chains.get(usize::from(news.chain_index)) {
                write::fate(&file, &name.chain, &name.network, &news.hash, news.fate)?;
            }
        }
        let mut fresh = Saved::new();
        for (chain, kept) in batch.chains.iter().enumerate().zip(batch.totals) {
            sums::write(&file, chain, kept, &self.saved, &mut fresh)?;
        }
        file.commit()?;
        self.saved.extend(fresh);
        for block in &written {
            self.known.insert(block.image, block.digest);
            self.blocks += u64::from(block.is_new);
        }
        while self.known.len() > BLOCKS_REMEMBERED_MAX as usize {
            self.known.pop_first();
        }
        Ok(written.iter().filter(|block| block.is_faded).count() as u64)
    }

    /// Writes the log back into the file; whether all of it could be.
    fn write_back(&self) -> Result<bool, Fault> {
        let all = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.connection.query_row(all, [], |row| row.get::<_, i64>(0))? == 0)
    }

    fn log_bytes(&self) -> u64 {
        let mut log = self.file.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |log| log.len())
    }

    /// Bytes on disk, the log included.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len()) + self.log_bytes()
    }

    /// Deletes some of the oldest blocks where there are more bytes than `keep_bytes`, and gives the
    /// room back. Whether there is more to do.
    pub(super) fn shrink(&mut self, keep_bytes: u64) -> Result<bool, Fault> {
        let (deleted, more) = bound::by_size(&self.connection, keep_bytes)?;
        self.blocks = self.blocks.saturating_sub(deleted);
        Ok(more)
    }

    /// Deletes some of the blocks that came before `oldest_us`. Whether there is more to do.
    pub(super) fn forget(&mut self, oldest_us: i64) -> Result<bool, Fault> {
        let deleted = bound::by_age(&self.connection, oldest_us, self.run)?;
        self.blocks = self.blocks.saturating_sub(deleted);
        Ok(deleted > 0)
    }
}

/// The process's number in the file: `run` where it has one, else one above all that are there.
fn claim_run(connection: &mut Connection, run: i64, started_us: i64) -> Result<i64, Fault> {
    let claim = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let next = "SELECT coalesce(max(id), 0) + 1 FROM runs";
    let next: i64 = claim.query_row(next, [], |row| row.get(0))?;
    let run = if run == 0 { next } else { run };
    let put = "INSERT OR IGNORE INTO runs VALUES (?1, ?2, ?3)";
    claim.execute(put, params![run, started_us, env!("CARGO_PKG_VERSION")])?;
    claim.commit()?;
    Ok(run)
}
