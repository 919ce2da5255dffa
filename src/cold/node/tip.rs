//! What the local node holds for the chain's tip: for the desk's parent and bits checks, and to
//! tell when the node goes away and comes back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use super::leg::jittered;
use super::{NodeClient, NodeError};
use crate::limits::{
    NODE_WARM_INTERVAL_MS, PARENT_DEADLINE_MS, TIP_BLOCKS_MAX, TIP_DEADLINE_MS, TIP_INTERVAL_MS,
};
use crate::wire::hash::BlockHash;

const POLL_INTERVAL: Duration = Duration::from_millis(TIP_INTERVAL_MS);
const LOOK_DEADLINE: Duration = Duration::from_millis(TIP_DEADLINE_MS);
const WARM_INTERVAL: Duration = Duration::from_millis(NODE_WARM_INTERVAL_MS);
const PARENT_DEADLINE: Duration = Duration::from_millis(PARENT_DEADLINE_MS);

/// One block that the node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its height.
    pub height: u32,
    /// Its compact target.
    pub bits: u32,
}

/// Whether the node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Here,
    /// It does not, or not usefully: why.
    Away(String),
}

/// The watch over one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TipWatch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeClient,
    known: Mutex<KnownBlocks>,
    hint: Notify,
    presence: watch::Sender<Presence>,
    tips: watch::Sender<Option<BlockHash>>,
}

#[derive(Debug, Default)]
struct KnownBlocks {
    blocks: HashMap<BlockHash, Known>,
    order: VecDeque<BlockHash>,
    tip: Option<BlockHash>,
}

impl KnownBlocks {
    fn insert(&mut self, hash: BlockHash, known: Known) {
        if self.blocks.insert(hash, known).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > TIP_BLOCKS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.blocks.remove(&oldest);
            }
        }
    }
}

impl Inner {
    fn knows(&self, hash: &BlockHash) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).blocks.contains_key(hash)
    }
}

impl TipWatch {
    /// Starts watching `node`, inside a tokio runtime. Ends when the last clone is dropped.
    #[must_use]
    pub fn spawn(node: NodeClient) -> Self {
        let (presence, _) = watch::channel(Presence::Unknown);
        let (tips, _) = watch::channel(None);
        let (known, hint) = (Mutex::default(), Notify::new());
        let inner = Arc::new(Inner { node, known, hint, presence, tips });
        tokio::spawn(run(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// Something happened that may have moved the tip: ask at once.
    pub fn hint(&self) {
        self.0.hint.notify_one();
    }

    /// Whether the node answers; changes wake the receiver.
    #[must_use]
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.0.presence.subscribe()
    }

    /// The tip's hash; changes wake the receiver.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<BlockHash>> {
        self.0.tips.subscribe()
    }

    /// The tip's hash and what is known of it.
    #[must_use]
    pub fn tip(&self) -> Option<(BlockHash, Known)> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tip = known.tip?;
        known.blocks.get(&tip).map(|found| (tip, *found))
    }

    /// What is known of `hash`, without asking the node.
    #[must_use]
    pub fn known(&self, hash: &BlockHash) -> Option<Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).blocks.get(hash).copied()
    }

    /// Notes a block that the network was given by us.
    pub fn insert(&self, hash: BlockHash, known: Known) {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, known);
    }

    /// Asks the node for one block: the tip may have moved since the last look. `Ok(None)`: the
    /// node answers and does not have it.
    ///
    /// # Errors
    /// The node did not answer within 500 ms.
    pub async fn ask(&self, hash: &BlockHash) -> Result<Option<Known>, NodeError> {
        if let Some(known) = self.known(hash) {
            return Ok(Some(known));
        }
        let shown = hash.to_string();
        let asked = header(&self.0.node, &shown);
        match tokio::time::timeout(PARENT_DEADLINE, asked).await {
            Ok(Ok((known, _))) => {
                self.insert(*hash, known);
                self.hint();
                Ok(Some(known))
            }
            // -5: "Block not found".
            Ok(Err(NodeError::Rpc { code: -5, .. })) => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NodeError::TimedOut { url: self.0.node.url().to_owned(), after_s: 0 }),
        }
    }
}

async fn run(watch: std::sync::Weak<Inner>) {
    let mut warmed = tokio::time::Instant::now();
    loop {
        let Some(inner) = watch.upgrade() else { return };
        let looked = tokio::time::timeout(LOOK_DEADLINE, look(&inner)).await.unwrap_or_else(|_| {
            let url = inner.node.url().to_owned();
            Err(NodeError::TimedOut { url, after_s: LOOK_DEADLINE.as_secs() })
        });
        note_presence(&inner, looked.err());
        if warmed.elapsed() >= WARM_INTERVAL {
            warmed = tokio::time::Instant::now();
            // Its failure is the next look's news.
            let _warm = inner.node.keep_warm().await;
        }
        let _woken = tokio::time::timeout(jittered(POLL_INTERVAL), inner.hint.notified()).await;
    }
}

/// Says once that the node is gone, and once that it is back.
fn note_presence(inner: &Inner, failure: Option<NodeError>) {
    let url = inner.node.url();
    let next = failure.as_ref().map_or(Presence::Here, |error| Presence::Away(error.to_string()));
    let before = inner.presence.borrow().clone();
    // Whoever reads the line can count on it.
    inner.presence.send_if_modified(|presence| {
        let changed = std::mem::discriminant(presence) != std::mem::discriminant(&next);
        *presence = next;
        changed
    });
    match (&before, &failure) {
        (Presence::Away(_), Some(_)) => {}
        (_, Some(reason)) => {
            error!(node = url, %reason, "CRITICAL: the local node is away; blocks go to peers and wait in the spool for it");
        }
        (Presence::Away(_), None) => info!(node = url, "the local node is back"),
        (Presence::Unknown, None) => info!(node = url, "the local node answers"),
        (Presence::Here, None) => {}
    }
}

/// One look: the tip, and what lies between it and the last one known.
async fn look(inner: &Inner) -> Result<(), NodeError> {
    let best = inner.node.call("getbestblockhash", json!([])).await?;
    let Some(best) = best.as_str().and_then(BlockHash::from_hex) else {
        return Err(NodeError::BadAnswer { url: inner.node.url().to_owned(), status: 200 });
    };
    let mut hash = best;
    let mut found = Vec::new();
    for _ in 0..TIP_BLOCKS_MAX {
        if inner.knows(&hash) {
            break;
        }
        let (block, parent) = header(&inner.node, &hash.to_string()).await?;
        found.push((hash, block));
        if found.len() == 1 {
            // The tip is what most blocks build on: known at once, the older ones follow.
            note_tip(inner, best, &found);
        }
        let Some(parent) = parent else { break };
        hash = parent;
    }
    note_tip(inner, best, &found);
    Ok(())
}

/// Enters `found` (newest first), oldest first, and makes `best` the tip.
fn note_tip(inner: &Inner, best: BlockHash, found: &[(BlockHash, Known)]) {
    let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
    for (hash, block) in found.iter().rev() {
        known.insert(*hash, *block);
    }
    known.tip = Some(best);
    drop(known);
    inner.tips.send_if_modified(|tip| tip.replace(best) != Some(best));
}

/// `getblockheader`: what is wanted of it, and the parent (none for genesis).
async fn header(node: &NodeClient, hash: &str) -> Result<(Known, Option<BlockHash>), NodeError> {
    let answer = node.call("getblockheader", json!([hash])).await?;
    let bad = || NodeError::BadAnswer { url: node.url().to_owned(), status: 200 };
    let height = answer.get("height").and_then(Value::as_u64);
    let height = height.and_then(|height| u32::try_from(height).ok()).ok_or_else(bad)?;
    let bits = answer.get("bits").and_then(Value::as_str);
    let bits = bits.and_then(|bits| u32::from_str_radix(bits, 16).ok()).ok_or_else(bad)?;
    let parent = answer.get("previousblockhash").and_then(Value::as_str);
    Ok((Known { height, bits }, parent.and_then(BlockHash::from_hex)))
}
