//! One measurement of the uplink, on a thread of its own for as long as it takes: looks at the
//! connections while they are warmed, and says how much may be sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::UplinkControl;
use super::learner::{Finding, Found, Learner, LearnerSettings};
use super::paths::Path;
use super::track::Track;
use crate::limits::{
    UPLINK_ALL_SAMPLE_US, UPLINK_FILL_US_MAX, UPLINK_NEAR_PEERS_MAX, UPLINK_NEAR_SAMPLE_US,
};
use crate::sys::clock::now_ns;
use crate::sys::namespace::sleep_exactly;
use crate::sys::tcp_info::TcpInfo;

/// Near peers, at least.
const NEAR_PEERS_MIN: usize = 5;

/// What a measurement is told while it runs.
#[derive(Debug, Default)]
pub struct Signals {
    /// Blocks published since the engine's start. One more ends the measurement.
    pub blocks: Arc<AtomicU64>,
    /// There is nothing left to send.
    pub out_of_data: AtomicBool,
    /// The engine stops.
    pub stop: AtomicBool,
}

/// What a measurement tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It has come to this. Whoever hears it sets the uplink, and then takes the probe's rate away:
    /// never a moment without a limit.
    Found(Finding),
    /// The queue stands at the rate that was found.
    QueueStands,
    /// It is over; with `interrupted` nothing was found, because a block came.
    Ended {
        /// Whether it was broken off.
        interrupted: bool,
    },
}

/// How many of `peers` are watched for a queue.
#[must_use]
pub fn near_count(peers: usize) -> usize {
    (peers / 5).clamp(NEAR_PEERS_MIN, UPLINK_NEAR_PEERS_MAX).min(peers)
}

/// Where a measurement looks. The real one reads the kernel; tests have their own.
pub trait Lookout {
    /// Now, in us.
    fn now_us(&self) -> u64;
    /// What is known of connection `at` now, nearest first; `None`: it is gone.
    fn look(&self, at: usize) -> Option<TcpInfo>;
    /// Waits a moment.
    fn rest(&mut self);
}

/// The connections as the kernel has them.
pub struct Connections {
    paths: Vec<Weak<Path>>,
}

impl Connections {
    /// Those of `paths`, nearest first.
    #[must_use]
    pub const fn new(paths: Vec<Weak<Path>>) -> Self {
        Self { paths }
    }
}

impl Lookout for Connections {
    fn now_us(&self) -> u64 {
        now_ns() / 1_000
    }

    fn look(&self, at: usize) -> Option<TcpInfo> {
        self.paths.get(at)?.upgrade()?.look()
    }

    fn rest(&mut self) {
        std::thread::sleep(Duration::from_micros(UPLINK_NEAR_SAMPLE_US));
    }
}

/// A measurement under way.
pub struct Measurement<'a, L> {
    lookout: L,
    learner: Learner,
    tracks: Vec<Track>,
    line_bytes: Vec<u64>,
    near: usize,
    all_at_us: u64,
    control: &'a dyn UplinkControl,
    signals: &'a Signals,
    blocks_before: u64,
}

impl<'a, L: Lookout> Measurement<'a, L> {
    /// Of `peers` connections, nearest first, with the first of `settings.near_us` being watched.
    pub fn new(
        lookout: L,
        peers: usize,
        settings: LearnerSettings,
        control: &'a dyn UplinkControl,
        signals: &'a Signals,
    ) -> Self {
        let near = settings.near_us.len();
        let now_us = lookout.now_us();
        Self {
            learner: Learner::new(settings, now_us),
            tracks: (0..peers).map(|at| Track::new(at < near)).collect(),
            line_bytes: vec![0; peers],
            near,
            all_at_us: 0,
            lookout,
            control,
            signals,
            blocks_before: signals.blocks.load(Ordering::Relaxed),
        }
    }

    /// Measures; tells what there is to tell, [`Told::Ended`] last. The rate of the probe is taken
    /// away at the end, whatever happens.
    pub fn run(mut self, mut tell: impl FnMut(Told)) {
        sleep_exactly();
        let finding = self.learn();
        if let Some(finding) = finding {
            tell(Told::Found(finding));
            if finding.found == Found::Learnt {
                self.watch(&mut tell);
            }
        }
        self.control.set_probe(None);
        tell(Told::Ended { interrupted: finding.is_none() });
    }

    fn learn(&mut self) -> Option<Finding> {
        let mut rate = 0;
        loop {
            if self.is_broken_off() {
                // At once: the block has the line now.
                self.control.set_probe(None);
                return None;
            }
            let (now_us, sent) = self.look();
            let out_of_data = self.signals.out_of_data.load(Ordering::Relaxed);
            if let Some(finding) = self.learner.tick(now_us, sent, out_of_data) {
                return Some(finding);
            }
            if self.learner.rate() != rate {
                rate = self.learner.rate();
                self.control.set_probe(Some(rate));
            }
            self.lookout.rest();
        }
    }

    /// Watches for a standing queue while the rest of the warm-up goes out.
    fn watch(&mut self, tell: &mut impl FnMut(Told)) {
        let until_us = self.lookout.now_us() + UPLINK_FILL_US_MAX;
        while !self.is_broken_off() && !self.signals.out_of_data.load(Ordering::Relaxed) {
            let (now_us, sent) = self.look();
            if now_us > until_us {
                return;
            }
            if self.learner.stands(now_us, sent) {
                tell(Told::QueueStands);
            }
            self.lookout.rest();
        }
    }

    fn is_broken_off(&self) -> bool {
        self.signals.stop.load(Ordering::Relaxed)
            || self.signals.blocks.load(Ordering::Relaxed) != self.blocks_before
    }

    /// Looks at the near peers, now and then at all; the time, and all line bytes sent by then.
    fn look(&mut self) -> (u64, u64) {
        let now_us = self.lookout.now_us();
        let all = now_us >= self.all_at_us.saturating_add(UPLINK_ALL_SAMPLE_US);
        if all {
            self.all_at_us = now_us;
        }
        let looked = if all { self.tracks.len() } else { self.near };
        for (at, track) in self.tracks.iter_mut().take(looked).enumerate() {
            let Some(info) = self.lookout.look(at) else { continue };
            let now_us = self.lookout.now_us();
            let sampled = track.sample(now_us, &info);
            if let Some(bytes) = self.line_bytes.get_mut(at) {
                *bytes = sampled.line_bytes.max(*bytes);
            }
            if let Some((sent_us, round_trip_us)) = sampled.round_trip {
                self.learner.round_trip(at, sent_us, round_trip_us);
            }
            if sampled.lost {
                self.learner.lost(now_us, at);
            }
        }
        (now_us, self.line_bytes.iter().sum())
    }
}

#[cfg(test)]
mod tests;
