//! `[history]`.

use super::parse::bytes;
use super::read::Section;
use crate::limits::{
    HISTORY_BYTES, HISTORY_BYTES_MAX, HISTORY_BYTES_MIN, HISTORY_DAYS, HISTORY_DAYS_MAX,
};

/// `[history]`: what became of each block, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Older blocks go, in days.
    pub keep_days: u32,
    /// Above this the oldest go, in bytes.
    pub keep_bytes: u64,
}

/// `None` where it is off.
pub(super) fn history(section: &Section<'_, '_>) -> Option<History> {
    let is_on = section.flag("enabled").unwrap_or(true);
    let keep_days = section.whole("keep_days", 1..=HISTORY_DAYS_MAX).unwrap_or(HISTORY_DAYS);
    let range = HISTORY_BYTES_MIN..=HISTORY_BYTES_MAX;
    let (least_mb, most_gb) = (HISTORY_BYTES_MIN / 1_000_000, HISTORY_BYTES_MAX / 1_000_000_000);
    let allowed = format!("bytes like \"1GB\", from \"{least_mb}MB\" to \"{most_gb}GB\"");
    let in_range = |text: &str| bytes(text).filter(|bytes| range.contains(bytes));
    let keep_bytes = section.parsed("keep_bytes", &allowed, in_range).unwrap_or(HISTORY_BYTES);
    is_on.then_some(History { keep_days, keep_bytes })
}
