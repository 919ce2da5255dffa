//! Reads of the history by the pages: a few connections of their own, never on a tokio worker.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::bell::Bell;
use super::fault::Fault;
use super::read::{HistoryFile, Place};
use crate::cold::stats::BlockStory;
use crate::limits::HISTORY_READS_MAX;
use crate::wire::hash::BlockHash;

/// What the writer and those who read have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) file: PathBuf,
    /// This process's number in the file; 0 while it has none.
    pub(super) run: AtomicI64,
    /// Rises with each file that takes the place of another.
    pub(super) generation: AtomicU64,
    pub(super) bell: Bell,
}

/// Reads the history while it is written.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<(u64, HistoryFile)>>>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let places = Arc::new(Semaphore::new(HISTORY_READS_MAX));
        Self { shared, places, idle: Arc::default() }
    }

    /// Where a block of this process stands.
    #[must_use]
    pub fn place(&self, image: u64) -> Place {
        Place { run: self.shared.run.load(Ordering::Acquire), image }
    }

    /// See [`HistoryFile::page`].
    ///
    /// # Errors
    /// The file can't be read.
    pub async fn page(
        &self,
        chain: Option<String>,
        before: Place,
        limit: usize,
    ) -> Result<Vec<(Place, BlockStory)>, Fault> {
        self.read(move |file| file.page(chain.as_deref(), before, limit)).await
    }

    /// See [`HistoryFile::find`].
    ///
    /// # Errors
    /// The file can't be read.
    pub async fn find(&self, hash: BlockHash) -> Result<Option<BlockStory>, Fault> {
        self.read(move |file| file.find(&hash)).await
    }

    /// See [`HistoryFile::at`].
    ///
    /// # Errors
    /// The file can't be read.
    pub async fn at(&self, place: Place) -> Result<Option<BlockStory>, Fault> {
        self.read(move |file| file.at(place)).await
    }

    /// See [`HistoryFile::hashes_like`].
    ///
    /// # Errors
    /// The file can't be read.
    pub async fn hashes_like(&self, digits: String) -> Result<Vec<BlockHash>, Fault> {
        self.read(move |file| file.hashes_like(&digits)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&HistoryFile) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let gone = || Fault::Other("the history is closed".to_owned());
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| gone())?;
        let reader = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _place = place;
            let read = reader.read_now(what);
            if let Err(Fault::Damaged(_)) = &read {
                // The writer is to look for itself.
                reader.shared.bell.suspect();
            }
            read
        });
        read.await.map_err(|_| gone())?
    }

    fn read_now<T>(&self, what: impl FnOnce(&HistoryFile) -> Result<T, Fault>) -> Result<T, Fault> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let idle = self.idle().pop().filter(|(opened, _)| *opened == generation);
        let file = match idle {
            Some((_, file)) => file,
            None => HistoryFile::open(&self.shared.file)?,
        };
        let read = what(&file)?;
        self.idle().push((generation, file));
        Ok(read)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(u64, HistoryFile)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connections that are not in use.
    pub(super) fn close(&self) {
        self.idle().clear();
    }
}
