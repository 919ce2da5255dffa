//! One block's story, in times of its own: what is shown, kept on disk and read back.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{BlockRecord, Counts, Fate, PeerRow, StolenTime, Voice};
use crate::hot::link::{Outcome, Way};
use crate::limits::CONFIRM_DEPTH;
use crate::wire::hash::BlockHash;

/// How far a block had come, in the order in which that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first byte of the hand-over had been read.
    FirstByte,
    /// Header and proof of work were there.
    Header,
    /// The work had been found good.
    WorkChecked,
    /// The last byte had been read.
    LastByte,
    /// All ids and merkle roots were worked out.
    Walked,
    /// All checks had held.
    Checked,
    /// The compact form was there.
    Compact,
    /// The shards were told.
    Published,
    /// The request to the own node had been begun.
    NodeFirstByte,
    /// That request was out.
    NodeLastByte,
    /// The own node had spoken.
    Verdict,
}

impl Stage {
    /// All stages, in the order of [`Stage::index`].
    pub const ALL: [Self; 11] = [
        Self::FirstByte,
        Self::Header,
        Self::WorkChecked,
        Self::LastByte,
        Self::Walked,
        Self::Checked,
        Self::Compact,
        Self::Published,
        Self::NodeFirstByte,
        Self::NodeLastByte,
        Self::Verdict,
    ];

    /// Position in [`Stage::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// One word for people, scripts and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::FirstByte => "first_byte",
            Self::Header => "header",
            Self::WorkChecked => "work_checked",
            Self::LastByte => "last_byte",
            Self::Walked => "walked",
            Self::Checked => "checked",
            Self::Compact => "compact",
            Self::Published => "published",
            Self::NodeFirstByte => "node_first_byte",
            Self::NodeLastByte => "node_last_byte",
            Self::Verdict => "verdict",
        }
    }
}

/// What one node said of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictStory {
    /// Its RPC address.
    pub node: String,
    /// Whether it is the chain's own node.
    pub own: bool,
    /// Its word.
    pub word: String,
    /// When, in us after publishing.
    pub after_us: Option<i64>,
}

/// One connection's part. Times are in us after publishing; `None`: not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerStory {
    /// Its number in the process that sent the block.
    pub connection: u64,
    /// Its address, where that was still known.
    pub address: Option<SocketAddr>,
    /// In which form it got the block.
    pub way: Option<Way>,
    /// Bytes that were sent of it.
    pub sent_bytes: u32,
    /// How the offer ended.
    pub outcome: Option<Outcome>,
    /// When its first send was queued,
    pub submitted_us: Option<i64>,
    /// when the kernel had taken its last byte,
    pub sent_us: Option<i64>,
    /// when its TCP was known to have acknowledged that,
    pub acked_us: Option<i64>,
    /// when the receipt came,
    pub handled_us: Option<i64>,
    /// when it announced the block back.
    pub echo_us: Option<i64>,
    /// When the kernel handed the last byte of its first form to the device's queue,
    pub queued_us: Option<i64>,
    /// when to the device,
    pub wire_us: Option<i64>,
    /// when its TCP acknowledged that.
    pub tcp_acked_us: Option<i64>,
}

/// Who announced the block first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBackStory {
    /// Its address, where that was still known.
    pub address: Option<SocketAddr>,
    /// What it is to us.
    pub voice: Voice,
    /// When, in us after publishing.
    pub after_us: Option<i64>,
}

/// Everything that is kept of one published block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockStory {
    /// Its number in the process that sent it.
    pub image: u64,
    /// Its chain's name and network.
    pub chain: String,
    /// `main`, `test` or `regtest`.
    pub network: String,
    /// Its hash.
    pub hash: BlockHash,
    /// Its height, where the coinbase tells.
    pub height: Option<u32>,
    /// Its size, in bytes.
    pub size_bytes: u32,
    /// Its transactions.
    pub transactions: u32,
    /// When it came, in ms since 1970.
    pub received_unix_ms: u64,
    /// By [`Stage::index`]: in us after the first byte; `None`: not reached.
    pub stages: [Option<i64>; Stage::ALL.len()],
    /// Its offers in numbers.
    pub counts: Counts,
    /// What has become of it.
    pub fate: Fate,
    /// Who announced it first,
    pub first_back: Option<FirstBackStory>,
    /// and when half of those who did had done so, in us after publishing.
    pub half_back_us: Option<i64>,
    /// What nodes said, in the order in which they did.
    pub verdicts: Vec<VerdictStory>,
    /// One entry per connection, those first that had the block first. Empty for an old block whose
    /// rows are forgotten here.
    pub peers: Vec<PeerStory>,
    /// Scouts' peers that announced it, and when, in us after publishing.
    pub scouts: Vec<(SocketAddr, Option<i64>)>,
    /// Who held up the shards while it went out; `None`: not known.
    pub stolen: Option<StolenTime>,
}

/// `at_ns` in us after `from_ns`; `None` where either was not reached.
fn after_us(from_ns: u64, at_ns: u64) -> Option<i64> {
    let us = (at_ns as i64).wrapping_sub(from_ns as i64) / 1_000;
    (at_ns != 0 && from_ns != 0).then_some(us)
}

fn ms(us: Option<i64>) -> Option<f64> {
    us.map(|us| us as f64 / 1_000.0)
}

impl BlockRecord {
    /// The record in times of its own; `None` for the moment in which nothing is known but a number.
    #[must_use]
    pub fn story(&self) -> Option<BlockStory> {
        self.tell(true)
    }

    /// The same, its rows left out where they are not wanted.
    pub(super) fn tell(&self, with_rows: bool) -> Option<BlockStory> {
        let meta = self.meta.as_ref()?;
        let rows = if with_rows { self.rows_in_order() } else { Vec::new() };
        let scouts = self.scouts.iter().filter(|_| with_rows);
        let published_ns = meta.published_ns;
        let after = |at_ns| after_us(published_ns, at_ns);
        let reached = self.reached();
        let verdicts = self.verdicts.iter().map(|said| VerdictStory {
            node: said.node.clone(),
            own: said.own,
            word: said.word.clone(),
            after_us: after(said.at_ns),
        });
        let first_back = self.first_back.map(|first| FirstBackStory {
            address: first.address,
            voice: first.voice,
            after_us: after(first.at_ns),
        });
        Some(BlockStory {
            image: self.image.0,
            chain: meta.chain.name.to_owned(),
            network: meta.chain.network.name().to_owned(),
            hash: meta.hash,
            height: meta.height,
            size_bytes: meta.size_bytes,
            transactions: meta.transactions,
            received_unix_ms: meta.received_unix_ms,
            stages: reached.map(|at_ns| after_us(meta.first_byte_ns, at_ns)),
            counts: self.counts,
            fate: self.fate,
            first_back,
            half_back_us: after(self.half_back_ns()),
            verdicts: verdicts.collect(),
            peers: rows.iter().map(|row| row.story(published_ns)).collect(),
            scouts: scouts.map(|(from, at_ns)| (*from, after(*at_ns))).collect(),
            stolen: self.stolen.as_deref().cloned(),
        })
    }

    /// When each stage was reached, by [`Stage::index`]: CLOCK_MONOTONIC, in ns; 0: not yet.
    #[must_use]
    pub fn reached(&self) -> [u64; Stage::ALL.len()] {
        let Some(meta) = &self.meta else {
            return [0; Stage::ALL.len()];
        };
        let (stages, own) = (meta.stages, self.verdicts.iter().find(|said| said.own));
        Stage::ALL.map(|stage| match stage {
            Stage::FirstByte => meta.first_byte_ns,
            Stage::Header => stages.header_ns,
            Stage::WorkChecked => stages.work_checked_ns,
            Stage::LastByte => meta.last_byte_ns,
            Stage::Walked => stages.walked_ns,
            Stage::Checked => stages.checked_ns,
            Stage::Compact => stages.compact_ns,
            Stage::Published => meta.published_ns,
            Stage::NodeFirstByte => stages.node_first_byte_ns,
            Stage::NodeLastByte => stages.node_last_byte_ns,
            Stage::Verdict => own.map_or(0, |said| said.at_ns),
        })
    }
}

impl PeerRow {
    fn story(&self, published_ns: u64) -> PeerStory {
        let after = |at_ns| after_us(published_ns, at_ns);
        PeerStory {
            connection: self.peer.0,
            address: self.address,
            way: self.way,
            sent_bytes: self.sent_bytes,
            outcome: self.outcome,
            submitted_us: after(self.submitted_ns),
            sent_us: after(self.sent_ns),
            acked_us: after(self.acked_ns),
            handled_us: after(self.handled_ns),
            echo_us: after(self.echo_ns),
            queued_us: after(self.kernel.queued_ns),
            wire_us: after(self.kernel.wire_ns),
            tcp_acked_us: after(self.kernel.acked_ns),
        }
    }
}

impl PeerStory {
    /// `{peer, address, way, sent_bytes, outcome, submitted_ms, ...}`; null where a stage was not
    /// reached.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "peer": self.connection,
            "address": self.address.map(|address| address.to_string()),
            "way": self.way.map(Way::word),
            "sent_bytes": self.sent_bytes,
            "outcome": self.outcome.map(Outcome::word),
            "submitted_ms": ms(self.submitted_us),
            "sent_ms": ms(self.sent_us),
            "acked_ms": ms(self.acked_us),
            "handled_ms": ms(self.handled_us),
            "echo_ms": ms(self.echo_us),
            "queued_ms": ms(self.queued_us),
            "wire_ms": ms(self.wire_us),
            "tcp_acked_ms": ms(self.tcp_acked_us),
        })
    }
}

impl BlockStory {
    /// When the stage was reached, in us after the first byte.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Option<i64> {
        self.stages.get(stage.index()).copied().flatten()
    }

    /// When the stage was reached, in us after publishing; negative before it.
    #[must_use]
    pub fn stage_after_publishing_us(&self, stage: Stage) -> Option<i64> {
        Some(self.stage(stage)? - self.stage(Stage::Published)?)
    }

    /// What is heard of the block after it has gone out.
    #[must_use]
    pub fn confirmation_json(&self) -> Value {
        let first = self.first_back.map(|first| {
            json!({"address": first.address.map(|address| address.to_string()),
                   "by": first.voice.word(), "after_ms": ms(first.after_us)})
        });
        json!({
            "state": self.fate.word(),
            "depth": self.fate.depth(),
            "depth_wanted": CONFIRM_DEPTH,
            "rival": self.fate.rival().map(|rival| rival.to_string()),
            "first_back": first,
            "announced": self.counts.announced,
            "half_back_ms": ms(self.half_back_us),
            "have": self.counts.have,
        })
    }

    /// The story without its rows: one line of a list of blocks.
    #[must_use]
    pub fn summary_json(&self) -> Value {
        let stage = |stage: &Stage| (stage.word().to_owned(), json!(ms(self.stage(*stage))));
        let verdicts = self.verdicts.iter().map(|said| {
            json!({"node": said.node, "own": said.own, "verdict": said.word,
                   "after_ms": ms(said.after_us)})
        });
        json!({
            "image": self.image,
            "chain": self.chain,
            "network": self.network,
            "hash": self.hash.to_string(),
            "height": self.height,
            "bytes": self.size_bytes,
            "transactions": self.transactions,
            "received_at": self.received_unix_ms as f64 / 1_000.0,
            "first_byte_ms": ms(self.stage_after_publishing_us(Stage::FirstByte)),
            "last_byte_ms": ms(self.stage_after_publishing_us(Stage::LastByte)),
            "stages": Stage::ALL.iter().map(stage).collect::<serde_json::Map<_, _>>(),
            "offers": self.counts.offers,
            "settled": self.counts.settled,
            "outcomes": self.counts.outcomes_json(),
            "echoes": self.counts.echoes,
            "witnesses": self.counts.witnesses,
            "verdicts": verdicts.collect::<Vec<_>>(),
            "confirmation": self.confirmation_json(),
        })
    }

    /// The whole story, `peers`, `scouts` and `stolen` among it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut told = self.summary_json();
        let scouts = self.scouts.iter();
        let scouts =
            scouts.map(|(from, at)| json!({"address": from.to_string(), "after_ms": ms(*at)}));
        if let Value::Object(all) = &mut told {
            let peers = self.peers.iter().map(PeerStory::to_json).collect::<Vec<_>>();
            all.insert("peers".to_owned(), json!(peers));
            all.insert("scouts".to_owned(), scouts.collect());
            all.insert("stolen".to_owned(), self.stolen.as_ref().map(StolenTime::to_json).into());
        }
        told
    }
}
