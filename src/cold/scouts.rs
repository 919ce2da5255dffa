//! Scouts: connections that listen.
//!
//! A scout is one tokio task that owns its socket for the connection's whole life. It dials, shakes
//! hands, asks for addresses once, and then tells when the peer announces blocks, until it is sent
//! away. Shards know nothing of scouts. One task per chain keeps up to so many of them, in rotation
//! through the database: those whose peers announce blocks early stay longer.
//!
//! The same task brings in addresses otherwise, where the operator allows it: it has connected peers
//! visited (one more connection, one `getaddr`, gone with the answer) while the database is poor, and
//! DNS seeds asked while hardly anybody is known.
//!
//! A scout says little: its `version`, `getaddr`, pings and pongs, and when a block of ours has gone
//! out to all peers, its compact form, where the peer was not heard to have it. `sendheaders` would
//! change nothing: nodes announce by `inv` to whoever has shown no headers of their own.
//!
//! Memory: at most [`SCOUT_MEMORY_BYTES_MAX`](crate::limits::SCOUT_MEMORY_BYTES_MAX) each, the
//! kernel's socket aside, and the list of addresses that one is just handing on.

mod flood;
mod hearing;
mod listen;
mod own;
mod rotation;
mod troop;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use own::OwnBlock;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::dial::DialSettings;
use super::roster::RosterHandle;
use super::seeds::{Resolver, SystemResolver};
use super::stats::BlockLog;
use crate::limits::{REFRESH_MIN_MS, SCOUT_STAY_BLOCKS};
use crate::wire::chain::Chain;
use troop::Troop;

/// What a chain's scouts are told once.
#[derive(Clone, Debug)]
pub struct ScoutSettings {
    /// Index of the chain in the engine's configuration.
    pub chain_index: u8,
    /// How they dial.
    pub dial: DialSettings,
    /// As many as are wanted.
    pub scouts: u32,
    /// Whether peers are asked for addresses.
    pub discover: bool,
    /// Whether DNS seeds may be asked: not where there is a proxy.
    pub seeds: bool,
    /// How often some of them change places.
    pub refresh: Duration,
    /// How long a scout listens before it can be replaced.
    pub stay: Duration,
    /// Our own blocks, to be offered to scouts' peers when all others have them.
    pub own: watch::Receiver<Option<Arc<OwnBlock>>>,
}

impl ScoutSettings {
    /// How long a scout of `chain` listens before it can be replaced.
    #[must_use]
    pub fn stay(chain: &Chain) -> Duration {
        Duration::from_secs(u64::from(chain.interval_s) * u64::from(SCOUT_STAY_BLOCKS))
    }
}

/// Starts scouts.
#[derive(Debug)]
pub struct Scouts;

impl Scouts {
    /// Starts the scouts of one chain beside its roster; call it inside a tokio runtime. `log`, where
    /// there is one, hears of scouts' peers that announce our own blocks.
    pub fn spawn(
        settings: ScoutSettings,
        roster: RosterHandle,
        log: Option<Arc<BlockLog>>,
    ) -> ScoutsHandle {
        Self::spawn_with(settings, roster, log, Arc::new(SystemResolver))
    }

    /// As [`Scouts::spawn`], with anything that looks up names.
    pub fn spawn_with(
        mut settings: ScoutSettings,
        roster: RosterHandle,
        log: Option<Arc<BlockLog>>,
        resolver: Arc<dyn Resolver>,
    ) -> ScoutsHandle {
        settings.refresh = settings.refresh.max(Duration::from_millis(REFRESH_MIN_MS));
        let (stopping, stop) = watch::channel(false);
        let span = tracing::info_span!("scouts", chain = settings.dial.chain.name);
        let troop = Troop::new(settings, roster, log, resolver);
        let task = tokio::spawn(troop.run(stop).instrument(span));
        ScoutsHandle { stopping, task }
    }
}

/// The outside's way to a chain's scouts.
#[derive(Debug)]
pub struct ScoutsHandle {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ScoutsHandle {
    /// Sends all scouts home; their connections are closed when it returns.
    pub async fn stop(self) {
        let _ = self.stopping.send(true);
        let _ = self.task.await;
    }
}
