//! One token bucket for all sockets of all shards.
//!
//! One word says until when everything that was granted so far is paid for. The time since then,
//! times the rate, are the tokens: they come from the clock and never from a count of ticks, nobody
//! has to fill anything, and any number of shards share them by compare-and-swap.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{
    BLOCK_SAVED_NS, BLOCK_TICK_NS, BUCKET_BYTES_MIN, CLOCK_BACK_NS, PIECE_BYTES_MIN,
    PROBE_PIECE_BYTES, SEGMENT_LINE_BYTES, SEGMENT_PAYLOAD_BYTES, SHARDS_MAX, UPLINK_BITS_MAX,
    UPLINK_BITS_MIN, UPLINK_USED_PERCENT, WARM_UP_PIECE_BYTES, WARM_UP_REST_NS, WARM_UP_SAVED_NS,
    WARM_UP_TICK_NS,
};

const NS_PER_S: u64 = 1_000_000_000;

/// How finely tokens are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often, in ns.
    pub tick_ns: u64,
    /// How much of the rate is saved up between, in ns.
    pub saved_ns: u64,
    /// Largest piece, in bytes.
    pub piece_bytes_max: u32,
    /// The bucket holds at least so many bytes, however slow the uplink.
    pub saved_bytes_min: u32,
    /// How long a socket rests after a piece where the uplink is slow for it; 0: it does not. Only
    /// whole pieces are given then.
    pub rest_ns: u64,
    /// It is for warm-ups alone, which may have a rate of their own.
    pub is_warm_up: bool,
}

impl Pace {
    /// For a block: large pieces, few kernel entries.
    pub const BLOCK: Self = Self {
        tick_ns: BLOCK_TICK_NS,
        saved_ns: BLOCK_SAVED_NS,
        piece_bytes_max: u32::MAX,
        saved_bytes_min: BUCKET_BYTES_MIN,
        rest_ns: 0,
        is_warm_up: false,
    };
    /// For a warm-up: small pieces, so that no window is left early.
    pub const WARM_UP: Self = Self {
        tick_ns: WARM_UP_TICK_NS,
        saved_ns: WARM_UP_SAVED_NS,
        piece_bytes_max: WARM_UP_PIECE_BYTES,
        saved_bytes_min: 2 * WARM_UP_PIECE_BYTES,
        rest_ns: WARM_UP_REST_NS,
        is_warm_up: true,
    };
    /// For learning the uplink: smaller still, so that what is sent follows the rate closely.
    pub const PROBE: Self = Self {
        piece_bytes_max: PROBE_PIECE_BYTES,
        saved_bytes_min: BUCKET_BYTES_MIN,
        rest_ns: 0,
        ..Self::WARM_UP
    };
}

/// Tokens for the uplink. In every stretch of time no more than rate × time and one bucketful is
/// granted, beside what was granted before and is handed back in it.
#[derive(Debug, Default)]
pub struct Bucket {
    /// Payload bytes per second; 0: unlimited.
    rate: AtomicU64,
    /// Payload bytes per second of warm-ups, while the uplink is being learnt; 0: as `rate`.
    probe: AtomicU64,
    /// Everything granted is paid for at this time, in ns of the caller's clock.
    paid_ns: AtomicU64,
    /// A bit for each shard that has something to send and a socket that would take it.
    hungry: AtomicU64,
}

/// A grant, and what it cost: what the socket did not take is handed back at the same price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Payload bytes that may be sent.
    pub bytes: u32,
    cost_ns: u64,
}

impl Grant {
    /// `bytes` that cost nothing.
    #[must_use]
    pub const fn free(bytes: u32) -> Self {
        Self { bytes, cost_ns: 0 }
    }
}

/// Payload bytes/s that are sent over an uplink of `bits_per_s` (on the line, framing included):
/// its used share, less headers. Nonsense is held to what is believed.
#[must_use]
pub fn payload_rate(bits_per_s: u64) -> u64 {
    let line_bytes = bits_per_s.clamp(UPLINK_BITS_MIN, UPLINK_BITS_MAX) / 8;
    let used = line_bytes * UPLINK_USED_PERCENT / 100;
    // At most 1e11 × 1,448: far from the end of a u64.
    used * u64::from(SEGMENT_PAYLOAD_BYTES) / u64::from(SEGMENT_LINE_BYTES)
}

impl Bucket {
    /// A bucket without a limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// A bucket for an uplink of `bits_per_s`.
    #[must_use]
    pub fn new(bits_per_s: u64) -> Self {
        let bucket = Self::default();
        bucket.set_uplink(Some(bits_per_s));
        bucket
    }

    /// Changes the uplink, in bits/s on the line; `None`: unlimited. Any thread, any time.
    pub fn set_uplink(&self, bits_per_s: Option<u64>) {
        self.rate.store(bits_per_s.map_or(0, payload_rate), Ordering::Relaxed);
    }

    /// While this is `Some`, warm-ups may use exactly so many bytes/s on the line. Any thread, any
    /// time.
    pub fn set_probe(&self, line_bytes_per_s: Option<u64>) {
        let payload = |line_bytes: u64| {
            let line_bytes = line_bytes.clamp(UPLINK_BITS_MIN / 8, UPLINK_BITS_MAX / 8);
            line_bytes * u64::from(SEGMENT_PAYLOAD_BYTES) / u64::from(SEGMENT_LINE_BYTES)
        };
        self.probe.store(line_bytes_per_s.map_or(0, payload), Ordering::Relaxed);
    }

    /// Payload bytes/s; `None`: unlimited.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// Payload bytes/s at this pace: while the uplink is probed a warm-up has a rate of its own.
    #[must_use]
    pub fn rate_of(&self, pace: Pace) -> Option<u64> {
        let probe = Some(self.probe.load(Ordering::Relaxed)).filter(|rate| *rate > 0);
        probe.filter(|_| pace.is_warm_up).or_else(|| self.rate())
    }

    /// Whether the uplink is being probed.
    #[must_use]
    pub fn is_probed(&self) -> bool {
        self.probe.load(Ordering::Relaxed) > 0
    }

    /// What a full bucket holds at this pace, in bytes.
    #[must_use]
    pub fn holds_bytes(&self, pace: Pace) -> u64 {
        self.rate_of(pace).map_or(u64::MAX, |rate| bytes_in(held_ns(rate, pace), rate))
    }

    /// Says whether `shard` has something that it could send.
    pub fn set_hungry(&self, shard: u32, hungry: bool) {
        let bit = 1 << (shard % SHARDS_MAX);
        if hungry {
            self.hungry.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.hungry.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// What `shard`, which asked `since_ns` ago, may take of the tokens that are there at `now_ns`: all,
    /// or when others are hungry too its even share of what has come since, and what is more than
    /// theirs. In bytes; what nobody fetches stays for whoever comes next.
    #[must_use]
    pub fn share(&self, now_ns: u64, pace: Pace, shard: u32, since_ns: u64) -> u64 {
        let Some(rate) = self.rate_of(pace) else {
            return u64::MAX;
        };
        let held_ns = held_ns(rate, pace);
        let paid_ns = paid(self.paid_until_ns(now_ns, held_ns), now_ns, held_ns);
        let tokens = bytes_in(now_ns.saturating_sub(paid_ns), rate);
        let hungry = self.hungry.load(Ordering::Relaxed) | 1 << (shard % SHARDS_MAX);
        let shares = u64::from(hungry.count_ones());
        let even = bytes_in(since_ns.min(held_ns), rate) / shares;
        let spare = tokens.saturating_sub(even * (shares - 1));
        even.max(spare).max(PIECE_BYTES_MIN.into()).min(tokens)
    }

    /// Whether others than `shard` are hungry.
    #[must_use]
    pub fn is_shared(&self, shard: u32) -> bool {
        self.hungry.load(Ordering::Relaxed) & !(1 << (shard % SHARDS_MAX)) != 0
    }

    /// Takes up to `wanted_bytes`; `None` when not even a piece worth a send is there.
    pub fn take(&self, now_ns: u64, pace: Pace, wanted_bytes: u32) -> Option<Grant> {
        let Some(rate) = self.rate_of(pace) else {
            return Some(Grant::free(wanted_bytes));
        };
        let held_ns = held_ns(rate, pace);
        let mut seen_ns = self.paid_until_ns(now_ns, held_ns);
        loop {
            let since_ns = paid(seen_ns, now_ns, held_ns);
            let tokens = bytes_in(now_ns.saturating_sub(since_ns), rate);
            let bytes = u32::try_from(tokens).unwrap_or(u32::MAX).min(wanted_bytes);
            if bytes < wanted_bytes.min(PIECE_BYTES_MIN) || bytes == 0 {
                return None;
            }
            let grant = Grant { bytes, cost_ns: cost_ns(bytes, rate) };
            let (before, after) = (seen_ns, since_ns + grant.cost_ns);
            let order = Ordering::Relaxed;
            match self.paid_ns.compare_exchange_weak(before, after, order, order) {
                Ok(_) => return Some(grant),
                Err(now_there_ns) => seen_ns = now_there_ns,
            }
        }
    }

    /// Hands back what of `grant` was not sent.
    pub fn settle(&self, grant: Grant, sent_bytes: u32) {
        if sent_bytes >= grant.bytes || grant.cost_ns == 0 {
            return;
        }
        let kept = u128::from(grant.cost_ns) * u128::from(sent_bytes);
        let kept_ns = kept.div_ceil(u128::from(grant.bytes)) as u64;
        let back_ns = grant.cost_ns - kept_ns;
        let lower = |paid_ns: u64| Some(paid_ns.saturating_sub(back_ns));
        let _ = self.paid_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
    }

    /// Charges for small messages that did not ask first. The debt is at most one bucketful.
    pub fn charge(&self, now_ns: u64, pace: Pace, bytes: u32) {
        let Some(rate) = self.rate_of(pace) else {
            return;
        };
        let held_ns = held_ns(rate, pace);
        let raise = |paid_ns: u64| {
            let after = paid(paid_ns, now_ns, held_ns) + cost_ns(bytes, rate);
            Some(after.min(now_ns.saturating_add(held_ns)))
        };
        let _ = self.paid_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raise);
    }

    /// How long after `now_ns` a piece of `wanted_bytes`, or the smallest worth a send, is there.
    #[must_use]
    pub fn ready_in_ns(&self, now_ns: u64, pace: Pace, wanted_bytes: u32) -> u64 {
        let Some(rate) = self.rate_of(pace) else {
            return 0;
        };
        let since_ns = paid(self.paid_ns.load(Ordering::Relaxed), now_ns, held_ns(rate, pace));
        (since_ns + cost_ns(wanted_bytes.min(PIECE_BYTES_MIN), rate)).saturating_sub(now_ns)
    }

    /// Until when everything is paid for. A clock that went back is noted, or no token would come
    /// until it is there again.
    fn paid_until_ns(&self, now_ns: u64, held_ns: u64) -> u64 {
        let seen_ns = self.paid_ns.load(Ordering::Relaxed);
        if seen_ns <= now_ns.saturating_add(held_ns.max(CLOCK_BACK_NS)) {
            return seen_ns;
        }
        let order = Ordering::Relaxed;
        self.paid_ns
            .compare_exchange(seen_ns, now_ns, order, order)
            .map_or_else(|it| it, |_| now_ns)
    }
}

/// What a bucket of `rate` saves up at most, in ns.
fn held_ns(rate: u64, pace: Pace) -> u64 {
    pace.saved_ns.max(cost_ns(pace.saved_bytes_min, rate))
}

/// Since when tokens are there. Older ones than the bucket holds are lost, which bounds a jump of
/// the clock forward; a debt beyond a bucketful cannot be: the clock went back, and starts anew.
fn paid(paid_ns: u64, now_ns: u64, held_ns: u64) -> u64 {
    if paid_ns > now_ns.saturating_add(held_ns) {
        return now_ns;
    }
    paid_ns.max(now_ns.saturating_sub(held_ns))
}

/// Bytes that `ns` are worth, rounded down.
fn bytes_in(ns: u64, rate: u64) -> u64 {
    (u128::from(ns) * u128::from(rate) / u128::from(NS_PER_S)) as u64
}

/// What `bytes` cost, rounded up, so that never more than the rate is granted.
fn cost_ns(bytes: u32, rate: u64) -> u64 {
    (u64::from(bytes) * NS_PER_S).div_ceil(rate)
}

#[cfg(test)]
mod tests;
