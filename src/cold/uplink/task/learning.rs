//! When the uplink is measured, and what follows from what was found.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Event, Task};
use crate::cold::uplink::learner::{FIRST_RATE, Finding, Found, LearnerSettings};
use crate::cold::uplink::measure::{Connections, Measurement, Signals, Told, near_count};
use crate::cold::uplink::view::shown;
use crate::cold::uplink::{UplinkSetting, Warm};
use crate::limits::{UPLINK_CALM_MAX_MS, UPLINK_CALM_MS, UPLINK_LEARNING_PEERS_MIN};

/// A measurement under way.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) chain_index: u8,
    /// The rate is known; the queue is watched for a while.
    pub(super) is_found: bool,
    signals: Arc<Signals>,
}

impl Task {
    /// The chain to measure with, where a measurement is wanted and there is something to send: the
    /// one with the most peers behind the uplink.
    fn chain_to_learn_with(&mut self) -> Option<u8> {
        let wanted = self.settings.uplink == UplinkSetting::Auto
            && self.session.is_none()
            && self.belief.wants_probe(self.now_s());
        let known = self.shared().filter(|look| look.info.least_round_trip_us > 0).count();
        if !wanted || known < UPLINK_LEARNING_PEERS_MIN {
            return None;
        }
        let peers_of =
            |index: u8| self.shared().filter(|look| look.peer.chain() == index).count() as u64;
        let chains = (0_u8..).zip(self.settings.chains.iter().zip(&self.chains));
        let sendable = chains.filter_map(|(index, (told, chain))| {
            let (tip, _) = chain.tip.as_ref().filter(|_| told.warm != Warm::Off)?;
            Some((peers_of(index), index, tip.bytes))
        });
        let (peers, index, bytes) = sendable.max()?;
        let now_ms = self.now_ms();
        let is_affordable = self.warm_ups.left_bytes(now_ms) >= peers.saturating_mul(bytes);
        (peers > 0 && is_affordable).then_some(index)
    }

    /// Whether there will be a measurement as soon as things are calm. Until then nobody is warmed:
    /// fresh connections are what it needs.
    pub(super) fn will_learn(&mut self) -> bool {
        self.chain_to_learn_with().is_some()
    }

    /// No block is under way, and everybody who is about to connect has.
    fn is_calm(&self) -> bool {
        let now_ms = self.now_ms();
        let shared = self.shared().filter_map(|look| self.since_ms.get(&look.peer));
        let (first, last) = shared
            .fold((u64::MAX, 0), |(first, last), since| (first.min(*since), last.max(*since)));
        let is_settled = now_ms.saturating_sub(last) >= UPLINK_CALM_MS
            || now_ms.saturating_sub(first) >= UPLINK_CALM_MAX_MS;
        is_settled && !self.losses.is_under_way()
    }

    /// Begins a measurement when it is time: by publishing what is to be sent.
    pub(super) fn learn(&mut self) {
        if !self.is_calm() || self.is_publishing {
            return;
        }
        let Some(chain_index) = self.chain_to_learn_with() else {
            return;
        };
        match self.live {
            Some(live) if live.chain_index == chain_index => self.begin_session(chain_index),
            Some(_) => self.end_warm_up(),
            None => self.publish(chain_index),
        }
    }

    /// Starts the measurement's thread. The first rate holds before the first byte is offered.
    pub(super) fn begin_session(&mut self, chain_index: u8) {
        let mut nearest: Vec<_> =
            self.shared().filter(|look| look.info.least_round_trip_us > 0).copied().collect();
        nearest.sort_unstable_by_key(|look| (look.info.least_round_trip_us, look.peer));
        let near = nearest.iter().take(near_count(nearest.len()));
        let near_us = near.map(|look| look.info.least_round_trip_us).collect();
        let settings = LearnerSettings::first(near_us, self.card_bits_per_s);
        let settings = match self.belief.bits_per_s() {
            Some(bits_per_s) => settings.again(bits_per_s),
            None => settings,
        };
        let paths = self.around.paths.all().into_iter().filter(|path| path.strong_count() > 0);
        let mut paths: Vec<_> =
            paths.filter_map(|path| Some((path.upgrade()?.peer, path))).collect();
        let place = |peer| nearest.iter().position(|look| look.peer == peer);
        paths.retain(|(peer, _)| place(*peer).is_some());
        paths.sort_unstable_by_key(|(peer, _)| place(*peer));
        let paths: Vec<_> = paths.into_iter().map(|(_, path)| path).collect();
        let signals = Arc::new(Signals { blocks: Arc::clone(&self.blocks), ..Signals::default() });
        let (control, heard) = (Arc::clone(&self.around.control), Arc::clone(&signals));
        let inbox = self.inbox.clone();
        control.set_probe(Some(FIRST_RATE));
        tracing::info!(peers = paths.len(), "uplink: measuring it while connections are warmed");
        let measure = move || {
            let peers = paths.len();
            let lookout = Connections::new(paths);
            Measurement::new(lookout, peers, settings, &*control, &heard).run(|told| {
                if let Some(inbox) = inbox.upgrade() {
                    let _ = inbox.send(Event::Told(told));
                }
            });
        };
        match std::thread::Builder::new().name("uplink".to_owned()).spawn(measure) {
            Ok(_) => self.session = Some(Session { chain_index, is_found: false, signals }),
            Err(error) => {
                self.around.control.set_probe(None);
                self.belief.interrupted(self.now_s());
                tracing::warn!("uplink: not measured, the system gives no thread: {error}");
            }
        }
    }

    /// Tells the measurement when there is nothing left to send.
    pub(super) fn tell_session_of_data(&mut self) {
        let Some(session) = &self.session else {
            return;
        };
        let signals = Arc::clone(&session.signals);
        let live = self.live;
        let is_out = self.warm_ups.under_way() == 0
            && live.is_some_and(|live| self.due(live.chain_index, &live.tip).is_empty());
        signals.out_of_data.store(is_out, Ordering::Relaxed);
    }

    pub(super) fn on_told(&mut self, told: Told) {
        match told {
            Told::Found(finding) => self.on_found(&finding),
            Told::QueueStands => {
                if self.belief.queue_stands() {
                    let bits_per_s = self.belief.bits_per_s();
                    self.around.control.set_uplink(bits_per_s);
                    tracing::info!(
                        "uplink: a queue stands at that rate; lowered to {}",
                        shown(bits_per_s.unwrap_or(0))
                    );
                    self.keep();
                }
            }
            Told::Ended { interrupted } => {
                self.session = None;
                self.around.control.set_probe(None);
                if interrupted {
                    self.belief.interrupted(self.now_s());
                    tracing::info!("uplink: the measurement made way for a block; made again soon");
                }
            }
        }
        self.show();
    }

    fn on_found(&mut self, finding: &Finding) {
        if let Some(session) = &mut self.session {
            session.is_found = true;
        }
        self.last = Some(*finding);
        self.belief.found(finding, self.now_s());
        let bits_per_s = self.belief.bits_per_s();
        // In this order: the probe's rate is the only limit until there is another.
        self.around.control.set_uplink(bits_per_s);
        self.around.control.set_probe(None);
        let (rate, took_ms) = (shown(finding.bits_per_s), finding.took_us / 1_000);
        let queue_ms = f64::from(finding.queue_us_max) / 1e3;
        let used = bits_per_s.map_or_else(|| "no limit".to_owned(), shown);
        match finding.found {
            Found::Learnt => {
                tracing::info!(took_ms, queue_ms, "uplink: {rate}, learnt");
            }
            Found::CardIsLimit => {
                tracing::info!(took_ms, "uplink: the network card is the limit, at {rate}");
            }
            Found::Floor => {
                tracing::info!(
                    took_ms,
                    "uplink: at least {rate}: there was too little to send to \
                    find the limit; {used} is used"
                );
            }
            Found::ForeignQueue => {
                tracing::warn!(
                    took_ms,
                    queue_ms,
                    "uplink: something else keeps it full, so it \
                    can't be measured; {used} is used; set [engine] uplink if that stays so"
                );
            }
            Found::Nothing => {
                tracing::info!(
                    took_ms,
                    "uplink: too few peers answered to measure it; {used} is used"
                );
            }
        }
        self.keep();
    }

    /// Breaks a measurement off.
    pub(super) fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            session.signals.stop.store(true, Ordering::Relaxed);
            self.around.control.set_probe(None);
        }
    }
}
