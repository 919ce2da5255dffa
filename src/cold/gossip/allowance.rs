//! How much one connection may say.

use crate::limits::{ADDRESS_TOKENS_MAX, ADDRESS_TOKENS_PER_S, ADDRESS_TOKENS_START};

/// A token bucket: so many at once, so many per s in the long run.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    most: f64,
    per_s: f64,
    filled_ns: u64,
}

impl Bucket {
    /// A full bucket at `now_ns`.
    #[must_use]
    pub const fn new(most: f64, per_s: f64, now_ns: u64) -> Self {
        Self { tokens: most, most, per_s, filled_ns: now_ns }
    }

    /// Takes `tokens` out at `now_ns`; `false`: there are not so many, and none was taken. A clock
    /// that goes back fills nothing.
    #[expect(clippy::cast_precision_loss, reason = "a time between two messages")]
    pub fn take(&mut self, tokens: f64, now_ns: u64) -> bool {
        let passed_ns = now_ns.saturating_sub(self.filled_ns);
        self.filled_ns = self.filled_ns.max(now_ns);
        // Whoever was given more than the bucket holds keeps it.
        if self.tokens < self.most {
            let filled = self.tokens + passed_ns as f64 / 1e9 * self.per_s;
            self.tokens = filled.min(self.most);
        }
        let is_there = tokens <= self.tokens;
        self.tokens -= if is_there { tokens } else { 0.0 };
        is_there
    }

    /// Puts so many in, over the brim if need be.
    pub fn give(&mut self, tokens: f64) {
        self.tokens += tokens;
    }
}

/// How many addresses one connection may tell of, as nodes have it.
///
/// Source: Bitcoin Core, `src/net_processing.cpp`, `m_addr_token_bucket`.
#[derive(Clone, Copy, Debug)]
pub struct Allowance(Bucket);

impl Allowance {
    /// That of a new connection.
    #[must_use]
    pub const fn new(now_ns: u64) -> Self {
        let mut bucket = Bucket::new(ADDRESS_TOKENS_MAX, ADDRESS_TOKENS_PER_S, now_ns);
        bucket.tokens = ADDRESS_TOKENS_START;
        Self(bucket)
    }

    /// It was asked for addresses: it may answer.
    pub fn asked(&mut self) {
        self.0.give(ADDRESS_TOKENS_MAX);
    }

    /// Whether it may tell of one more at `now_ns`.
    pub fn take(&mut self, now_ns: u64) -> bool {
        self.0.take(1.0, now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn one_at_the_start_a_thousand_for_an_answer_and_one_in_ten_seconds() {
        let mut allowance = Allowance::new(5 * S);
        assert!(allowance.take(5 * S) && !allowance.take(5 * S));
        assert!(!allowance.take(14 * S) && allowance.take(15 * S) && !allowance.take(16 * S));
        allowance.asked();
        let taken = (0..5_000).filter(|_| allowance.take(16 * S)).count();
        assert_eq!(taken, 1_000);
        let in_an_hour = (0..3_600).filter(|second| allowance.take((17 + second) * S)).count();
        assert!((359..=361).contains(&in_an_hour), "{in_an_hour}");
        let after_a_year = (0..9_999).filter(|_| allowance.take(40_000_000 * S)).count();
        assert_eq!(after_a_year, 1_000);
        assert!(!allowance.take(0), "a clock that goes back");
    }

    #[test]
    fn a_bucket_takes_all_or_nothing() {
        let mut bucket = Bucket::new(10.0, 1.0, 0);
        assert!(bucket.take(8.0, 0) && !bucket.take(3.0, 0) && bucket.take(2.0, 0));
        assert!(!bucket.take(11.0, 99 * S) && bucket.take(10.0, 99 * S));
    }
}
