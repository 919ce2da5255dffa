//! What a row of the table says, and the few functions in which chains really differ.

use crate::wire::hash::{BlockHash, scrypt_hash, sha256d};
use crate::wire::x11::x11;

/// Which of a coin's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The one with money on it.
    Main,
    /// The public test network (Bitcoin: testnet4).
    Test,
    /// A private one, mined at will.
    Regtest,
}

impl Network {
    /// Reads the word that the configuration uses.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Main, Self::Test, Self::Regtest].into_iter().find(|network| network.name() == word)
    }

    /// The word that the configuration uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
            Self::Regtest => "regtest",
        }
    }
}

/// A hash of an 80-byte header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// SHA-256 twice.
    Sha256d,
    /// Scrypt with N = 1024, r = 1, p = 1.
    Scrypt,
    /// Eleven hashes in a chain.
    X11,
}

impl HashKind {
    /// Hashes `header`; the result is in wire order.
    #[must_use]
    pub fn hash(self, header: &[u8; 80]) -> [u8; 32] {
        match self {
            Self::Sha256d => sha256d(header),
            Self::Scrypt => scrypt_hash(header),
            Self::X11 => x11(header),
        }
    }
}

/// One network of one coin: everything in which it differs from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Name in the configuration.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Ticker.
    pub symbol: &'static str,
    /// Which network.
    pub network: Network,
    /// First four bytes of every message.
    pub magic: [u8; 4],
    /// Port that nodes listen on for peers.
    pub p2p_port: u16,
    /// Port that nodes listen on for RPC.
    pub rpc_port: u16,
    /// Protocol version to announce.
    pub protocol_version: i32,
    /// Lowest protocol version of a peer that is of use.
    pub peer_version_min: i32,
    /// From this protocol version on, on both sides, a peer may be asked for `addrv2`.
    pub addrv2_version: Option<i32>,
    /// Longest message payload that nodes take, in bytes.
    pub payload_bytes_max: u32,
    /// Longest block, proof and everything behind the transactions included, in bytes.
    pub block_bytes_max: u32,
    /// Service bits that a peer must have, beside those that [`Chain::serves_blocks`] asks for.
    pub services_wanted: u64,
    /// What a block's identity is made with.
    pub identity: HashKind,
    /// What a header's work is measured with.
    pub proof_of_work: HashKind,
    /// Whether blocks may hold witnesses (BIP 141).
    pub has_witness: bool,
    /// Whether an extension block may stand behind the transactions.
    pub has_mweb: bool,
    /// From this height on every block must have its extension block, where that is known.
    pub mweb_height: Option<u32>,
    /// This chain's number in merged mining, where its blocks may prove their work by a parent's.
    pub auxpow_chain_id: Option<u16>,
    /// Whether nodes insist on the number: in blocks that it is there, in parents that it is not.
    pub auxpow_strict: bool,
    /// Header time in seconds since 1970 from which versions of before merged mining are refused.
    pub legacy_versions_end_s: Option<u32>,
    /// Whether transactions have a type and may carry an extra payload.
    pub has_special_transactions: bool,
    /// Whether blocks and transactions are locked by signatures ([`crate::wire::locks`]).
    pub has_locks: bool,
    /// From this height on the coinbase must be of its own type, where that is known.
    pub typed_coinbase_height: Option<u32>,
    /// Version of compact blocks (BIP 152) in use.
    pub compact_version: u64,
    /// Inventory kind of a compact block.
    pub compact_inventory: u32,
    /// Whether peers take a compact block that they did not ask for; else only those do that have
    /// chosen us, by a `sendcmpct` that says so (`net_processing.cpp`, CMPCTBLOCK).
    pub takes_compact_unasked: bool,
    /// Service bits without which nobody asks us for a block whose header we send, as far as we can
    /// live up to them: recent blocks, with all that belongs to them. 0: we can't.
    pub services_to_be_asked: u64,
    /// Inventory kind to ask for a block with, so that nothing of it is left out.
    pub block_inventory: u32,
    /// Time between blocks aimed at, in seconds.
    pub interval_s: u32,
    /// How long a node may take to answer a ping before its connection counts as dead, in seconds.
    /// Nodes ping each other every 120 s and give up after 1,200 (`net.h`, TIMEOUT_INTERVAL); one
    /// that checks blocks or loads answers late.
    pub ping_deadline_s: u16,
    /// Whether the difficulty changes with every block.
    pub retargets_every_block: bool,
    /// Whether a late block may have the lowest difficulty.
    pub allows_least_difficulty: bool,
    /// Lowest difficulty, as a header spells it.
    pub pow_limit_bits: u32,
    /// Host names that answer with addresses of nodes (`chainparams.cpp`, `vSeeds`); none where the
    /// network is private. They answer with what listens at [`Chain::p2p_port`].
    pub dns_seeds: &'static [&'static str],
    /// Identity of the first block, in wire order.
    pub genesis_hash: [u8; 32],
    /// The node's program as a p2pool fork names it in `/broadcaster_status`, where the pools of this
    /// coin know that fork's form of it.
    pub status_daemon: Option<&'static str>,
    /// Where a node keeps its `.cookie`, below its data directory.
    pub cookie_folder: &'static str,
}

/// Service bit: has all blocks.
pub const SERVICE_NETWORK: u64 = 1;
/// Service bit: has the last blocks (BIP 159).
pub const SERVICE_NETWORK_LIMITED: u64 = 1 << 10;
/// Service bit: serves witnesses.
pub const SERVICE_WITNESS: u64 = 1 << 3;
/// Service bit: serves extension blocks.
pub const SERVICE_MWEB: u64 = 1 << 24;

impl Chain {
    /// The identity of the block with this header.
    #[must_use]
    pub fn identity_hash(&self, header: &[u8; 80]) -> BlockHash {
        BlockHash(self.identity.hash(header))
    }

    /// What is compared with the target; of an auxiliary proof, hash the parent's header.
    #[must_use]
    pub fn work_hash(&self, header: &[u8; 80]) -> [u8; 32] {
        self.proof_of_work.hash(header)
    }

    /// The rules that nodes want to hear of before they give a template (BIP 9, `rpc/mining.cpp`).
    #[must_use]
    pub const fn template_rules(&self) -> &'static [&'static str] {
        match (self.has_mweb, self.has_witness) {
            (true, _) => &["mweb", "segwit"],
            (false, true) => &["segwit"],
            (false, false) => &[],
        }
    }

    /// Whether a peer with these service bits can take and serve blocks as we need it.
    #[must_use]
    pub const fn serves_blocks(&self, services: u64) -> bool {
        services & self.services_wanted == self.services_wanted
            && services & (SERVICE_NETWORK | SERVICE_NETWORK_LIMITED) != 0
    }
}
