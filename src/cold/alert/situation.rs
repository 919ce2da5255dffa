//! What is seen now: all that alerts are judged by. Plain values; who gathers them is the engine.

use crate::cold::stats::Fate;
use crate::wire::hash::BlockHash;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    /// Each chain, in the order of the configuration.
    pub chains: Vec<ChainNow>,
    /// What concerns all of them.
    pub engine: EngineNow,
}

/// One chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChainNow {
    /// Its name.
    pub chain: &'static str,
    /// The own node's RPC, where one is configured.
    pub node: Option<PlaceNow>,
    /// Whether the protected connection to it is there; `None`: none is configured.
    pub node_p2p: Option<bool>,
    /// Its peers; `None` while that is not known, or where blocks don't go to peers.
    pub peers: Option<PeersNow>,
    /// The blocks that are remembered, oldest first.
    pub blocks: Vec<BlockNow>,
    /// Blocks that the own node refused and that had not gone to peers, oldest first.
    pub unsent: Vec<UnsentNow>,
    /// Blocks without a verdict.
    pub spool: SpoolNow,
    /// The further endpoints.
    pub endpoints: Vec<PlaceNow>,
    /// Why the proxy can't be used, while it can't.
    pub proxy_trouble: Option<String>,
    /// Reports that the roster has dropped since the start.
    pub reports_dropped: u64,
}

/// Somebody's RPC port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceNow {
    /// Its address, without a login.
    pub url: String,
    /// Why it can't be used, while it can't.
    pub trouble: Option<String>,
}

/// Who is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeersNow {
    /// Connections that there are.
    pub connected: u32,
    /// The fewest that are enough.
    pub min: u32,
}

/// Blocks that wait for a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolNow {
    /// How many.
    pub waiting: usize,
    /// How long the oldest has, in ms.
    pub oldest_ms: u64,
}

/// One block of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockNow {
    /// Its number in this process: later ones have higher numbers.
    pub image: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Its height, where the coinbase tells.
    pub height: Option<u32>,
    /// When it was published, CLOCK_MONOTONIC in ms.
    pub published_ms: u64,
    /// What has become of it.
    pub fate: Fate,
    /// The own node's last word on it.
    pub verdict: Option<String>,
    /// Whether that word was that it has the block.
    pub is_accepted: bool,
    /// Peers that it was offered to.
    pub offers: u32,
    /// How fast it went out, once that is known.
    pub pace: Option<Pace>,
}

/// A block that was refused and had not gone to peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsentNow {
    /// Its hash.
    pub hash: BlockHash,
    /// The node's word.
    pub word: String,
    /// When it said so, CLOCK_MONOTONIC in ms.
    pub at_ms: u64,
}

/// How fast a block went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Its size, in bytes.
    pub size_bytes: u32,
    /// When half of the receipts were there, in us after publishing,
    pub half_us: i64,
    /// and when all were.
    pub last_us: i64,
}

/// What concerns all chains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineNow {
    /// Shards that were started,
    pub shards: usize,
    /// and those of them that have ended.
    pub shards_ended: usize,
    /// Whether the kernel says that its clock is synchronised; `None`: it says nothing.
    pub is_clock_synchronised: Option<bool>,
    /// By shard: the share of the last while that its thread waited for a core, in percent.
    pub waited_percent: Vec<u64>,
    /// Reports that shards have dropped since the start.
    pub reports_dropped: u64,
    /// Why the history can't be kept, while it can't.
    pub history_trouble: Option<String>,
}
