//! `broadside bench network`: whom to push a block to, on made-up networks of [`crate::sim::network`].
//!
//! Nothing is sent and no clock is read: what comes out follows from the seeds alone.
//!
//! # Shape of the file
//!
//! `{schema, bench, broadside, seed, seeds, worlds[]}`; a world has `name, nodes, watched, learnt, sent,
//! policies[]`, a policy `name, half_ms[], ninety_ms[], stale_per_10000[]`, one sample a seed.

mod plot;

use std::path::Path;

use serde::Serialize;

use super::BenchError;
use super::progress::Progress;
use super::table::columns;
use crate::sim::network::{Assumptions, Extent, Policy, study};

pub use plot::write as write_plot;

/// Networks of each world when nothing is said.
pub const SEEDS: u32 = 24;
/// Version of the file's shape.
const SCHEMA: u32 = 1;
/// A quick run: small networks, and few of them.
const QUICK_SEEDS: u32 = 2;
const QUICK_NODES: usize = 1_500;
const QUICK: Extent = Extent { watched: 200, learnt: 12, sent: 2 };

/// What a run has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    schema: u32,
    bench: &'static str,
    broadside: &'static str,
    /// The first seed, and how many in a row were taken.
    seed: u64,
    seeds: u32,
    worlds: Vec<Told>,
}

/// One kind of network.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Told {
    name: &'static str,
    nodes: usize,
    watched: usize,
    learnt: usize,
    sent: usize,
    policies: Vec<Samples>,
}

/// One policy, a sample a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Samples {
    name: &'static str,
    half_ms: Vec<f64>,
    ninety_ms: Vec<f64>,
    stale_per_10000: Vec<f64>,
}

/// Looks at `seeds` networks of each kind, the first one that of `seed`.
#[must_use]
pub fn run(seed: u64, seeds: Option<u32>, is_quick: bool) -> Report {
    let seeds = seeds.unwrap_or(if is_quick { QUICK_SEEDS } else { SEEDS });
    let usual = Assumptions::default();
    let (nodes, extent) =
        if is_quick { (QUICK_NODES, QUICK) } else { (usual.nodes, Extent::default()) };
    let kinds = [("pools' gateways take connections", false), ("pools' gateways are hidden", true)];
    let mut progress = Progress::start(u64::from(seeds) * kinds.len() as u64, "networks");
    let worlds = kinds.map(|(name, hides_gateways)| {
        let assumed = Assumptions { nodes, hides_gateways, ..usual };
        let Extent { watched, learnt, sent } = extent;
        let mut policies = Policy::ALL.map(|it| Samples { name: it.name(), ..Samples::default() });
        for number in 0..u64::from(seeds) {
            let rows = study(assumed, extent, &Policy::ALL, seed.wrapping_add(number));
            for (samples, row) in policies.iter_mut().zip(rows) {
                samples.half_ms.push(row.half_ms);
                samples.ninety_ms.push(row.ninety_ms);
                samples.stale_per_10000.push(row.stale);
            }
            progress.step();
        }
        Told { name, nodes, watched, learnt, sent, policies: policies.into() }
    });
    let broadside = env!("CARGO_PKG_VERSION");
    Report { schema: SCHEMA, bench: "network", broadside, seed, seeds, worlds: worlds.into() }
}

impl Report {
    /// A table for each kind of network: medians over the seeds.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "network: a model; medians of {} networks from seed {}; nothing was sent\n",
            self.seeds, self.seed
        );
        for world in &self.worlds {
            let Told { name, nodes, watched, learnt, .. } = world;
            let title =
                format!("{name}: {nodes} nodes, {watched} watched, {learnt} blocks learnt from");
            let head = [title.as_str(), "T50 ms", "T90 ms", "stale / 10,000"];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            for policy in &world.policies {
                let cell = |samples: &[f64], digits| format!("{:.*}", digits, median(samples));
                rows.push(vec![
                    policy.name.to_owned(),
                    cell(&policy.half_ms, 0),
                    cell(&policy.ninety_ms, 0),
                    cell(&policy.stale_per_10000, 2),
                ]);
            }
            text += &format!("\n{}", columns(&rows));
        }
        text + "\nT50, T90: from the submission until half, 90 % of the hash rate has the block\n"
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let failed = |why: String| BenchError::File { path: path.to_owned(), why };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path, text + "\n").map_err(|error| failed(error.to_string()))
    }
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |at: usize| sorted.get(at).copied().unwrap_or(0.0);
    (middle(sorted.len() / 2) + middle(sorted.len().saturating_sub(1) / 2)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), 3.0);
    }

    #[test]
    fn a_quick_run_says_everything_and_repeats() {
        let report = run(7, Some(1), true);
        assert_eq!(report, run(7, Some(1), true));
        let text = report.text();
        for policy in Policy::ALL {
            let start = format!("{}  ", policy.name());
            assert_eq!(text.lines().filter(|it| it.starts_with(&start)).count(), 2, "{text}");
        }
        assert!(report.worlds.iter().all(|world| world.policies.iter().all(|it| {
            it.half_ms[0] > 0.0 && it.half_ms[0] <= it.ninety_ms[0] && it.stale_per_10000[0] > 0.0
        })));
    }
}
