//! Warm-ups: publishing the tip, offering it to who is due, taking it back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{Event, Task};
use crate::cold::uplink::warm_up::{Seen, Tip};
use crate::cold::uplink::{UplinkSetting, Warm};
use crate::hot::link::{ImageId, Order, PeerId};
use crate::limits::{
    WARM_BLOCK_BYTES, WARM_HINT_PAUSE_MS, WARM_TIPS_MAX, WARM_UP_BLIND_BYTES_PER_S, WARM_UP_MS_MAX,
};
use crate::wire::hash::BlockHash;

/// What is known of one chain's blocks.
#[derive(Debug)]
pub(super) struct ChainState {
    pub(super) tip: Option<(Tip, Bytes)>,
    sizes: VecDeque<u64>,
    wanted: watch::Sender<bool>,
}

impl ChainState {
    pub(super) fn new() -> (Self, watch::Receiver<bool>) {
        let (wanted, hears) = watch::channel(false);
        (Self { tip: None, sizes: VecDeque::new(), wanted }, hears)
    }

    /// Bytes of the block that is to be expected: the largest of the last ones.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.sizes.iter().copied().max().unwrap_or(WARM_BLOCK_BYTES)
    }
}

/// The warm-up that is out.
#[derive(Clone, Copy, Debug)]
pub(in crate::cold::uplink) struct Live {
    pub(super) image: ImageId,
    pub(super) chain_index: u8,
    pub(super) tip: Tip,
    pub(super) since_ms: u64,
}

impl Task {
    /// Tips are fetched for chains with somebody to warm.
    pub(super) fn want_tips(&mut self) {
        for (index, chain) in (0_u8..).zip(&self.chains) {
            let wanted = self.shared().any(|look| look.peer.chain() == index);
            chain.wanted.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
        }
    }

    pub(super) fn on_tip(&mut self, chain_index: u8, hash: BlockHash, raw: Bytes, now_ms: u64) {
        let Some(chain) = self.chains.get_mut(usize::from(chain_index)) else {
            return;
        };
        let tip = Tip { hash: hash.0, bytes: raw.len() as u64, known_ms: now_ms };
        chain.sizes.push_back(tip.bytes);
        if chain.sizes.len() > WARM_TIPS_MAX {
            chain.sizes.pop_front();
        }
        chain.tip = Some((tip, raw));
        // Only the tip is sent: whoever has no byte of the block before it gets none of it.
        if self.live.is_some_and(|live| live.chain_index == chain_index) {
            self.end_warm_up();
        }
        self.learn();
        self.warm();
    }

    /// A peer has a block that our node may not have yet: the node is asked at once, so that the
    /// others can have it from us.
    pub(super) fn on_announced(&mut self, peer: PeerId, hash: [u8; 32], now_ms: u64) {
        if self.facts.contains_key(&peer) {
            self.warm_ups.announced(peer, hash);
        }
        let chain = usize::from(peer.chain());
        let known = self.chains.get(chain).and_then(|chain| chain.tip.as_ref());
        let is_news = known.is_none_or(|(tip, _)| tip.hash != hash);
        let told = self.settings.chains.get(chain);
        let Some((_, watch)) = told.and_then(|told| told.node.as_ref()) else {
            return;
        };
        if is_news && now_ms >= self.hinted_ms.saturating_add(WARM_HINT_PAUSE_MS) {
            self.hinted_ms = now_ms;
            watch.hint();
        }
    }

    fn warm_of(&self, chain_index: u8) -> Warm {
        let told = self.settings.chains.get(usize::from(chain_index));
        told.map_or(Warm::Off, |told| told.warm)
    }

    pub(super) fn due(&mut self, chain_index: u8, tip: &Tip) -> Vec<PeerId> {
        let looks = self.looks.iter().filter(|look| look.peer.chain() == chain_index);
        let told = self.settings.chains.get(usize::from(chain_index));
        let is_chosen_from = told.is_some_and(|told| told.earns_slots);
        let seen: Vec<_> = looks
            .map(|look| Seen {
                peer: look.peer,
                shared: look.shared,
                warm: look.warm,
                may_choose_us: is_chosen_from && !self.choosers.contains(&look.peer),
                round_trip_us: look.info.least_round_trip_us,
            })
            .collect();
        let (warm, now_ms) = (self.warm_of(chain_index), self.now_ms());
        let learning =
            self.session.as_ref().is_some_and(|it| !it.is_found && it.chain_index == chain_index);
        self.warm_ups.due(warm, tip, &seen, now_ms, learning)
    }

    /// Publishes a tip for which there is somebody due, or goes on with the one that is out.
    pub(super) fn warm(&mut self) {
        if self.on_the_line.is_busy(self.now_ms()) {
            return;
        }
        if let Some(live) = self.live {
            self.offer();
            let is_over = self.now_ms() >= live.since_ms.saturating_add(WARM_UP_MS_MAX);
            if is_over || (self.session.is_none() && self.warm_ups.under_way() == 0) {
                self.end_warm_up();
            }
            return;
        }
        if self.is_publishing || self.will_learn() {
            return;
        }
        for chain_index in (0_u8..).take(self.chains.len()) {
            let tip = self.chains.get(usize::from(chain_index)).and_then(|it| it.tip.as_ref());
            let Some(tip) = tip.map(|(tip, _)| *tip) else { continue };
            if !self.due(chain_index, &tip).is_empty() {
                return self.publish(chain_index);
            }
        }
    }

    /// Lays the chain's tip into the arena, on a thread that may take its time.
    pub(super) fn publish(&mut self, chain_index: u8) {
        let tip = self.chains.get(usize::from(chain_index)).and_then(|chain| chain.tip.clone());
        let Some((tip, raw)) = tip.filter(|_| !self.is_publishing && self.live.is_none()) else {
            return;
        };
        self.is_publishing = true;
        let (sink, inbox) = (Arc::clone(&self.around.sink), self.inbox.clone());
        let since_ms = self.now_ms();
        tokio::task::spawn_blocking(move || {
            let image = sink.publish(chain_index, &raw, tip.hash);
            let live = image.map(|image| Live { image, chain_index, tip, since_ms });
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(Event::Published(live));
            }
        });
    }

    pub(super) fn on_published(&mut self, live: Option<Live>) {
        self.is_publishing = false;
        let Some(live) = live else {
            return;
        };
        self.live = Some(live);
        let known = self.chains.get(usize::from(live.chain_index));
        let tip = known.and_then(|chain| chain.tip.as_ref()).map(|(tip, _)| tip.hash);
        if tip != Some(live.tip.hash) {
            // The network has moved on meanwhile.
            return self.end_warm_up();
        }
        if self.will_learn() {
            self.begin_session(live.chain_index);
        } else if self.session.is_none() && self.is_blind() {
            // Where nothing is known of the uplink it is not filled at once.
            self.around.control.set_probe(Some(WARM_UP_BLIND_BYTES_PER_S));
        }
        self.offer();
    }

    fn is_blind(&self) -> bool {
        self.settings.uplink == UplinkSetting::Auto && self.belief.bits_per_s().is_none()
    }

    /// Offers what is out to who is due.
    pub(super) fn offer(&mut self) {
        let is_busy = self.on_the_line.is_busy(self.now_ms());
        let Some(live) = self.live.filter(|_| !is_busy) else {
            return;
        };
        let paths = self.around.paths.all().into_iter().filter_map(|path| path.upgrade());
        let paths: HashMap<_, _> = paths.map(|path| (path.peer, path)).collect();
        for peer in self.due(live.chain_index, &live.tip) {
            let Some(path) = paths.get(&peer) else { continue };
            let (slot, image) = (path.slot, live.image);
            // A full queue: at the next look.
            if path.link.order(Order::WarmUp { slot, peer, image }).is_ok() {
                self.warm_ups.offered(peer, &live.tip);
            }
        }
        self.tell_session_of_data();
    }

    /// A block has the line to itself: whoever has no byte of a warm-up does not get it now.
    pub(super) fn on_block(&mut self, image: ImageId, shard: u8, is_over: bool) {
        if is_over {
            return self.on_the_line.over(image, shard);
        }
        self.on_the_line.begun(image, shard, self.now_ms());
        self.end_warm_up();
    }

    /// Takes back what is out.
    pub(super) fn end_warm_up(&mut self) {
        let Some(Live { image, since_ms, .. }) = self.live.take() else {
            return;
        };
        for link in &self.around.links {
            // A queue that stays full means a shard that has ended.
            let _ = link.order(Order::EndWarmUp { image });
        }
        let now_ms = self.now_ms();
        if now_ms >= since_ms.saturating_add(WARM_UP_MS_MAX) {
            self.warm_ups.forget_under_way(now_ms);
        }
        if self.session.is_none() {
            self.around.control.set_probe(None);
        }
    }
}
