//! How the kernel trace is doing.

use serde_json::{Value, json};

use super::thefts::StolenSum;
use crate::cold::stats::runner_word;
use crate::sys::bpf::Runner;

/// One of the two programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Why it does not tell; `None`: it does.
    pub why_not: Option<String>,
    /// What found no room, or was not told, since the start.
    pub lost: u64,
}

/// What is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceView {
    /// How far blocks come on each connection.
    pub deliveries: Part,
    /// Who runs on the shards' cores.
    pub cores: Part,
    /// Whether new connections begin with a window of ours, in packets; 0: the kernel's own.
    pub initial_window_packets: u32,
    /// What held up shards since the start, by core and kind.
    pub stolen: Vec<(u32, Runner, StolenSum)>,
}

impl TraceView {
    /// Nothing is seen, for this reason.
    #[must_use]
    pub fn off(why: String) -> Self {
        let part = Part { why_not: Some(why), lost: 0 };
        Self { deliveries: part.clone(), cores: part, ..Self::default() }
    }

    /// `{deliveries: {on, why_not, lost}, cores: {...}, initial_window_packets, stolen: [{core, kind,
    /// count, total_ms, longest_ms}]}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let part = |part: &Part| json!({"on": part.why_not.is_none(), "why_not": part.why_not, "lost": part.lost});
        let stolen = self.stolen.iter().map(|(core, runner, sum)| {
            json!({"core": core, "kind": runner_word(*runner), "count": sum.count,
                   "total_ms": sum.total_ns as f64 / 1e6, "longest_ms": sum.longest_ns as f64 / 1e6})
        });
        json!({"deliveries": part(&self.deliveries), "cores": part(&self.cores),
               "initial_window_packets": self.initial_window_packets,
               "stolen": stolen.collect::<Vec<_>>()})
    }

    /// One line for the log.
    pub(super) fn told(&self, cores: &[usize]) -> String {
        let window = match self.initial_window_packets {
            0 => String::new(),
            packets => format!("; connections begin with {packets} packets"),
        };
        match (&self.deliveries.why_not, &self.cores.why_not) {
            (None, None) => format!("kernel trace: deliveries, and cores {cores:?}{window}"),
            (None, Some(why)) => format!("kernel trace: deliveries{window}; not the cores: {why}"),
            (Some(why), None) => {
                format!("kernel trace: cores {cores:?}{window}; not the deliveries: {why}")
            }
            (Some(why), Some(other)) if why == other => {
                format!("no kernel trace{window}: {why}. All else works")
            }
            (Some(why), Some(other)) => {
                format!("no kernel trace{window}: {why}; cores: {other}. All else works")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_is_seen() {
        let mut view = TraceView::off("too old".to_owned());
        assert_eq!(view.told(&[3]), "no kernel trace: too old. All else works");
        view.initial_window_packets = 20;
        view.cores.why_not = None;
        let told = view.told(&[2, 3]);
        assert!(told.contains("cores [2, 3]; connections begin with 20"), "{told}");
        assert!(told.ends_with("not the deliveries: too old"), "{told}");
        assert_eq!(view.to_json()["cores"]["on"], true);
        assert_eq!(view.to_json()["deliveries"]["why_not"], "too old");
    }
}
