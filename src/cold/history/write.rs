//! Blocks into the file: one transaction for each batch.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::columns::{self, fate_values, peer_values};
use super::stolen;
use crate::cold::stats::{BlockStory, Fate, PeerStory};
use crate::wire::hash::BlockHash;

/// What one block's writing came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) image: u64,
    /// Of the rows as they are in the file now.
    pub(super) digest: u64,
    pub(super) is_new: bool,
    /// Its rows were forgotten before they could be written.
    pub(super) is_faded: bool,
}

/// Tells whether a block's rows have changed.
pub(super) fn digest(story: &BlockStory) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&story.peers, &story.scouts).hash(&mut hasher);
    hasher.finish()
}

/// Writes one block. `known`: the digest of its rows when they were written last.
pub(super) fn block(
    file: &Connection,
    run: i64,
    story: &BlockStory,
    known: Option<u64>,
) -> rusqlite::Result<Written> {
    let find = "SELECT id FROM blocks WHERE run = ?1 AND image = ?2";
    let image = story.image as i64;
    let id: Option<i64> =
        file.prepare_cached(find)?.query_row([run, image], |row| row.get(0)).optional()?;
    let digest = digest(story);
    let is_same = known == Some(digest);
    let stored = match id {
        Some(id) if !is_same => rows_of(file, id)?,
        _ => (0, 0),
    };
    // An old block's rows fade from memory; a late word of it is a row of its own then.
    let is_partial = story.peers.len() < stored.0 || story.scouts.len() < stored.1;
    let half_back_us = story.half_back_us.filter(|_| !is_partial);
    let values = columns::values(story, run, half_back_us);
    let id: i64 =
        file.prepare_cached(upsert())?.query_row(params_from_iter(values), |row| row.get(0))?;
    if !is_same {
        match is_partial {
            false => replace_rows(file, id, story)?,
            true => add_rows(file, id, story)?,
        }
    }
    let put = "INSERT OR REPLACE INTO verdicts VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut put = file.prepare_cached(put)?;
    for (place, said) in story.verdicts.iter().enumerate() {
        put.execute(params![id, place as i64, said.node, said.own, said.word, said.after_us])?;
    }
    if let Some(known) = &story.stolen {
        stolen::write(file, id, known)?;
    }
    if story.fate != Fate::Pending {
        fate(file, &story.chain, &story.network, &story.hash, story.fate)?;
    }
    let is_new = stored == (0, 0) && known.is_none();
    let is_faded = is_new && story.counts.settled > 0 && story.peers.is_empty();
    Ok(Written { image: story.image, digest, is_new, is_faded })
}

/// Writes what has become of a block, wherever it stands: it may have been handed in twice.
pub(super) fn fate(
    file: &Connection,
    chain: &str,
    network: &str,
    hash: &BlockHash,
    fate: Fate,
) -> rusqlite::Result<usize> {
    let put = "UPDATE blocks SET fate = ?1, depth = ?2, rival = ?3 \
               WHERE hash = ?4 AND chain = ?5 AND network = ?6";
    let mut values = fate_values(fate).to_vec();
    values.extend([hash.to_string(), chain.to_owned(), network.to_owned()].map(Value::from));
    file.prepare_cached(put)?.execute(params_from_iter(values))
}

/// Adds a block's row or brings it up to date; what was worked out from rows stays when they are gone.
fn upsert() -> &'static str {
    use std::sync::LazyLock;
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let names = columns::names();
        let places = vec!["?"; names.len()].join(", ");
        let set = names.iter().skip(2).map(|name| match name.as_str() {
            "half_back_us" => "half_back_us = coalesce(excluded.half_back_us, half_back_us)".into(),
            name => format!("{name} = excluded.{name}"),
        });
        format!(
            "INSERT INTO blocks ({}) VALUES ({places}) ON CONFLICT (run, image) DO UPDATE SET {} \
             RETURNING id",
            names.join(", "),
            set.collect::<Vec<_>>().join(", ")
        )
    });
    &TEXT
}

/// Peers and scouts that are there.
fn rows_of(file: &Connection, id: i64) -> rusqlite::Result<(usize, usize)> {
    let count = "SELECT (SELECT count(*) FROM peers WHERE block = ?1), \
                        (SELECT count(*) FROM witnesses WHERE block = ?1)";
    file.prepare_cached(count)?
        .query_row([id], |row| Ok((row.get::<_, i64>(0)? as usize, row.get::<_, i64>(1)? as usize)))
}

const PUT_WITNESS: &str = "INSERT INTO witnesses VALUES (?1, ?2, ?3, ?4)";

fn replace_rows(file: &Connection, id: i64, story: &BlockStory) -> rusqlite::Result<()> {
    file.prepare_cached("DELETE FROM peers WHERE block = ?1")?.execute([id])?;
    for (place, peer) in story.peers.iter().enumerate() {
        put_peer(file, id, place, peer)?;
    }
    file.prepare_cached("DELETE FROM witnesses WHERE block = ?1")?.execute([id])?;
    let mut put = file.prepare_cached(PUT_WITNESS)?;
    for (place, (address, after_us)) in story.scouts.iter().enumerate() {
        put.execute(params![id, place as i64, address.to_string(), after_us])?;
    }
    Ok(())
}

fn put_peer(file: &Connection, id: i64, place: usize, peer: &PeerStory) -> rusqlite::Result<()> {
    let put = "INSERT INTO peers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = [Value::from(id), Value::from(place as i64)].into_iter().chain(peer_values(peer));
    file.prepare_cached(put)?.execute(params_from_iter(values))?;
    Ok(())
}

/// Adds to the rows that are there what these tell beside.
fn add_rows(file: &Connection, id: i64, story: &BlockStory) -> rusqlite::Result<()> {
    let find = "SELECT coalesce(max(place), -1) + 1 FROM peers WHERE block = ?1";
    let mut place: i64 = file.prepare_cached(find)?.query_row([id], |row| row.get(0))?;
    for peer in &story.peers {
        let late = "UPDATE peers SET echo_us = coalesce(echo_us, ?3) \
                    WHERE block = ?1 AND connection = ?2";
        let late = file.prepare_cached(late)?.execute(params![
            id,
            peer.connection as i64,
            peer.echo_us
        ])?;
        if late == 0 {
            put_peer(file, id, place as usize, peer)?;
            place += 1;
        }
    }
    let find = "SELECT coalesce(max(place), -1) + 1 FROM witnesses WHERE block = ?1";
    let mut place: i64 = file.prepare_cached(find)?.query_row([id], |row| row.get(0))?;
    for (address, after_us) in &story.scouts {
        let address = address.to_string();
        let find = "SELECT 1 FROM witnesses WHERE block = ?1 AND address = ?2";
        if !file.prepare_cached(find)?.exists(params![id, address])? {
            file.prepare_cached(PUT_WITNESS)?.execute(params![id, place, address, after_us])?;
            place += 1;
        }
    }
    Ok(())
}
