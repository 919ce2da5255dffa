//! After a stop, ours or the node's: what the spool holds goes to the node again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::course::now_unix_ms;
use super::legs::{Forward, has_block};
use super::{Desk, HandOver};
use crate::cold::node::tip::Presence;
use crate::cold::node::{NodeClient, leg};
use crate::cold::spool::{SpoolEntry, SpoolState};
use crate::limits::SWEEP_INTERVAL_MS;
use crate::wire::chain::Chain;

const SWEEP_INTERVAL: Duration = Duration::from_millis(SWEEP_INTERVAL_MS);

impl Desk {
    /// Starts one task per chain that hands in what the spool holds: at once, whenever the node
    /// comes back, and from time to time. They end when `stop` becomes true.
    pub fn start_recovery(self: &Arc<Self>, stop: watch::Receiver<bool>) {
        for chain_index in (0_u8..).take(self.chains.len()) {
            let (desk, mut stop) = (Arc::clone(self), stop.clone());
            tokio::spawn(async move {
                let tending = desk.tend(chain_index);
                tokio::select! {
                    () = tending => {}
                    // Also where the sender is gone: nobody is left to stop us later.
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
    }

    async fn tend(self: &Arc<Self>, chain_index: u8) {
        let Some(tip) = self.tip(chain_index) else {
            return;
        };
        let mut presence = tip.presence();
        loop {
            // A node that is away is waited for without touching the disk.
            if presence.wait_for(|now| *now == Presence::Here).await.is_err() {
                return;
            }
            self.resubmit_spool(chain_index).await;
            presence.mark_unchanged();
            let _woken = tokio::time::timeout(SWEEP_INTERVAL, presence.changed()).await;
        }
    }

    /// Hands in what the spool holds of a chain: blocks without a verdict, and accepted ones that
    /// the node no longer has. Oldest first, one after the other. Returns how many were handed in.
    pub async fn resubmit_spool(self: &Arc<Self>, chain_index: u8) -> u32 {
        let (Some(station), Some(spool)) = (self.station(chain_index), &self.spool) else {
            return 0;
        };
        let Some(node) = &station.row.node else {
            return 0;
        };
        let chain = station.row.chain;
        let mut handed_in = 0;
        for entry in spool.list(chain, SpoolState::Accepted) {
            if has_block(node, &entry.hash).await == Ok(false)
                && let Some(raw) = self.read_spool(chain, &entry).await
            {
                let verdict = leg::until_verdict(node, &entry.hash.to_string(), &raw, None).await;
                handed_in += 1;
                warn!(chain = chain.name, block = %entry.hash, verdict = verdict.word(),
                    "the node had lost an accepted block; it was handed in again");
            }
        }
        for entry in spool.pending(chain) {
            handed_in += u32::from(self.resubmit(node, chain_index, chain, &entry).await);
        }
        handed_in
    }

    /// One block without a verdict. False where a leg carries it already.
    async fn resubmit(
        self: &Arc<Self>,
        node: &NodeClient,
        chain_index: u8,
        chain: &'static Chain,
        found: &SpoolEntry,
    ) -> bool {
        if self.memory.is_cared_for(chain_index, found.hash) {
            return false;
        }
        let Some(raw) = self.read_spool(chain, found).await else {
            return false;
        };
        let verdict = self.carry(node, chain_index, found.hash, &raw, Forward::default()).await;
        info!(chain = chain.name, block = %found.hash, verdict = verdict.word(),
            "a block that had waited in the spool was handed in");
        let entry = self.memory.find_same(chain_index, found.hash, &raw);
        if verdict.is_success() {
            let now_ns = crate::sys::clock::now_ns();
            let block = HandOver {
                chain_index,
                raw,
                hex: None,
                first_byte_ns: now_ns,
                last_byte_ns: now_ns,
            };
            self.send_after_all(chain, &entry, &block, now_unix_ms()).await;
        }
        let state = self.conclude(chain, &entry, Some(verdict));
        self.settle(chain, found.clone(), state).await;
        true
    }

    async fn read_spool(&self, chain: &'static Chain, entry: &SpoolEntry) -> Option<Bytes> {
        let (spool, wanted) = (Arc::clone(self.spool.as_ref()?), entry.clone());
        match spawn_blocking(move || spool.read(&wanted)).await {
            Ok(Ok(raw)) => Some(raw),
            Ok(Err(reason)) => {
                warn!(chain = chain.name, block = %entry.hash, %reason, "spool");
                None
            }
            Err(_) => None,
        }
    }
}
