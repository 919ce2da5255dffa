//! What is not a peer's fault or doing: the local node under other addresses, and the proxy.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::connections::Ending;
use super::keeper::{Keeper, epoch_s};
use crate::cold::dial::{DialError, Dialled};
use crate::cold::score::Standing;
use crate::limits::PROXY_RETRY_MS;

const PROXY_RETRY: Duration = Duration::from_millis(PROXY_RETRY_MS);

impl Keeper {
    /// Notes under which addresses the local node is reached as well. Without a connection of its own
    /// to it, any of them will do.
    pub(super) fn note_own(&mut self, told: Vec<SocketAddr>) {
        let Some(node) = self.settings.node_p2p else {
            return;
        };
        self.own = told.into_iter().filter(|address| *address != node).collect();
        let Self { own, connections, candidates, kept, .. } = self;
        candidates.retain(|address| !own.contains(address));
        for connection in connections.iter_mut().filter(|it| own.contains(&it.address)) {
            if connection.standing != Standing::Protected && connection.ending == Ending::No {
                tracing::info!(peer = %connection.address, "is the local node: letting go of it");
                connection.end("local-node");
            }
        }
        for fixed in kept.iter().filter(|it| own.contains(&it.address)) {
            tracing::debug!(peer = %fixed.address, "is the local node: not dialled beside it");
        }
    }

    /// The proxy could not be used: nobody is to blame for it, and everybody is tried again soon.
    pub(super) fn on_proxy_away(
        &mut self,
        address: SocketAddr,
        standing: Standing,
        why: &str,
        now: Instant,
    ) {
        self.dial_counts.failed += 1;
        self.count_drop("proxy");
        if self.proxy_trouble.is_none() {
            let proxy = self.settings.proxy.as_ref().map(|proxy| proxy.address.to_string());
            let proxy = proxy.unwrap_or_default();
            tracing::warn!(
                "the proxy at {proxy} can't be used ({why}): no new peers but this host's own; \
                 trying on, and blocks go to your nodes meanwhile. Is it running, and is \
                 [chain.peers] proxy right?"
            );
        }
        self.proxy_trouble = Some(why.to_owned());
        let pause = PROXY_RETRY.mul_f64(0.5 + 0.5 * self.chance.unit());
        if standing != Standing::Ordinary {
            self.kept.put_off(address, "proxy", now, pause);
        } else {
            self.missed.note(address, "proxy", now);
        }
        if let Some(entry) = self.book.get_mut(address) {
            entry.last_failure_s = epoch_s();
            entry.next_try_s = entry.last_failure_s + pause.as_secs_f64();
        }
    }

    /// What a dial tells of the proxy: whoever got through it, or was turned away behind it.
    pub(super) fn on_way(
        &mut self,
        address: SocketAddr,
        standing: Standing,
        result: &Result<Dialled, DialError>,
    ) {
        let is_proxied = standing != Standing::Protected && !address.ip().is_loopback();
        let says_nothing = matches!(
            result,
            Err(DialError::Proxy(_) | DialError::Onion | DialError::Local(_) | DialError::Timeout)
        );
        if is_proxied && !says_nothing && self.proxy_trouble.take().is_some() {
            tracing::info!("the proxy can be used again");
        }
    }
}
