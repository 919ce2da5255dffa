//! A further endpoint: somebody's node that gets every block of a chain and that nobody waits for.
//!
//! Each has what it needs of its own, so that one which hangs or fails costs the others nothing: a
//! time for one try, a time for one block, places for the blocks on their way, a breaker that leaves
//! it alone after several failures in a row, and statistics. Between blocks it is asked for its block
//! count now and then: that keeps a connection open, and tells whether it would take a block.

mod breaker;
mod ledger;
mod view;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use super::leg::{confirm, hex_of, jittered};
use super::row::{LegRow, LegState};
use super::verdict::Verdict;
use super::{NodeClient, NodeError, NodeSettings};
use crate::limits::{
    ENDPOINT_DEADLINE_MS, ENDPOINT_LEGS_MAX, ENDPOINT_TRY_MS, LEG_RETRY_MAX_MS, LEG_RETRY_MIN_MS,
    NODE_WARM_INTERVAL_MS, ORPHAN_PAUSE_MS, ORPHAN_TRIES_MAX,
};
use breaker::{Breaker, Pass, Pauses};
use ledger::Ledger;
pub use ledger::Totals;
pub use view::EndpointView;

const BACKOFF_MIN: Duration = Duration::from_millis(LEG_RETRY_MIN_MS);
const BACKOFF_MAX: Duration = Duration::from_millis(LEG_RETRY_MAX_MS);
const ORPHAN_PAUSE: Duration = Duration::from_millis(ORPHAN_PAUSE_MS);
const WARM_INTERVAL: Duration = Duration::from_millis(NODE_WARM_INTERVAL_MS);

/// What an endpoint is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Where it is and how to get in.
    pub node: NodeSettings,
    /// How long one try may take, connecting included.
    pub timeout: Duration,
    /// How long one block is tried. Then it is given up there.
    pub patience: Duration,
}

impl From<NodeSettings> for EndpointSettings {
    /// With the usual times.
    fn from(node: NodeSettings) -> Self {
        Self {
            node,
            timeout: Duration::from_millis(ENDPOINT_TRY_MS),
            patience: Duration::from_millis(ENDPOINT_DEADLINE_MS),
        }
    }
}

/// One further endpoint. Cheap to clone: all clones are the same one.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeClient,
    timeout: Duration,
    patience: Duration,
    places: Arc<Semaphore>,
    breaker: Breaker,
    ledger: Ledger,
}

/// A block for one endpoint.
#[derive(Debug)]
pub struct Parcel<'a> {
    /// Its hash, as people write it.
    pub hash: &'a str,
    /// Its bytes.
    pub raw: &'a Bytes,
    /// The same in hex, where it came so: for the first try.
    pub hex: Option<Bytes>,
    /// Where the leg notes how it stands.
    pub row: &'a LegRow,
}

impl Endpoint {
    /// Makes an endpoint; nothing is connected yet.
    ///
    /// # Errors
    /// As [`NodeClient::new`].
    pub fn new(settings: EndpointSettings) -> Result<Self, NodeError> {
        let EndpointSettings { node, timeout, patience } = settings;
        Ok(Self::made(NodeClient::new(node)?, timeout, patience, Pauses::USUAL))
    }

    /// An endpoint behind this client, with the usual times.
    #[must_use]
    pub fn of(node: NodeClient) -> Self {
        let timeout = Duration::from_millis(ENDPOINT_TRY_MS);
        let patience = Duration::from_millis(ENDPOINT_DEADLINE_MS);
        Self::made(node, timeout, patience, Pauses::USUAL)
    }

    fn made(node: NodeClient, timeout: Duration, patience: Duration, pauses: Pauses) -> Self {
        let places = Arc::new(Semaphore::new(ENDPOINT_LEGS_MAX as usize));
        let (breaker, ledger) = (Breaker::new(pauses), Ledger::default());
        Self(Arc::new(Inner { node, timeout, patience, places, breaker, ledger }))
    }

    /// The address as given, for messages.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.node.url()
    }

    /// Starts asking now and then whether it is there, inside a tokio runtime. Ends when the last
    /// clone is dropped.
    pub fn watch(&self) {
        tokio::spawn(watch(Arc::downgrade(&self.0)));
    }

    /// A place for one block, to be held until [`Self::deliver`] is over. `None`: too many blocks
    /// wait for this endpoint, and it does not get this one.
    #[must_use]
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().ok();
        if place.is_none() {
            self.0.ledger.turned_away();
        }
        place
    }

    /// Hands a block over until there is a verdict. `None`: there was none in the time that this
    /// endpoint has for a block.
    pub async fn deliver(&self, parcel: Parcel<'_>) -> Option<Verdict> {
        let inner = &self.0;
        let _under_way = inner.ledger.take();
        let row = parcel.row;
        match tokio::time::timeout(inner.patience, inner.until_verdict(parcel)).await {
            Ok(verdict) => {
                inner.ledger.judged(&verdict);
                row.answered(&verdict);
                Some(verdict)
            }
            Err(_) => {
                inner.ledger.gave_up();
                row.reach(LegState::GaveUp);
                None
            }
        }
    }

    /// Blocks that ended without a verdict, or never began.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let Totals { gave_up, turned_away, .. } = self.0.ledger.totals();
        gave_up + turned_away
    }

    /// What has become of all blocks there since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.0.ledger.totals()
    }

    /// Whether blocks are handed to it as they come: it has not failed too often.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.breaker.circuit().word() == "closed"
    }

    /// What is wrong with it, for the operator; `None`: nothing that is known.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let Totals { is_here, last_trouble, .. } = self.0.ledger.totals();
        last_trouble.filter(|_| is_here == Some(false) || !self.is_closed())
    }

    /// `{url, breaker, timeout_s, retry_s, here, blocks, waiting, verdicts, gave_up, turned_away,
    /// tries, troubles, last_verdict, last_trouble, answer_ms, opened}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut told = self.0.ledger.totals().to_json();
        for (key, value) in [
            ("url", Value::from(self.url())),
            ("breaker", Value::from(self.0.breaker.circuit().word())),
            ("timeout_s", Value::from(self.0.timeout.as_secs_f64())),
            ("retry_s", Value::from(self.0.patience.as_secs_f64())),
        ] {
            if let Some(map) = told.as_object_mut() {
                map.insert(key.to_owned(), value);
            }
        }
        told
    }
}

impl Inner {
    /// Also waits for the parent where the endpoint lacks it: its own copy may be on its way.
    async fn until_verdict(&self, parcel: Parcel<'_>) -> Verdict {
        let Parcel { hash, raw, mut hex, row } = parcel;
        let mut tries = 0;
        loop {
            let verdict = self.until_answer(hash, raw, hex.take(), row).await;
            if !verdict.is_orphan() || tries >= ORPHAN_TRIES_MAX {
                return verdict;
            }
            tries += 1;
            tokio::time::sleep(ORPHAN_PAUSE).await;
        }
    }

    async fn until_answer(
        &self,
        hash: &str,
        raw: &Bytes,
        hex: Option<Bytes>,
        row: &LegRow,
    ) -> Verdict {
        let (mut hex, mut backoff, mut maybe_seen) = (hex, BACKOFF_MIN, false);
        for attempt in 1_u64.. {
            let pass = self.breaker.pass(|| row.reach(LegState::HeldOff)).await;
            row.asked();
            self.ledger.tried();
            let begun = Instant::now();
            let digits = hex.take().unwrap_or_else(|| hex_of(raw));
            let error = match self.node.submit_block_within(digits, self.timeout).await {
                Ok(verdict) => {
                    pass.succeed();
                    self.ledger.answered(begun.elapsed());
                    // Our own earlier try went through, only its answer was lost.
                    if verdict == Verdict::Duplicate && maybe_seen {
                        return Verdict::Accepted;
                    }
                    return confirm(&self.node, hash, verdict).await;
                }
                Err(error) => error,
            };
            maybe_seen |= matches!(error, NodeError::Broken { .. } | NodeError::TimedOut { .. });
            row.troubled(&error);
            // Most likely an idle connection that the node closed at this very moment.
            let is_stale = attempt == 1 && matches!(error, NodeError::Broken { .. });
            let opened = !is_stale && end(pass, &error);
            self.note(&error, opened);
            if is_stale {
                continue;
            }
            tokio::time::sleep(jittered(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        // Not reached: nobody lives that long.
        Verdict::Inconclusive
    }

    /// Notes what went wrong; says so once, when it is one too many.
    fn note(&self, error: &NodeError, opened: bool) {
        self.ledger.troubled(error, opened);
        if opened {
            warn!(endpoint = self.node.url(), %error,
                "this endpoint has failed several times in a row: its blocks wait, one is tried now and then");
        }
    }

    /// Asks whether it is there. A breaker that is open makes this wait, and be the one try.
    async fn look(&self) {
        let pass = self.breaker.pass(|| {}).await;
        let was_open = self.breaker.circuit().word() != "closed";
        let url = || self.node.url().to_owned();
        let asked = tokio::time::timeout(self.timeout, self.node.keep_warm()).await;
        let asked = asked.unwrap_or_else(|_| {
            Err(NodeError::TimedOut { url: url(), after_s: self.timeout.as_secs() })
        });
        match asked {
            Ok(()) => {
                pass.succeed();
                self.ledger.is_here();
                if was_open {
                    info!(endpoint = self.node.url(), "this endpoint answers again");
                }
            }
            Err(error) => {
                let opened = end(pass, &error);
                self.note(&error, opened);
            }
        }
    }
}

/// A try has brought no verdict. One that is there, and says itself that it will do in a moment, has
/// not failed. True where that opened the breaker.
fn end(pass: Pass<'_>, error: &NodeError) -> bool {
    if matches!(error, NodeError::QueueFull { .. } | NodeError::WarmingUp { .. }) {
        pass.succeed();
        return false;
    }
    pass.fail()
}

async fn watch(endpoint: Weak<Inner>) {
    loop {
        let Some(inner) = endpoint.upgrade() else {
            return;
        };
        inner.look().await;
        drop(inner);
        tokio::time::sleep(WARM_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests;
