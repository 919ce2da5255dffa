//! What has become of a chain's blocks, as it is shown.

use serde_json::{Map, Value, json};

use crate::cold::stats::{BlockLog, BlockRecord, Percentiles};
use crate::limits::{CONFIRM_DEPTH, CONFIRMATIONS_SHOWN_MAX};

/// Orphan rate, propagation times, and the newest blocks. `is_watched`: there is a node to tell.
pub(super) fn confirmation(log: &BlockLog, chain_index: u8, is_watched: bool) -> Value {
    let totals = log.totals(chain_index);
    let pending = if is_watched { log.undecided(chain_index).len() } else { 0 };
    let newest = log.recent_of(chain_index, CONFIRMATIONS_SHOWN_MAX);
    let blocks: Vec<Value> = newest.iter().map(block).collect();
    json!({
        "watched": is_watched,
        "depth_wanted": CONFIRM_DEPTH,
        "confirmed": totals.fates.confirmed,
        "stale": totals.fates.stale,
        "pending": pending,
        "orphan_rate": totals.fates.orphan_rate(),
        "first_back_ms": totals.first_back.percentiles().map(Percentiles::to_json),
        "propagation_ms": totals.back.percentiles().map(Percentiles::to_json),
        "blocks": blocks,
    })
}

fn block(record: &BlockRecord) -> Value {
    let meta = record.meta.as_ref();
    let mut one = Map::new();
    one.insert("hash".to_owned(), json!(meta.map(|meta| meta.hash.to_string())));
    one.insert("height".to_owned(), json!(meta.and_then(|meta| meta.height)));
    if let Value::Object(rest) = record.confirmation_json() {
        one.extend(rest);
    }
    Value::Object(one)
}
