//! Latency as an operator reads it: a table of how soon the first, half, 90 % and the last of the
//! peers had a block, and a histogram in text.

use hdrhistogram::Histogram;

/// Significant digits of every figure.
const DIGITS: u8 = 3;
/// Bars of a histogram in text.
const BARS: u32 = 16;
/// Length of the longest bar, in characters.
const BAR_CHARS: u64 = 50;

/// Why a figure can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The histogram could not be made.
    #[error("no histogram: {0}")]
    Create(#[from] hdrhistogram::CreationError),
    /// A time does not fit.
    #[error("a time does not fit the histogram: {0}")]
    Record(#[from] hdrhistogram::RecordError),
}

/// Times of many blocks to many peers, in ns from the moment that the caller chose as the start.
#[derive(Debug)]
pub struct Deliveries {
    first: Histogram<u64>,
    half: Histogram<u64>,
    ninety: Histogram<u64>,
    all: Histogram<u64>,
    every: Histogram<u64>,
    receipt: Histogram<u64>,
    blocks: u64,
    short: u64,
}

impl Deliveries {
    /// Nothing yet.
    ///
    /// # Errors
    /// No memory for the histograms.
    pub fn new() -> Result<Self, TableError> {
        let histogram = || Histogram::new(DIGITS);
        Ok(Self {
            first: histogram()?,
            half: histogram()?,
            ninety: histogram()?,
            all: histogram()?,
            every: histogram()?,
            receipt: histogram()?,
            blocks: 0,
            short: 0,
        })
    }

    /// Adds one block that left at `start_ns` and was whole at each peer that has it at the times
    /// `arrivals_ns`, in any order; `peers` should have got it. A stage that not enough peers have
    /// reached is left out and counted as short.
    ///
    /// # Errors
    /// A time is out of all bounds.
    pub fn add(
        &mut self,
        start_ns: u64,
        arrivals_ns: &[u64],
        peers: usize,
    ) -> Result<(), TableError> {
        let mut times: Vec<_> =
            arrivals_ns.iter().map(|at| at.saturating_sub(start_ns).max(1)).collect();
        times.sort_unstable();
        for time in &times {
            self.every.record(*time)?;
        }
        let stages = [
            (&mut self.first, 1),
            (&mut self.half, peers.div_ceil(2)),
            (&mut self.ninety, (peers * 9).div_ceil(10)),
            (&mut self.all, peers),
        ];
        for (histogram, count) in stages {
            if let Some(time) = count.checked_sub(1).and_then(|at| times.get(at)) {
                histogram.record(*time)?;
            }
        }
        self.blocks += 1;
        self.short += u64::from(times.len() < peers);
        Ok(())
    }

    /// Adds the time to one receipt.
    ///
    /// # Errors
    /// The time is out of all bounds.
    pub fn add_receipt(&mut self, time_ns: u64) -> Result<(), TableError> {
        Ok(self.receipt.record(time_ns.max(1))?)
    }

    /// Blocks that did not reach every peer.
    #[must_use]
    pub fn short(&self) -> u64 {
        self.short
    }

    /// The table: one row per stage, times in ms.
    #[must_use]
    pub fn table(&self) -> String {
        let head = ["in ms, from the block's last byte in", "p50", "p90", "p99", "max"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (name, histogram) in [
            ("first peer has it", &self.first),
            ("half of the peers have it", &self.half),
            ("90 % of the peers have it", &self.ninety),
            ("the last peer has it", &self.all),
            ("receipt (each peer)", &self.receipt),
        ] {
            let mut row = vec![name.to_owned()];
            if histogram.is_empty() {
                row.extend(["-"; 4].map(str::to_owned));
            } else {
                let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
                row.extend([at(0.5), at(0.9), at(0.99), milliseconds(histogram.max())]);
            }
            rows.push(row);
        }
        columns(&rows)
    }

    /// How long the single deliveries took, as bars.
    #[must_use]
    pub fn bars(&self) -> String {
        bars(&self.every)
    }
}

/// `histogram` (in ns) as bars: equal steps up to its 99.5th percentile, the rest in a last row.
#[must_use]
pub fn bars(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return String::from("(nothing was measured)\n");
    }
    let low = histogram.min();
    let high = histogram.value_at_quantile(0.995).max(low + u64::from(BARS));
    let step = (high - low).div_ceil(u64::from(BARS));
    let mut counts = vec![0_u64; BARS as usize + 1];
    for value in histogram.iter_recorded() {
        let at = (value.value_iterated_to().saturating_sub(low) / step).min(u64::from(BARS));
        if let Some(count) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
            *count += value.count_since_last_iteration();
        }
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (at, count) in (0..).zip(&counts) {
        let from = milliseconds(low + step * at);
        let to = match at == u64::from(BARS) {
            false => milliseconds(low + step * (at + 1)),
            true if *count == 0 => break,
            true => milliseconds(histogram.max()),
        };
        let bar = "#".repeat(usize::try_from((count * BAR_CHARS).div_ceil(most)).unwrap_or(0));
        text += format!("{from:>9} - {to:>9} ms {count:>6} {bar}").trim_end();
        text.push('\n');
    }
    text
}

/// `ns` in ms, with as many digits as mean something.
#[must_use]
pub fn milliseconds(ns: u64) -> String {
    match ns as f64 / 1e6 {
        ms if ms < 10.0 => format!("{ms:.3}"),
        ms if ms < 100.0 => format!("{ms:.2}"),
        ms => format!("{ms:.1}"),
    }
}

/// Rows as columns: the first column begins at the left, the others end at the right.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let widths: Vec<_> = (0..count)
        .map(|at| cells(at).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line += &match at {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 20 peers the 1st, 10th, 18th and 20th count; of 1 peer all four are the same.
    #[test]
    fn stages_are_the_right_peers() {
        let mut deliveries = Deliveries::new().unwrap();
        let arrivals: Vec<u64> = (1..=20).rev().map(|ms| 1_000_000 * (ms + 5)).collect();
        deliveries.add(5_000_000, &arrivals, 20).unwrap();
        let table = deliveries.table();
        let value = |row: usize| {
            table
                .lines()
                .nth(row)
                .unwrap()
                .split_whitespace()
                .last()
                .unwrap()
                .parse::<f64>()
                .unwrap()
        };
        for (row, expected) in [(1, 1.0), (2, 10.0), (3, 18.0), (4, 20.0)] {
            assert!((value(row) - expected).abs() / expected < 0.01, "{table}");
        }
        assert!(table.lines().nth(5).unwrap().ends_with("-"), "{table}");
        assert_eq!(deliveries.short(), 0);
        let mut one = Deliveries::new().unwrap();
        one.add(0, &[7], 1).unwrap();
        assert_eq!(
            (one.first.max(), one.half.max(), one.ninety.max(), one.all.max()),
            (7, 7, 7, 7)
        );
    }

    #[test]
    fn a_stage_that_was_not_reached_is_left_out() {
        let mut deliveries = Deliveries::new().unwrap();
        deliveries.add(0, &[1_000; 9], 10).unwrap();
        assert_eq!((deliveries.ninety.len(), deliveries.all.len(), deliveries.short()), (1, 0, 1));
        deliveries.add(0, &[], 10).unwrap();
        assert_eq!((deliveries.first.len(), deliveries.short()), (1, 2));
    }

    #[test]
    fn bars_hold_every_value() {
        let mut histogram = Histogram::new(DIGITS).unwrap();
        assert!(bars(&histogram).contains("nothing"));
        for value in 1..=1_000_u64 {
            histogram.record(value * 1_000).unwrap();
        }
        histogram.record(900_000_000).unwrap();
        let text = bars(&histogram);
        let counted: u64 = text
            .lines()
            .map(|line| line.split_whitespace().nth(4).unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, 1_001, "{text}");
        let mut single = Histogram::new(DIGITS).unwrap();
        single.record(5).unwrap();
        assert_eq!(bars(&single).matches('#').count(), BAR_CHARS as usize);
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = columns(&[row(["a", "b", "c"]), row(["long", "1", "22"])]);
        assert_eq!(text, "a     b   c\nlong  1  22\n");
    }
}
