//! What the shards' reports change.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::ORDINARY;
use super::choose;
use super::connections::{Connection, close};
use super::keeper::Keeper;
use super::kept::STABLE;
use super::view::PlaceChange;
use crate::cold::cover::Proof;
use crate::cold::score::{self, Standing};
use crate::hot::link::traffic::Bytes;
use crate::hot::link::{Cause, Outcome, PeerId, Report};

/// How an outcome counts: delivered, failed, or neither.
pub(super) const fn is_delivered(outcome: Outcome) -> Option<bool> {
    match outcome {
        Outcome::Handled | Outcome::AlreadyHad => Some(true),
        Outcome::Refused | Outcome::Stalled | Outcome::Reset | Outcome::Unanswered => Some(false),
        Outcome::Abandoned => None,
    }
}

impl Keeper {
    pub(super) fn on_report(&mut self, report: Report, now: Instant, now_s: f64) {
        match report {
            Report::Settled { peer, outcome, submitted_ns, handled_ns, .. } => {
                let took_ns = handled_ns.checked_sub(submitted_ns).filter(|_| submitted_ns > 0);
                self.judge(peer, outcome);
                self.on_settled(peer, outcome, took_ns, now, now_s);
            }
            Report::Echo { peer, .. } => {
                self.prove(peer, Proof::Echo);
                self.on_heard(peer, now_s, |it| it.echoes += 1);
            }
            Report::Announced { peer, hash, at_ns } => {
                if let Some(connection) = self.connections.get_mut(peer) {
                    let address = connection.address;
                    self.note_announced(address, hash, at_ns);
                }
                self.on_heard(peer, now_s, |it| it.announced += 1);
            }
            Report::RoundTrip { peer, round_trip_us } => {
                self.on_heard(peer, now_s, |it| it.round_trip_us = Some(round_trip_us));
                if let Some(entry) = self.entry_of(peer) {
                    let measured_ms = f64::from(round_trip_us) / 1_000.0;
                    entry.ping_ms = Some(score::smooth(entry.ping_ms, measured_ms));
                }
            }
            Report::HighBandwidth { peer, chosen, version } => {
                self.on_heard(peer, now_s, |it| it.terms.heard(chosen, version));
            }
            Report::Retired { peer, shard, slot, cause, socket, received_bytes, sent_bytes } => {
                close(socket, cause);
                self.ended_traffic.add(Bytes { received_bytes, sent_bytes });
                self.slots.give_back(shard, slot, peer);
                if cause == Cause::Stopping {
                    self.slots.close(shard);
                }
                if let Some(connection) = self.connections.remove(peer) {
                    self.on_retired(peer, &connection, cause, now, now_s);
                }
            }
            Report::Stopped { shard } => self.slots.close(shard),
            Report::Finished { .. } | Report::Offered { .. } | Report::WarmedUp { .. } => {}
        }
    }

    /// A sign of life from `peer`.
    fn on_heard(&mut self, peer: PeerId, now_s: f64, note: impl FnOnce(&mut Connection)) {
        let Some(connection) = self.connections.get_mut(peer) else {
            return;
        };
        note(connection);
        if let Some(entry) = self.book.get_mut(connection.address) {
            entry.last_seen_s = now_s;
        }
        self.schedule.show_soon();
    }

    fn on_settled(
        &mut self,
        peer: PeerId,
        outcome: Outcome,
        took_ns: Option<u64>,
        now: Instant,
        now_s: f64,
    ) {
        let Some(delivered) = is_delivered(outcome) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(peer) else {
            return;
        };
        connection.broke_in_block |= outcome == Outcome::Reset;
        let standing = connection.standing;
        let Some(entry) = self.book.get_mut(connection.address) else {
            return;
        };
        if delivered {
            entry.score = score::after_delivery(entry.score);
            entry.successful_broadcasts = entry.successful_broadcasts.saturating_add(1);
            entry.last_seen_s = now_s;
        } else {
            entry.score = score::after_failure(entry.score);
            entry.failed_broadcasts = entry.failed_broadcasts.saturating_add(1);
        }
        if let (Outcome::Handled, Some(took_ns)) = (outcome, took_ns) {
            let took_ms = Duration::from_nanos(took_ns).as_secs_f64() * 1_000.0;
            entry.delivery_ms = Some(score::smooth(entry.delivery_ms, took_ms));
        }
        let is_spent = score::is_spent(entry) && standing == Standing::Ordinary;
        self.saver.ask(now);
        self.schedule.rank_soon(now);
        self.schedule.show_soon();
        if is_spent {
            self.give_up(peer);
        }
    }

    fn on_retired(
        &mut self,
        peer: PeerId,
        connection: &Connection,
        cause: Cause,
        now: Instant,
        now_s: f64,
    ) {
        let (address, word) = (connection.address, cause.word());
        let lived = now.duration_since(connection.since);
        self.stop_listening(address);
        self.count_drop(word);
        self.forget_later(peer, now);
        self.schedule.show_soon();
        self.schedule.fill_soon();
        let told = if cause == Cause::Asked { connection.ended_for } else { word };
        self.diary.note(address, PlaceChange::Left(told));
        tracing::debug!(peer = %address, word, "connection ended after {:.1} s", lived.as_secs_f64());
        if let Cause::Flood(of) = cause {
            tracing::warn!(peer = %address, "dropped: too many {} in too short a time", of.word());
        }
        if cause == Cause::Stopping {
            // The file says who was connected when all ended.
            return self.kept.on_let_go(address, now);
        }
        self.book.connected.remove(&address);
        if connection.standing != Standing::Ordinary {
            self.kept.on_lost(address, word, lived, now, &mut self.chance);
        } else if cause != Cause::Asked {
            self.missed.note(address, word, now);
        }
        let Some(entry) = self.book.get_mut(address) else {
            return;
        };
        if score::is_spent(entry) {
            return self.forget_address(address);
        }
        if connection.broke_in_block {
            // Back to it at once.
            entry.next_try_s = 0.0;
            if connection.standing == Standing::Ordinary {
                self.candidates.push_front(address);
            }
            return;
        }
        if lived >= STABLE {
            entry.failures_in_row = 0;
        }
        if cause == Cause::Asked {
            // It was we who ended it, for a better one: no fault of its own.
            return;
        }
        let is_lasting = matches!(cause, Cause::BadMagic | Cause::Oversized(_) | Cause::Flood(_));
        choose::put_off(entry, word, now_s, ORDINARY, is_lasting, &mut self.chance);
    }
}
