//! How one block fares at one node: written by its leg, read by whoever shows it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::NodeError;
use super::verdict::Verdict;

/// Where a leg stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegState {
    /// The node has the question, or is about to.
    #[default]
    Asked,
    /// The last try failed; the next one is due in a moment.
    TryingAgain,
    /// The node has failed so often that it is left alone for a while; the block waits.
    HeldOff,
    /// There is a verdict.
    Answered,
    /// None came in time: the node does not get this block from us.
    GaveUp,
    /// Too many blocks waited for the node already: it does not get this one.
    TurnedAway,
}

impl LegState {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::TryingAgain => "trying-again",
            Self::HeldOff => "held-off",
            Self::Answered => "answered",
            Self::GaveUp => "gave-up",
            Self::TurnedAway => "turned-away",
        }
    }
}

/// A leg as it stands at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegNow {
    /// Where it stands.
    pub state: LegState,
    /// The node's word, once it is in.
    pub verdict: Option<Verdict>,
    /// Requests that were made.
    pub tries: u32,
    /// What went wrong last, in words.
    pub trouble: Option<String>,
    /// When the state was reached, in ns from the block's last byte.
    pub after_ns: u64,
}

/// One node's row. Cheap to clone: all clones are the same row.
#[derive(Clone, Debug)]
pub struct LegRow(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: String,
    own: bool,
    begun_ns: u64,
    now: Mutex<LegNow>,
}

impl LegRow {
    /// A row for the node at `node`; `own`: it is the chain's own. Times count from `begun_ns`
    /// (CLOCK_MONOTONIC, ns).
    #[must_use]
    pub fn new(node: &str, own: bool, begun_ns: u64) -> Self {
        let now = Mutex::default();
        Self(Arc::new(Inner { node: node.to_owned(), own, begun_ns, now }))
    }

    fn lock(&self) -> MutexGuard<'_, LegNow> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: LegState) -> MutexGuard<'_, LegNow> {
        let after_ns = crate::sys::clock::now_ns().saturating_sub(self.0.begun_ns);
        let mut now = self.lock();
        (now.state, now.after_ns) = (state, after_ns);
        now
    }

    /// A request goes out.
    pub fn asked(&self) {
        let mut now = self.set(LegState::Asked);
        now.tries = now.tries.saturating_add(1);
    }

    /// It brought no verdict.
    pub fn troubled(&self, error: &NodeError) {
        self.set(LegState::TryingAgain).trouble = Some(error.to_string());
    }

    /// The leg has come to this state.
    pub fn reach(&self, state: LegState) {
        drop(self.set(state));
    }

    /// The node has spoken.
    pub fn answered(&self, verdict: &Verdict) {
        self.set(LegState::Answered).verdict = Some(verdict.clone());
    }

    /// The leg as it stands.
    #[must_use]
    pub fn now(&self) -> LegNow {
        self.lock().clone()
    }

    /// `{node, own, state, verdict, tries, trouble, after_ms}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let now = self.now();
        json!({
            "node": self.0.node,
            "own": self.0.own,
            "state": now.state.word(),
            "verdict": now.verdict.as_ref().map(Verdict::word),
            "tries": now.tries,
            "trouble": now.trouble,
            "after_ms": (now.after_ns / 1_000) as f64 / 1e3,
        })
    }
}
