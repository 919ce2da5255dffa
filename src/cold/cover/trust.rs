//! How far a peer is trusted to pass on what it gets, by what it did with our blocks.

/// What became of a block of ours at a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It announced the block back: the block is its tip.
    Echo,
    /// It answered the ping behind the block: it has dealt with it.
    Receipt,
    /// It did neither in time.
    Silence,
    /// It dropped us for it.
    Refusal,
}

/// The probability that a peer passes on a block, as far as we can tell; in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trust(u16);

/// What counts as certain.
const WHOLE: u16 = 1_000;
/// Below this a peer is chosen by lot or by score, not by the rule.
const USED_MIN: u16 = 400;
/// One block moves the trust by this share of the way: one in so many.
const STEP: u16 = 4;

impl Trust {
    /// Of a peer that was never sent a block.
    pub const NEW: Self = Self(900);

    /// The trust after one more block.
    #[must_use]
    pub const fn after(self, proof: Proof) -> Self {
        // Nobody is trusted wholly: a peer that echoes may still tell no one but us.
        let aim = match proof {
            Proof::Echo => 980,
            Proof::Receipt => 930,
            Proof::Silence | Proof::Refusal => 0,
        };
        let kept = self.0 - self.0.div_ceil(STEP);
        Self(kept + aim / STEP)
    }

    /// In thousandths.
    #[must_use]
    pub const fn permille(self) -> u16 {
        self.0
    }

    /// Whether the rule may count on the peer.
    pub(super) const fn is_enough(self) -> bool {
        self.0 >= USED_MIN
    }

    /// The part of `whole` that can be counted on.
    pub(super) const fn of(self, whole: u32) -> u32 {
        (whole as u64 * self.0 as u64 / WHOLE as u64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(proofs: &[Proof]) -> Trust {
        proofs.iter().fold(Trust::NEW, |trust, proof| trust.after(*proof))
    }

    #[test]
    fn trust_is_earned_slowly_and_lost_soon() {
        assert!(after(&[Proof::Echo]) > Trust::NEW);
        assert!(after(&[Proof::Echo; 9]) > after(&[Proof::Receipt; 9]));
        assert!(after(&[Proof::Receipt; 99]).permille() > Trust::NEW.permille());
        assert!(after(&[Proof::Silence]).is_enough(), "one lost pong is no crime");
        assert!(!after(&[Proof::Silence; 3]).is_enough());
        assert!(!after(&[Proof::Refusal; 3]).is_enough());
        assert!(
            after(&[[Proof::Silence; 9], [Proof::Echo; 9]].concat()).is_enough(),
            "it can return"
        );
    }

    #[test]
    fn trust_stays_a_probability() {
        for proof in [Proof::Echo, Proof::Receipt, Proof::Silence, Proof::Refusal] {
            let mut trust = Trust::NEW;
            for _ in 0..1_000 {
                trust = trust.after(proof);
                assert!(trust.permille() < WHOLE);
                assert!(trust.of(u32::MAX) < u32::MAX && trust.of(0) == 0);
            }
        }
    }
}
