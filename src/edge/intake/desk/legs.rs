//! A block's ways to our own nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::Desk;
use super::entry::Entry;
use super::judge::Claims;
use crate::cold::node::endpoint::{Endpoint, Parcel};
use crate::cold::node::row::{LegRow, LegState};
use crate::cold::node::verdict::Verdict;
use crate::cold::node::{NodeClient, NodeError, Streamed, leg};
use crate::limits::{FOREFATHERS_MAX, ORPHAN_TRIES_MAX, PARENT_VERDICT_DEADLINE_MS};
use crate::wire::hash::BlockHash;

const PARENT_PATIENCE: Duration = Duration::from_millis(PARENT_VERDICT_DEADLINE_MS);

/// What an intake has for the nodes beside the raw block.
#[derive(Debug, Default)]
pub(super) struct Forward {
    /// The block in hex, where it came so: for every leg's first try.
    pub(super) hex: Option<Bytes>,
    /// The pool's own request, which went to the chain's own node while it came in: that leg's
    /// first try.
    pub(super) streamed: Option<Streamed>,
    /// The chain's own node has the block already, and this is what it said.
    pub(super) judged: Option<Verdict>,
}

impl Desk {
    /// Starts all legs, each a task of its own; returns that of the chain's own node. It ends with
    /// `None` where too many blocks wait for that node already. Their rows count from `last_byte_ns`.
    pub(super) fn start_legs(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        raw: &Bytes,
        last_byte_ns: u64,
        forward: Forward,
    ) -> Option<JoinHandle<Option<Verdict>>> {
        let station = self.station(entry.chain_index)?;
        let hex = forward.hex.clone();
        let own = station.row.node.clone().map(|node| {
            let row = LegRow::new(node.url(), true, last_byte_ns);
            entry.add_leg(&row);
            let (desk, entry, raw) = (Arc::clone(self), Arc::clone(entry), raw.clone());
            self.runtime.spawn(async move {
                let verdict = desk.carry_own(&node, &entry, &raw, &row, forward).await?;
                row.answered(&verdict);
                Some(verdict)
            })
        });
        for endpoint in &station.row.more {
            let row = LegRow::new(endpoint.url(), false, last_byte_ns);
            entry.add_leg(&row);
            let Some(place) = endpoint.place() else {
                row.reach(LegState::TurnedAway);
                warn!(endpoint = endpoint.url(), block = %entry.hash,
                    "too many blocks wait for this endpoint: it does not get this one");
                continue;
            };
            let (desk, entry, endpoint) = (Arc::clone(self), Arc::clone(entry), endpoint.clone());
            let (raw, hex) = (raw.clone(), hex.clone());
            self.runtime.spawn(async move {
                let _place = place;
                desk.serve_endpoint(&endpoint, &entry, &raw, hex, &row).await;
            });
        }
        own
    }

    /// The leg of the chain's own node.
    async fn carry_own(
        &self,
        node: &NodeClient,
        entry: &Entry,
        raw: &Bytes,
        row: &LegRow,
        mut forward: Forward,
    ) -> Option<Verdict> {
        if let Some(verdict) = forward.judged.take() {
            return Some(verdict);
        }
        let _place = Arc::clone(&self.legs).try_acquire_owned().ok()?;
        row.asked();
        Some(self.carry(node, entry.chain_index, entry.hash, raw, forward).await)
    }

    /// Hands a block to the chain's own node until it has spoken. A node that lacks the parent is
    /// given the parent first, where we have it.
    pub(super) async fn carry(
        &self,
        node: &NodeClient,
        chain_index: u8,
        hash: BlockHash,
        raw: &Bytes,
        forward: Forward,
    ) -> Verdict {
        let _carried = self.memory.carry(chain_index, hash);
        let shown = hash.to_string();
        let Forward { mut hex, mut streamed, .. } = forward;
        let mut tries = 0;
        loop {
            let verdict = match streamed.take() {
                Some(streamed) => leg::until_verdict_after(streamed, node, &shown, raw).await,
                None => leg::until_verdict(node, &shown, raw, hex.take()).await,
            };
            tries += 1;
            if !verdict.is_orphan() || tries > ORPHAN_TRIES_MAX {
                return verdict;
            }
            if !self.bring_forefathers(node, chain_index, raw).await {
                return verdict;
            }
        }
    }

    /// Makes sure that the node has the forefathers of `raw` that we know of: waits for those on
    /// their way, hands in again those that it has lost (a node that was killed forgets what it had
    /// not yet written). False where there is nothing that we could do.
    async fn bring_forefathers(&self, node: &NodeClient, chain_index: u8, raw: &Bytes) -> bool {
        if self.wait_for_parent(chain_index, raw).await {
            return true;
        }
        let (Some(station), Some(spool)) = (self.station(chain_index), self.spool.as_ref()) else {
            return false;
        };
        let chain = station.row.chain;
        let mut missing = Vec::new();
        let mut child = raw.clone();
        while missing.len() < FOREFATHERS_MAX {
            let Some(header) = child.first_chunk() else {
                break;
            };
            let parent = Claims::of(header).parent;
            let Some(entry) = spool.find(chain, &parent) else {
                break;
            };
            match has_block(node, &parent).await {
                Ok(false) => {}
                // It has got the parent in the meantime: the block is worth another try.
                Ok(true) if missing.is_empty() => return true,
                _ => break,
            }
            let (reader, wanted) = (Arc::clone(spool), entry.clone());
            let read = tokio::task::spawn_blocking(move || reader.read(&wanted)).await;
            let Ok(Ok(found)) = read else { break };
            child = found;
            missing.push(entry);
        }
        let brought = !missing.is_empty();
        for entry in missing.into_iter().rev() {
            info!(node = node.url(), block = %entry.hash,
                "the node has lost a block that we still hold: handing it in again");
            let (reader, wanted) = (Arc::clone(spool), entry.clone());
            let read = tokio::task::spawn_blocking(move || reader.read(&wanted)).await;
            let Ok(Ok(found)) = read else { return brought };
            leg::until_verdict(node, &entry.hash.to_string(), &found, None).await;
        }
        brought
    }

    /// Where the parent is at this desk without a verdict, waits for that. True where there was
    /// one to wait for.
    async fn wait_for_parent(&self, chain_index: u8, raw: &Bytes) -> bool {
        let Some(header) = raw.first_chunk() else {
            return false;
        };
        let parent = Claims::of(header).parent;
        let Some(entry) = self.memory.find(chain_index, parent) else {
            return false;
        };
        let mut progress = entry.progress.subscribe();
        if progress.borrow().verdict.is_some() {
            return false;
        }
        let heard = progress.wait_for(|now| now.verdict.is_some());
        tokio::time::timeout(PARENT_PATIENCE, heard).await.is_ok_and(|heard| heard.is_ok())
    }

    /// Hands a block to a further endpoint; nobody waits for it.
    async fn serve_endpoint(
        &self,
        endpoint: &Endpoint,
        entry: &Entry,
        raw: &Bytes,
        hex: Option<Bytes>,
        row: &LegRow,
    ) {
        let shown = entry.hash.to_string();
        let (node, block) = (endpoint.url(), entry.hash);
        let Some(verdict) = endpoint.deliver(Parcel { hash: &shown, raw, hex, row }).await else {
            warn!(endpoint = node, %block, "gave up on this endpoint for this block");
            return;
        };
        let now_ns = crate::sys::clock::now_ns();
        self.log.note_verdict(entry.chain_index, &entry.hash, node, false, &verdict, now_ns);
        let word = verdict.word();
        if verdict.is_refusal() {
            warn!(endpoint = node, %block, verdict = word, "this endpoint refused the block");
        } else {
            info!(endpoint = node, %block, verdict = word, "this endpoint has the block");
        }
    }
}

/// Whether the node knows the block; `Err` where it does not tell.
pub(super) async fn has_block(node: &NodeClient, hash: &BlockHash) -> Result<bool, ()> {
    match node.call("getblockheader", json!([hash.to_string()])).await {
        Ok(_) => Ok(true),
        // -5: "Block not found".
        Err(NodeError::Rpc { code: -5, .. }) => Ok(false),
        Err(_) => Err(()),
    }
}
