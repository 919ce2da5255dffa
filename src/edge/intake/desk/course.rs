//! One block's course: legs, spool and checks side by side, then the peers, then the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

use super::behind::{Behind, describe};
use super::entry::Entry;
use super::legs::Forward;
use super::publish::{PLACE_PATIENCE, PLACE_PAUSE};
use super::{Desk, Draft, Fault, HandOver, PublishedAt, SentBlock};
use crate::cold::node::tip::{Known, Presence};
use crate::cold::node::verdict::Verdict;
use crate::cold::spool::{SpoolEntry, SpoolState};
use crate::cold::stats::{BlockMeta, Stages};
use crate::limits::SPOOL_PAUSE_MS;
use crate::sys::sha;
use crate::wire::chain::Chain;
use crate::wire::check::{self, Checked};
use crate::wire::hash::{BlockHash, unhex};

const SPOOL_PAUSE: Duration = Duration::from_millis(SPOOL_PAUSE_MS);

/// Milliseconds since 1970.
pub(super) fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Desk {
    /// Takes a block through everything that is to happen to it beside its checks.
    pub(super) async fn run(
        self: Arc<Self>,
        entry: Arc<Entry>,
        block: HandOver,
        leg: Option<JoinHandle<Option<Verdict>>>,
        received_unix_ms: u64,
    ) {
        let Some(station) = self.station(entry.chain_index) else {
            return;
        };
        let chain = station.row.chain;
        let mut stored = self.store_soon(chain, &entry, received_unix_ms, &block);
        // Whoever checks it says so in the end, whatever happens.
        let mut progress = entry.progress.subscribe();
        let _ = progress.wait_for(|now| now.decided).await;
        let mut verdict = None;
        if let Some(leg) = leg {
            verdict = leg.await.ok().flatten();
            if verdict.is_none() {
                if written(stored.take()).await.is_some() {
                    // Too many blocks wait in memory: the spool hands this one in later.
                    return;
                }
                verdict = self.wait_in_memory(&entry, &block).await;
            }
        }
        if verdict.as_ref().is_some_and(Verdict::is_success) {
            self.send_after_all(chain, &entry, &block, received_unix_ms).await;
        }
        let state = self.conclude(chain, &entry, verdict);
        // The callers have their answer; the disk may take its time.
        if let Some(kept) = written(stored).await {
            self.settle(chain, kept, state).await;
        }
    }

    /// A block that is nowhere else must wait here for its turn, however many do.
    async fn wait_in_memory(&self, entry: &Entry, block: &HandOver) -> Option<Verdict> {
        let node = self.node(entry.chain_index)?;
        let _place = self.legs.acquire().await.ok()?;
        Some(self.carry(node, entry.chain_index, entry.hash, &block.raw, Forward::default()).await)
    }

    /// Writes the block down once the peers have it, but waits for that no longer than a moment: the
    /// disk's work would take a core from checks and fan-out where there are few.
    fn store_soon(
        self: &Arc<Self>,
        chain: &'static Chain,
        entry: &Arc<Entry>,
        received_unix_ms: u64,
        block: &HandOver,
    ) -> Option<JoinHandle<Option<SpoolEntry>>> {
        self.spool.as_ref()?;
        let (desk, entry, block) = (Arc::clone(self), Arc::clone(entry), block.clone());
        Some(tokio::spawn(async move {
            let with_peers = async {
                let mut progress = entry.progress.subscribe();
                let decided = progress.wait_for(|now| now.decided).await;
                let published = decided.ok().and_then(|now| now.published);
                // While its node is away the block is nowhere else.
                let tip = desk.tip(entry.chain_index);
                let is_safe = tip.is_none_or(|tip| *tip.presence().borrow() == Presence::Here);
                if let Some(published) = published.filter(|_| is_safe) {
                    desk.log.settled(published.image, SPOOL_PAUSE).await;
                }
            };
            let _ = tokio::time::timeout(SPOOL_PAUSE, with_peers).await;
            written(desk.store(chain, entry.hash, received_unix_ms, &block)).await
        }))
    }

    /// Writes the block down, on a thread that may wait for the disk.
    fn store(
        &self,
        chain: &'static Chain,
        hash: BlockHash,
        received_unix_ms: u64,
        block: &HandOver,
    ) -> Option<JoinHandle<Option<SpoolEntry>>> {
        let spool = Arc::clone(self.spool.as_ref()?);
        let raw = block.raw.clone();
        Some(spawn_blocking(move || {
            let stored = spool.store(chain, &hash, received_unix_ms, &raw);
            if let Err(reason) = &stored {
                error!(chain = chain.name, block = %hash, %reason,
                    "CRITICAL: the block is not on disk; broadcasting goes on, a kill would lose it");
            }
            stored.ok()
        }))
    }

    /// A place in the arena with the block in it; waits a moment for a free one, so this is for
    /// threads that may.
    pub(super) fn draft(&self, raw: &[u8]) -> Option<Box<dyn Draft>> {
        let deadline = Instant::now() + PLACE_PATIENCE;
        let mut draft = loop {
            if let Some(draft) = self.publisher.begin() {
                break draft;
            }
            if Instant::now() >= deadline {
                warn!(
                    waited_s = PLACE_PATIENCE.as_secs(),
                    "all image places are taken by blocks being sent: this block goes to the nodes alone"
                );
                return None;
            }
            std::thread::sleep(PLACE_PAUSE);
        };
        match draft.push(raw).map(|()| draft.digest()) {
            Ok(()) => Some(draft),
            Err(reason) => {
                warn!(reason, "the block could not be written to the arena");
                None
            }
        }
    }

    /// Gives the block to the shards, once.
    pub(super) fn commit(
        &self,
        chain: &'static Chain,
        entry: &Entry,
        block: &HandOver,
        draft: Box<dyn Draft>,
        facts: &Facts<'_>,
    ) -> Option<PublishedAt> {
        let (chain_index, hash) = (entry.chain_index, entry.hash);
        if !self.memory.claim(chain_index, hash) {
            return None;
        }
        let more = facts.behind.map(Behind::attachment);
        let published = draft.commit(chain_index, chain, hash.0, more);
        let after_us = published.published_ns.saturating_sub(block.last_byte_ns) / 1_000;
        let Checked { height, transactions, bits, .. } = facts.checked;
        self.log.begin(
            published.image,
            BlockMeta {
                chain_index,
                chain,
                hash,
                height,
                size_bytes: u32::try_from(block.raw.len()).unwrap_or(u32::MAX),
                transactions,
                first_byte_ns: block.first_byte_ns,
                last_byte_ns: block.last_byte_ns,
                published_ns: published.published_ns,
                received_unix_ms: facts.received_unix_ms,
                stages: facts.stages,
            },
        );
        if let Some(tip) = self.tip(chain_index) {
            // The next block may build on it before the node has told us that it has it.
            let next = facts.parent.map(|parent| parent.height.saturating_add(1));
            if let Some(height) = next.or(height) {
                tip.insert(hash, Known { height, bits });
            }
        }
        if let Some(more) = more {
            let (image, raw) = (published.image, &block.raw);
            self.publisher.sent(SentBlock { chain_index, chain, image, hash: hash.0, raw, more });
        }
        info!(chain = chain.name, height, block = %hash, bytes = block.raw.len(), transactions,
            "block on its way to all peers, {after_us} us after its last byte came in");
        Some(published)
    }

    /// The node accepted what we had held back: it goes out after all, unless it makes no sense.
    pub(super) async fn send_after_all(
        self: &Arc<Self>,
        chain: &'static Chain,
        entry: &Entry,
        block: &HandOver,
        received_unix_ms: u64,
    ) {
        let now = entry.progress.borrow().clone();
        if now.published.is_some() {
            return;
        }
        let reason = now.fault.as_ref().map_or("no place was free", |fault| fault.why.as_str());
        let mut block = block.clone();
        if now.fault.as_ref().is_some_and(|fault| fault.unfit) {
            // A node completes what peers refuse (a missing coinbase witness, bytes behind the
            // end): what it made of the block is what peers can be sent.
            let Some(raw) = self.fetch(entry).await else {
                error!(chain = chain.name, block = %entry.hash, reason,
                    "CRITICAL: the node accepted a block that is not fit for peers; it alone spreads it");
                return;
            };
            block.raw = raw;
        }
        warn!(chain = chain.name, block = %entry.hash, reason,
            "the node accepted a block that was held back: sending it to the peers after all");
        let (desk, raw) = (Arc::clone(self), block.raw.clone());
        let prepared = spawn_blocking(move || Some((describe(chain, &raw)?, desk.draft(&raw)?)));
        let Some(((checked, behind), draft)) = prepared.await.ok().flatten() else {
            return;
        };
        let (stages, behind) = (Stages::default(), behind.as_ref());
        let facts = Facts { checked, parent: None, received_unix_ms, stages, behind };
        if let Some(published) = self.commit(chain, entry, &block, draft, &facts) {
            entry.progress.send_modify(|progress| progress.published = Some(published));
        }
    }

    /// The block as the node has it.
    async fn fetch(&self, entry: &Entry) -> Option<Bytes> {
        let node = self.node(entry.chain_index)?;
        // `false`: raw, in the one spelling that all nodes understand.
        let answer = node.call("getblock", json!([entry.hash.to_string(), false])).await.ok()?;
        let digits = answer.as_str()?;
        let mut raw = vec![0; digits.len() / 2];
        unhex(digits.as_bytes(), &mut raw)?;
        Some(Bytes::from(raw))
    }

    /// The verdict is in (or there is no node to give one): log and callers. Returns what that
    /// means for the spool.
    pub(super) fn conclude(
        &self,
        chain: &'static Chain,
        entry: &Entry,
        verdict: Option<Verdict>,
    ) -> SpoolState {
        let published = entry.progress.borrow().published.is_some();
        let refused = verdict.as_ref().map_or(!published, Verdict::is_refusal);
        if let Some(verdict) = verdict {
            self.tell(chain, entry, &verdict);
            entry.set_verdict(verdict);
        }
        if refused { SpoolState::Refused } else { SpoolState::Accepted }
    }

    /// Notes in the spool what became of a block.
    pub(super) async fn settle(&self, chain: &'static Chain, kept: SpoolEntry, state: SpoolState) {
        let Some(spool) = self.spool.clone() else {
            return;
        };
        let hash = kept.hash;
        let settled = spawn_blocking(move || spool.settle(&kept, state, now_unix_ms()));
        if let Ok(Err(reason)) = settled.await {
            warn!(chain = chain.name, block = %hash, %reason, "the spool could not note the verdict");
        }
    }

    /// One line for the operator, one entry for the log of blocks.
    fn tell(&self, chain: &'static Chain, entry: &Entry, verdict: &Verdict) {
        let now_ns = crate::sys::clock::now_ns();
        let node = self.node(entry.chain_index).map_or("", |node| node.url());
        let hash = entry.hash;
        self.log.note_verdict(entry.chain_index, &hash, node, true, verdict, now_ns);
        if let Some(tip) = self.tip(entry.chain_index) {
            tip.hint();
        }
        let published = entry.progress.borrow().published;
        let counts = published.and_then(|published| self.log.counts(published.image));
        let offers = counts.unwrap_or_default().offers;
        let word = verdict.word();
        let (name, block) = (chain.name, hash);
        if verdict.is_success() {
            info!(chain = name, %block, verdict = word, peers = offers, "the node has the block");
        } else if !verdict.is_refusal() {
            warn!(chain = name, %block, verdict = word, peers = offers,
                "the node keeps the block without judging it: a rival at the same height or a fork");
        } else if published.is_some() {
            error!(chain = name, %block, verdict = word, peers = offers,
                "CRITICAL: the node refused a block that was sent to peers");
            published.iter().for_each(|published| self.publisher.withdraw(published.image));
        } else {
            warn!(chain = name, %block, verdict = word, "the node refused the block");
        }
    }
}

/// The block's place in the spool, once it is on disk; `None` where it is not.
async fn written(stored: Option<JoinHandle<Option<SpoolEntry>>>) -> Option<SpoolEntry> {
    stored?.await.ok().flatten()
}

/// What is known of a block that is to be published.
pub(super) struct Facts<'a> {
    pub(super) checked: Checked,
    pub(super) parent: Option<Known>,
    pub(super) received_unix_ms: u64,
    pub(super) stages: Stages,
    /// What goes behind the block.
    pub(super) behind: Option<&'a Behind>,
}

impl Fault {
    pub(super) fn internal() -> Self {
        let why = "the check itself failed; please report this block".to_owned();
        Self { why, word: None, unfit: true }
    }
}

/// The whole check of `wire`, in this desk's terms.
pub(super) fn examine(chain: &'static Chain, raw: &[u8]) -> Result<Checked, Fault> {
    match check::parse_and_check_with(chain, raw, sha::lanes()) {
        Ok((_, checked)) => Ok(checked),
        Err(error) => Err(Fault { why: error.to_string(), word: error.bip22(), unfit: true }),
    }
}
