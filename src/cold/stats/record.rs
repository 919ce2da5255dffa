//! One block's record and its rows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

use super::{Fate, FirstBack, KernelTimes, StolenTime};
use crate::hot::link::{ImageId, Outcome, PeerId, Way};
use crate::limits::PEER_ROWS_MAX;
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
    /// In which form it got the block; `None` while the offer has not ended.
    pub way: Option<Way>,
    /// Bytes that were sent of it.
    pub sent_bytes: u32,
    /// What the kernel saw of its first form.
    pub kernel: KernelTimes,
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
            way: None,
            sent_bytes: 0,
            kernel: KernelTimes { given_ns: 0, queued_ns: 0, wire_ns: 0, acked_ns: 0 },
        }
    }

    /// Whether the peer is known to have the block.
    #[must_use]
    pub const fn has_block(&self) -> bool {
        self.echo_ns != 0 || matches!(self.outcome, Some(Outcome::Handled | Outcome::AlreadyHad))
    }
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
    /// Who held up the shards while it went out; `None`: not known.
    pub stolen: Option<Arc<StolenTime>>,
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
            stolen: None,
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

    /// What is heard of the block after it has gone out; null before anything is known of it.
    #[must_use]
    pub fn confirmation_json(&self) -> Value {
        self.story().map_or(Value::Null, |story| story.confirmation_json())
    }

    /// The record as JSON, rows among it; null before anything is known of it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.story().map_or(Value::Null, |story| story.to_json())
    }
}
