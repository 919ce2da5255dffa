//! One block's record and its rows, and their JSON.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Fate, FirstBack};
use crate::hot::link::{ImageId, Outcome, PeerId};
use crate::limits::{CONFIRM_DEPTH, PEER_ROWS_MAX};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

/// When a block had come how far on its way in: CLOCK_MONOTONIC, in ns; 0: not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Header and proof of work were there.
    pub header_ns: u64,
    /// The work had been found good.
    pub work_checked_ns: u64,
    /// All ids and merkle roots were worked out.
    pub walked_ns: u64,
    /// All checks had held.
    pub checked_ns: u64,
    /// Its compact form was there; zero where it has none.
    pub compact_ns: u64,
    /// The request to the node had been begun while the block was still coming in.
    pub node_first_byte_ns: u64,
    /// That request was out.
    pub node_last_byte_ns: u64,
}

/// What is known of a block when it is published. Times are CLOCK_MONOTONIC, in ns.
#[derive(Clone, Copy, Debug)]
pub struct BlockMeta {
    /// Index of its chain in the engine's configuration.
    pub chain_index: u8,
    /// Its chain.
    pub chain: &'static Chain,
    /// Its hash.
    pub hash: BlockHash,
    /// Its height, where the coinbase tells.
    pub height: Option<u32>,
    /// Its size, in bytes.
    pub size_bytes: u32,
    /// Its transactions.
    pub transactions: u32,
    /// When the first byte of the hand-over was read.
    pub first_byte_ns: u64,
    /// When its last byte was read.
    pub last_byte_ns: u64,
    /// When the shards were told.
    pub published_ns: u64,
    /// When it came, on the calendar, in ms since 1970.
    pub received_unix_ms: u64,
    /// The steps in between.
    pub stages: Stages,
}

/// What became of the block's offers, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Shards that have taken the block up.
    pub shards: u8,
    /// Connections that it was offered to.
    pub offers: u32,
    /// Offers that have ended.
    pub settled: u32,
    /// How they ended, by [`Outcome::index`].
    pub outcomes: [u32; Outcome::ALL.len()],
    /// Peers that announced the block back.
    pub echoes: u32,
    /// Peers that announced it although nothing of it had been sent to them: those among the echoes,
    /// and those that scouts listen to.
    pub witnesses: u32,
    /// All who announced it to us, connections and scouts' peers.
    pub announced: u32,
    /// Those that are known to have it: they said so, or answered the ping behind it.
    pub have: u32,
}

impl Counts {
    /// Whether every offer has ended, in an engine of `shards` shards.
    #[must_use]
    pub const fn is_settled(&self, shards: u8) -> bool {
        self.shards >= shards && self.settled >= self.offers
    }

    /// Offers that ended in `outcome`.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u32 {
        self.outcomes.get(outcome.index()).copied().unwrap_or(0)
    }

    /// `{outcome word: count}`, without the zeros.
    #[must_use]
    pub fn outcomes_json(&self) -> Value {
        let some = Outcome::ALL.iter().filter(|outcome| self.of(**outcome) > 0);
        some.map(|outcome| (outcome.word().to_owned(), Value::from(self.of(*outcome)))).collect()
    }
}

/// One connection's part in one block. Times are CLOCK_MONOTONIC, in ns; 0: not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Which connection.
    pub peer: PeerId,
    /// Its address, where the directory still knew it.
    pub address: Option<SocketAddr>,
    /// How the offer ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// When its first send was queued.
    pub submitted_ns: u64,
    /// When the kernel had taken its last byte.
    pub sent_ns: u64,
    /// When its TCP was known to have acknowledged the last byte.
    pub acked_ns: u64,
    /// When the receipt came.
    pub handled_ns: u64,
    /// When it announced the block back.
    pub echo_ns: u64,
}

impl PeerRow {
    pub(super) const fn new(peer: PeerId) -> Self {
        Self {
            peer,
            address: None,
            outcome: None,
            submitted_ns: 0,
            sent_ns: 0,
            acked_ns: 0,
            handled_ns: 0,
            echo_ns: 0,
        }
    }

    /// Whether the peer is known to have the block.
    #[must_use]
    pub const fn has_block(&self) -> bool {
        self.echo_ns != 0 || matches!(self.outcome, Some(Outcome::Handled | Outcome::AlreadyHad))
    }

    /// The row with its times in ms after publishing; null where a stage was not reached.
    #[must_use]
    pub fn to_json(&self, published_ns: u64) -> Value {
        json!({
            "peer": self.peer.0,
            "address": self.address.map(|address| address.to_string()),
            "outcome": self.outcome.map(Outcome::word),
            "submitted_ms": after_ms(published_ns, self.submitted_ns),
            "sent_ms": after_ms(published_ns, self.sent_ns),
            "acked_ms": after_ms(published_ns, self.acked_ns),
            "handled_ms": after_ms(published_ns, self.handled_ns),
            "echo_ms": after_ms(published_ns, self.echo_ns),
        })
    }
}

/// `at_ns` in ms after `from_ns`, to the microsecond; `None` for a stage that was not reached.
fn after_ms(from_ns: u64, at_ns: u64) -> Option<f64> {
    let us = (at_ns as i64).wrapping_sub(from_ns as i64) / 1_000;
    (at_ns != 0 && from_ns != 0).then(|| us as f64 / 1_000.0)
}

/// What a node said of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeVerdict {
    /// Its RPC address.
    pub node: String,
    /// Whether it is the chain's own node.
    pub own: bool,
    /// Its word.
    pub word: String,
    /// When, CLOCK_MONOTONIC in ns.
    pub at_ns: u64,
}

/// Everything that is known of one published block.
#[derive(Clone, Debug)]
pub struct BlockRecord {
    /// Its number in this process.
    pub image: ImageId,
    /// What it is; `None` for the moment in which a shard is faster than the intake's note.
    pub meta: Option<BlockMeta>,
    /// Sums over its offers.
    pub counts: Counts,
    /// A bit for each shard that has taken the block up.
    pub(super) heard_shards: u64,
    /// One row per connection, for recent blocks.
    pub rows: HashMap<PeerId, PeerRow>,
    /// What nodes said.
    pub verdicts: Vec<NodeVerdict>,
    /// Who announced it first.
    pub first_back: Option<FirstBack>,
    /// Scouts' peers that announced it, and when (CLOCK_MONOTONIC, ns); for recent blocks.
    pub scouts: Vec<(SocketAddr, u64)>,
    /// What has become of it.
    pub fate: Fate,
}

impl BlockRecord {
    pub(super) fn new(image: ImageId) -> Self {
        Self {
            image,
            meta: None,
            counts: Counts::default(),
            heard_shards: 0,
            rows: HashMap::new(),
            verdicts: Vec::new(),
            first_back: None,
            scouts: Vec::new(),
            fate: Fate::Pending,
        }
    }

    /// When the shards were told; 0 where that is not known yet.
    #[must_use]
    pub fn published_ns(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.published_ns)
    }

    /// When the intake had the whole block; 0 where that is not known yet.
    pub(super) fn last_byte_ns(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.last_byte_ns)
    }

    pub(super) fn chain_index(&self) -> u8 {
        self.meta.as_ref().map_or(u8::MAX, |meta| meta.chain_index)
    }

    /// The row of `peer`, made where there is none; `None` where all places are taken.
    pub(super) fn row(&mut self, peer: PeerId) -> Option<&mut PeerRow> {
        if self.rows.len() >= PEER_ROWS_MAX as usize && !self.rows.contains_key(&peer) {
            return None;
        }
        Some(self.rows.entry(peer).or_insert(PeerRow::new(peer)))
    }

    /// The rows, in the order in which peers had the whole block; those that never did come last.
    #[must_use]
    pub fn rows_in_order(&self) -> Vec<PeerRow> {
        let mut rows: Vec<PeerRow> = self.rows.values().copied().collect();
        rows.sort_by_key(|row| {
            let last = |at_ns| if at_ns == 0 { u64::MAX } else { at_ns };
            (last(row.handled_ns), last(row.sent_ns), row.peer)
        });
        rows
    }

    /// When which stage was reached, in ms from the block's first byte; null where it was not.
    fn stages_json(&self) -> Value {
        let Some(meta) = &self.meta else {
            return Value::Null;
        };
        let stages = meta.stages;
        let verdict_ns = self.verdicts.iter().find(|said| said.own).map_or(0, |said| said.at_ns);
        let reached = [
            ("first_byte", meta.first_byte_ns),
            ("header", stages.header_ns),
            ("work_checked", stages.work_checked_ns),
            ("last_byte", meta.last_byte_ns),
            ("walked", stages.walked_ns),
            ("checked", stages.checked_ns),
            ("compact", stages.compact_ns),
            ("published", meta.published_ns),
            ("node_first_byte", stages.node_first_byte_ns),
            ("node_last_byte", stages.node_last_byte_ns),
            ("verdict", verdict_ns),
        ];
        let after = |(name, at_ns): (&str, u64)| {
            (name.to_owned(), json!(after_ms(meta.first_byte_ns, at_ns)))
        };
        reached.into_iter().map(after).collect()
    }

    /// What is heard of the block after it has gone out.
    #[must_use]
    pub fn confirmation_json(&self) -> Value {
        let published_ns = self.published_ns();
        let first = self.first_back.map(|first| {
            json!({"address": first.address.map(|address| address.to_string()),
                   "by": first.voice.word(), "after_ms": after_ms(published_ns, first.at_ns)})
        });
        json!({
            "state": self.fate.word(),
            "depth": self.fate.depth(),
            "depth_wanted": CONFIRM_DEPTH,
            "rival": self.fate.rival().map(|rival| rival.to_string()),
            "first_back": first,
            "announced": self.counts.announced,
            "half_back_ms": after_ms(published_ns, self.half_back_ns()),
            "have": self.counts.have,
        })
    }

    /// The record as JSON, rows among it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let published_ns = self.published_ns();
        let rows = self.rows_in_order();
        let peers: Vec<Value> = rows.iter().map(|row| row.to_json(published_ns)).collect();
        let verdicts: Vec<Value> = self
            .verdicts
            .iter()
            .map(|said| {
                json!({"node": said.node, "own": said.own, "verdict": said.word,
                       "after_ms": after_ms(published_ns, said.at_ns)})
            })
            .collect();
        let meta = self.meta.as_ref();
        json!({
            "image": self.image.0,
            "chain": meta.map(|meta| meta.chain.name),
            "network": meta.map(|meta| meta.chain.network.name()),
            "hash": meta.map(|meta| meta.hash.to_string()),
            "height": meta.and_then(|meta| meta.height),
            "bytes": meta.map(|meta| meta.size_bytes),
            "transactions": meta.map(|meta| meta.transactions),
            "received_at": meta.map(|meta| meta.received_unix_ms as f64 / 1_000.0),
            "first_byte_ms": meta.and_then(|meta| after_ms(published_ns, meta.first_byte_ns)),
            "last_byte_ms": meta.and_then(|meta| after_ms(published_ns, meta.last_byte_ns)),
            "stages": self.stages_json(),
            "offers": self.counts.offers,
            "outcomes": self.counts.outcomes_json(),
            "echoes": self.counts.echoes,
            "witnesses": self.counts.witnesses,
            "verdicts": verdicts,
            "confirmation": self.confirmation_json(),
            "peers": peers,
        })
    }
}
