//! Asking the local node for its peers: at the start, and whenever there are too few.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::time::{Instant, timeout};

use super::backoff::{ASKING, Chance};
use super::keeper::epoch_s;
use super::sources::{Candidate, from_peer_info, own_addresses};
use super::{Event, PeerInfoSource};
use crate::limits::PEERS_TOLD_DEADLINE_MS;
use crate::wire::chain::Chain;

const ANSWER_WAIT: Duration = Duration::from_millis(PEERS_TOLD_DEADLINE_MS);

/// What the node has told.
#[derive(Debug)]
pub(super) struct Told {
    /// Its peers that can be ours.
    pub(super) peers: Vec<Candidate>,
    /// Addresses under which others reach it.
    pub(super) own: Vec<SocketAddr>,
}

/// When the node is asked, and how it went.
pub(super) struct Asker {
    source: Option<Arc<dyn PeerInfoSource>>,
    next: Instant,
    is_asking: bool,
    failures: u32,
    has_told: bool,
    /// How often it was asked.
    pub(super) asked: u64,
    /// When it told last, epoch s.
    pub(super) told_s: Option<f64>,
}

impl Asker {
    /// Asks `source`, the first time at `now`; without one, never.
    pub(super) fn new(source: Option<Arc<dyn PeerInfoSource>>, now: Instant) -> Self {
        Self {
            source,
            next: now,
            is_asking: false,
            failures: 0,
            has_told: false,
            asked: 0,
            told_s: None,
        }
    }

    /// When the node is to be asked; `None`: not now. Until it has told once it is always asked.
    pub(super) fn due(&self, are_few: bool) -> Option<Instant> {
        let is_wanted = self.source.is_some() && !self.is_asking && (are_few || !self.has_told);
        is_wanted.then_some(self.next)
    }

    /// Asks; the answer comes as [`Event::Told`].
    pub(super) fn ask(
        &mut self,
        chain: &'static Chain,
        beside_node: bool,
        inbox: &WeakUnboundedSender<Event>,
    ) {
        let (Some(source), Some(inbox)) = (self.source.clone(), inbox.upgrade()) else {
            return;
        };
        self.is_asking = true;
        self.asked += 1;
        tokio::spawn(async move {
            let asked = async {
                let peers = source.peer_info().await?;
                // Without it there is only the risk of a second connection to the node.
                let about = source.network_info().await.unwrap_or_default();
                let peers = from_peer_info(&peers, chain, beside_node);
                Ok(Told { peers, own: own_addresses(&about) })
            };
            let told = timeout(ANSWER_WAIT, asked)
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_WAIT.as_secs())));
            let _ = inbox.send(Event::Told(told));
        });
    }

    /// Notes the answer; gives the candidates. One log line each time that the state changes.
    pub(super) fn on_told(
        &mut self,
        told: Result<Told, String>,
        again: Duration,
        now: Instant,
        chance: &mut Chance,
    ) -> Option<Told> {
        self.is_asking = false;
        match told {
            Ok(told) => {
                if self.failures > 0 || !self.has_told {
                    tracing::info!("the local node named {} usable peers", told.peers.len());
                }
                (self.failures, self.has_told, self.next) = (0, true, now + again);
                self.told_s = Some(epoch_s());
                Some(told)
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(
                        "can't ask the local node for its peers ({error}); \
                         going on with the peers known, and asking again"
                    );
                }
                self.failures = self.failures.saturating_add(1);
                self.next = now + ASKING.wait(self.failures, chance);
                None
            }
        }
    }
}
