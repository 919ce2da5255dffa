//! Keeps the file within its bounds: the oldest blocks go, a few at a time.

use rusqlite::{Connection, params};

use super::fault::Fault;
use crate::limits::{
    HISTORY_BYTES_MIN, HISTORY_DELETE_BLOCKS, HISTORY_LOG_BYTES_MAX, HISTORY_VACUUM_PAGES,
};

/// Room that is left for the log beside the file, in bytes.
pub(super) const fn log_bytes() -> u64 {
    HISTORY_BYTES_MIN / 4
}

/// Largest log that is written on.
pub(super) fn log_bytes_max(keep_bytes: u64) -> u64 {
    (keep_bytes / 4).clamp(log_bytes(), HISTORY_LOG_BYTES_MAX)
}

fn number(file: &Connection, pragma: &str) -> Result<u64, Fault> {
    Ok(file.query_row(pragma, [], |row| row.get::<_, i64>(0))?.max(0) as u64)
}

/// One step towards `keep_bytes` on disk, log included: how many blocks went, and whether there is more
/// to do.
pub(super) fn by_size(file: &Connection, keep_bytes: u64) -> Result<(u64, bool), Fault> {
    let page_bytes = number(file, "PRAGMA page_size")?.max(1);
    let wanted = keep_bytes.saturating_sub(log_bytes()) / page_bytes;
    let pages = number(file, "PRAGMA page_count")?;
    if pages <= wanted {
        return Ok((0, false));
    }
    let free = number(file, "PRAGMA freelist_count")?;
    let mut deleted = 0;
    // Free pages are used again before the file grows.
    if pages - free.min(pages) > wanted {
        let delete = "DELETE FROM blocks WHERE id IN \
                      (SELECT id FROM blocks ORDER BY run, image LIMIT ?1)";
        deleted = file.prepare_cached(delete)?.execute([HISTORY_DELETE_BLOCKS])? as u64;
    }
    let free = number(file, "PRAGMA freelist_count")?.min(HISTORY_VACUUM_PAGES.into());
    if free > 0 {
        let mut vacuum = file.prepare(&format!("PRAGMA incremental_vacuum({free})"))?;
        // It gives a page back for each step.
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok((deleted, deleted + free > 0))
}

/// Deletes some blocks that came before `oldest_us`, and the processes of which none is left but `run`.
pub(super) fn by_age(file: &Connection, oldest_us: i64, run: i64) -> Result<u64, Fault> {
    let delete = "DELETE FROM blocks WHERE id IN \
                  (SELECT id FROM blocks WHERE received_us < ?1 ORDER BY received_us LIMIT ?2)";
    let values = params![oldest_us, HISTORY_DELETE_BLOCKS];
    let deleted = file.prepare_cached(delete)?.execute(values)?;
    if deleted == 0 {
        let delete = "DELETE FROM runs WHERE id <> ?1 AND NOT EXISTS (SELECT 1 FROM blocks WHERE run = runs.id)";
        file.prepare_cached(delete)?.execute([run])?;
    }
    Ok(deleted as u64)
}
