//! What became of proofs of merged mining that pools handed in.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

/// What can become of a proof and of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofFate {
    /// The node took the proof.
    Accepted,
    /// It did not: `false`, or an error.
    Refused,
    /// It gave no answer.
    Unanswered,
    /// The block was fetched.
    Fetched,
    /// The desk had the block already.
    Known,
    /// The block could not be fetched: the node alone spreads it.
    Lost,
}

impl ProofFate {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Refused, Self::Unanswered, Self::Fetched, Self::Known, Self::Lost];

    /// One word for statistics and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Fetched => "fetched",
            Self::Known => "known",
            Self::Lost => "lost",
        }
    }
}

/// The proofs of one chain. Each is one of accepted, refused, unanswered; each block of an accepted
/// one, and of an unanswered one that the node turns out to have, becomes one of fetched, known, lost.
#[derive(Debug, Default)]
pub struct ProofCounts([AtomicU64; ProofFate::ALL.len()]);

impl ProofCounts {
    /// One more.
    pub fn raise(&self, fate: ProofFate) {
        if let Some(count) = self.0.get(fate as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many met this fate.
    #[must_use]
    pub fn of(&self, fate: ProofFate) -> u64 {
        self.0.get(fate as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// `{accepted, refused, unanswered, fetched, known, lost}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let counts = ProofFate::ALL.iter().zip(&self.0);
        let told = counts.map(|(fate, count)| (fate.word(), count.load(Ordering::Relaxed)));
        Value::Object(
            told.map(|(word, count)| (word.to_owned(), count.into())).collect::<Map<_, _>>(),
        )
    }
}
