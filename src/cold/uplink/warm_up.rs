//! Who is warmed, with what, and how much of it: the rules. Pure; times come in as ms.
//!
//! The data is the tip of our own node: news to those that have not announced it, and to the others
//! a duplicate, which costs them a pong and us nothing on any chain (a node counts no points for a
//! valid block that it has). Older blocks are never sent.

use std::collections::HashMap;

use super::Warm;
use crate::hot::link::PeerId;
use crate::limits::{
    WARM_UP_BYTES_PER_HOUR_MAX, WARM_UP_JUDGED_MS, WARM_UP_LEARNING_TRIES_MAX, WARM_UP_NEWS_MS,
    WARM_UP_TRIES_MAX,
};

const HOUR_MS: u64 = 3_600_000;

/// What may be sent for warming: bytes that come back evenly over an hour.
#[derive(Clone, Debug)]
pub struct Budget {
    /// In bytes times the ms of an hour: nothing is lost to rounding, however often it is asked.
    left: u64,
    counted_ms: u64,
    per_hour: u64,
}

impl Budget {
    /// A full one of `per_hour` bytes, which are [`WARM_UP_BYTES_PER_HOUR_MAX`] at most.
    #[must_use]
    pub fn new(per_hour: u64, now_ms: u64) -> Self {
        let per_hour = per_hour.min(WARM_UP_BYTES_PER_HOUR_MAX);
        Self { left: per_hour * HOUR_MS, counted_ms: now_ms, per_hour }
    }

    /// What is left at `now_ms`, in bytes. A clock that goes back gives nothing.
    pub fn left(&mut self, now_ms: u64) -> u64 {
        let passed_ms = now_ms.saturating_sub(self.counted_ms).min(HOUR_MS);
        self.counted_ms = self.counted_ms.max(now_ms);
        self.left = (self.left + self.per_hour * passed_ms).min(self.per_hour * HOUR_MS);
        self.left / HOUR_MS
    }

    fn take(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes.saturating_mul(HOUR_MS));
    }

    fn give_back(&mut self, bytes: u64) {
        let full = self.per_hour * HOUR_MS;
        self.left = self.left.saturating_add(bytes.saturating_mul(HOUR_MS)).min(full);
    }
}

/// The tip that connections may be warmed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its hash, in wire order.
    pub hash: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// When our node had it.
    pub known_ms: u64,
}

/// One connection of the tip's chain, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub peer: PeerId,
    /// Whether it goes over a shared uplink: others need no warmth.
    pub shared: bool,
    /// Whether its windows let a block through.
    pub warm: bool,
    /// It takes compact blocks only from who brought it blocks first, and has not chosen us yet.
    pub may_choose_us: bool,
    /// Least round trip, in us; 0: not known.
    pub round_trip_us: u32,
}

#[derive(Clone, Debug, Default)]
struct Record {
    /// Warm-ups by `tip`, and by all.
    tries: u32,
    tip: [u8; 32],
    ever: u32,
    /// Bytes taken from the budget for the one that is under way.
    under_way: Option<u64>,
    /// When its effect can be seen.
    judged_ms: u64,
    /// The block that it announced last.
    heard: Option<[u8; 32]>,
}

/// The rules, and what has been done by them.
#[derive(Clone, Debug)]
pub struct WarmUps {
    budget: Budget,
    peers: HashMap<PeerId, Record>,
    sent_bytes: u64,
    offers: u64,
}

impl WarmUps {
    /// Nothing done yet; `per_hour` bytes may be sent in an hour.
    #[must_use]
    pub fn new(per_hour: u64, now_ms: u64) -> Self {
        Self {
            budget: Budget::new(per_hour, now_ms),
            peers: HashMap::new(),
            sent_bytes: 0,
            offers: 0,
        }
    }

    /// Who of `seen` is to be offered `tip` now, the farthest first: their windows open slowest.
    /// While the rate is measured everybody counts, because the line has to be filled.
    #[must_use]
    pub fn due(
        &mut self,
        warm: Warm,
        tip: &Tip,
        seen: &[Seen],
        now_ms: u64,
        learning: bool,
    ) -> Vec<PeerId> {
        if warm == Warm::Off || tip.bytes == 0 {
            return Vec::new();
        }
        let mut due: Vec<_> =
            seen.iter().filter(|it| self.is_due(warm, tip, it, now_ms, learning)).collect();
        due.sort_unstable_by_key(|it| (it.round_trip_us.wrapping_sub(1), it.peer));
        let affordable = self.budget.left(now_ms) / tip.bytes;
        let far_first = due.iter().rev().map(|it| it.peer);
        far_first.take(usize::try_from(affordable).unwrap_or(usize::MAX)).collect()
    }

    fn is_due(&self, warm: Warm, tip: &Tip, seen: &Seen, now_ms: u64, learning: bool) -> bool {
        let none = Record::default();
        let record = self.peers.get(&seen.peer).unwrap_or(&none);
        let tries = if record.tip == tip.hash { record.tries } else { 0 };
        if !seen.shared || record.under_way.is_some() {
            return false;
        }
        if learning {
            return tries < WARM_UP_LEARNING_TRIES_MAX;
        }
        if tries >= WARM_UP_TRIES_MAX || now_ms < record.judged_ms {
            return false;
        }
        let is_fresh = record.ever < WARM_UP_TRIES_MAX;
        let is_news =
            record.heard != Some(tip.hash) && now_ms.saturating_sub(tip.known_ms) < WARM_UP_NEWS_MS;
        if seen.may_choose_us && is_news && tries == 0 {
            // Whoever brings a peer a block first is chosen as one of its three sources.
            return true;
        }
        if seen.warm {
            return false;
        }
        warm == Warm::Always || is_fresh || is_news
    }

    /// `peer` was offered `tip`.
    pub fn offered(&mut self, peer: PeerId, tip: &Tip) {
        let record = self.peers.entry(peer).or_default();
        if record.tip != tip.hash {
            (record.tip, record.tries) = (tip.hash, 0);
        }
        record.tries += 1;
        record.ever = record.ever.saturating_add(1);
        record.under_way = Some(tip.bytes);
        self.budget.take(tip.bytes);
        self.offers += 1;
    }

    /// Its offer has ended, with `sent_bytes` of it sent. What was not sent is there for others.
    pub fn ended(&mut self, peer: PeerId, sent_bytes: u64, now_ms: u64) {
        self.sent_bytes = self.sent_bytes.saturating_add(sent_bytes);
        let Some(record) = self.peers.get_mut(&peer) else {
            return;
        };
        record.judged_ms = now_ms.saturating_add(WARM_UP_JUDGED_MS);
        if let Some(bytes) = record.under_way.take() {
            self.budget.give_back(bytes.saturating_sub(sent_bytes));
            if sent_bytes == 0 {
                // It went under before it began: a try that was none.
                record.tries = record.tries.saturating_sub(1);
                record.ever = record.ever.saturating_sub(1);
            }
        }
    }

    /// `peer` announced a block.
    pub fn announced(&mut self, peer: PeerId, hash: [u8; 32]) {
        self.peers.entry(peer).or_default().heard = Some(hash);
    }

    /// Forgets those that are not connected any more: who is not among `connected`, sorted by name.
    pub fn keep(&mut self, connected: &[PeerId]) {
        let Self { budget, peers, .. } = self;
        peers.retain(|peer, record| {
            let stays = connected.binary_search(peer).is_ok();
            if let Some(bytes) = record.under_way.filter(|_| !stays) {
                budget.give_back(bytes);
            }
            stays
        });
    }

    /// Nothing is under way any more: what was is not heard of again.
    pub fn forget_under_way(&mut self, now_ms: u64) {
        let lost: Vec<_> = self.peers.iter().filter(|it| it.1.under_way.is_some()).collect();
        let lost: Vec<_> = lost.into_iter().map(|(peer, _)| *peer).collect();
        lost.into_iter().for_each(|peer| self.ended(peer, 0, now_ms));
    }

    /// How many offers are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.peers.values().filter(|record| record.under_way.is_some()).count()
    }

    /// What may still be sent now, in bytes.
    pub fn left_bytes(&mut self, now_ms: u64) -> u64 {
        self.budget.left(now_ms)
    }

    /// Bytes sent for warming, and offers made, since the start.
    #[must_use]
    pub const fn done(&self) -> (u64, u64) {
        (self.sent_bytes, self.offers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::WARM_UP_BYTES_PER_HOUR;

    const TIP: Tip = Tip { hash: [1; 32], bytes: 1_000_000, known_ms: 1_000 };

    fn peer(serial: u64) -> PeerId {
        PeerId::new(0, serial)
    }

    fn cold(serial: u64) -> Seen {
        Seen {
            peer: peer(serial),
            shared: true,
            warm: false,
            may_choose_us: false,
            round_trip_us: 10_000 * serial as u32,
        }
    }

    fn due(it: &mut WarmUps, warm: Warm, tip: &Tip, seen: &[Seen], now_ms: u64) -> Vec<u64> {
        it.due(warm, tip, seen, now_ms, false).into_iter().map(|peer| peer.0).collect()
    }

    #[test]
    fn fresh_ones_are_warmed_far_first_and_others_left_alone() {
        let mut it = WarmUps::new(WARM_UP_BYTES_PER_HOUR, 0);
        let unknown = Seen { round_trip_us: 0, ..cold(4) };
        let seen = [cold(1), Seen { warm: true, ..cold(2) }, cold(3), unknown];
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &seen, 2_000), [4, 3, 1]);
        assert_eq!(due(&mut it, Warm::Off, &TIP, &seen, 2_000), [0; 0]);
        let local = [Seen { shared: false, ..cold(1) }];
        assert_eq!(due(&mut it, Warm::Always, &TIP, &local, 2_000), [0; 0], "loopback");
        assert_eq!(it.due(Warm::Auto, &TIP, &seen, 2_000, true).len(), 4, "to fill the line");
        let empty = Tip { bytes: 0, ..TIP };
        assert_eq!(due(&mut it, Warm::Always, &empty, &seen, 2_000), [0; 0]);
    }

    #[test]
    fn what_stays_small_is_repeated_and_not_for_ever() {
        let (mut it, seen) = (WarmUps::new(WARM_UP_BYTES_PER_HOUR, 0), [cold(1)]);
        it.offered(peer(1), &TIP);
        assert_eq!((due(&mut it, Warm::Auto, &TIP, &seen, 2_000), it.under_way()), (vec![], 1));
        it.ended(peer(1), TIP.bytes, 2_000);
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &seen, 3_999), [0; 0], "not judged yet");
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &seen, 4_000), [1]);
        it.offered(peer(1), &TIP);
        it.ended(peer(1), TIP.bytes, 4_000);
        for warm in [Warm::Auto, Warm::Always] {
            assert_eq!(due(&mut it, warm, &TIP, &seen, 60_000), [0; 0], "twice is enough");
        }
        // The next block is news to it, for a while, unless it announced it itself.
        let next = Tip { hash: [2; 32], known_ms: 60_000, ..TIP };
        assert_eq!(due(&mut it, Warm::Auto, &next, &seen, 61_000), [1]);
        assert_eq!(due(&mut it, Warm::Auto, &next, &seen, 60_000 + WARM_UP_NEWS_MS), [0; 0]);
        it.announced(peer(1), next.hash);
        assert_eq!(due(&mut it, Warm::Auto, &next, &seen, 61_000), [0; 0]);
        assert_eq!(due(&mut it, Warm::Always, &next, &seen, 61_000), [1]);
    }

    #[test]
    fn who_may_choose_us_gets_news_however_warm_it_is() {
        let mut it = WarmUps::new(WARM_UP_BYTES_PER_HOUR, 0);
        let seen = [Seen { warm: true, may_choose_us: true, ..cold(1) }];
        assert_eq!(due(&mut it, Warm::Off, &TIP, &seen, 2_000), [0; 0]);
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &seen, 1_000 + WARM_UP_NEWS_MS), [0; 0], "old");
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &seen, 2_000), [1]);
        it.offered(peer(1), &TIP);
        it.ended(peer(1), TIP.bytes, 2_000);
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &seen, 5_000), [0; 0], "once");
        let next = Tip { hash: [2; 32], known_ms: 60_000, ..TIP };
        it.announced(peer(1), next.hash);
        assert_eq!(due(&mut it, Warm::Auto, &next, &seen, 61_000), [0; 0], "it has it");
        let last = Tip { hash: [3; 32], known_ms: 90_000, ..TIP };
        let chosen = [Seen { may_choose_us: false, ..seen[0] }];
        assert_eq!(due(&mut it, Warm::Auto, &last, &chosen, 91_000), [0; 0]);
        assert_eq!(due(&mut it, Warm::Auto, &last, &seen, 91_000), [1]);
    }

    #[test]
    fn what_did_not_begin_counts_for_nothing() {
        let mut it = WarmUps::new(WARM_UP_BYTES_PER_HOUR, 0);
        for _ in 0..9 {
            it.offered(peer(1), &TIP);
            it.ended(peer(1), 0, 0);
        }
        assert_eq!(due(&mut it, Warm::Auto, &TIP, &[cold(1)], 5_000), [1]);
        assert_eq!((it.left_bytes(0), it.done()), (WARM_UP_BYTES_PER_HOUR, (0, 9)));
        it.ended(peer(7), 5, 0);
    }

    #[test]
    fn the_budget_holds_and_comes_back() {
        let mut it = WarmUps::new(WARM_UP_BYTES_PER_HOUR, 0);
        let many: Vec<_> = (1..=5_000).map(cold).collect();
        let mut offered = 0;
        for round in 0..3 {
            let tip = Tip { hash: [round; 32], known_ms: 0, ..TIP };
            for peer in it.due(Warm::Always, &tip, &many, 0, false) {
                it.offered(peer, &tip);
                it.ended(peer, tip.bytes, 0);
                offered += tip.bytes;
            }
        }
        assert_eq!(offered, WARM_UP_BYTES_PER_HOUR);
        assert_eq!(it.left_bytes(0), 0);
        // Asked often, it comes back all the same.
        for now_ms in 0..HOUR_MS / 2 {
            it.left_bytes(now_ms);
        }
        assert_eq!(it.left_bytes(HOUR_MS / 2), WARM_UP_BYTES_PER_HOUR / 2);
        assert_eq!(it.left_bytes(u64::MAX), WARM_UP_BYTES_PER_HOUR);
        it.budget.take(5);
        assert_eq!(it.left_bytes(3), WARM_UP_BYTES_PER_HOUR - 5, "a clock that goes back");
        let mut none = WarmUps::new(0, 0);
        assert_eq!(due(&mut none, Warm::Always, &TIP, &many, 0), [0; 0], "nothing may be sent");
        assert_eq!(WarmUps::new(u64::MAX, 0).left_bytes(0), WARM_UP_BYTES_PER_HOUR_MAX);
        // One that is gone gives back what it has not used.
        it.offered(peer(9), &TIP);
        it.keep(&[peer(1), peer(2)]);
        assert_eq!((it.left_bytes(3), it.under_way()), (WARM_UP_BYTES_PER_HOUR - 5, 0));
    }
}
