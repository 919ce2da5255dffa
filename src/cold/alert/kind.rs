//! The kinds of alert: their names, how bad they are, how long they must last.

use crate::limits::{
    ALERT_AWAY_CLEAR_MS, ALERT_AWAY_RAISE_MS, ALERT_CPU_CLEAR_MS, ALERT_CPU_RAISE_MS,
    ALERT_NODE_CLEAR_MS, ALERT_NODE_RAISE_MS, ALERT_PEERS_CLEAR_MS, ALERT_PEERS_RAISE_MS,
    ALERT_SPOOL_CLEAR_MS,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Something is worse than it should be.
    Warning,
    /// A block is lost, or may be.
    Critical,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The own node is away: its RPC, or the protected connection.
    NodeLost,
    /// Fewer peers than wanted, or none.
    FewPeers,
    /// The own node refused a block.
    BlockRefused,
    /// Another block is in the place of ours for good.
    BlockStale,
    /// Blocks wait too long for a verdict.
    SpoolNotDraining,
    /// A block went out much slower than others like it.
    SlowFanOut,
    /// The host's clock is not synchronised, or was set.
    Clock,
    /// A shard had to wait for a core.
    Cpu,
    /// A shard has ended.
    ShardEnded,
    /// A further endpoint takes no blocks.
    EndpointAway,
    /// The proxy can't be used.
    ProxyAway,
    /// The history can't be written.
    History,
    /// Reports of the shards were dropped: figures are too low.
    ReportsDropped,
}

impl Kind {
    /// All kinds, in the order in which they are documented.
    pub const ALL: [Self; 13] = [
        Self::NodeLost,
        Self::FewPeers,
        Self::BlockRefused,
        Self::BlockStale,
        Self::SpoolNotDraining,
        Self::SlowFanOut,
        Self::Clock,
        Self::Cpu,
        Self::ShardEnded,
        Self::EndpointAway,
        Self::ProxyAway,
        Self::History,
        Self::ReportsDropped,
    ];

    /// In a word, for scripts and the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NodeLost => "node-lost",
            Self::FewPeers => "few-peers",
            Self::BlockRefused => "block-refused",
            Self::BlockStale => "block-stale",
            Self::SpoolNotDraining => "spool-not-draining",
            Self::SlowFanOut => "slow-fan-out",
            Self::Clock => "clock",
            Self::Cpu => "cpu",
            Self::ShardEnded => "shard-ended",
            Self::EndpointAway => "endpoint-away",
            Self::ProxyAway => "proxy-away",
            Self::History => "history",
            Self::ReportsDropped => "reports-dropped",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// How long it must have lasted before it is said, and have been gone before its end is said; in
    /// ms. What happens once (a block was refused) is said at once, and how long it stands is judged
    /// by what it is.
    #[must_use]
    pub const fn hold_ms(self) -> (u64, u64) {
        match self {
            Self::NodeLost => (ALERT_NODE_RAISE_MS, ALERT_NODE_CLEAR_MS),
            Self::FewPeers => (ALERT_PEERS_RAISE_MS, ALERT_PEERS_CLEAR_MS),
            Self::SpoolNotDraining => (0, ALERT_SPOOL_CLEAR_MS),
            Self::Clock => (0, 0),
            Self::Cpu => (ALERT_CPU_RAISE_MS, ALERT_CPU_CLEAR_MS),
            Self::EndpointAway | Self::ProxyAway | Self::History => {
                (ALERT_AWAY_RAISE_MS, ALERT_AWAY_CLEAR_MS)
            }
            Self::BlockRefused
            | Self::BlockStale
            | Self::SlowFanOut
            | Self::ShardEnded
            | Self::ReportsDropped => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_word() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((Kind::parse(kind.word()), kind as usize), (Some(kind), at));
        }
        assert_eq!(Kind::parse("nonsense"), None);
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Critical);
    }
}
