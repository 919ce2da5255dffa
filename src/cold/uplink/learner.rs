//! Measures the uplink while connections are warmed: raises the total rate until the nearest peers
//! see a queue, holds a small one and reads the rate off it, and sends a little more for a moment to
//! see whether the queue grows as it must. If it does not, what was seen was the host's own delay.

mod finding;
mod hold;
mod push;

pub use finding::{FIRST_RATE, Finding, Found, LearnerSettings};

use self::push::{Push, Verdict};
use super::delays::Delays;
use crate::limits::{UPLINK_BIN_US, UPLINK_BITS_MAX, UPLINK_BITS_MIN, UPLINK_LEARNING_US_MAX};

/// Queue below which a stretch does not count as busy, at least, and at most: on a busy host delays
/// do more than this by themselves, and a queue must not be seen in that.
const EMPTY_QUEUE_US: u32 = 600;
const EMPTY_QUEUE_US_MAX: u32 = 2_000;
/// Queue beyond the noise that must not stand after a measurement,
const STANDING_QUEUE_US: u32 = 2_500;
/// and how many stretches must tell of it at least.
const STANDING_BINS_MIN: usize = 10;
/// Stretches at the beginning that tell of the delay that is the host's own, if they come soon
const ALLOWANCE_BINS: usize = 8;
const ALLOWANCE_BINS_MAX: u64 = 100;
/// and the most that is believed to be.
const ALLOWANCE_US_MAX: u32 = 4_000;
/// Stretches that tell of the noise.
const QUIET_BINS_MIN: usize = 20;
/// Peers that must lose at once before losses count as the line's.
const LOSING_PEERS: usize = 3;
/// Losses are at once within this.
const LOSSES_SPAN_US: u64 = 50_000;

#[derive(Clone, Copy, Debug)]
enum Phase {
    Ramp,
    /// Since bin `since`; the queue was last seen in bin `seen`.
    Hold {
        since: u64,
        seen: u64,
    },
    /// A little more is sent than what was found.
    Push(Push),
    Done,
}

/// One measurement under way. Rates inside are line bytes/s.
#[derive(Clone, Debug)]
pub struct Learner {
    delays: Delays,
    settings: LearnerSettings,
    card_rate: Option<u64>,
    phase: Phase,
    rate: f64,
    /// What is taken for the line's rate while the queue is held.
    guess: f64,
    tau_us: f64,
    start_us: u64,
    ticked_us: u64,
    /// Since when the card has been used in full.
    card_full_us: Option<u64>,
    highest_rate: u64,
    queue_us_max: u32,
    /// Bin in which the last ramp began: queues before it are another's story.
    ramp_from: u64,
    judged: u64,
    /// What counts as no queue, from the noise before one was seen.
    empty_us: u32,
    noise_us: u32,
    is_allowed_for: bool,
    /// A rate that was found has turned out too low.
    was_rejected: bool,
    /// Time and peer of the last losses.
    losses: Vec<(u64, usize)>,
}

impl Learner {
    /// A measurement that begins at `now_us`.
    #[must_use]
    pub fn new(settings: LearnerSettings, now_us: u64) -> Self {
        let mut ways = settings.near_us.clone();
        ways.sort_unstable();
        let second_us = f64::from(ways.get(1).or(ways.first()).copied().unwrap_or(0));
        let believed = |bits: &u64| (UPLINK_BITS_MIN..=UPLINK_BITS_MAX).contains(bits);
        let card_rate = settings.card_bits_per_s.filter(believed).map(|bits| bits / 8);
        Self {
            delays: Delays::new(&settings.near_us, now_us),
            rate: settings.first_rate as f64,
            settings,
            card_rate,
            phase: Phase::Ramp,
            guess: 0.0,
            tau_us: (5.0 * second_us).clamp(200_000.0, 600_000.0),
            start_us: now_us,
            ticked_us: now_us,
            card_full_us: None,
            highest_rate: 0,
            queue_us_max: 0,
            ramp_from: 0,
            judged: 0,
            empty_us: EMPTY_QUEUE_US,
            noise_us: 0,
            is_allowed_for: false,
            was_rejected: false,
            losses: Vec::new(),
        }
    }

    /// Line bytes/s to send now, over all connections together.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate as u64
    }

    /// A packet that left for near peer `near` at `sent_us` was answered `round_trip_us` later.
    pub fn round_trip(&mut self, near: usize, sent_us: u64, round_trip_us: u32) {
        self.delays.round_trip(near, sent_us, round_trip_us);
    }

    /// `peer` had to be sent something again.
    pub fn lost(&mut self, now_us: u64, peer: usize) {
        self.losses.retain(|(at_us, other)| {
            *other != peer && now_us.saturating_sub(*at_us) <= LOSSES_SPAN_US
        });
        self.losses.push((now_us, peer));
    }

    /// Goes on to `now_us`, by when `sent_bytes` line bytes have been sent in all; the end of the
    /// measurement, once. `out_of_data`: there is nothing left that could be sent.
    pub fn tick(&mut self, now_us: u64, sent_bytes: u64, out_of_data: bool) -> Option<Finding> {
        let passed_us = now_us.saturating_sub(self.ticked_us);
        self.ticked_us = now_us.max(self.ticked_us);
        self.delays.sent(self.ticked_us, sent_bytes);
        let newest = self.delays.newest();
        if newest > self.judged {
            self.judged = newest;
            if newest >= self.ramp_from + 10 {
                let recent = self.delays.sent_rate(50_000).unwrap_or(0);
                self.highest_rate = self.highest_rate.max(recent);
            }
            let newest_queue_us = self.delays.known().next().map_or(0, |(_, queue_us)| queue_us);
            self.queue_us_max = self.queue_us_max.max(newest_queue_us);
        }
        let overtime = self.ticked_us.saturating_sub(self.start_us) > UPLINK_LEARNING_US_MAX;
        match self.phase {
            Phase::Ramp if overtime || out_of_data => Some(self.no_more()),
            Phase::Ramp => self.ramp(passed_us),
            Phase::Hold { since, seen } => self.hold(since, seen, overtime || out_of_data),
            Phase::Push(push) => self.push(push, overtime || out_of_data),
            Phase::Done => None,
        }
    }

    /// After the measurement, while the rest of the warm-up goes out at the rate that was found: goes
    /// on to `now_us`. Whether a queue has stood for the last 200 ms: then the rate is too high.
    pub fn stands(&mut self, now_us: u64, sent_bytes: u64) -> bool {
        self.ticked_us = now_us.max(self.ticked_us);
        self.delays.sent(self.ticked_us, sent_bytes);
        let newest = self.delays.newest();
        let bins = 200_000 / UPLINK_BIN_US;
        if newest < self.judged + bins {
            return false;
        }
        self.judged = newest;
        let allowed_us = self.theta_us() + STANDING_QUEUE_US;
        let (mut known, mut short) = (0, 0);
        for (_, queue_us) in self.delays.known().take_while(|(at, _)| newest - at <= bins) {
            known += 1;
            short += usize::from(queue_us <= allowed_us);
        }
        known >= STANDING_BINS_MIN && short <= 1
    }

    fn ramp(&mut self, passed_us: u64) -> Option<Finding> {
        self.allow_for_host();
        let sent_rate = self.delays.sent_rate(50_000).unwrap_or(0);
        if self.rate < 1.3 * sent_rate as f64 {
            // A late tick is no reason for a leap.
            self.rate *= 1.0 + passed_us.min(10_000) as f64 / self.tau_us;
        }
        if let Some(card_rate) = self.card_rate {
            // A card that carries twice what it says does not know itself.
            if sent_rate > 2 * card_rate {
                self.card_rate = None;
            } else if self.rate >= card_rate as f64 {
                self.rate = card_rate as f64;
                let full = sent_rate as f64 > 0.93 * card_rate as f64;
                let since_us = *self.card_full_us.get_or_insert(self.ticked_us);
                if !full {
                    self.card_full_us = None;
                } else if self.ticked_us - since_us > 120_000 {
                    return Some(self.end(Found::CardIsLimit, card_rate as f64));
                }
            }
        }
        let lossy = self.losses.len() >= LOSING_PEERS;
        if !lossy && !self.sees_queue() {
            return None;
        }
        let theta_us = self.theta_us();
        self.noise_us = self.noise_us();
        self.empty_us = (self.noise_us / 2 * 3).clamp(EMPTY_QUEUE_US, EMPTY_QUEUE_US_MAX);
        let now = self.delays.known().next().map(|(at, _)| at);
        let calm = self.delays.known().find(|(_, queue_us)| *queue_us * 10 < theta_us * 4);
        let measured = match (calm, now) {
            (Some((from, _)), Some(to)) => self.delays.line_rate(from, to),
            _ => None,
        };
        let recent = self.delays.sent_rate(30_000).unwrap_or(self.settings.first_rate);
        self.guess = measured.unwrap_or(recent).min(recent) as f64;
        if lossy {
            self.guess = self.guess.min(0.8 * self.rate);
            self.losses.clear();
        }
        self.guess = self.guess.max((UPLINK_BITS_MIN / 8) as f64);
        let newest = self.delays.newest();
        self.phase = Phase::Hold { since: newest, seen: newest };
        self.rate = self.guess;
        None
    }

    /// What delays are by themselves shows at the very beginning, when little is sent.
    fn allow_for_host(&mut self) {
        if self.is_allowed_for || self.delays.newest() > ALLOWANCE_BINS_MAX {
            return;
        }
        let mut queues: Vec<_> = self.delays.known().map(|(_, queue_us)| queue_us).collect();
        if queues.len() >= ALLOWANCE_BINS {
            queues.sort_unstable();
            self.delays.allow_for(queues[queues.len() / 2].min(ALLOWANCE_US_MAX));
            self.is_allowed_for = true;
        }
    }

    /// How long a queue must be to be one: above what near peers' delays do by themselves.
    fn theta_us(&self) -> u32 {
        self.noise_us().saturating_mul(3).saturating_add(1_000).clamp(1_500, 4_000)
    }

    /// What near peers' delays do by themselves: nine of ten stretches were shorter.
    fn noise_us(&self) -> u32 {
        let mut quiet: Vec<_> = self
            .delays
            .known()
            .filter(|(at, _)| *at >= self.ramp_from)
            .skip(2)
            .map(|(_, queue_us)| queue_us)
            .collect();
        quiet.sort_unstable();
        let noise_us = quiet.get(quiet.len() * 9 / 10).copied().unwrap_or(0);
        // What it was on the ramp before holds until more is known.
        if quiet.len() < QUIET_BINS_MIN { noise_us.max(self.noise_us) } else { noise_us }
    }

    fn sees_queue(&self) -> bool {
        let mut known = self.delays.known().filter(|(at, _)| *at >= self.ramp_from);
        let (Some((at, last_us)), Some((before, first_us))) = (known.next(), known.next()) else {
            return false;
        };
        let theta_us = self.theta_us();
        at == before + 1 && last_us > theta_us && first_us * 10 > theta_us * 7
    }

    /// Back to the ramp. Of what was sent before only `carried` line bytes/s are known to have passed
    /// without a queue: they are what is left if there is no more to send.
    fn ramp_again(&mut self, carried: f64) {
        self.ramp_from = self.delays.newest();
        self.highest_rate = carried as u64;
        self.phase = Phase::Ramp;
    }

    fn push(&mut self, push: Push, must_end: bool) -> Option<Finding> {
        self.rate = push.rate(self.delays.newest());
        match push.judge(&self.delays) {
            Verdict::Unknown if !must_end => None,
            Verdict::Unknown if self.was_rejected => {
                Some(self.end(Found::Floor, 0.98 * push.candidate))
            }
            Verdict::Grows | Verdict::Unknown => {
                Some(self.end(Found::Learnt, 0.98 * push.candidate))
            }
            Verdict::Stays { queue_us } => {
                self.was_rejected = true;
                self.delays.allow_for(queue_us);
                self.rate = push.tried();
                self.ramp_again(push.candidate);
                None
            }
        }
    }

    /// The ramp ends without a queue.
    fn no_more(&mut self) -> Finding {
        if self.highest_rate == 0 || self.delays.known().next().is_none() {
            return self.end(Found::Nothing, self.highest_rate as f64);
        }
        self.end(Found::Floor, 0.97 * self.highest_rate as f64)
    }

    fn end(&mut self, found: Found, rate: f64) -> Finding {
        self.phase = Phase::Done;
        Finding {
            found,
            bits_per_s: ((rate * 8.0) as u64).clamp(UPLINK_BITS_MIN, UPLINK_BITS_MAX),
            took_us: self.ticked_us.saturating_sub(self.start_us),
            queue_us_max: self.queue_us_max,
        }
    }
}

#[cfg(test)]
mod simulated;
