//! What the task sees of connections, way and blocks, and what it shows.

use std::fs;
use std::sync::Arc;

use super::Task;
use crate::cold::store;
use crate::cold::uplink::advice::{HostTcp, Situation, advice};
use crate::cold::uplink::belief::{Belief, KeptRate, is_clear, is_losing};
use crate::cold::uplink::paths::{Path, PathFacts};
use crate::cold::uplink::view::{UplinkView, shown};
use crate::cold::uplink::warmth::{Need, is_open, is_warm, window_bytes};
use crate::cold::uplink::way::Way;
use crate::cold::uplink::{Standing, UplinkSetting};
use crate::hot::link::PeerId;
use crate::limits::{SMALL_IMAGE_WINDOW_BYTES, UPLINK_FILE_BYTES_MAX, UPLINK_WAY_INTERVAL_MS};
use crate::sys::tcp_info::{TcpInfo, set_congestion_control};

/// What peers that lose packets are sent by: it does not take chance for a full line.
const FOR_LOSSY_LINES: &str = "bbr";
/// A card so many times faster than what is configured is worth a remark.
const CARD_FAR_ABOVE: u64 = 10;

/// One connection at the last look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) peer: PeerId,
    pub(super) shared: bool,
    /// Its windows are all that it needs: it is not warmed again.
    pub(super) warm: bool,
    pub(super) info: TcpInfo,
}

impl Task {
    /// Looks at every connection, and tells the rosters what has changed.
    pub(super) fn look(&mut self) {
        let now_ms = self.now_ms();
        self.looks.clear();
        let mut changed = vec![Vec::new(); self.chains.len()];
        for path in self.around.paths.all() {
            let Some(path) = path.upgrade() else { continue };
            let Some(info) = path.look() else { continue };
            let peer = path.peer;
            let is_new = !self.since_ms.contains_key(&peer);
            if is_new {
                self.since_ms.insert(peer, now_ms);
            }
            if is_new && path.shared {
                let fresh = self.first_flight.unwrap_or(u32::MAX).min(info.window_segments);
                self.first_flight = Some(fresh);
            }
            let facts = self.facts_of(&path, &info);
            self.losses.seen(peer, info.resent_segments);
            let warm = !path.shared || is_warm(&info, &self.need(peer.chain()));
            self.looks.push(Look { peer, shared: path.shared, warm, info });
            if self.facts.get(&peer) != Some(&facts) {
                if let Some(of_chain) = changed.get_mut(usize::from(peer.chain())) {
                    of_chain.push((peer, facts.clone()));
                }
                self.facts.insert(peer, facts);
            }
        }
        for (roster, known) in self.around.rosters.iter().zip(changed) {
            if !known.is_empty() {
                roster.note_paths(known);
            }
        }
        let connected: Vec<_> = self.looks.iter().map(|look| look.peer).collect();
        let stays = |peer: &PeerId| connected.binary_search(peer).is_ok();
        self.facts.retain(|peer, _| stays(peer));
        self.since_ms.retain(|peer, _| stays(peer));
        self.losses.keep(&connected);
        self.warm_ups.keep(&connected);
        self.choosers.retain(stays);
    }

    fn facts_of(&self, path: &Path, info: &TcpInfo) -> PathFacts {
        let need = self.need(path.peer.chain());
        let before = self.facts.get(&path.peer).map(|facts| facts.congestion_control.clone());
        PathFacts {
            // On loopback order by rank is all, and nobody is cold.
            round_trip_us: if path.shared { info.least_round_trip_us } else { 0 },
            warm: !path.shared || is_open(info, &need),
            warm_for_small: !path.shared
                || window_bytes(info, need.closes_when_idle) >= SMALL_IMAGE_WINDOW_BYTES,
            window_bytes: window_bytes(info, need.closes_when_idle),
            resent_segments: info.resent_segments,
            congestion_control: before
                .filter(|name| !name.is_empty())
                .or_else(|| path.congestion_control())
                .unwrap_or_default(),
        }
    }

    fn need(&self, chain_index: u8) -> Need {
        let chain = self.chains.get(usize::from(chain_index));
        Need {
            block_bytes: chain.map_or(0, |chain| chain.expected_bytes()),
            uplink_bits_per_s: self.belief.bits_per_s(),
            closes_when_idle: self.host.closes_when_idle.unwrap_or(false),
        }
    }

    fn is_open(&self, peer: PeerId) -> bool {
        self.facts.get(&peer).is_some_and(|facts| facts.warm)
    }

    pub(super) fn shared(&self) -> impl Iterator<Item = &Look> {
        self.looks.iter().filter(|look| look.shared)
    }

    /// Which way the peers are reached, and whether that has changed.
    pub(super) fn look_up_way(&mut self) {
        let now_ms = self.now_ms();
        if now_ms < self.way_due_ms {
            return;
        }
        let paths = self.around.paths.all().into_iter().filter_map(|path| path.upgrade());
        let Some(address) = paths.filter(|path| path.shared).map(|path| path.address).next() else {
            return;
        };
        self.way_due_ms = now_ms + UPLINK_WAY_INTERVAL_MS;
        self.host = HostTcp::read();
        let Some(way) = Way::to(address) else {
            return;
        };
        let name = way.name();
        self.card_bits_per_s = way.card_bits_per_s();
        let is_first = self.way.is_none();
        if self.way.as_ref() == Some(&way) {
            return;
        }
        self.way = Some(way);
        if self.belief.is_told() {
            return self.doubt_configured();
        }
        let now_s = self.now_s();
        if is_first {
            self.belief = Belief::kept(self.read_kept(), name, now_s);
            if let Some(bits_per_s) = self.belief.bits_per_s() {
                let age_s = self.belief.age_s(now_s).unwrap_or(0);
                tracing::info!(
                    route = self.belief.way(),
                    age_s,
                    "uplink: {} was learnt on this route before; used until it is measured anew",
                    shown(bits_per_s)
                );
            }
        } else {
            tracing::warn!(from = self.belief.way(), to = %name,
                "uplink: the way out has changed; what was learnt does not hold on it");
            self.end_session();
            self.belief.route(&name, now_s);
        }
        self.around.control.set_uplink(self.belief.bits_per_s());
    }

    fn read_kept(&self) -> Option<KeptRate> {
        let file = &self.settings.file;
        let length = fs::metadata(file).ok()?.len();
        if length > UPLINK_FILE_BYTES_MAX {
            return None;
        }
        let kept = KeptRate::read(&fs::read_to_string(file).ok()?, self.now_s());
        if kept.is_none() {
            tracing::warn!(file = %file.display(), "uplink: what was kept is damaged or too old; not used");
        }
        kept
    }

    /// Keeps what was learnt for the next start.
    pub(super) fn keep(&self) {
        let Some(kept) = self.belief.to_keep() else {
            return;
        };
        let (file, text) = (self.settings.file.clone(), kept.write());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store::replace(&file, text.as_bytes()) {
                let file = file.display();
                tracing::warn!(
                    "uplink: the learnt rate can't be kept in {file}: {error}; let broadside's user write there"
                );
            }
        });
    }

    /// A configured rate is never changed, but what speaks against it is said.
    pub(super) fn doubt_configured(&mut self) {
        let (UplinkSetting::BitsPerS(told), Some(card)) =
            (self.settings.uplink, self.card_bits_per_s)
        else {
            return;
        };
        let doubt = if told > card {
            format!(
                "[engine] uplink is {}, but the card does {}: lower it, or set it to \"auto\"",
                shown(told),
                shown(card)
            )
        } else if told <= card / CARD_FAR_ABOVE {
            format!(
                "[engine] uplink is {}, a tenth of the card's {} or less: if the line carries more, \
                 blocks take that much longer; \"auto\" measures it",
                shown(told),
                shown(card)
            )
        } else {
            return;
        };
        self.say_doubt(doubt);
    }

    fn say_doubt(&mut self, doubt: String) {
        if self.doubt.as_ref() != Some(&doubt) {
            tracing::warn!("uplink: {doubt}");
            self.doubt = Some(doubt);
        }
    }

    /// What the last block cost, once it is over.
    pub(super) fn judge_block(&mut self) {
        let now_ms = self.now_ms();
        let Some(lost) = self.losses.take(now_ms) else {
            return;
        };
        let is_shared = |peer: PeerId| self.shared().any(|look| look.peer == peer);
        let lost: Vec<_> = lost.into_iter().filter(|(peer, _)| is_shared(*peer)).collect();
        let counts: Vec<_> = lost.iter().map(|(_, lost)| *lost).collect();
        let losing = counts.iter().filter(|lost| is_losing(**lost)).count();
        let total = counts.len();
        if !is_clear(&counts) {
            let lossy = lost.iter().filter(|(_, lost)| is_losing(*lost)).map(|(peer, _)| *peer);
            let lossy: Vec<_> = lossy.collect();
            return lossy.into_iter().for_each(|peer| self.use_bbr(peer));
        }
        let now_s = self.now_s();
        if self.belief.standing() == Standing::Configured {
            let told = shown(self.belief.bits_per_s().unwrap_or(0));
            self.say_doubt(format!(
                "{losing} of {total} peers lost packets of one block: the line carries less than \
                 the {told} of [engine] uplink; lower it, or set it to \"auto\""
            ));
        } else if self.belief.block(&counts, now_s) {
            let bits_per_s = self.belief.bits_per_s();
            self.around.control.set_uplink(bits_per_s);
            tracing::warn!(
                "uplink: {losing} of {total} peers lost packets of one block; lowered to {} until it is measured anew",
                shown(bits_per_s.unwrap_or(0))
            );
            self.keep();
        } else if self.belief.bits_per_s().is_none() && !self.belief.is_told() {
            tracing::warn!(
                "uplink: {losing} of {total} peers lost packets of one block, and its rate is not known; set [engine] uplink if it can't be learnt"
            );
        }
    }

    /// A peer that loses while the others don't has a bad line, which is no reason to send it less.
    fn use_bbr(&mut self, peer: PeerId) {
        let paths = self.around.paths.all().into_iter().filter_map(|path| path.upgrade());
        let Some(path) = paths.into_iter().find(|path| path.peer == peer) else {
            return;
        };
        if path.congestion_control().is_some_and(|now| now == FOR_LOSSY_LINES) {
            return;
        }
        match set_congestion_control(&*path, FOR_LOSSY_LINES) {
            Ok(()) => {
                tracing::info!(peer = %path.address, "loses packets: sent to by {FOR_LOSSY_LINES} from now on");
                if let Some(facts) = self.facts.get_mut(&peer) {
                    facts.congestion_control.clear();
                }
            }
            Err(error) if !self.told_no_bbr => {
                self.told_no_bbr = true;
                tracing::info!(
                    "peers that lose packets can't be sent to by {FOR_LOSSY_LINES}: {error}; \
                    load tcp_bbr and allow it in net.ipv4.tcp_allowed_congestion_control"
                );
            }
            Err(_) => {}
        }
    }

    /// Shows the latest.
    pub(super) fn show(&mut self) {
        let (now_ms, now_s) = (self.now_ms(), self.now_s());
        let shared: Vec<_> = self.shared().copied().collect();
        let state = match &self.session {
            Some(_) => "learning",
            None if shared.is_empty() && !self.belief.is_told() => "not-shared",
            None => self.belief.standing().word(),
        };
        let chains = shared.iter().map(|look| look.peer.chain()).max();
        let situation = Situation {
            round_trips_us: shared.iter().map(|look| look.info.least_round_trip_us).collect(),
            block_bytes: chains.map_or(0, |chain| self.need(chain).block_bytes),
            segment_bytes: shared.iter().map(|look| look.info.segment_bytes).max().unwrap_or(0),
            first_flight_segments: self.first_flight,
        };
        let (sent_bytes, offers) = self.warm_ups.done();
        let view = UplinkView {
            state,
            bits_per_s: self.belief.bits_per_s(),
            age_s: self.belief.age_s(now_s),
            route: self.way.as_ref().map(Way::name),
            card_bits_per_s: self.card_bits_per_s,
            shared_peers: shared.len(),
            warm_peers: shared.iter().filter(|look| self.is_open(look.peer)).count(),
            full_window_peers: shared.iter().filter(|look| look.warm).count(),
            block_bytes: self.chains.iter().map(|chain| chain.expected_bytes()).collect(),
            last: self.last,
            warm_up_sent_bytes: sent_bytes,
            warm_up_offers: offers,
            warm_up_under_way: self.warm_ups.under_way(),
            warm_up_left_bytes: self.warm_ups.left_bytes(now_ms),
            warm_up_bytes_per_hour: self.settings.warm_up_bytes_per_hour,
            doubt: self.doubt.clone(),
            advice: advice(self.host, &situation),
        };
        self.shown.send_replace(Arc::new(view));
    }
}
