//! Block templates of the chain's own node, staged: transactions, ids and sizes, ready for the block
//! that will be made of them.
//!
//! They come from the pool's own `getblocktemplate` calls that pass through our intake, which costs
//! the node nothing; where the operator wants it, the node is asked as well, from time to time or by
//! long poll. What is kept is bounded ([`TEMPLATES_KEPT_MAX`], [`TEMPLATES_BYTES_MAX`]). Whether a
//! block is made of a template is proven, never believed (see [`crate::wire::staged`]); a block that is
//! not is dealt with as if there were no templates, and counted.

mod ask;
mod read;

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::limits::{
    TEMPLATE_ANSWER_BYTES_MAX, TEMPLATE_IDS_MAX, TEMPLATES_BYTES_MAX, TEMPLATES_KEPT_MAX,
    TEMPLATES_WAITING_MAX,
};
use crate::wire::chain::Chain;
use crate::wire::hash::BlockHash;
use crate::wire::staged::{Proof, Staged};
pub use read::TemplateError;

/// Where templates come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateMode {
    /// From nowhere.
    Off,
    /// From the pool's own calls that pass through our intake.
    #[default]
    Auto,
    /// The node is asked as well, from time to time.
    Poll,
    /// The node is asked as well, and answers when there is something new.
    LongPoll,
}

/// What has been done with templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplateCounts {
    /// Templates taken in.
    pub staged: u64,
    /// Answers that were none, or of no use.
    pub unreadable: u64,
    /// Answers that came while others were being read.
    pub dropped: u64,
    /// Blocks made of a template that we hold.
    pub proven: u64,
    /// Blocks on a parent that we have templates for, made of other transactions.
    pub other_transactions: u64,
    /// Blocks made of a template's transactions, with other witnesses.
    pub other_witnesses: u64,
    /// Blocks on a parent that we have no template for.
    pub no_template: u64,
}

/// One template that is kept.
#[derive(Debug)]
struct Kept {
    parent: BlockHash,
    staged: Arc<Staged>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest last.
    kept: VecDeque<Kept>,
    /// Ids of all transactions in templates on the newest one's parent.
    known: Arc<HashSet<[u8; 32]>>,
    counts: TemplateCounts,
    /// The block that was counted last: it may come by several ways.
    counted: Option<[u8; 80]>,
}

/// The templates of one chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Templates {
    chain: &'static Chain,
    state: Arc<Mutex<State>>,
    answers: mpsc::Sender<Bytes>,
    mode: TemplateMode,
}

impl Templates {
    /// None yet; call it inside a tokio runtime. Answers are read by a task that ends with the last
    /// clone.
    #[must_use]
    pub fn new(chain: &'static Chain, mode: TemplateMode) -> Self {
        let (answers, mut waiting) = mpsc::channel::<Bytes>(TEMPLATES_WAITING_MAX);
        let state = Arc::new(Mutex::new(State::default()));
        let staging = Arc::downgrade(&state);
        tokio::spawn(async move {
            while let Some(answer) = waiting.recv().await {
                let Some(state) = staging.upgrade() else { return };
                // Hashing a whole template takes milliseconds.
                let taken = spawn_blocking(move || take_in(&state, read::template(chain, &answer)));
                if taken.await.is_err() {
                    return;
                }
            }
        });
        Self { chain, state, answers, mode }
    }

    /// Where they come from.
    #[must_use]
    pub const fn mode(&self) -> TemplateMode {
        self.mode
    }

    /// The chain that they are of.
    #[must_use]
    pub const fn chain(&self) -> &'static Chain {
        self.chain
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node's whole answer to `getblocktemplate`, whoever asked. Never waits.
    pub fn offer(&self, answer: &Bytes) {
        if self.mode == TemplateMode::Off {
            return;
        }
        if answer.len() > TEMPLATE_ANSWER_BYTES_MAX {
            self.state().counts.unreadable += 1;
        } else if self.answers.try_send(answer.clone()).is_err() {
            self.state().counts.dropped += 1;
        }
    }

    /// The template that the block with this header and coinbase is made of. Some microseconds for
    /// each template of its parent.
    #[must_use]
    pub fn prove(&self, header: &[u8; 80], coinbase: &[u8]) -> Option<Arc<Staged>> {
        if self.mode == TemplateMode::Off {
            return None;
        }
        let parent = header.get(4..36)?;
        let candidates: Vec<Arc<Staged>> = {
            let state = self.state();
            let fit = state.kept.iter().rev().filter(|kept| kept.parent.0 == parent);
            fit.map(|kept| Arc::clone(&kept.staged)).collect()
        };
        let (mut best, mut found) = (None, None);
        for staged in candidates {
            best = match (staged.proves(header, coinbase), best) {
                (Proof::Holds, _) => {
                    found = Some(staged);
                    Some(Proof::Holds)
                }
                (Proof::OtherWitnesses, _) => Some(Proof::OtherWitnesses),
                (proof, before) => before.or(Some(proof)),
            };
            if found.is_some() {
                break;
            }
        }
        let mut state = self.state();
        if state.counted.replace(*header) != Some(*header) {
            let counts = &mut state.counts;
            *match best {
                None => &mut counts.no_template,
                Some(Proof::Holds) => &mut counts.proven,
                Some(Proof::OtherWitnesses) => &mut counts.other_witnesses,
                Some(_) => &mut counts.other_transactions,
            } += 1;
        }
        found
    }

    /// The wtxids of all transactions that were in a template on `parent`, the newest one's: what
    /// peers may well have. Txids where the chain has no witnesses. `None`: there is no template of it.
    #[must_use]
    pub fn known(&self, parent: &BlockHash) -> Option<Arc<HashSet<[u8; 32]>>> {
        let state = self.state();
        let newest = state.kept.back().filter(|kept| kept.parent == *parent)?;
        (!newest.staged.is_empty()).then(|| Arc::clone(&state.known))
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> TemplateCounts {
        self.state().counts
    }

    /// What is there and what has been done, as it is shown.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let state = self.state();
        let counts = state.counts;
        let newest = state.kept.back();
        let memory: usize = state.kept.iter().map(|kept| kept.staged.memory_bytes()).sum();
        json!({
            "mode": self.mode.word(),
            "kept": state.kept.len(),
            "memory_bytes": memory,
            "newest": newest.map(|kept| json!({
                "parent": kept.parent.to_string(), "transactions": kept.staged.len(),
            })),
            "staged": counts.staged,
            "unreadable": counts.unreadable,
            "dropped": counts.dropped,
            "blocks": {
                "proven": counts.proven,
                "other_transactions": counts.other_transactions,
                "other_witnesses": counts.other_witnesses,
                "no_template": counts.no_template,
            },
        })
    }
}

impl TemplateMode {
    /// The word that the configuration uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Poll => "poll",
            Self::LongPoll => "longpoll",
        }
    }
}

/// Takes in what was read. The only one who changes what is kept; holds the lock for moments alone,
/// as a block on its way in may be asking.
fn take_in(state: &Mutex<State>, read: Result<read::Template, TemplateError>) {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let read::Template { parent, staged } = match read {
        Ok(template) => template,
        Err(error) => {
            lock().counts.unreadable += 1;
            debug!(%error, "a template is of no use");
            return;
        }
    };
    let before = {
        let state = lock();
        let is_same = state.kept.back().is_some_and(|kept| kept.parent == parent);
        let goes_on = is_same && state.known.len() + staged.len() <= TEMPLATE_IDS_MAX;
        if goes_on { Arc::clone(&state.known) } else { Arc::default() }
    };
    let mut known = before.as_ref().clone();
    known.extend(staged.iter().map(|(_, ids)| ids.wtxid));
    let (kept, known) = (Kept { parent, staged: Arc::new(staged) }, Arc::new(known));
    let mut state = lock();
    state.counts.staged += 1;
    state.kept.push_back(kept);
    // Given back below, when the lock is: freeing takes its time.
    let _old_ids = std::mem::replace(&mut state.known, known);
    let mut old = Vec::new();
    let over = |kept: &VecDeque<Kept>| {
        let memory: usize = kept.iter().map(|kept| kept.staged.memory_bytes()).sum();
        kept.len() > TEMPLATES_KEPT_MAX || memory > TEMPLATES_BYTES_MAX
    };
    while over(&state.kept) {
        old.extend(state.kept.pop_front());
    }
    drop(state);
}
