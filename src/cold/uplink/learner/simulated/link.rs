//! A simulated link: one queue, windows that open, peers that may lie, and a host that is busy.

use std::collections::VecDeque;

use super::super::{Finding, Learner, LearnerSettings};
use super::{MEGABIT, Noise};
use crate::cold::uplink::track::Track;
use crate::limits::{
    BEACON_PAUSE_NS, BEACON_SHARE_PERCENT, SEGMENT_LINE_BYTES, UPLINK_ALL_SAMPLE_US,
    UPLINK_LEARNING_US_MAX, UPLINK_NEAR_SAMPLE_US, WARM_UP_LEARNING_TRIES_MAX,
};
use crate::sys::tcp_info::TcpInfo;

const STEP_US: u64 = 100;
/// Segments of a beacon, and the line bytes of all that the near peers are sent in a round.
const BEACON_SEGMENTS: u32 = 2;
const START_US: u64 = 7_000_000;

/// How a near peer's acknowledgements lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    /// They come before the packet can have been there.
    TooSoon,
    /// They are held back, and more so the longer it lasts.
    Late,
}

/// Something that happens about every `every_us` and lasts up to `most_us`; never where that is 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spell {
    pub(super) every_us: u64,
    pub(super) most_us: u64,
}

impl Spell {
    /// How long it lasts if it begins in this step; 0: it does not.
    fn begins(self, noise: &mut Noise) -> u64 {
        if self.every_us == 0 || noise.below(self.every_us / STEP_US) > 0 {
            return 0;
        }
        noise.below(self.most_us)
    }
}

/// What other work does to the host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Host {
    /// A look at the connections comes up to so much later than it should.
    pub(super) late_us: u64,
    /// The measuring thread is held up: it neither looks nor sets a rate.
    pub(super) hiccup: Spell,
    /// Everything is: nothing is sent, and acknowledgements come when it is over.
    pub(super) freeze: Spell,
}

/// A link and the peers behind it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) bits_per_s: u64,
    pub(super) queue_ms: u64,
    pub(super) peers: u64,
    pub(super) nearest_us: u64,
    /// Constant traffic of others, in percent of the line.
    pub(super) foreign_percent: u64,
    /// Somebody else keeps the queue full.
    pub(super) greedy: bool,
    pub(super) noise_us: u64,
    pub(super) block_bytes: u64,
    pub(super) card_bits_per_s: Option<u64>,
    pub(super) liars: usize,
    pub(super) lie: Lie,
    pub(super) host: Host,
    /// From the first time on all ways are longer by the second, in us: another route.
    pub(super) detour: Option<(u64, u64)>,
    /// It is a repeated measurement on open windows, of a rate that was learnt before.
    pub(super) known_bits_per_s: Option<u64>,
    pub(super) seed: u64,
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
            host: Host::default(),
            detour: None,
            known_bits_per_s: None,
            seed: 1,
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) finding: Finding,
    /// The longest queue that there was, in us.
    pub(super) queue_us: u64,
}

/// A near peer as the kernel has it.
struct Near {
    way_us: u64,
    lie: Lie,
    sent: u32,
    delivered: u32,
    /// When what is on its way is acknowledged.
    coming: VecDeque<u64>,
    beacon_us: u64,
    track: Track,
}

impl Near {
    fn info(&self) -> TcpInfo {
        TcpInfo {
            segment_bytes: 1_448,
            sent_segments: self.sent,
            delivered_segments: Some(self.delivered),
            unacknowledged_segments: self.sent - self.delivered,
            ..TcpInfo::default()
        }
    }

    fn beacon(&mut self, passed_us: u64, queue_us: u64, noise_us: u64) {
        let takes_us = match self.lie {
            Lie::TooSoon => self.way_us / 3,
            Lie::Late => self.way_us + passed_us / 20,
            Lie::None => self.way_us + queue_us + noise_us,
        };
        let before_us = self.coming.back().copied().unwrap_or(0);
        self.coming.push_back((passed_us + takes_us).max(before_us));
        self.sent += BEACON_SEGMENTS;
    }

    fn acknowledge(&mut self, passed_us: u64) {
        while self.coming.front().is_some_and(|due_us| *due_us <= passed_us) {
            self.coming.pop_front();
            self.delivered += BEACON_SEGMENTS;
        }
    }
}

/// A measurement under way.
struct Run<'a> {
    link: &'a Link,
    learner: Learner,
    noise: Noise,
    near: Vec<Near>,
    ways_us: Vec<u64>,
    queue: f64,
    queue_max: f64,
    sent: f64,
    /// What the learner was told of it last, and when.
    told: f64,
    told_us: u64,
    look_us: u64,
    frozen_until_us: u64,
}

impl Link {
    fn line(&self) -> f64 {
        self.bits_per_s as f64 / 8.0
    }

    /// Learns.
    pub(super) fn learn(&self) -> Outcome {
        let last = self.peers - 1;
        let way_us = |at| self.nearest_us + (200_000 - self.nearest_us) * at / last;
        let ways_us: Vec<_> = (0..self.peers).map(way_us).collect();
        let near = (self.peers as usize / 5).clamp(5, 10);
        let near_us: Vec<_> = ways_us.iter().take(near).map(|way_us| *way_us as u32).collect();
        let settings = LearnerSettings::first(near_us, self.card_bits_per_s);
        let settings = match self.known_bits_per_s {
            Some(bits_per_s) => settings.again(bits_per_s),
            None => settings,
        };
        let lie = |at| if at < self.liars { self.lie } else { Lie::None };
        let peer = |(at, way_us): (usize, &u64)| Near {
            way_us: *way_us,
            lie: lie(at),
            sent: 0,
            delivered: 0,
            coming: VecDeque::new(),
            beacon_us: 0,
            track: Track::new(true),
        };
        let full = self.line() * self.queue_ms as f64 / 1e3;
        Run {
            link: self,
            learner: Learner::new(settings, START_US),
            noise: Noise(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            near: ways_us.iter().take(near).enumerate().map(peer).collect(),
            ways_us,
            queue: if self.greedy { full * 0.9 } else { 0.0 },
            queue_max: 0.0,
            sent: 0.0,
            told: 0.0,
            told_us: 0,
            look_us: 0,
            frozen_until_us: 0,
        }
        .run()
    }
}

impl Run<'_> {
    fn run(mut self) -> Outcome {
        let tries = u64::from(WARM_UP_LEARNING_TRIES_MAX);
        let data = (tries * self.link.block_bytes * self.link.peers) as f64;
        let mut passed_us = 0;
        loop {
            let freeze_us = self.link.host.freeze.begins(&mut self.noise);
            self.frozen_until_us = self.frozen_until_us.max(passed_us + freeze_us);
            let is_frozen = passed_us < self.frozen_until_us;
            self.line_goes_on(passed_us, is_frozen, data);
            if !is_frozen {
                self.near.iter_mut().for_each(|near| near.acknowledge(passed_us));
                if passed_us >= self.look_us
                    && let Some(finding) = self.look(passed_us, data)
                {
                    let queue_us = (self.queue_max / self.link.line() * 1e6) as u64;
                    return Outcome { finding, queue_us };
                }
            }
            passed_us += STEP_US;
            assert!(passed_us < 2 * UPLINK_LEARNING_US_MAX, "it does not end");
        }
    }

    /// What the windows let through, in bytes/s: doubled in each round trip.
    fn windows_rate(&self, passed_us: u64) -> f64 {
        if self.link.known_bits_per_s.is_some() {
            return f64::MAX;
        }
        let one = |way_us: &u64| {
            let doubled = (passed_us / way_us).min(8) as i32;
            14_480.0 * 2_f64.powi(doubled) * 1e6 / *way_us as f64
        };
        self.ways_us.iter().map(one).sum()
    }

    fn line_goes_on(&mut self, passed_us: u64, is_frozen: bool, data: f64) {
        let (line, seconds) = (self.link.line(), STEP_US as f64 / 1e6);
        let rate = (self.learner.rate() as f64).min(self.windows_rate(passed_us));
        let goes = if is_frozen { 0.0 } else { (rate * seconds).min(data - self.sent) };
        self.sent += goes;
        let free = 1.0 - self.link.foreign_percent as f64 / 100.0;
        self.queue = (self.queue + goes - free * line * seconds).max(0.0);
        let limit = line * self.link.queue_ms as f64 / 1e3;
        if self.link.greedy {
            self.queue = self.queue.max(limit * 0.8);
        }
        if self.queue > limit {
            self.queue = limit;
            let peer = self.noise.below(self.link.peers) as usize;
            self.learner.lost(START_US + passed_us, peer);
        }
        self.queue_max = self.queue_max.max(self.queue);
        if is_frozen {
            return;
        }
        let detour = self.link.detour.filter(|(from_us, _)| passed_us >= *from_us);
        let queue_us = (self.queue / line * 1e6) as u64 + detour.map_or(0, |(_, by_us)| by_us);
        let beacon = u64::from(BEACON_SEGMENTS * SEGMENT_LINE_BYTES) * self.near.len() as u64;
        let share_us = beacon * 1_000_000 * 100 / (self.learner.rate() * BEACON_SHARE_PERCENT);
        let pause_us = share_us.max(BEACON_PAUSE_NS / 1_000);
        for near in &mut self.near {
            if passed_us >= near.beacon_us && self.sent < data {
                near.beacon_us = passed_us + pause_us;
                near.beacon(passed_us, queue_us, self.noise.below(self.link.noise_us));
            }
        }
    }

    fn look(&mut self, passed_us: u64, data: f64) -> Option<Finding> {
        let host = self.link.host;
        let late_us = self.noise.below(host.late_us) + host.hiccup.begins(&mut self.noise);
        self.look_us = passed_us + UPLINK_NEAR_SAMPLE_US + late_us;
        let now_us = START_US + passed_us;
        for (at, near) in self.near.iter_mut().enumerate() {
            let info = near.info();
            if let Some((sent_us, took_us)) = near.track.sample(now_us, &info).round_trip {
                self.learner.round_trip(at, sent_us, took_us);
            }
        }
        if passed_us >= self.told_us + UPLINK_ALL_SAMPLE_US {
            (self.told, self.told_us) = (self.sent, passed_us);
        }
        self.learner.tick(now_us, self.told as u64, self.sent >= data)
    }
}
