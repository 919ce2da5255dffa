//! The learner before simulated links: a queue, windows that open, peers that lie.

use std::collections::VecDeque;

use super::*;

const MEGABIT: u64 = 1_000_000;
const STEP_US: u64 = 200;

/// A small generator of noise: the same for the same seed.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// How a near peer's acknowledgements lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// They come before the packet can have been there.
    TooSoon,
    /// They are held back, and more so the longer it lasts.
    Late,
}

/// A link and the peers behind it.
struct Link {
    bits_per_s: u64,
    queue_ms: u64,
    peers: u64,
    nearest_us: u64,
    /// Constant traffic of others, in percent of the line.
    foreign_percent: u64,
    /// Somebody else keeps the queue full.
    greedy: bool,
    noise_us: u64,
    block_bytes: u64,
    card_bits_per_s: Option<u64>,
    liars: usize,
    lie: Lie,
    seed: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            bits_per_s: 100 * MEGABIT,
            queue_ms: 50,
            peers: 20,
            nearest_us: 20_000,
            foreign_percent: 0,
            greedy: false,
            noise_us: 300,
            block_bytes: 1_000_000,
            card_bits_per_s: None,
            liars: 0,
            lie: Lie::None,
            seed: 1,
        }
    }
}

impl Link {
    fn ways_us(&self) -> Vec<u64> {
        let last = self.peers - 1;
        (0..self.peers)
            .map(|at| self.nearest_us + (200_000 - self.nearest_us) * at / last)
            .collect()
    }

    /// What the windows let through at `now_us`, in bytes/s: doubled in each round trip.
    fn windows_rate(ways_us: &[u64], now_us: u64) -> f64 {
        let one = |way_us: &u64| {
            let doubled = (now_us / way_us).min(8) as i32;
            14_480.0 * 2_f64.powi(doubled) * 1e6 / *way_us as f64
        };
        ways_us.iter().map(one).sum()
    }

    fn learn(&self) -> Finding {
        let ways_us = self.ways_us();
        let near = (self.peers as usize / 5).clamp(5, 10);
        let near_us: Vec<_> = ways_us.iter().take(near).map(|way_us| *way_us as u32).collect();
        let start_us = 7_000_000;
        let settings = LearnerSettings::first(near_us, self.card_bits_per_s);
        let mut learner = Learner::new(settings, start_us);
        let mut noise = Noise(self.seed);
        let line = self.bits_per_s as f64 / 8.0;
        let (limit, foreign) =
            (line * self.queue_ms as f64 / 1e3, self.foreign_percent as f64 / 100.0);
        let mut queue = if self.greedy { limit * 0.9 } else { 0.0 };
        let (mut sent, mut told) = (0.0, VecDeque::new());
        let data = (3 * self.block_bytes * self.peers) as f64;
        for step in 0.. {
            let passed_us = step * STEP_US;
            let now_us = start_us + passed_us;
            let seconds = STEP_US as f64 / 1e6;
            let goes =
                (learner.rate() as f64).min(Self::windows_rate(&ways_us, passed_us)) * seconds;
            let goes = goes.min(data - sent);
            sent += goes;
            queue = (queue + goes + (foreign - 1.0) * line * seconds).max(0.0);
            if self.greedy {
                queue = queue.max(limit * 0.8);
            }
            if queue > limit {
                queue = limit;
                learner.lost(now_us, noise.below(self.peers) as usize);
            }
            if passed_us % 3_000 < STEP_US {
                for (at, way_us) in ways_us.iter().take(near).enumerate() {
                    let lies = at < self.liars;
                    let took_us = match self.lie {
                        Lie::TooSoon if lies => way_us / 3,
                        Lie::Late if lies => way_us + passed_us / 20,
                        _ => way_us + (queue / line * 1e6) as u64 + noise.below(self.noise_us),
                    };
                    told.push_back((now_us + took_us, at, now_us, took_us as u32));
                }
            }
            told.retain(|(at_us, near, sent_us, took_us)| {
                let due = *at_us <= now_us;
                if due {
                    learner.round_trip(*near, *sent_us, *took_us);
                }
                !due
            });
            if let Some(finding) = learner.tick(now_us, sent as u64, sent >= data) {
                return finding;
            }
            assert!(passed_us < 2 * UPLINK_LEARNING_US_MAX, "it does not end");
        }
        unreachable!()
    }

    /// Learns, and holds the outcome against what is free on the line.
    fn learns_within(&self, least: f64, most: f64) {
        let free = self.bits_per_s * (100 - self.foreign_percent) / 100;
        let finding = self.learn();
        let share = finding.bits_per_s as f64 / free as f64;
        assert_eq!(finding.found, Found::Learnt, "{finding:?}");
        assert!((least..=most).contains(&share), "{share} of {free}: {finding:?}");
        assert!(finding.took_us < 3_000_000, "{finding:?}");
    }
}

/// The cases of the study: within -10 and +3 %.
#[test]
fn links_of_all_kinds_are_learnt() {
    let gigabit = 1_000 * MEGABIT;
    for seed in 0..5 {
        let link = || Link { seed, ..Link::default() };
        link().learns_within(0.9, 1.03);
        Link { bits_per_s: 50 * MEGABIT, block_bytes: 500_000, ..link() }.learns_within(0.9, 1.03);
        Link { queue_ms: 10, ..link() }.learns_within(0.9, 1.03);
        Link { bits_per_s: 300 * MEGABIT, ..link() }.learns_within(0.9, 1.03);
        Link { bits_per_s: gigabit, peers: 100, ..link() }.learns_within(0.9, 1.03);
        Link { bits_per_s: gigabit, peers: 100, queue_ms: 10, ..link() }.learns_within(0.9, 1.03);
        Link { foreign_percent: 30, ..link() }.learns_within(0.9, 1.03);
        Link { bits_per_s: gigabit, peers: 100, foreign_percent: 30, ..link() }
            .learns_within(0.9, 1.03);
        Link { nearest_us: 100_000, ..link() }.learns_within(0.9, 1.03);
        Link { noise_us: 1_000, ..link() }.learns_within(0.85, 1.05);
    }
}

#[test]
fn the_card_can_be_the_limit_and_can_be_wrong() {
    let fast = || Link { bits_per_s: 4_000 * MEGABIT, peers: 100, ..Link::default() };
    let card = Link { card_bits_per_s: Some(500 * MEGABIT), ..fast() }.learn();
    assert_eq!((card.found, card.bits_per_s), (Found::CardIsLimit, 500 * MEGABIT));
    // A card that says 0, -1 or a million times too much is not heeded.
    for nonsense in [0, 1, u64::MAX, u64::from(u32::MAX) * 1_000_000] {
        Link { card_bits_per_s: Some(nonsense), ..Link::default() }.learns_within(0.9, 1.03);
    }
}

#[test]
fn too_little_data_is_a_floor_and_a_full_queue_is_foreign() {
    let floor =
        Link { bits_per_s: 4_000 * MEGABIT, block_bytes: 100_000, ..Link::default() }.learn();
    assert_eq!(floor.found, Found::Floor);
    assert!(floor.bits_per_s < 4_000 * MEGABIT);
    let foreign = Link { greedy: true, ..Link::default() }.learn();
    assert_eq!(foreign.found, Found::ForeignQueue);
}

/// Two of five near peers lie: the median is not theirs.
#[test]
fn a_minority_of_liars_changes_nothing() {
    for lie in [Lie::TooSoon, Lie::Late] {
        Link { liars: 2, lie, ..Link::default() }.learns_within(0.9, 1.03);
    }
    // All of them: whatever comes out is no more than was really sent.
    for lie in [Lie::TooSoon, Lie::Late] {
        let finding = Link { liars: 5, lie, ..Link::default() }.learn();
        assert!(finding.bits_per_s <= 4 * 100 * MEGABIT, "{finding:?}");
    }
}

#[test]
fn silence_and_clocks_that_jump_end_as_nothing() {
    let settings = LearnerSettings::first(Vec::new(), None);
    let mut learner = Learner::new(settings.clone(), 1_000_000_000);
    assert_eq!(learner.tick(5, 0, false), None, "a clock that goes back");
    let far = learner.tick(u64::MAX / 2, u64::MAX / 4, false).map(|finding| finding.found);
    assert_eq!(far, Some(Found::Nothing));
    assert_eq!(learner.tick(u64::MAX / 2, 0, true), None, "it ends once");
    let again = settings.again(100 * MEGABIT);
    assert_eq!((again.first_rate, again.hold_us), (7_500_000, 100_000));
}
