//! Measures the uplink while connections are warmed: raises the total rate until the nearest peers
//! see a queue, then holds a small one and reads the rate off it.

use super::delays::Delays;
use crate::limits::{UPLINK_BIN_US, UPLINK_BITS_MAX, UPLINK_BITS_MIN, UPLINK_LEARNING_US_MAX};

/// The queue that is held: far below what makes CUBIC leave slow start.
const HELD_QUEUE_US: i64 = 3_000;
/// How gently a wrong queue is put right.
const CORRECTION_US: i64 = 40_000;
/// A queue of this length in spite of the holding is somebody else's.
const FOREIGN_QUEUE_US: u32 = 10_000;
/// Queue below which a stretch does not count as busy, at least, and at most: on a busy host delays
/// do more than this by themselves, and a queue must not be seen in that.
const EMPTY_QUEUE_US: u32 = 600;
const EMPTY_QUEUE_US_MAX: u32 = 2_000;
/// Queue beyond the noise that must not stand after a measurement,
const STANDING_QUEUE_US: u32 = 2_500;
/// and how many stretches must tell of it at least.
const STANDING_BINS_MIN: usize = 10;
/// First rate, in line bytes/s: 10 Mbit/s.
pub const FIRST_RATE: u64 = 1_250_000;
/// How long a hold may take to collect its busy time.
const HOLD_US_MAX: u64 = 1_200_000;
/// Peers that must lose at once before losses count as the line's.
const LOSING_PEERS: usize = 3;
/// Losses are at once within this.
const LOSSES_SPAN_US: u64 = 50_000;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ramp,
    /// Since bin `since`; the queue was last seen in bin `seen`.
    Hold {
        since: u64,
        seen: u64,
    },
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
        self.empty_us = (self.noise_us() / 2 * 3).clamp(EMPTY_QUEUE_US, EMPTY_QUEUE_US_MAX);
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
        quiet.get(quiet.len() * 9 / 10).copied().unwrap_or(0)
    }

    fn sees_queue(&self) -> bool {
        let mut known = self.delays.known().filter(|(at, _)| *at >= self.ramp_from);
        let (Some((at, last_us)), Some((before, first_us))) = (known.next(), known.next()) else {
            return false;
        };
        let theta_us = self.theta_us();
        at == before + 1 && last_us > theta_us && first_us * 10 > theta_us * 7
    }

    fn hold(&mut self, since: u64, mut seen: u64, must_end: bool) -> Option<Finding> {
        let known = self.delays.known().next().filter(|(at, _)| *at + 1 >= since);
        if let Some((at, queue_us)) = known {
            let sent = self.delays.sent_since(at) as f64;
            let passed_us = self.ticked_us.saturating_sub(self.start_us) - at * UPLINK_BIN_US;
            let queue_now_us = f64::from(queue_us) + sent * 1e6 / self.guess - passed_us as f64;
            let wrong_us = HELD_QUEUE_US as f64 - queue_now_us;
            let factor = (1.0 + wrong_us / CORRECTION_US as f64).clamp(0.5, 1.05);
            self.rate = self.guess * factor;
            if at > seen {
                seen = at;
                self.improve_guess(at);
                self.phase = Phase::Hold { since, seen };
            }
        }
        let elapsed_us = (self.delays.newest() - since) * UPLINK_BIN_US;
        if must_end || elapsed_us > HOLD_US_MAX {
            return Some(self.held(since, false));
        }
        if self.false_alarm(since) {
            self.ramp_from = self.delays.newest();
            self.phase = Phase::Ramp;
            return None;
        }
        (self.busy(since).0 >= self.settings.hold_us).then(|| self.held(since, true))
    }

    /// 0.3 of the way to what the last 150 ms without an empty queue say.
    fn improve_guess(&mut self, newest: u64) {
        let bins = self.delays.known().take_while(|(at, queue_us)| {
            newest - at <= 150_000 / UPLINK_BIN_US && *queue_us > self.empty_us
        });
        let Some((from, _)) = bins.last().filter(|(from, _)| newest - from >= 4) else {
            return;
        };
        if let Some(measured) = self.delays.line_rate(from, newest) {
            self.guess += 0.3 * (measured as f64 - self.guess);
            self.guess = self.guess.max((UPLINK_BITS_MIN / 8) as f64);
        }
    }

    /// No queue for 60 ms although as much was sent as the guess allows.
    fn false_alarm(&self, since: u64) -> bool {
        let bins = 60_000 / UPLINK_BIN_US;
        let mut last = self.delays.known().take_while(|(at, _)| *at >= since).take(bins as usize);
        let mut count = 0;
        let empty = last.all(|(_, queue_us)| {
            count += 1;
            queue_us <= self.empty_us
        });
        let sent_rate = self.delays.sent_rate(60_000).unwrap_or(0);
        empty && count == bins && sent_rate as f64 >= 0.95 * self.guess
    }

    /// Busy time since bin `since`, in us, and the line's rate in it.
    fn busy(&self, since: u64) -> (u64, f64) {
        let mut bins: Vec<_> = self.delays.known().take_while(|(at, _)| *at >= since).collect();
        bins.reverse();
        let (mut time_us, mut sent) = (0_i64, 0_u64);
        for pair in bins.windows(2) {
            let [(from, before_us), (to, after_us)] = pair else { continue };
            if *before_us > self.empty_us && *after_us > self.empty_us {
                let span_us = ((to - from) * UPLINK_BIN_US) as i64;
                time_us += span_us + i64::from(*after_us) - i64::from(*before_us);
                sent += self.delays.sent_between(*from, *to).unwrap_or(0);
            }
        }
        let rate = if time_us > 0 { sent as f64 * 1e6 / time_us as f64 } else { 0.0 };
        (time_us.max(0) as u64, rate)
    }

    fn held(&mut self, since: u64, whole: bool) -> Finding {
        let recent = self.delays.known().take_while(|(at, _)| *at >= since);
        let mut queues: Vec<_> = recent.take(40).map(|(_, queue_us)| queue_us).collect();
        queues.sort_unstable();
        let (busy_us, rate) = self.busy(since);
        match queues.get(queues.len() / 2) {
            None => self.end(Found::Nothing, self.guess),
            Some(median_us) if *median_us > FOREIGN_QUEUE_US => {
                self.end(Found::ForeignQueue, self.guess)
            }
            Some(_) if whole || busy_us * 3 >= self.settings.hold_us => {
                self.end(Found::Learnt, 0.98 * rate)
            }
            Some(_) => self.end(Found::Floor, 0.98 * self.guess.min(self.highest_rate as f64)),
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
