//! A history that never was, for benches.

use std::path::Path;

use super::fault::Fault;
use super::store::{Batch, Store};
use super::writer::now_us;
use crate::cold::stats::{BlockStory, Changes};
use crate::limits::HISTORY_LOG_BYTES_MAX;

/// Writes `stories` into the history at `file`, made where there is none, as if an earlier process had
/// sent these blocks. No engine may be running on it.
///
/// # Errors
/// See [`Fault`].
pub fn fill(file: &Path, stories: Vec<BlockStory>) -> Result<(), Fault> {
    let mut store = Store::open(file, 0, now_us())?;
    let changes = Changes { stories, ..Changes::default() };
    let (chains, totals, log_bytes_max) = (&[], &[], HISTORY_LOG_BYTES_MAX);
    store.write(&Batch { changes: &changes, chains, totals, log_bytes_max })?;
    Ok(())
}
