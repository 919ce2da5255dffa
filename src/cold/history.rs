//! What became of every block, on disk: SQLite in the data folder, bounded by age and size.
//!
//! One thread of its own writes; it takes what has changed from the block log, at most once a second.
//! Pages read by connections of their own and never wait for it. Whatever happens to the file, blocks
//! go out as ever: what can't be written is tried again for as long as the log remembers it, then it is
//! counted as lost. docs/history.md says what is in the file and what happens in faults.

mod aside;
mod bell;
mod bound;
pub mod calendar;
mod columns;
mod fault;
mod fill;
mod read;
mod reader;
mod schema;
mod stolen;
mod store;
mod sums;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

pub use fault::Fault;
pub use fill::fill;
pub use read::{Found, HistoryFile, Place};
pub use reader::Reader;
pub use sums::ChainName;

use reader::Shared;
use writer::{Writer, now_us};

use super::stats::BlockLog;
use crate::limits::{HISTORY_PAUSE_MS, HISTORY_START_MS, HISTORY_STOP_MS};

const START: Duration = Duration::from_millis(HISTORY_START_MS);
/// Least pause between two calls to the thread.
const RING_PAUSE: Duration = Duration::from_millis(HISTORY_PAUSE_MS / 4);
const STOP: Duration = Duration::from_millis(HISTORY_STOP_MS);

/// The history's file in the data folder.
#[must_use]
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("history.sqlite3")
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Blocks older than this go, in days.
    pub keep_days: u32,
    /// Above this the oldest go, in bytes on disk.
    pub keep_bytes: u64,
}

/// What is kept, and where.
#[derive(Clone, Debug)]
pub struct HistorySettings {
    /// The file.
    pub file: PathBuf,
    /// How much is kept.
    pub bounds: HistoryBounds,
    /// The chains, in the order of the configuration.
    pub chains: Vec<ChainName>,
}

/// How the history is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryView {
    /// Whether there is one; false also where the file is not ours to write.
    pub enabled: bool,
    /// Blocks in it.
    pub blocks: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Blocks of which something could not be kept, since the start.
    pub lost: u64,
    /// What is wrong now.
    pub trouble: Option<String>,
}

impl HistoryView {
    /// `{enabled, blocks, bytes, lost, trouble}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"enabled": self.enabled, "blocks": self.blocks, "bytes": self.bytes,
               "lost": self.lost, "trouble": self.trouble})
    }
}

/// The running history. Dropped, it writes what is left and ends, and nobody waits for that.
#[derive(Debug)]
pub struct History {
    /// How it is doing.
    pub view: watch::Receiver<HistoryView>,
    /// Reads it.
    pub reader: Reader,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl History {
    /// Starts the thread, inside a tokio runtime, and gives it a moment to hand the kept sums to `log`.
    /// `None`: the system gives no thread; that is said.
    pub async fn start(settings: HistorySettings, log: Arc<BlockLog>) -> Option<Self> {
        let shared = Arc::new(Shared {
            file: settings.file.clone(),
            run: AtomicI64::new(0),
            generation: AtomicU64::new(0),
            bell: bell::Bell::default(),
        });
        let reader = Reader::new(Arc::clone(&shared));
        let (view, shown) = watch::channel(HistoryView { enabled: true, ..HistoryView::default() });
        let mut revision = log.revision();
        let writer = Writer {
            settings,
            shared: Arc::clone(&shared),
            reader: reader.clone(),
            log,
            view,
            store: None,
            is_restored: false,
            trouble: None,
            lost: 0,
            is_burst: false,
            aged: None,
            checked: None,
            started_us: now_us(),
        };
        let (ready, is_ready) = oneshot::channel();
        // A thread has the cores of the one that makes it: this one makes it off the shards'.
        let spawned = tokio::task::spawn_blocking(move || {
            std::thread::Builder::new().name("history".to_owned()).spawn(|| writer.run(ready))
        });
        let thread = match spawned.await {
            Ok(Ok(thread)) => thread,
            _ => {
                tracing::error!("no history is kept: the system gives no thread for it");
                return None;
            }
        };
        let ring = Arc::clone(&shared);
        tokio::spawn(async move {
            while revision.changed().await.is_ok() {
                ring.bell.changed();
                // It writes no more often in any case.
                tokio::time::sleep(RING_PAUSE).await;
            }
        });
        // Late sums are added when they come.
        let _ = tokio::time::timeout(START, is_ready).await;
        Some(Self { view: shown, reader, shared, thread: Some(thread) })
    }

    /// Writes what is left and closes the file.
    pub async fn stop(mut self) {
        self.shared.bell.stop();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let ended = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(STOP, ended).await.is_err() {
            tracing::warn!("the history is still being written; the stop does not wait for it");
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.shared.bell.stop();
    }
}

#[cfg(test)]
mod tests;
