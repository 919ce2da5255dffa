//! One measured figure: its samples, and what they say.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::table::milliseconds;

/// Significant digits of a histogram.
const DIGITS: u8 = 3;

/// What a sample counts. Less is better, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time, in ns.
    Ns,
    /// Processor time for each MB sent, in ns.
    NsPerMb,
    /// Memory, in bytes.
    Bytes,
    /// Entries into the kernel, segments: things that are counted.
    Entries,
    /// A rate that was found out, in bits/s. Neither less nor more of it is better.
    BitsPerS,
}

impl Unit {
    /// How a column of it is headed.
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Ns => "ms",
            Self::NsPerMb => "ms/MB",
            Self::Bytes => "MB",
            Self::Entries => "",
            Self::BitsPerS => "Mbit/s",
        }
    }

    /// `value` as people read it, in [`Unit::shown`].
    #[must_use]
    pub fn show(self, value: i64) -> String {
        let sign = if value < 0 { "-" } else { "" };
        let size = value.unsigned_abs();
        match self {
            Self::Ns | Self::NsPerMb => format!("{sign}{}", milliseconds(size)),
            Self::Bytes => format!("{sign}{:.2}", size as f64 / 1e6),
            Self::Entries => format!("{sign}{size}"),
            Self::BitsPerS => format!("{sign}{:.1}", size as f64 / 1e6),
        }
    }
}

/// The samples of one figure, in the order of the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Of what it is made.
    pub unit: Unit,
    /// One for each counted run.
    pub samples: Vec<i64>,
}

/// What the samples say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub least: i64,
    /// The middle one; the lower of two.
    pub median: i64,
    /// The greatest.
    pub most: i64,
}

impl Figure {
    /// A figure without samples.
    #[must_use]
    pub fn new(name: &str, unit: Unit) -> Self {
        Self { name: name.to_owned(), unit, samples: Vec::new() }
    }

    fn sorted(&self) -> Vec<i64> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        sorted
    }

    /// Least, median, most; `None` without samples.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        let sorted = self.sorted();
        let median = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Some(Spread { least: *sorted.first()?, median, most: *sorted.last()? })
    }

    /// The range that holds the true median with 95 % certainty, from the samples' ranks alone: no
    /// shape is assumed (Conover, "Practical Nonparametric Statistics", on quantiles).
    #[must_use]
    pub fn median_range(&self) -> Option<(i64, i64)> {
        let sorted = self.sorted();
        let count = sorted.len() as f64;
        let half_width = 0.98 * count.sqrt();
        let low = (count / 2.0 - half_width).floor().max(0.0) as usize;
        let high = (count / 2.0 + half_width).ceil() as usize;
        let high = high.min(sorted.len().checked_sub(1)?);
        Some((*sorted.get(low)?, *sorted.get(high)?))
    }

    /// All samples as a histogram; what is below zero counts as nothing.
    #[must_use]
    pub fn histogram(&self) -> Option<Histogram<u64>> {
        let mut histogram = Histogram::new(DIGITS).ok()?;
        for sample in &self.samples {
            histogram.record(u64::try_from(*sample).unwrap_or(0)).ok()?;
        }
        Some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[i64]) -> Figure {
        Figure { samples: samples.to_vec(), ..Figure::new("x", Unit::Ns) }
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(figure(&[]).spread(), None);
        assert_eq!(figure(&[]).median_range(), None);
        let spread = figure(&[5, -1, 9]).spread().unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (-1, 5, 9));
        assert_eq!(figure(&[4, 1, 3, 2]).spread().unwrap().median, 2);
    }

    /// Of 15 samples the 4th and the 13th bound the median; few samples say little.
    #[test]
    fn the_range_of_the_median() {
        let fifteen: Vec<i64> = (1..=15).rev().collect();
        assert_eq!(figure(&fifteen).median_range(), Some((4, 13)));
        assert_eq!(figure(&[7, 8]).median_range(), Some((7, 8)));
    }

    #[test]
    fn a_histogram_holds_what_is_below_zero() {
        let histogram = figure(&[-5, 10, 1_000_000_000]).histogram().unwrap();
        assert_eq!((histogram.len(), histogram.min()), (3, 0));
    }

    #[test]
    fn values_are_shown_in_their_unit() {
        assert_eq!(Unit::Ns.show(-1_500_000), "-1.500");
        assert_eq!(Unit::Bytes.show(4_000_000), "4.00");
        assert_eq!(Unit::Entries.show(7), "7");
    }
}
