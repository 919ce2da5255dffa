//! What a measurement begins with, and what it says at the end.

/// First rate, in line bytes/s: 10 Mbit/s.
pub const FIRST_RATE: u64 = 1_250_000;

/// What is known when a measurement begins.
#[derive(Clone, Debug)]
pub struct LearnerSettings {
    /// Least round trips of the nearest peers (a fifth of all, 5 to 10), in us, nearest first.
    pub near_us: Vec<u32>,
    /// What the network card says of itself, in bits/s. Nonsense is not believed.
    pub card_bits_per_s: Option<u64>,
    /// First rate, in line bytes/s.
    pub first_rate: u64,
    /// Busy time to be collected while the queue is held.
    pub hold_us: u64,
}

impl LearnerSettings {
    /// For a warm-up of fresh connections.
    #[must_use]
    pub fn first(near_us: Vec<u32>, card_bits_per_s: Option<u64>) -> Self {
        Self { near_us, card_bits_per_s, first_rate: FIRST_RATE, hold_us: 300_000 }
    }

    /// For a small burst on warm, idle connections: from 0.6 of what was learnt before.
    #[must_use]
    pub fn again(self, bits_per_s: u64) -> Self {
        let first_rate = (bits_per_s / 8 * 6 / 10).max(FIRST_RATE);
        Self { first_rate, hold_us: 100_000, ..self }
    }
}

/// What a measurement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The uplink's rate.
    Learnt,
    /// This host's card is the limit: no queue beyond it was seen at its full rate.
    CardIsLimit,
    /// At least this: there was no more data, or no more time, to try a higher one.
    Floor,
    /// Somebody else keeps the queue full: the value is not to be used.
    ForeignQueue,
    /// Too little was heard of the near peers.
    Nothing,
}

/// The end of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it says.
    pub found: Found,
    /// Bits/s on the line, headers included.
    pub bits_per_s: u64,
    /// How long it took.
    pub took_us: u64,
    /// Longest queue that was made, as far as the near peers told.
    pub queue_us_max: u32,
}
