//! What has become of all blocks at one endpoint since the start.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cold::node::NodeError;
use crate::cold::node::verdict::Verdict;
use crate::cold::stats::{Percentiles, Times, VerdictCounts};

/// Sums over all blocks at one endpoint. Each block that was taken ends in a verdict or given up:
/// `blocks = verdicts + gave_up + waiting`.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Blocks that were taken for it.
    pub blocks: u64,
    /// Blocks that were not, as too many waited already.
    pub turned_away: u64,
    /// Blocks without a verdict when their time was over.
    pub gave_up: u64,
    /// Blocks on their way.
    pub waiting: u32,
    /// What it said.
    pub verdicts: VerdictCounts,
    /// Requests with a block in them.
    pub tries: u64,
    /// What went wrong with requests, by word; questions after its health among them.
    pub troubles: BTreeMap<&'static str, u64>,
    /// From a request to its verdict.
    pub answers: Times,
    /// The last verdict; trouble since then stands below.
    pub last_verdict: Option<String>,
    /// The last trouble, in words.
    pub last_trouble: Option<String>,
    /// Times that it was left alone for failing.
    pub opened: u64,
    /// Whether it answered when it was last asked anything.
    pub is_here: Option<bool>,
}

/// The totals, shared.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Totals>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn totals(&self) -> Totals {
        self.lock().clone()
    }

    pub(super) fn turned_away(&self) {
        self.lock().turned_away += 1;
    }

    /// A block was taken; it is on its way until the guard is dropped.
    pub(super) fn take(&self) -> UnderWay<'_> {
        let mut totals = self.lock();
        totals.blocks += 1;
        totals.waiting += 1;
        drop(totals);
        UnderWay(self)
    }

    pub(super) fn tried(&self) {
        self.lock().tries += 1;
    }

    /// A request was answered after `after`.
    pub(super) fn answered(&self, after: Duration) {
        let mut totals = self.lock();
        totals.answers.add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
        totals.is_here = Some(true);
    }

    /// It gave a sign of life.
    pub(super) fn is_here(&self) {
        self.lock().is_here = Some(true);
    }

    /// A block's verdict is in.
    pub(super) fn judged(&self, verdict: &Verdict) {
        let mut totals = self.lock();
        totals.verdicts.add(verdict);
        totals.last_verdict = Some(verdict.word().to_owned());
        totals.last_trouble = None;
    }

    pub(super) fn gave_up(&self) {
        self.lock().gave_up += 1;
    }

    /// A request brought nothing of use. `opened`: that was one too many.
    pub(super) fn troubled(&self, error: &NodeError, opened: bool) {
        let mut totals = self.lock();
        *totals.troubles.entry(error.word()).or_default() += 1;
        totals.last_trouble = Some(error.to_string());
        totals.is_here = Some(!error.is_away());
        totals.opened += u64::from(opened);
    }
}

/// A block on its way to the endpoint.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Ledger);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Totals {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "blocks": self.blocks,
            "waiting": self.waiting,
            "verdicts": self.verdicts.to_json(),
            "gave_up": self.gave_up,
            "turned_away": self.turned_away,
            "tries": self.tries,
            "troubles": self.troubles,
            "last_verdict": self.last_verdict,
            "last_trouble": self.last_trouble,
            "answer_ms": self.answers.percentiles().map(Percentiles::to_json),
            "opened": self.opened,
            "here": self.is_here,
        })
    }
}
