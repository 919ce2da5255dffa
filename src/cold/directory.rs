//! Which address hides behind a [`PeerId`]: the shards know only numbers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use crate::hot::link::PeerId;

/// What is shown of a connection beside its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLabel {
    /// Remote address.
    pub address: SocketAddr,
    /// User agent from its `version`, cleaned for printing.
    pub user_agent: String,
    /// Whether it is the protected local node.
    pub protected: bool,
}

/// All connections that are or recently were at a shard. Bounded by the shards' slots: an entry
/// goes when its connection has come home and its blocks are settled.
#[derive(Debug, Default)]
pub struct Directory(RwLock<HashMap<PeerId, PeerLabel>>);

impl Directory {
    /// Notes who `peer` is.
    pub fn insert(&self, peer: PeerId, label: PeerLabel) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(peer, label);
    }

    /// Who `peer` is.
    #[must_use]
    pub fn get(&self, peer: PeerId) -> Option<PeerLabel> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned()
    }

    /// Forgets `peer`.
    pub fn remove(&self, peer: PeerId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }
}
