//! What is shown of an endpoint.

use super::Endpoint;
use super::ledger::Totals;
use crate::cold::stats::{Percentiles, VerdictCounts};

/// One endpoint at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointView {
    /// Its address as given.
    pub url: String,
    /// Its breaker: `closed`, `open` or `probing`.
    pub circuit: &'static str,
    /// Whether it answered when it was last asked anything.
    pub is_here: Option<bool>,
    /// Blocks that were taken for it.
    pub blocks: u64,
    /// Blocks on their way.
    pub waiting: u32,
    /// What it said.
    pub verdicts: VerdictCounts,
    /// Blocks that ended without a verdict, or never began.
    pub lost: u64,
    /// The last verdict,
    pub last_verdict: Option<String>,
    /// and the last trouble since then.
    pub last_trouble: Option<String>,
    /// From a request to its verdict.
    pub answers: Option<Percentiles>,
}

impl Endpoint {
    /// What is known of it now.
    #[must_use]
    pub fn view(&self) -> EndpointView {
        let totals: Totals = self.0.ledger.totals();
        EndpointView {
            url: self.url().to_owned(),
            circuit: self.0.breaker.circuit().word(),
            is_here: totals.is_here,
            blocks: totals.blocks,
            waiting: totals.waiting,
            verdicts: totals.verdicts,
            lost: totals.gave_up + totals.turned_away,
            last_verdict: totals.last_verdict,
            last_trouble: totals.last_trouble,
            answers: totals.answers.percentiles(),
        }
    }
}
