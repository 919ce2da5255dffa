//! What becomes of each block after the node's verdict: buried, or stale, and by which other block.
//!
//! One task per chain with a node. After each new tip, and from time to time, it asks the node about
//! every block of ours that is not decided: `getblockheader` tells how deep it lies, `getblockhash`
//! which block stands at its height instead. A block [`CONFIRM_DEPTH`] deep is confirmed; one whose
//! rival is that deep is stale. Both are said once in the log and counted, and the spool lets go of
//! the block. A node that is away is waited for; nothing is decided without it.
//!
//! Blocks of an earlier process, which only the spool still knows, are watched as well.

mod look;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{debug, error, info, warn};

use super::node::leg::jittered;
use super::node::tip::{Presence, TipWatch};
use super::node::{NodeClient, NodeError};
use super::spool::{Spool, SpoolState};
use super::stats::{BlockLog, BlockRecord, Fate};
use crate::limits::{
    CONFIRM_DEADLINE_MS, CONFIRM_DEPTH, CONFIRM_INTERVAL_MS, CONFIRM_LOOK_MAX, CONFIRM_PAUSE_MS,
    NODE_FLUSH_MS,
};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

const INTERVAL: Duration = Duration::from_millis(CONFIRM_INTERVAL_MS);
const PAUSE: Duration = Duration::from_millis(CONFIRM_PAUSE_MS);
const DEADLINE: Duration = Duration::from_millis(CONFIRM_DEADLINE_MS);

/// Whose blocks are watched, and who is told.
#[derive(Debug)]
pub struct Confirm {
    /// Index of the chain in the engine's configuration.
    pub chain_index: u8,
    /// Its row.
    pub chain: &'static Chain,
    /// Its own node.
    pub node: NodeClient,
    /// Where what has become of a block is written down.
    pub log: Arc<BlockLog>,
    /// Blocks that are kept until they are decided.
    pub spool: Option<Arc<Spool>>,
}

/// One block that is watched.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    fate: Fate,
    /// Number of the look that asked last; 0: none has.
    asked: u64,
}

/// The blocks of one chain and what is known of them.
#[derive(Debug)]
struct Watch {
    told: Confirm,
    /// Bounded by what the log and the spool hold.
    seen: HashMap<BlockHash, Seen>,
    /// The highest block that counts as confirmed: while it is in the chain, so are the others.
    highest: Option<(u32, BlockHash)>,
    looks: u64,
}

impl Confirm {
    /// Starts the watch, inside a tokio runtime. It ends with `tip`.
    pub fn spawn(self, tip: &TipWatch) {
        if let Some(spool) = &self.spool {
            spool.watch(self.chain);
        }
        let (mut tips, mut presence) = (tip.changes(), tip.presence());
        let mut watch = Watch::new(self);
        tokio::spawn(async move {
            loop {
                if presence.wait_for(|now| *now == Presence::Here).await.is_err() {
                    return;
                }
                tips.mark_unchanged();
                let looked = tokio::time::timeout(DEADLINE, watch.look()).await;
                if let Ok(Err(error)) = looked {
                    debug!(%error, "what became of our blocks could not be asked");
                }
                let news = tokio::time::timeout(jittered(INTERVAL), tips.changed()).await;
                if matches!(news, Ok(Err(_))) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

impl Watch {
    fn new(told: Confirm) -> Self {
        Self { told, seen: HashMap::new(), highest: None, looks: 0 }
    }

    /// One look at every block that is not decided, those first that were asked about longest ago.
    async fn look(&mut self) -> Result<(), NodeError> {
        self.looks += 1;
        let is_shaken = self.is_shaken().await?;
        self.gather(is_shaken);
        let open = self.seen.iter().filter(|(_, seen)| is_shaken || !seen.fate.is_final());
        let mut due: Vec<_> = open.map(|(hash, seen)| (seen.asked, *hash)).collect();
        due.sort_unstable_by_key(|(asked, _)| *asked);
        for (_, hash) in due.into_iter().take(CONFIRM_LOOK_MAX) {
            let found = look::ask(&self.told.node, &hash).await?;
            self.note(hash, found);
        }
        self.let_go().await;
        Ok(())
    }

    /// Whether the chain has left the highest block that counted as confirmed: then none is certain.
    async fn is_shaken(&mut self) -> Result<bool, NodeError> {
        let Some((_, hash)) = self.highest else {
            return Ok(false);
        };
        let found = look::ask(&self.told.node, &hash).await?;
        // A node that has lost the block says nothing of the chain.
        let is_shaken = found.fate.rival().is_some();
        if is_shaken {
            error!(chain = self.told.chain.name, block = %hash,
                "CRITICAL: a reorganisation deeper than {CONFIRM_DEPTH} blocks has removed blocks that counted as confirmed");
            self.highest = None;
        }
        Ok(is_shaken)
    }

    /// What the log and the spool hold that is to be watched; the rest is forgotten.
    fn gather(&mut self, is_shaken: bool) {
        let Confirm { chain_index, chain, log, spool, .. } = &self.told;
        let mut wanted: HashSet<BlockHash> = log.undecided(*chain_index).into_iter().collect();
        if is_shaken {
            wanted.extend(log.confirmed(*chain_index));
        }
        let kept = spool.iter().flat_map(|spool| spool.list(chain, SpoolState::Accepted));
        wanted.extend(kept.map(|entry| entry.hash));
        self.seen.retain(|hash, _| wanted.contains(hash));
        for hash in wanted {
            let known = || log.fate(*chain_index, &hash).unwrap_or_default();
            self.seen.entry(hash).or_insert_with(|| Seen { fate: known(), asked: 0 });
        }
    }

    fn note(&mut self, hash: BlockHash, found: look::Found) {
        let look::Found { fate: now, height } = found;
        let seen = self.seen.entry(hash).or_default();
        seen.asked = self.looks;
        let before = std::mem::replace(&mut seen.fate, now);
        if now == Fate::Confirmed && self.highest.is_none_or(|(top, _)| top < height) {
            self.highest = Some((height, hash));
        }
        if before == now {
            return;
        }
        let record = self.told.log.note_fate(self.told.chain_index, &hash, before, now);
        tell(self.told.chain, &hash, height, (before, now), record.as_ref());
    }

    /// The spool lets go of what is stale, and of what is buried for longer than a node may take to
    /// write a block down.
    async fn let_go(&self) {
        let Confirm { chain, spool: Some(spool), .. } = &self.told else {
            return;
        };
        let now_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_unix_ms = u64::try_from(now_unix_ms.as_millis()).unwrap_or(u64::MAX);
        let due = spool.list(chain, SpoolState::Accepted).into_iter().filter_map(|entry| {
            let until_unix_ms = match self.seen.get(&entry.hash)?.fate {
                Fate::Stale(_) => now_unix_ms,
                Fate::Confirmed => now_unix_ms.saturating_sub(NODE_FLUSH_MS),
                _ => return None,
            };
            (entry.received_unix_ms <= until_unix_ms).then_some((entry.hash, until_unix_ms))
        });
        let due: Vec<_> = due.collect();
        if due.is_empty() {
            return;
        }
        let (spool, chain) = (Arc::clone(spool), *chain);
        let removing = tokio::task::spawn_blocking(move || {
            due.iter().for_each(|(hash, until)| _ = spool.let_go_of(chain, hash, *until));
        });
        // Its own failures are said by the spool.
        let _ = removing.await;
    }
}

/// One line for the operator where it matters.
fn tell(
    chain: &Chain,
    hash: &BlockHash,
    height: u32,
    (before, now): (Fate, Fate),
    record: Option<&BlockRecord>,
) {
    let (chain, block) = (chain.name, hash);
    let have = record.map_or(0, |record| record.counts.have);
    match now {
        Fate::Confirmed => {
            let first = record.and_then(|record| Some((record.first_back?, record.published_ns())));
            let first_back_ms = first.map(|(first, published_ns)| {
                first.at_ns.saturating_sub(published_ns) as f64 / 1_000_000.0
            });
            info!(chain, %block, height, peers = have, first_back_ms,
                "confirmed: the block is {CONFIRM_DEPTH} deep");
        }
        Fate::Stale(rival) => warn!(chain, %block, height, %rival, peers = have,
            "stale: another block is {CONFIRM_DEPTH} deep in this one's place"),
        Fate::Behind(rival) => warn!(chain, %block, height, %rival, peers = have,
            "another block is in this one's place in the node's chain; the next ones will decide"),
        Fate::InChain(_) if before.rival().is_some() => {
            info!(chain, %block, height, "the block is back in the node's chain");
        }
        Fate::InChain(_) | Fate::Pending | Fate::Refused => {}
    }
}
