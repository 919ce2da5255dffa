//! Times of one kind, and what is said of them.

use std::sync::Arc;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde_json::{Value, json};

use crate::limits::{HISTOGRAM_BYTES_MAX, HISTOGRAM_KEPT_US_MAX, HISTOGRAM_US_MAX};

/// Significant digits of every time.
const DIGITS: u8 = 3;

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

/// Fails only for bounds that make no sense; these are constants.
fn empty() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, HISTOGRAM_US_MAX, DIGITS).ok()
}

impl Times {
    pub(in crate::cold) fn add(&mut self, time_ns: u64) {
        let time_us = (time_ns / 1_000).clamp(1, HISTOGRAM_US_MAX);
        if self.histogram.is_none() {
            self.histogram = empty().map(Arc::new);
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
        let (mut count, mut from_us) = (0_u64, 0);
        let upto = bounds_us.iter().map(|bound_us| {
            // One walk over all cells: of two bounds in one cell, the first has counted it.
            if from_us <= *bound_us {
                count = count.saturating_add(histogram.count_between(from_us, *bound_us));
                from_us = histogram.next_non_equivalent(*bound_us);
            }
            count
        });
        upto.collect()
    }

    /// Adds all of `others`.
    pub(super) fn absorb(&mut self, others: &Self) {
        let Some(more) = &others.histogram else {
            return;
        };
        if self.histogram.is_none() {
            self.histogram = empty().map(Arc::new);
        }
        let Some(histogram) = &mut self.histogram else {
            return;
        };
        let histogram = Arc::make_mut(histogram);
        for step in more.iter_recorded() {
            histogram
                .saturating_record_n(step.value_iterated_to(), step.count_since_last_iteration());
        }
        self.sum_us = self.sum_us.saturating_add(others.sum_us);
    }

    /// The histogram as it is kept (HdrHistogram's V2 encoding); `None` where there are no times.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(self.histogram.as_deref()?, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Reads what [`Times::to_bytes`] gave; `None` where that is damaged.
    pub(super) fn from_bytes(bytes: &[u8], sum_us: u64) -> Option<Self> {
        // The decoder takes memory for whatever range these name, so they are looked at first.
        let digits = u32::from_be_bytes(*bytes.get(12..16)?.first_chunk()?);
        let highest_us = u64::from_be_bytes(*bytes.get(24..32)?.first_chunk()?);
        let is_ours = digits == u32::from(DIGITS) && highest_us <= HISTOGRAM_KEPT_US_MAX;
        if !is_ours || bytes.len() > HISTOGRAM_BYTES_MAX {
            return None;
        }
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &*bytes).ok()?;
        let mut times = Self::default();
        times.absorb(&Self { histogram: Some(Arc::new(read)), sum_us });
        Some(times)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_up_to_each_bound_is_what_was_added() {
        let mut times = Times::default();
        assert_eq!(times.at_most(&[1, 2]), [0, 0]);
        for us in [1, 50, 50, 999, 5_000, 70_000_000, u64::MAX / 1_000] {
            times.add(us * 1_000);
        }
        let bounds_us = [1, 49, 50, 998, 999, 5_000, 69_000_000, 70_000_001, 120_000_000];
        assert_eq!(times.at_most(&bounds_us), [1, 1, 3, 3, 4, 5, 5, 6, 7]);
        assert_eq!(times.at_most(&[70_000_000, 70_000_001, 70_000_002]), [6, 6, 6]);
        assert_eq!((times.at_most(&[]), times.count()), (vec![], 7));
    }
}
