//! The one desk behind all intakes: a block comes in once, goes out on every leg at once, and its
//! answer goes back to whoever handed it in.
//!
//! Nothing here waits for a leg but the caller's answer: the node's leg, the further endpoints, the
//! spool and the checks with the fan-out behind them all start at the same moment.

mod again;
pub(in crate::edge) mod aux;
mod behind;
mod course;
mod entry;
mod judge;
mod legs;
mod publish;
mod reception;
mod recover;
mod walkers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use aux::HandedProof;
pub use entry::Fault;
use entry::{Entry, Memory, Progress};
pub use publish::{Draft, Publish, PublishedAt, SentBlock};
pub use reception::{Reception, ReceptionError};

use walkers::Walkers;

use crate::cold::node::NodeClient;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::node::row::LegRow;
use crate::cold::node::tip::TipWatch;
use crate::cold::node::verdict::{DECODE_FAILED, RpcAnswer, Verdict};
use crate::cold::spool::Spool;
use crate::cold::stats::{BlockLog, ProofCounts};
use crate::cold::template::{TemplateMode, Templates};
use crate::limits::{
    ANSWER_DEADLINE_MS, AUX_FETCHES_LIVE_MAX, LEGS_LIVE_MAX, RECEPTION_SLOTS_MAX,
    RECEPTION_STALL_MS, SUBMISSIONS_LIVE_MAX,
};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;

/// How long a caller is kept waiting for the node's verdict.
pub const ANSWER_DEADLINE: Duration = Duration::from_millis(ANSWER_DEADLINE_MS);
/// A block's header, in bytes.
const HEADER_BYTES: usize = 80;
/// The code for "the node is away, the block is safe" (`RPC_CLIENT_NOT_CONNECTED`).
pub const NODE_AWAY: i64 = -9;
/// The code for "could not be published and there is no node" (`RPC_MISC_ERROR`).
const NOT_PUBLISHED: i64 = -1;

/// One chain at the desk.
#[derive(Clone, Debug)]
pub struct DeskChain {
    /// Its row.
    pub chain: &'static Chain,
    /// Its own node, whose verdict the callers get.
    pub node: Option<NodeClient>,
    /// Further endpoints that get every block and are never waited for.
    pub more: Vec<Endpoint>,
    /// Where block templates come from.
    pub template: TemplateMode,
}

/// A block as an intake hands it over.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// Which chain, by its place in the engine's configuration.
    pub chain_index: u8,
    /// The raw block.
    pub raw: Bytes,
    /// The same in hex, where it came so: goes to the node as it is.
    pub hex: Option<Bytes>,
    /// When the first byte was read (CLOCK_MONOTONIC, ns).
    pub first_byte_ns: u64,
    /// When the last byte was read (CLOCK_MONOTONIC, ns).
    pub last_byte_ns: u64,
}

/// What became of a hand-over by the time its caller is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The block's hash, where there was a header.
    pub hash: Option<BlockHash>,
    /// What `submitblock` answers.
    pub reply: RpcAnswer,
    /// The node's own verdict, where it is in.
    pub verdict: Option<Verdict>,
    /// When and as what it went to the peers.
    pub published: Option<PublishedAt>,
    /// Why it did not go to the peers at once.
    pub fault: Option<Fault>,
    /// How it fares at each node, the chain's own first. They go on after the answer.
    pub legs: Vec<LegRow>,
}

/// One chain and what the desk has for it.
struct Station {
    row: DeskChain,
    tip: Option<TipWatch>,
    /// What became of proofs that were handed in for its blocks.
    aux: Arc<ProofCounts>,
    templates: Templates,
}

/// The desk. Lives inside a tokio runtime.
pub struct Desk {
    publisher: Arc<dyn Publish>,
    chains: Vec<Station>,
    spool: Option<Arc<Spool>>,
    log: Arc<BlockLog>,
    memory: Memory,
    admissions: Arc<Semaphore>,
    legs: Arc<Semaphore>,
    /// Places for blocks whose proof was handed in and that are fetched from the node.
    fetches: Arc<Semaphore>,
    /// Rights to an image slot for blocks that are still coming in.
    early_slots: Arc<Semaphore>,
    /// How long a block on its way in may bring too little.
    stall: Duration,
    runtime: Handle,
    walkers: Arc<Walkers>,
    answer_deadline: Duration,
}

impl Desk {
    /// Sets up the desk and starts watching the nodes' tips; call it inside a tokio runtime.
    /// Without a spool a block that no node has taken is lost with the process.
    #[must_use]
    pub fn new(
        publisher: Arc<dyn Publish>,
        chains: Vec<DeskChain>,
        spool: Option<Arc<Spool>>,
        log: Arc<BlockLog>,
    ) -> Arc<Self> {
        Self::with_deadline(publisher, chains, spool, log, ANSWER_DEADLINE)
    }

    /// As [`Self::new`], with another time after which a caller is told that the node is away.
    #[must_use]
    pub fn with_deadline(
        publisher: Arc<dyn Publish>,
        chains: Vec<DeskChain>,
        spool: Option<Arc<Spool>>,
        log: Arc<BlockLog>,
        answer_deadline: Duration,
    ) -> Arc<Self> {
        let watched = |row: DeskChain| {
            let tip = row.node.clone().map(TipWatch::spawn);
            let templates = Templates::new(row.chain, row.template);
            if let (Some(node), Some(tip)) = (&row.node, &tip) {
                templates.start_asking(node.clone(), tip);
            }
            row.more.iter().for_each(Endpoint::watch);
            Station { row, tip, aux: Arc::default(), templates }
        };
        Arc::new(Self {
            publisher,
            chains: chains.into_iter().map(watched).collect(),
            spool,
            log,
            memory: Memory::default(),
            admissions: Arc::new(Semaphore::new(SUBMISSIONS_LIVE_MAX as usize)),
            legs: Arc::new(Semaphore::new(LEGS_LIVE_MAX as usize)),
            fetches: Arc::new(Semaphore::new(AUX_FETCHES_LIVE_MAX as usize)),
            early_slots: Arc::new(Semaphore::new(RECEPTION_SLOTS_MAX as usize)),
            stall: Duration::from_millis(RECEPTION_STALL_MS),
            runtime: Handle::current(),
            walkers: Walkers::start(),
            answer_deadline,
        })
    }

    /// A place for one hand-over, to be held until its caller is answered. `None`: all are taken.
    #[must_use]
    pub fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.admissions).try_acquire_owned().ok()
    }

    /// The place of the chain `name` in the configuration.
    #[must_use]
    pub fn chain_index(&self, name: &str) -> Option<u8> {
        let at = self.chains.iter().position(|station| station.row.chain.name == name)?;
        u8::try_from(at).ok()
    }

    /// The chain's own node.
    #[must_use]
    pub fn node(&self, chain_index: u8) -> Option<&NodeClient> {
        self.station(chain_index)?.row.node.as_ref()
    }

    /// The watch over the chain's own node.
    #[must_use]
    pub fn tip(&self, chain_index: u8) -> Option<&TipWatch> {
        self.station(chain_index)?.tip.as_ref()
    }

    /// The chain's own node has accepted this transaction.
    pub fn push_transaction(&self, chain_index: u8, raw: &[u8]) {
        self.publisher.push_transaction(chain_index, raw);
    }

    /// The chain's block templates.
    #[must_use]
    pub fn templates(&self, chain_index: u8) -> Option<&Templates> {
        Some(&self.station(chain_index)?.templates)
    }

    /// What became of each block.
    #[must_use]
    pub fn log(&self) -> &Arc<BlockLog> {
        &self.log
    }

    fn station(&self, chain_index: u8) -> Option<&Station> {
        self.chains.get(usize::from(chain_index))
    }

    /// Waits for what a caller is told.
    async fn answer(&self, entry: &Entry) -> Answer {
        let has_node = self.node(entry.chain_index).is_some();
        let mut progress = entry.progress.subscribe();
        let done = progress.wait_for(|now| now.decided && (now.verdict.is_some() || !has_node));
        let known = match tokio::time::timeout(self.answer_deadline, done).await {
            Ok(Ok(known)) => known.clone(),
            // Out of time; the entry's sender lives as long as the entry, so it can't be gone.
            Ok(Err(_)) | Err(_) => entry.progress.borrow().clone(),
        };
        let reply = match (&known.verdict, has_node) {
            (Some(verdict), _) => reply_with_verdict(verdict, &known),
            (None, true) => self.reply_without_verdict(&known),
            (None, false) => reply_without_node(&known),
        };
        Answer {
            hash: Some(entry.hash),
            reply,
            verdict: known.verdict,
            published: known.published,
            fault: known.fault,
            legs: entry.legs(),
        }
    }

    /// The node is away or very slow: where the block is meanwhile.
    fn reply_without_verdict(&self, known: &Progress) -> RpcAnswer {
        let counts = known.published.and_then(|published| self.log.counts(published.image));
        let went = match (counts, &known.fault) {
            (Some(counts), _) => format!("the block was broadcast to {} peers", counts.offers),
            (None, Some(fault)) => format!("the block was not broadcast ({})", fault.why),
            (None, None) => "the block was not broadcast yet".to_owned(),
        };
        let kept = if self.spool.is_some() { "is kept in the spool" } else { "is kept in memory" };
        RpcAnswer::Error {
            code: NODE_AWAY,
            message: format!(
                "no verdict from the node within {} s; {went}, {kept} and handed to the node until it answers",
                self.answer_deadline.as_secs()
            ),
        }
    }
}

/// `duplicate` of a block that we sent to peers ourselves only says that they were faster.
fn reply_with_verdict(verdict: &Verdict, known: &Progress) -> RpcAnswer {
    match verdict {
        Verdict::Duplicate if known.published.is_some() => RpcAnswer::Result(None),
        other => other.answer(),
    }
}

/// No node to ask: our own checks are the answer.
fn reply_without_node(known: &Progress) -> RpcAnswer {
    match (&known.published, &known.fault) {
        (Some(_), _) => RpcAnswer::Result(None),
        (None, Some(Fault { word: Some(word), .. })) => RpcAnswer::Result(Some((*word).to_owned())),
        (None, Some(Fault { unfit: true, .. })) => decode_failed(),
        (None, fault) => RpcAnswer::Error {
            code: NOT_PUBLISHED,
            message: fault.as_ref().map_or_else(
                || "the block could not be published in time; hand it in again".to_owned(),
                |fault| fault.why.clone(),
            ),
        },
    }
}

/// What a node answers where it can't read a block.
#[must_use]
pub fn decode_failed() -> RpcAnswer {
    RpcAnswer::Error { code: DECODE_FAILED, message: "Block decode failed".to_owned() }
}

impl Answer {
    /// The block can't be read at all; no leg was started.
    #[must_use]
    pub fn unreadable(why: &str) -> Self {
        let fault = Fault { why: why.to_owned(), word: None, unfit: true };
        Self {
            hash: None,
            reply: decode_failed(),
            verdict: None,
            published: None,
            fault: Some(fault),
            legs: Vec::new(),
        }
    }
}
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
