//! Times of one kind, and what is said of them.

use std::sync::Arc;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::limits::HISTOGRAM_US_MAX;

/// Times of one kind. A clone costs nothing until the next time is added.
#[derive(Clone, Debug, Default)]
pub struct Times {
    histogram: Option<Arc<Histogram<u64>>>,
    sum_us: u64,
}

/// What a histogram of times says, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Percentiles {
    /// Their mean.
    pub mean_ms: f64,
    /// Half were at most this.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred.
    pub p99_ms: f64,
    /// All.
    pub max_ms: f64,
    /// How many there were.
    pub count: u64,
}

impl Times {
    pub(in crate::cold) fn add(&mut self, time_ns: u64) {
        let time_us = (time_ns / 1_000).clamp(1, HISTOGRAM_US_MAX);
        if self.histogram.is_none() {
            // Fails only for bounds that make no sense; these are constants.
            self.histogram = Histogram::new_with_bounds(1, HISTOGRAM_US_MAX, 3).ok().map(Arc::new);
        }
        if let Some(histogram) = &mut self.histogram {
            Arc::make_mut(histogram).saturating_record(time_us);
            self.sum_us = self.sum_us.saturating_add(time_us);
        }
    }

    /// What the times say; `None` where there are none.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.histogram.as_ref()?;
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Some(Percentiles {
            mean_ms: self.sum_us as f64 / histogram.len().max(1) as f64 / 1_000.0,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: histogram.max() as f64 / 1_000.0,
            count: histogram.len(),
        })
    }

    /// How many there are,
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// and their sum, in us.
    #[must_use]
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// How many were at most each of `bounds_us`, which rise.
    #[must_use]
    pub fn at_most(&self, bounds_us: &[u64]) -> Vec<u64> {
        let Some(histogram) = &self.histogram else {
            return vec![0; bounds_us.len()];
        };
        bounds_us.iter().map(|bound_us| histogram.count_between(0, *bound_us)).collect()
    }
}

impl Percentiles {
    /// `{mean, p50, p90, p99, max, count}`, in ms.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({"mean": self.mean_ms, "p50": self.p50_ms, "p90": self.p90_ms, "p99": self.p99_ms,
               "max": self.max_ms, "count": self.count})
    }
}
