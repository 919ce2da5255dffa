//! From what the kernel counts of a connection to what the learner wants to know: when a segment
//! left, and how long until it was acknowledged.

use std::collections::VecDeque;

use crate::limits::{SEGMENT_LINE_BYTES, SEGMENT_PAYLOAD_BYTES, UPLINK_SENT_TIMES_MAX};
use crate::sys::tcp_info::TcpInfo;

/// What a segment takes of the line beside its payload.
const FRAMING_BYTES: u64 = (SEGMENT_LINE_BYTES - SEGMENT_PAYLOAD_BYTES) as u64;

/// A look that is so much later than usual, in us and in usual distances, came late.
const LATE_US: u64 = 1_000;
const LATE_RATIO: u64 = 2;
/// A distance beyond this is not usual.
const LATE_US_MAX: u64 = 5_000;
/// Nobody knows when these segments left.
const UNKNOWN_US: u64 = u64::MAX;

/// One look at a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Line bytes sent since the first look.
    pub line_bytes: u64,
    /// A segment that left at the first time was acknowledged after the second, in us.
    pub round_trip: Option<(u64, u32)>,
    /// Something was sent again since the look before.
    pub lost: bool,
}

/// A connection while the rate is measured.
#[derive(Clone, Debug, Default)]
pub struct Track {
    first: Option<First>,
    /// New segments sent by a time, oldest first. Only where round trips are wanted.
    sent: VecDeque<(u32, u64)>,
    times: bool,
    new_segments: u32,
    delivered_segments: u32,
    resent_segments: u32,
    line_bytes: u64,
    /// When it was looked at last, and how far apart looks usually are, in us.
    looked_us: u64,
    apart_us: u64,
}

/// What was counted at the first look.
#[derive(Clone, Copy, Debug)]
struct First {
    sent_segments: u32,
    resent_segments: u32,
    /// Acknowledged segments are counted from here: those that are new and those that the kernel
    /// calls delivered are not the same numbers.
    unacknowledged_segments: u32,
    delivered_segments: Option<u32>,
    sent_bytes: Option<u64>,
}

impl Track {
    /// A connection that is looked at from now on; `times`: its round trips are wanted.
    #[must_use]
    pub fn new(times: bool) -> Self {
        Self { times, ..Self::default() }
    }

    /// Takes in a look at `now_us`.
    pub fn sample(&mut self, now_us: u64, info: &TcpInfo) -> Sampled {
        let Some(first) = self.first else {
            self.begin(info);
            self.looked_us = now_us;
            return Sampled::default();
        };
        let sent = info.sent_segments.wrapping_sub(first.sent_segments);
        let resent = info.resent_segments.wrapping_sub(first.resent_segments);
        let lost = resent > self.resent_segments;
        self.resent_segments = resent;
        let payload = match (info.sent_bytes, first.sent_bytes) {
            (Some(now), Some(before)) => now.saturating_sub(before),
            _ => u64::from(sent) * u64::from(info.segment_bytes),
        };
        let line_bytes = payload + u64::from(sent) * FRAMING_BYTES;
        self.line_bytes = self.line_bytes.max(line_bytes);
        let round_trip = if self.times { self.round_trip(now_us, sent, info) } else { None };
        Sampled { line_bytes: self.line_bytes, round_trip, lost }
    }

    fn begin(&mut self, info: &TcpInfo) {
        self.first = Some(First {
            sent_segments: info.sent_segments,
            resent_segments: info.resent_segments,
            unacknowledged_segments: info.unacknowledged_segments,
            delivered_segments: info.delivered_segments,
            sent_bytes: info.sent_bytes,
        });
    }

    /// Notes what has left, and tells of the newest segment that was acknowledged since.
    ///
    /// Both happened at some time since the look before. A segment is taken to have left right after
    /// that: a round trip may be found too long, never too short, because the least one counts for ever.
    /// Where a look came late, nothing is said of what happened meanwhile.
    fn round_trip(&mut self, now_us: u64, sent: u32, info: &TcpInfo) -> Option<(u64, u32)> {
        let first = self.first?;
        let before_us = std::mem::replace(&mut self.looked_us, now_us).min(now_us);
        let gap_us = now_us - before_us;
        let is_late = gap_us > LATE_US + LATE_RATIO * self.apart_us;
        self.apart_us = (self.apart_us * 15 + gap_us.min(LATE_US_MAX)) / 16;
        let new = sent.saturating_sub(self.resent_segments);
        if new > self.new_segments {
            self.new_segments = new;
            self.sent.push_back((new, if is_late { UNKNOWN_US } else { before_us }));
            if self.sent.len() > UPLINK_SENT_TIMES_MAX {
                self.sent.pop_front();
            }
        }
        // Without the kernel's count: what is sent and not outstanding any more.
        let delivered = match (info.delivered_segments, first.delivered_segments) {
            (Some(now), Some(before)) => {
                now.wrapping_sub(before).checked_sub(first.unacknowledged_segments)
            }
            _ => new.checked_sub(info.unacknowledged_segments),
        }?;
        // A peer can't have more than was sent to it.
        if delivered <= self.delivered_segments || delivered > self.new_segments {
            return None;
        }
        self.delivered_segments = delivered;
        while self.sent.front().is_some_and(|(segments, _)| *segments < delivered) {
            self.sent.pop_front();
        }
        let (_, sent_us) = *self.sent.front().filter(|(_, sent_us)| *sent_us != UNKNOWN_US)?;
        if is_late {
            return None;
        }
        Some((sent_us, u32::try_from(now_us.saturating_sub(sent_us)).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(sent: u32, delivered: u32, unacknowledged: u32) -> TcpInfo {
        TcpInfo {
            segment_bytes: 1_448,
            sent_segments: 100 + sent,
            resent_segments: 3,
            delivered_segments: Some(50 + delivered),
            unacknowledged_segments: unacknowledged,
            ..TcpInfo::default()
        }
    }

    /// Looks at `track` as usual, every 250 us, from one time to just before another.
    fn look(track: &mut Track, info: &TcpInfo, times_us: std::ops::Range<u64>) {
        for now_us in times_us.step_by(250) {
            assert_eq!(track.sample(now_us, info).round_trip, None);
        }
    }

    #[test]
    fn a_round_trip_is_that_of_the_newest_acknowledged_segment() {
        let mut track = Track::new(true);
        assert_eq!(track.sample(0, &info(0, 0, 0)), Sampled::default());
        assert_eq!(track.sample(250, &info(8, 0, 8)).line_bytes, 8 * 1_538);
        look(&mut track, &info(16, 0, 16), 500..20_250);
        assert_eq!(track.sample(20_250, &info(16, 8, 8)).round_trip, Some((0, 20_250)));
        assert_eq!(track.sample(20_500, &info(16, 8, 8)).round_trip, None, "no news");
        assert_eq!(track.sample(20_750, &info(16, 9, 7)).round_trip, Some((250, 20_500)));
        assert_eq!(track.sample(21_000, &info(16, 99, 0)).round_trip, None, "more than was sent");
        let again = TcpInfo { resent_segments: 5, ..info(18, 16, 0) };
        let sampled = track.sample(21_250, &again);
        assert!(sampled.lost && sampled.round_trip == Some((250, 21_000)), "{sampled:?}");
        assert!(!track.sample(21_500, &again).lost);
    }

    /// What a look that comes late finds happened some time ago. Were it taken for now, a packet would
    /// seem to be back sooner than it can be, and every other one to have met a queue.
    #[test]
    fn a_late_look_tells_of_no_round_trip() {
        let mut track = Track::new(true);
        look(&mut track, &info(0, 0, 0), 0..1_000);
        assert_eq!(track.sample(9_000, &info(4, 0, 4)).round_trip, None, "late");
        look(&mut track, &info(4, 0, 4), 9_250..20_000);
        assert_eq!(track.sample(20_000, &info(4, 4, 0)).round_trip, None, "who knows when it left");
        look(&mut track, &info(8, 4, 4), 20_250..40_250);
        assert_eq!(track.sample(45_000, &info(8, 6, 2)).round_trip, None, "or came");
        assert_eq!(track.sample(45_250, &info(8, 8, 0)).round_trip, Some((20_000, 25_250)));
        // Where all are late, that is usual.
        let mut track = Track::new(true);
        for at in 0..99 {
            track.sample(at * 4_000, &info(at as u32, (at as u32).saturating_sub(5), 5));
        }
        assert_eq!(track.sample(396_000, &info(99, 95, 4)).round_trip, Some((356_000, 40_000)));
    }

    #[test]
    fn what_was_outstanding_before_is_not_ours() {
        let mut track = Track::new(true);
        track.sample(0, &info(0, 0, 5));
        track.sample(250, &info(2, 0, 7));
        look(&mut track, &info(2, 5, 2), 500..20_000);
        assert_eq!(track.sample(20_000, &info(2, 7, 0)).round_trip, Some((0, 20_000)));
    }

    #[test]
    fn an_old_kernel_will_do_and_memory_is_bounded() {
        let old = |sent, out| TcpInfo { delivered_segments: None, ..info(sent, 0, out) };
        let mut track = Track::new(true);
        look(&mut track, &old(0, 0), 0..1_000);
        look(&mut track, &old(4, 4), 1_000..9_000);
        assert_eq!(track.sample(9_000, &old(4, 1)).round_trip, Some((750, 8_250)));
        for at in 0..2 * UPLINK_SENT_TIMES_MAX as u32 {
            track.sample(10_000 + u64::from(at), &old(5 + at, 5 + at));
        }
        assert_eq!(track.sent.len(), UPLINK_SENT_TIMES_MAX);
        let exact = |sent_bytes, sent| TcpInfo { sent_bytes: Some(sent_bytes), ..info(sent, 0, 0) };
        let mut track = Track::new(false);
        track.sample(0, &exact(7, 0));
        assert_eq!(track.sample(5, &exact(1_007, 1)).line_bytes, 1_090);
        assert_eq!(track.sample(6, &exact(0, 1)).line_bytes, 1_090, "it never goes back");
    }
}
