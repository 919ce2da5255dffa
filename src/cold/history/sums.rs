//! Each chain's sums in the file: written with the blocks, read at the start.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, OptionalExtension, params};

use super::columns;
use crate::cold::stats::{Fate, KeptTimes, KeptTotals};
use crate::limits::BLOCKS_REMEMBERED_MAX;
use crate::wire::hash::BlockHash;

/// A chain, as it is named in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChainName {
    /// Its name.
    pub chain: String,
    /// `main`, `test` or `regtest`.
    pub network: String,
}

/// What was written last under which name, as digests: only what has changed is written again.
pub(super) type Saved = HashMap<(usize, String), u64>;

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Writes the sums of the chain at `index` that differ from `saved`; what they are now goes to `fresh`.
pub(super) fn write(
    file: &Connection,
    (index, name): (usize, &ChainName),
    kept: &KeptTotals,
    saved: &Saved,
    fresh: &mut Saved,
) -> rusqlite::Result<()> {
    let ChainName { chain, network } = name;
    let mut is_news = |name: &str, digest: u64| {
        let key = (index, name.to_owned());
        let is_news = saved.get(&key) != Some(&digest);
        if is_news {
            fresh.insert(key, digest);
        }
        is_news
    };
    let put = "INSERT OR REPLACE INTO counts VALUES (?1, ?2, ?3, ?4)";
    for (name, value) in &kept.counts {
        if is_news(name, digest(value)) {
            file.prepare_cached(put)?.execute(params![chain, network, name, *value as i64])?;
        }
    }
    let put = "INSERT OR REPLACE INTO times VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (name, times) in &kept.times {
        if is_news(&format!("times {name}"), digest(times)) {
            let KeptTimes { count, sum_us, histogram } = times;
            let values = params![chain, network, name, *count as i64, *sum_us as i64, histogram];
            file.prepare_cached(put)?.execute(values)?;
        }
    }
    if let Some((hash, received_unix_ms)) = kept.last_block
        && is_news("last block", digest(&(hash.0, received_unix_ms)))
    {
        let put = "INSERT OR REPLACE INTO last_blocks VALUES (?1, ?2, ?3, ?4)";
        let received_us = received_unix_ms.saturating_mul(1_000) as i64;
        let values = params![chain, network, hash.to_string(), received_us];
        file.prepare_cached(put)?.execute(values)?;
    }
    Ok(())
}

/// The sums of one chain; empty where there are none.
pub(super) fn read(file: &Connection, name: &ChainName) -> rusqlite::Result<KeptTotals> {
    let of = params![name.chain, name.network];
    let find = "SELECT name, value FROM counts WHERE chain = ?1 AND network = ?2";
    let counts = file
        .prepare_cached(find)?
        .query_map(of, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64)))?
        .collect::<rusqlite::Result<_>>()?;
    let find = "SELECT name, count, sum_us, histogram FROM times WHERE chain = ?1 AND network = ?2";
    let times = file
        .prepare_cached(find)?
        .query_map(of, |row| {
            let count = row.get::<_, i64>(1)?.max(0) as u64;
            let sum_us = row.get::<_, i64>(2)?.max(0) as u64;
            Ok((row.get(0)?, KeptTimes { count, sum_us, histogram: row.get(3)? }))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let find = "SELECT hash, received_us FROM last_blocks WHERE chain = ?1 AND network = ?2";
    let last: Option<(String, i64)> = file
        .prepare_cached(find)?
        .query_row(of, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let last_block = last.and_then(|(hash, received_us)| {
        Some((BlockHash::from_hex(&hash)?, received_us.max(0) as u64 / 1_000))
    });
    Ok(KeptTotals { counts, times, last_block })
}

/// What has become of the newest blocks of a chain, as far as it is known.
pub(super) fn fates(
    file: &Connection,
    name: &ChainName,
) -> rusqlite::Result<Vec<(BlockHash, Fate)>> {
    let find = "SELECT hash, fate, depth, rival FROM blocks WHERE chain = ?1 AND network = ?2 \
                ORDER BY run DESC, image DESC LIMIT ?3";
    let mut find = file.prepare_cached(find)?;
    let rows = find.query_map(params![name.chain, name.network, BLOCKS_REMEMBERED_MAX], |row| {
        let (hash, word): (String, String) = (row.get(0)?, row.get(1)?);
        let depth = row.get::<_, Option<i64>>(2)?.and_then(|depth| depth.try_into().ok());
        let rival: Option<String> = row.get(3)?;
        Ok(BlockHash::from_hex(&hash).map(|it| (it, columns::fate(&word, depth, rival.as_deref()))))
    })?;
    rows.filter_map(Result::transpose).collect()
}
