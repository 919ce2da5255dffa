//! Merged mining: which chain a call or a block is for, and proofs that are handed in for a block of
//! which the pool knows no more than the hash.
//!
//! `submitauxblock HASH PROOF` (and `getauxblock` with the same two) goes to the chain's own node
//! unchanged: the block that the proof completes lies in that node's memory alone. When the node has
//! taken it, the block is fetched from there and dealt with as any other: peers, further endpoints,
//! spool. That costs a question more than a whole block by `submitblock` does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Desk, HandOver, Station};
use crate::cold::node::endpoint::Endpoint;
use crate::cold::node::verdict::Verdict;
use crate::cold::node::{NodeClient, NodeError, leg};
use crate::cold::stats::{ProofCounts, ProofFate};
use crate::limits::{AUX_FETCH_DEADLINE_MS, LEG_RETRY_MAX_MS, LEG_RETRY_MIN_MS};
use crate::sys::clock::now_ns;
use crate::wire::auxpow;
use crate::wire::chain::Chain;
use crate::wire::hash::{BlockHash, unhex};

const FETCH_PATIENCE: Duration = Duration::from_millis(AUX_FETCH_DEADLINE_MS);
const PAUSE_MIN: Duration = Duration::from_millis(LEG_RETRY_MIN_MS);
const PAUSE_MAX: Duration = Duration::from_millis(LEG_RETRY_MAX_MS);

/// A proof that a pool hands in.
#[derive(Clone, Debug)]
pub struct HandedProof {
    /// Which chain.
    pub chain_index: u8,
    /// Where the node gets it.
    pub node_path: String,
    /// The pool's own request.
    pub body: Bytes,
    /// The block that it is for.
    pub hash: BlockHash,
    /// When the first byte of the request was read (CLOCK_MONOTONIC, ns).
    pub first_byte_ns: u64,
}

impl Desk {
    /// The chain that a merged-mining call without a named chain is for: `first`, or where that is no
    /// chain that is merged into others, the first one which is.
    #[must_use]
    pub fn chain_of_aux_call(&self, first: u8) -> u8 {
        self.merged_behind(first).map_or(first, |(index, _)| index)
    }

    /// The chain that a block without a named chain is for: `first`, or the merged one whose number
    /// its version has. The versions of other chains' blocks never look so.
    #[must_use]
    pub fn chain_of_block(&self, first: u8, raw: &[u8]) -> u8 {
        let (Some((index, number)), Some(version)) = (self.merged_behind(first), raw.first_chunk())
        else {
            return first;
        };
        if auxpow::version_chain_id(u32::from_le_bytes(*version)) == number { index } else { first }
    }

    /// Whether a block's first bytes may say that it is not for `first`.
    #[must_use]
    pub fn has_merged_behind(&self, first: u8) -> bool {
        self.merged_behind(first).is_some()
    }

    /// The first chain that is merged into others and its number, where `first` is none itself.
    fn merged_behind(&self, first: u8) -> Option<(u8, u16)> {
        let number = |station: &Station| station.row.chain.auxpow_chain_id;
        if self.station(first).is_none_or(|station| number(station).is_some()) {
            return None;
        }
        let merged = |(index, station)| Some((index, number(station)?));
        (0_u8..).zip(&self.chains).find_map(merged)
    }

    /// The chain's further endpoints.
    #[must_use]
    pub fn endpoints(&self, chain_index: u8) -> Vec<Endpoint> {
        self.station(chain_index).map(|station| station.row.more.clone()).unwrap_or_default()
    }

    /// What became of the proofs handed in for the chain's blocks; `None` where it takes none.
    #[must_use]
    pub fn aux_counts(&self, chain_index: u8) -> Option<Arc<ProofCounts>> {
        let station = self.station(chain_index)?;
        station.row.chain.auxpow_chain_id.map(|_| Arc::clone(&station.aux))
    }

    /// Passes a proof on to the chain's own node and gives its answer back unchanged. Whatever the
    /// caller does, the block of an accepted one is fetched and goes out. `None`: there is no node.
    pub async fn hand_in_proof(
        self: &Arc<Self>,
        proof: HandedProof,
    ) -> Option<Result<(StatusCode, Bytes), NodeError>> {
        let station = self.station(proof.chain_index)?;
        let (node, counts) = (station.row.node.clone()?, Arc::clone(&station.aux));
        let (chain, url) = (station.row.chain, node.url().to_owned());
        let desk = Arc::clone(self);
        let passing = self.runtime.spawn(async move {
            let body = proof.body.clone();
            let answer = node.forward_block(&proof.node_path, body).await;
            desk.note_proof(chain, &counts, &proof, &answer);
            if let Some(certain) = is_with_node(&answer) {
                // The caller does not wait for this.
                desk.runtime.spawn(Arc::clone(&desk).bring(chain, node, counts, proof, certain));
            }
            answer
        });
        Some(
            passing
                .await
                .unwrap_or_else(|why| Err(NodeError::Broken { url, why: why.to_string() })),
        )
    }

    fn note_proof(
        &self,
        chain: &Chain,
        counts: &ProofCounts,
        proof: &HandedProof,
        answer: &Result<(StatusCode, Bytes), NodeError>,
    ) {
        let (name, block) = (chain.name, proof.hash);
        match answer {
            Ok((_, answer)) if says(answer) == Some(true) => {
                counts.raise(ProofFate::Accepted);
                info!(chain = name, %block, "the node took the proof for this block: fetching it");
            }
            Ok((status, _)) => {
                counts.raise(ProofFate::Refused);
                warn!(chain = name, %block, status = status.as_u16(),
                    "the node did not take the proof for this block");
            }
            Err(error) => {
                counts.raise(ProofFate::Unanswered);
                error!(chain = name, %block, %error,
                    "CRITICAL: no word of the node on the proof for this block; hand it in again");
            }
        }
    }

    /// Gets a block that the node has just accepted, and deals with it as with any other. Not
    /// `certain`: it may have, only its answer was lost.
    async fn bring(
        self: Arc<Self>,
        chain: &'static Chain,
        node: NodeClient,
        counts: Arc<ProofCounts>,
        proof: HandedProof,
        certain: bool,
    ) {
        let HandedProof { chain_index, hash, first_byte_ns, .. } = proof;
        if let Some(tip) = self.tip(chain_index) {
            tip.hint();
        }
        if self.memory.find(chain_index, hash).is_some_and(|entry| entry.is_sound()) {
            return counts.raise(ProofFate::Known);
        }
        let raw = match self.fetch_block(chain, &node, hash).await {
            Ok(raw) => raw,
            Err(reason) if !certain => {
                info!(chain = chain.name, block = %hash, reason, "the node does not have this block");
                return;
            }
            Err(reason) => {
                counts.raise(ProofFate::Lost);
                error!(chain = chain.name, block = %hash, reason,
                    "CRITICAL: an accepted block could not be fetched; the node alone spreads it");
                return;
            }
        };
        counts.raise(ProofFate::Fetched);
        let last_byte_ns = now_ns();
        let block = HandOver { chain_index, raw, hex: None, first_byte_ns, last_byte_ns };
        let answer = match certain {
            true => self.submit_judged(block, Verdict::Accepted).await,
            false => self.submit(block).await,
        };
        if let Some(fault) = answer.fault {
            warn!(chain = chain.name, block = %hash, reason = %fault.why,
                "a fetched block did not go to the peers at once");
        }
    }

    /// The block `hash` as the node has it, asked for until it is given, for a minute at most.
    async fn fetch_block(
        &self,
        chain: &Chain,
        node: &NodeClient,
        hash: BlockHash,
    ) -> Result<Bytes, String> {
        let end = Instant::now() + FETCH_PATIENCE;
        let mut pause = PAUSE_MIN;
        loop {
            // Few at once: a block in hex takes memory.
            let place = self.fetches.acquire().await;
            // `false`: raw, in the one spelling that all nodes understand.
            let asked = node.call("getblock", json!([hash.to_string(), false])).await;
            let read = asked.map(|answer| read(chain, &answer, hash));
            drop(place);
            let why = match read {
                Ok(Some(raw)) => return Ok(raw),
                // Asked again it would say the same.
                Ok(None) => return Err("what the node gave is not this block".to_owned()),
                Err(error) => error.to_string(),
            };
            if Instant::now() + pause > end {
                return Err(why);
            }
            tokio::time::sleep(leg::jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Whether the node has the block that a proof is for: surely, or maybe. `None`: it has not.
fn is_with_node(answer: &Result<(StatusCode, Bytes), NodeError>) -> Option<bool> {
    match answer {
        Ok((_, answer)) => (says(answer) == Some(true)).then_some(true),
        Err(NodeError::Broken { .. } | NodeError::TimedOut { .. }) => Some(false),
        Err(_) => None,
    }
}

/// `result`, where an answer has one that is true or false.
fn says(answer: &[u8]) -> Option<bool> {
    #[derive(serde::Deserialize)]
    struct Said {
        result: Option<bool>,
    }
    serde_json::from_slice::<Said>(answer).ok()?.result
}

/// The raw block in `answer`, where it is the one that was asked for.
fn read(chain: &Chain, answer: &Value, hash: BlockHash) -> Option<Bytes> {
    let digits = answer.as_str().filter(|it| it.len() <= 2 * chain.block_bytes_max as usize)?;
    let mut raw = vec![0; digits.len() / 2];
    unhex(digits.as_bytes(), &mut raw)?;
    let header = raw.first_chunk::<80>()?;
    (chain.identity_hash(header) == hash).then(|| Bytes::from(raw))
}

#[cfg(test)]
pub(crate) mod tests;
