//! What has become of a block in its chain, and who told us of it.

use std::net::SocketAddr;

use crate::wire::hash::BlockHash;

/// What has become of a block, as its chain's own node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// The node has not told yet, or does not have it.
    #[default]
    Pending,
    /// It is in the node's chain, so many deep; the tip is 1 deep.
    InChain(u32),
    /// It is as deep as counts for good.
    Confirmed,
    /// Another block is at its height in the node's chain: that one leads.
    Behind(BlockHash),
    /// That other block is as deep as counts for good.
    Stale(BlockHash),
    /// The node will not have it.
    Refused,
}

impl Fate {
    /// One word for people and scripts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InChain(_) => "in-chain",
            Self::Confirmed => "confirmed",
            Self::Behind(_) => "behind",
            Self::Stale(_) => "stale",
            Self::Refused => "refused",
        }
    }

    /// Whether nothing more is to come.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Stale(_) | Self::Refused)
    }

    /// The block that is in the chain in its place.
    #[must_use]
    pub const fn rival(self) -> Option<BlockHash> {
        match self {
            Self::Behind(rival) | Self::Stale(rival) => Some(rival),
            _ => None,
        }
    }

    /// How deep it lies, as far as that is still counted.
    #[must_use]
    pub const fn depth(self) -> Option<u32> {
        match self {
            Self::InChain(depth) => Some(depth),
            _ => None,
        }
    }
}

/// Who told us of our own block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// A peer that we had sent some of it.
    Echo,
    /// A peer that we had sent nothing of it: others brought it there.
    Witness,
    /// A peer that a scout listens to, before it was offered the block.
    Scout,
}

impl Voice {
    /// One word for people and scripts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Witness => "witness",
            Self::Scout => "scout",
        }
    }
}

/// The first of all who told us of our own block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBack {
    /// Its address, where the directory still knew it.
    pub address: Option<SocketAddr>,
    /// What it is to us.
    pub voice: Voice,
    /// When, CLOCK_MONOTONIC in ns.
    pub at_ns: u64,
}
