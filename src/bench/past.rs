//! The history that a watched engine starts with: blocks of an earlier process that never was.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::BenchError;
use crate::cold::history::{self, HistoryBounds, fill};
use crate::cold::stats::{BlockStory, Counts, Fate, PeerStory, Stage, VerdictStory};
use crate::hot::link::{Outcome, Way};
use crate::limits::{HISTORY_BYTES, HISTORY_DAYS};
use crate::sim::dice::Dice;
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

/// Blocks in it.
pub(super) const HISTORY_BLOCKS: u64 = 10_000;
/// Peers that each of them went to.
const PEERS: u64 = 20;
/// Blocks written in one transaction.
const BATCH_BLOCKS: u64 = 500;
/// Between two blocks: some days of a coin's blocks, all of them ours.
const BLOCK_INTERVAL_MS: u64 = 60_000;
/// As the daemon has it.
pub(super) const BOUNDS: HistoryBounds =
    HistoryBounds { keep_days: HISTORY_DAYS, keep_bytes: HISTORY_BYTES };

/// Makes it in the data folder.
///
/// # Errors
/// It can't be written.
pub(super) fn make(data_dir: &Path, chain: &Chain) -> Result<(), BenchError> {
    let failed = |why: history::Fault| BenchError::Program {
        program: "the history".to_owned(),
        why: why.to_string(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first_ms = now.as_millis() as u64 - HISTORY_BLOCKS * BLOCK_INTERVAL_MS;
    let (file, mut dice) = (history::file(data_dir), Dice::new(HISTORY_BLOCKS));
    for batch in 0..HISTORY_BLOCKS / BATCH_BLOCKS {
        let numbers = batch * BATCH_BLOCKS..(batch + 1) * BATCH_BLOCKS;
        let block = |number| story(chain, number, first_ms, &mut dice);
        fill(&file, numbers.map(block).collect()).map_err(failed)?;
    }
    Ok(())
}

fn story(chain: &Chain, number: u64, first_ms: u64, dice: &mut Dice) -> BlockStory {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&dice.throw().to_le_bytes());
    hash[8..16].copy_from_slice(&number.to_le_bytes());
    let mut counts = Counts { offers: PEERS as u32, settled: PEERS as u32, ..Counts::default() };
    counts.outcomes[Outcome::Handled.index()] = PEERS as u32;
    let stage = |stage: &Stage| Some(stage.index() as i64 * 150);
    let mut stages = [None; Stage::ALL.len()];
    stages.iter_mut().zip(&Stage::ALL).for_each(|(at, reached)| *at = stage(reached));
    let verdict = VerdictStory {
        node: "http://127.0.0.1:9332".to_owned(),
        own: true,
        word: "accepted".to_owned(),
        after_us: Some(31_000),
    };
    BlockStory {
        image: number + 1,
        chain: chain.name.to_owned(),
        network: chain.network.name().to_owned(),
        hash: BlockHash(hash),
        height: Some(number as u32),
        size_bytes: 1_000_000,
        transactions: 2_000,
        received_unix_ms: first_ms + number * BLOCK_INTERVAL_MS,
        stages,
        counts,
        fate: Fate::Confirmed,
        first_back: None,
        half_back_us: Some(12_000),
        verdicts: vec![verdict],
        peers: (0..PEERS).map(|place| peer(place, dice)).collect(),
        scouts: Vec::new(),
        stolen: None,
    }
}

fn peer(place: u64, dice: &mut Dice) -> PeerStory {
    let late_us = place.cast_signed() * 700 + dice.below(500).cast_signed();
    PeerStory {
        connection: place,
        address: Some(SocketAddr::from((Ipv4Addr::new(192, 0, 2, place as u8), 9_333))),
        way: Some(Way::CompactThenFull),
        sent_bytes: 1_010_000,
        outcome: Some(Outcome::Handled),
        submitted_us: Some(10 + place.cast_signed()),
        sent_us: Some(300 + late_us),
        acked_us: Some(1_200 + late_us),
        handled_us: Some(2_400 + late_us),
        echo_us: None,
        queued_us: Some(290 + late_us),
        wire_us: Some(295 + late_us),
        tcp_acked_us: Some(1_150 + late_us),
    }
}
