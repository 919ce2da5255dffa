//! What the kernel saw of a block: how far its last byte had come on its way to each peer, and who ran
//! on the shards' cores meanwhile. `edge::trace` tells it; where that is off, none of it is there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::BlockLog;
use crate::hot::link::{ImageId, PeerId};
use crate::limits::{THIEF_NAME_CHARS_MAX, TRACE_BLOCKS_MAX, TRACE_OFFERS_MAX};
use crate::sys::bpf::Runner;

/// How far the last byte of a block's first form had come on one connection: CLOCK_MONOTONIC, in ns;
/// 0: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelTimes {
    /// The socket had taken it.
    pub given_ns: u64,
    /// It was handed to the device's queue.
    pub queued_ns: u64,
    /// It was handed to the device's driver.
    pub wire_ns: u64,
    /// The peer's TCP had acknowledged it.
    pub acked_ns: u64,
}

/// An offer whose bytes went out: what the kernel saw of it may be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentOffer {
    /// Which block.
    pub image: ImageId,
    /// On which connection.
    pub peer: PeerId,
    /// When its first send was queued,
    pub submitted_ns: u64,
    /// and when the kernel had taken the last byte of its first form: CLOCK_MONOTONIC, in ns.
    pub sent_ns: u64,
}

/// From when to when a block's fan-out could be held up: CLOCK_MONOTONIC, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FanOutWindow {
    /// Which block.
    pub image: ImageId,
    /// When the shards were told.
    pub published_ns: u64,
    /// The last receipt so far.
    pub last_receipt_ns: u64,
}

/// Somebody who ran on a shard's core while the shard wanted it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thief {
    /// The core.
    pub core: u32,
    /// What it is.
    pub runner: Runner,
    /// Thread id, interrupt number or softirq vector.
    pub number: u32,
    /// Its name, where the kernel has one: printable ASCII.
    pub name: String,
    /// How often.
    pub count: u64,
    /// For how long in all, in ns,
    pub total_ns: u64,
    /// and at most, in ns.
    pub longest_ns: u64,
}

/// Who held up the shards from publishing until the last receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StolenTime {
    /// Those who took most, largest first.
    pub thieves: Vec<Thief>,
    /// How often all others did,
    pub rest_count: u64,
    /// and for how long in all, in ns.
    pub rest_ns: u64,
    /// Something was lost in that time: there may have been more.
    pub may_lack: bool,
}

/// The word for people, scripts and metrics.
#[must_use]
pub const fn runner_word(runner: Runner) -> &'static str {
    match runner {
        Runner::Task => "task",
        Runner::Interrupt => "interrupt",
        Runner::SoftInterrupt => "softirq",
    }
}

/// The other way round.
pub(in crate::cold) fn runner(word: &str) -> Option<Runner> {
    let all = [Runner::Task, Runner::Interrupt, Runner::SoftInterrupt];
    all.into_iter().find(|it| runner_word(*it) == word)
}

/// A name as it may be shown: threads call themselves what they like.
#[must_use]
pub fn thief_name(bytes: &[u8]) -> String {
    let name = bytes.iter().take_while(|byte| **byte != 0).take(THIEF_NAME_CHARS_MAX);
    name.map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' }).collect()
}

impl StolenTime {
    /// All of it, in ns.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.thieves.iter().map(|thief| thief.total_ns).sum::<u64>().saturating_add(self.rest_ns)
    }

    /// `{total_ms, may_lack, by: [{core, kind, number, name, count, total_ms, longest_ms}], rest_count,
    /// rest_ms}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ms = |ns: u64| ns as f64 / 1e6;
        let by = self.thieves.iter().map(|thief| {
            json!({"core": thief.core, "kind": runner_word(thief.runner), "number": thief.number,
                   "name": thief.name, "count": thief.count, "total_ms": ms(thief.total_ns),
                   "longest_ms": ms(thief.longest_ns)})
        });
        json!({"total_ms": ms(self.total_ns()), "may_lack": self.may_lack,
               "by": by.collect::<Vec<_>>(), "rest_count": self.rest_count,
               "rest_ms": ms(self.rest_ns)})
    }
}

impl BlockLog {
    /// Has the log keep sent offers for [`Self::take_sent_offers`] from now on.
    pub fn keep_sent_offers(&self) {
        self.state().sent_offers.get_or_insert_default();
    }

    /// The offers that have ended since the last call and of which something went out, oldest first.
    #[must_use]
    pub fn take_sent_offers(&self) -> Vec<SentOffer> {
        let mut state = self.state();
        state.sent_offers.as_mut().map(|kept| kept.drain(..).collect()).unwrap_or_default()
    }

    /// What the kernel saw of these offers. What is not there any more is passed over; what was told of
    /// an offer before is replaced.
    pub fn note_kernel_times(&self, seen: &[(ImageId, PeerId, KernelTimes)]) {
        let mut state = self.state();
        let mut has_changed = false;
        for (image, peer, times) in seen {
            let Some(row) = state.records.get_mut(image).and_then(|it| it.rows.get_mut(peer))
            else {
                continue;
            };
            let before = std::mem::replace(&mut row.kernel, *times);
            if before == *times {
                continue;
            }
            has_changed = true;
            state.unkept.note(*image);
            if let Some(totals) = state.totals.get_mut(usize::from(peer.chain())) {
                totals.add_kernel_times(before, *times);
            }
        }
        drop(state);
        if has_changed {
            self.note_change();
        }
    }

    /// The newest blocks that were published at `from_ns` or later and have a receipt.
    #[must_use]
    pub fn fan_out_windows(&self, from_ns: u64) -> Vec<FanOutWindow> {
        let state = self.state();
        let newest = state.order.iter().rev().take(TRACE_BLOCKS_MAX);
        let records = newest.filter_map(|image| state.records.get(image));
        let windows = records.filter(|it| it.meta.is_some()).map(|record| FanOutWindow {
            image: record.image,
            published_ns: record.published_ns(),
            last_receipt_ns: record.rows.values().map(|row| row.handled_ns).max().unwrap_or(0),
        });
        windows.filter(|it| it.published_ns >= from_ns && it.last_receipt_ns > 0).collect()
    }

    /// Who held up the shards while the block went out, as far as that is known by now.
    pub fn note_stolen(&self, image: ImageId, stolen: StolenTime) {
        let mut state = self.state();
        let Some(record) = state.records.get_mut(&image) else {
            return;
        };
        if record.stolen.as_deref() == Some(&stolen) {
            return;
        }
        record.stolen = Some(Arc::new(stolen));
        state.unkept.note(image);
        drop(state);
        self.note_change();
    }
}

impl super::State {
    /// Keeps a sent offer where somebody wants it. Full: the oldest goes.
    pub(super) fn keep_sent_offer(&mut self, offer: SentOffer) {
        let Some(kept) = self.sent_offers.as_mut().filter(|_| offer.sent_ns != 0) else {
            return;
        };
        if kept.len() >= TRACE_OFFERS_MAX {
            kept.pop_front();
        }
        kept.push_back(offer);
    }
}
