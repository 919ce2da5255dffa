//! A small queue is held, and the rate read off it.

use super::push::Push;
use super::{Finding, Found, Learner, Phase};
use crate::limits::{UPLINK_BIN_US, UPLINK_BITS_MIN};

/// The queue that is held: far below what makes CUBIC leave slow start.
const HELD_QUEUE_US: i64 = 3_000;
/// How gently a wrong queue is put right.
const CORRECTION_US: i64 = 40_000;
/// A queue of this length in spite of the holding is somebody else's,
const FOREIGN_QUEUE_US: u32 = 10_000;
/// once it has stood for so long; the middle of these stretches.
const FOREIGN_US: u64 = 400_000;
const FOREIGN_BINS: usize = 20;
/// How long a hold may take to collect its busy time.
const HOLD_US_MAX: u64 = 1_200_000;

impl Learner {
    pub(super) fn hold(&mut self, since: u64, mut seen: u64, must_end: bool) -> Option<Finding> {
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
            self.ramp_again(0.95 * self.guess);
            return None;
        }
        let (busy_us, rate) = self.busy(since);
        if busy_us < self.settings.hold_us {
            return None;
        }
        if self.queue_is_foreign(since) {
            // What the ramp itself has piled up goes first.
            let is_over = elapsed_us >= FOREIGN_US;
            return is_over.then(|| self.held(since, true));
        }
        self.phase = Phase::Push(Push::new(rate, self.delays.newest()));
        None
    }

    /// Whether the queue is longer than what is held, in the middle of the last stretches.
    fn queue_is_foreign(&self, since: u64) -> bool {
        self.median_queue_us(since).is_some_and(|queue_us| queue_us > FOREIGN_QUEUE_US)
    }

    fn median_queue_us(&self, since: u64) -> Option<u32> {
        let recent = self.delays.known().take_while(|(at, _)| *at >= since);
        let mut queues: Vec<_> = recent.take(FOREIGN_BINS).map(|(_, queue_us)| queue_us).collect();
        queues.sort_unstable();
        queues.get(queues.len() / 2).copied()
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
        let (busy_us, rate) = self.busy(since);
        match self.median_queue_us(since) {
            Some(median_us) if median_us > FOREIGN_QUEUE_US => {
                self.end(Found::ForeignQueue, self.guess)
            }
            Some(_) if (whole || busy_us * 3 >= self.settings.hold_us) && !self.was_rejected => {
                self.end(Found::Learnt, 0.98 * rate)
            }
            // A queue was seen once, so there is a rate to be careful with, whatever is known since.
            _ if self.highest_rate == 0 => self.end(Found::Floor, 0.98 * self.guess),
            _ => self.end(Found::Floor, 0.98 * self.guess.min(self.highest_rate as f64)),
        }
    }
}
