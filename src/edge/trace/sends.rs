//! What the kernel told of the sends of each connection. Pure: moments in, times out.
//!
//! Moments come in any order, some never. Sequence numbers wrap around.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::cold::stats::KernelTimes;
use crate::limits::TRACE_SENDS_MAX;
use crate::sys::bpf::{Delivery, Moment};

/// One send, known by its last byte: when it had come how far, CLOCK_MONOTONIC in ns; 0: not told.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    last_byte: u32,
    given_ns: u64,
    queued_ns: u64,
    wire_ns: u64,
    acked_ns: u64,
}

impl Sent {
    const fn at(&self, moment: Moment) -> u64 {
        match moment {
            Moment::Given => self.given_ns,
            Moment::Queued => self.queued_ns,
            Moment::Wire => self.wire_ns,
            Moment::Acknowledged => self.acked_ns,
        }
    }

    const fn set(&mut self, moment: Moment, at_ns: u64) {
        let place = match moment {
            Moment::Given => &mut self.given_ns,
            Moment::Queued => &mut self.queued_ns,
            Moment::Wire => &mut self.wire_ns,
            Moment::Acknowledged => &mut self.acked_ns,
        };
        *place = at_ns;
    }

    /// The first of what is known of it.
    fn first_ns(&self) -> u64 {
        let all = [self.given_ns, self.queued_ns, self.wire_ns, self.acked_ns];
        all.into_iter().filter(|at_ns| *at_ns != 0).min().unwrap_or(0)
    }

    /// Takes in a moment of a send that ends with this byte; false where it is another send's, made
    /// when the numbers had come round once more.
    fn take(&mut self, moment: Moment, at_ns: u64) -> bool {
        let (known, first_ns) = (self.at(moment), self.first_ns());
        let is_after = self.acked_ns != 0 && at_ns > self.acked_ns;
        let fits = match moment {
            Moment::Given => known == 0 && at_ns <= first_ns,
            // Segments that are sent again pass queue and device again, until they are acknowledged.
            Moment::Queued | Moment::Wire => at_ns >= self.given_ns && !is_after,
            Moment::Acknowledged => known == 0 && at_ns >= self.given_ns,
        };
        if fits && (known == 0 || at_ns < known) {
            self.set(moment, at_ns);
        }
        fits
    }
}

/// The newest sends of all known connections.
#[derive(Debug, Default)]
pub(super) struct Sends {
    connections: HashMap<u64, VecDeque<Sent>>,
    /// Something was lost up to then.
    lost_ns: u64,
}

impl Sends {
    /// Minds these connections, by their cookies, and no others.
    pub(super) fn mind(&mut self, cookies: &HashSet<u64>) {
        self.connections.retain(|cookie, _| cookies.contains(cookie));
        for cookie in cookies {
            self.connections.entry(*cookie).or_default();
        }
    }

    /// Takes in one moment; that of a connection that nobody minds is dropped.
    pub(super) fn note(&mut self, told: Delivery) {
        let Delivery { cookie, last_byte, moment, at_ns } = told;
        let Some(sends) = self.connections.get_mut(&cookie).filter(|_| at_ns != 0) else {
            return;
        };
        let mut same = sends.iter_mut().rev().filter(|sent| sent.last_byte == last_byte);
        if same.any(|sent| sent.take(moment, at_ns)) {
            return;
        }
        if sends.len() >= TRACE_SENDS_MAX {
            sends.pop_front();
        }
        let mut sent = Sent { last_byte, ..Sent::default() };
        sent.set(moment, at_ns);
        sends.push_back(sent);
    }

    /// Some moments up to `now_ns` were lost.
    pub(super) const fn note_lost(&mut self, now_ns: u64) {
        self.lost_ns = now_ns;
    }

    /// What is known of the last send that the connection was given from `from_ns` to `to_ns`; `None`:
    /// of none.
    pub(super) fn times(&self, cookie: u64, from_ns: u64, to_ns: u64) -> Option<KernelTimes> {
        let sends = self.connections.get(&cookie)?;
        let given = sends.iter().filter(|sent| (from_ns..=to_ns).contains(&sent.given_ns));
        let last = given.max_by_key(|sent| sent.given_ns)?;
        if last.given_ns == 0 {
            return None;
        }
        let at = |moment| match last.at(moment) {
            0 if last.given_ns > self.lost_ns => joined(sends, last, moment),
            at_ns => at_ns,
        };
        let acked_ns = at(Moment::Acknowledged);
        // What contradicts what comes behind it is about bytes that were sent again.
        let before = |at_ns: u64, limit_ns: u64| if at_ns > limit_ns { 0 } else { at_ns };
        let bound = |at_ns: u64| if at_ns == 0 { u64::MAX } else { at_ns };
        let wire_ns = before(at(Moment::Wire), bound(acked_ns));
        let queued_ns = before(at(Moment::Queued), bound(acked_ns).min(bound(wire_ns)));
        Some(KernelTimes { given_ns: last.given_ns, queued_ns, wire_ns, acked_ns })
    }
}

/// The moment of the first later send that tells of `sent` too: what the kernel joins into one segment
/// it tells of with the last byte of all. TCP goes in order, so `sent` was not later.
fn joined(sends: &VecDeque<Sent>, sent: &Sent, moment: Moment) -> u64 {
    let later = sends.iter().filter(|other| {
        let apart = other.last_byte.wrapping_sub(sent.last_byte);
        (1..1 << 31).contains(&apart) && other.given_ns >= sent.given_ns
    });
    later.map(|other| other.at(moment)).filter(|at_ns| *at_ns != 0).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::dice::Dice;

    const MOMENTS: [Moment; 4] =
        [Moment::Given, Moment::Queued, Moment::Wire, Moment::Acknowledged];

    fn told(cookie: u64, last_byte: u32, moment: Moment, at_ns: u64) -> Delivery {
        Delivery { cookie, last_byte, moment, at_ns }
    }

    fn minding(cookies: &[u64]) -> Sends {
        let mut sends = Sends::default();
        sends.mind(&cookies.iter().copied().collect());
        sends
    }

    /// Goal: whatever the order of what is told, and wherever the numbers wrap, each send's times are
    /// its own. Method: a connection's life as the kernel would tell it, in 200 shuffles with numbers
    /// that begin just below the wrap; then the same with losses, where what is told must be true or
    /// not be told.
    #[test]
    fn each_send_has_its_own_times_in_any_order() {
        for seed in 0..200_u64 {
            let mut dice = Dice::new(!seed);
            let mut last_byte = 0_u32.wrapping_sub(dice.below(200_000) as u32);
            let (mut now_ns, mut lives, mut all) = (1_000_u64, Vec::new(), Vec::new());
            for _ in 0..40 {
                last_byte = last_byte.wrapping_add(1 + dice.below(60_000) as u32);
                let mut times = [0; 4];
                for (moment, at_ns) in MOMENTS.iter().zip(&mut times) {
                    now_ns += dice.below(50);
                    *at_ns = now_ns;
                    all.push(told(7, last_byte, *moment, now_ns));
                }
                now_ns += 1;
                lives.push(times);
            }
            for at in (1..all.len()).rev() {
                all.swap(at, dice.below(at as u64 + 1) as usize);
            }
            let mut whole = minding(&[7]);
            all.iter().for_each(|moment| whole.note(*moment));
            let mut lossy = minding(&[7]);
            let kept = all.iter().filter(|_| dice.below(4) > 0);
            kept.for_each(|moment| lossy.note(*moment));
            lossy.note_lost(now_ns);
            for [given, queued, wire, acked] in lives {
                let found = whole.times(7, given, given).expect("it was given");
                let [queued_ns, wire_ns, acked_ns] = [queued, wire, acked];
                let true_times = KernelTimes { given_ns: given, queued_ns, wire_ns, acked_ns };
                assert_eq!(found, true_times, "seed {seed}");
                let Some(found) = lossy.times(7, given, given) else { continue };
                for (found, truth) in
                    [(found.queued_ns, queued), (found.wire_ns, wire), (found.acked_ns, acked)]
                {
                    assert!(found == 0 || found == truth, "seed {seed}: {found} {truth}");
                }
            }
        }
    }

    #[test]
    fn the_last_send_of_the_window_counts() {
        let mut sends = minding(&[1, 2]);
        for (last_byte, at_ns) in [(100, 10), (200, 20), (300, 30)] {
            sends.note(told(1, last_byte, Moment::Given, at_ns));
            sends.note(told(1, last_byte, Moment::Wire, at_ns + 1));
            sends.note(told(3, last_byte, Moment::Given, at_ns));
        }
        let found = sends.times(1, 5, 25).expect("two were given");
        assert_eq!((found.given_ns, found.wire_ns, found.acked_ns), (20, 21, 0));
        assert!(sends.times(1, 11, 19).is_none() && sends.times(2, 0, 99).is_none());
        assert!(sends.times(3, 0, 99).is_none(), "nobody minds it");
    }

    /// Two sends in one segment: the kernel tells of it with the second's last byte.
    #[test]
    fn what_was_joined_has_the_times_of_the_whole() {
        let tell = |sends: &mut Sends| {
            sends.note(told(1, u32::MAX - 5, Moment::Given, 10));
            sends.note(told(1, 20, Moment::Given, 12));
            for (moment, at_ns) in MOMENTS[1..].iter().zip([30, 31, 90]) {
                sends.note(told(1, 20, *moment, at_ns));
            }
        };
        let mut sends = minding(&[1]);
        tell(&mut sends);
        let found = sends.times(1, 9, 11).expect("given");
        assert_eq!((found.queued_ns, found.wire_ns, found.acked_ns), (30, 31, 90));
        // Where something was lost it may have been the send's own.
        sends.note_lost(10);
        assert_eq!(sends.times(1, 9, 11).map(|found| found.acked_ns), Some(0));
    }

    #[test]
    fn segments_sent_again_do_not_move_the_first_time() {
        let mut sends = minding(&[1]);
        for (moment, at_ns) in [
            (Moment::Given, 10),
            (Moment::Queued, 50),
            (Moment::Queued, 11),
            (Moment::Wire, 12),
            (Moment::Wire, 51),
            (Moment::Acknowledged, 90),
        ] {
            sends.note(told(1, 7, moment, at_ns));
        }
        let found = sends.times(1, 10, 10).expect("given");
        assert_eq!((found.queued_ns, found.wire_ns, found.acked_ns), (11, 12, 90));
        // The numbers came round, and end with the same byte.
        for (moment, at_ns) in MOMENTS.iter().zip(1_000..) {
            sends.note(told(1, 7, *moment, at_ns));
        }
        assert_eq!(sends.times(1, 10, 10), Some(found));
        assert_eq!(sends.times(1, 900, 1_100).map(|it| it.acked_ns), Some(1_003));
        // The first wire is not known, that of the bytes sent again is later than their acknowledgement.
        for (moment, at_ns) in
            [(Moment::Given, 2_000), (Moment::Wire, 2_100), (Moment::Acknowledged, 2_050)]
        {
            sends.note(told(1, 8, moment, at_ns));
        }
        let found = sends.times(1, 2_000, 2_000).expect("given");
        assert!(found.wire_ns == 0 || found.wire_ns <= found.acked_ns, "{found:?}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut sends = minding(&[1]);
        for at_ns in 1..=3 * TRACE_SENDS_MAX as u64 {
            sends.note(told(1, at_ns as u32, Moment::Given, at_ns));
        }
        assert_eq!(sends.connections[&1].len(), TRACE_SENDS_MAX);
        assert!(sends.times(1, 1, 1).is_none() && sends.times(1, 300, 300).is_some());
        sends.mind(&HashSet::new());
        assert!(sends.connections.is_empty());
    }
}
