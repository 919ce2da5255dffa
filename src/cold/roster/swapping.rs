//! Rotation at work: rounds of it, and what becomes of a replacement that was dialled.

use std::collections::HashSet;
use std::net::SocketAddr;

use tokio::time::Instant;

use super::connections::Ending;
use super::keeper::{Keeper, epoch_s};
use super::rotation::{Member, Move, Scene, plan};
use super::seats;
use crate::cold::dial::Dialled;
use crate::cold::diversity::Crowd;
use crate::cold::score::{self, Standing};
use crate::limits::ROTATION_ROUNDS_MIN;

impl Keeper {
    /// Takes a step towards as many peers as the uplink serves in time.
    pub(super) fn follow_uplink(&mut self) {
        let staying = || self.connections.staying();
        let shared = staying().filter(|it| it.is_shared).map(|it| it.path.round_trip_us);
        let mut round_trips_us: Vec<u32> = shared.filter(|us| *us > 0).collect();
        let besides = staying().filter(|it| !it.is_shared).count();
        let besides = u32::try_from(besides).unwrap_or(u32::MAX);
        let (min, max) = (self.settings.min, self.settings.max);
        let in_time = seats::in_time(self.carries, &mut round_trips_us);
        let aimed = seats::next(self.aimed, in_time, besides, min, max);
        if aimed != self.aimed {
            tracing::info!(
                "{aimed} peers are wanted from now on, {} before: so many does the uplink serve in time",
                self.aimed
            );
            self.aimed = aimed;
        }
    }

    /// A round of rotation, when one is due.
    pub(super) fn rotate(&mut self, now: Instant) {
        if now < self.schedule.rotation || !self.swaps.is_empty() {
            return;
        }
        self.schedule.rotation = now + self.settings.refresh;
        let now_s = epoch_s();
        let long = self.settings.refresh * ROTATION_ROUNDS_MIN;
        let members = self.connections.ordinary().map(|it| Member {
            address: it.address,
            kin: it.kin,
            value: self.book.get(it.address).map_or(0.0, |entry| score::rank_value(entry, now_s)),
            is_settled: now.duration_since(it.since) >= long,
        });
        let members: Vec<Member> = members.collect();
        let taken: HashSet<SocketAddr> = self.dialling.keys().copied().collect();
        let scene = Scene {
            members: &members,
            wanted: &self.wanted,
            taken: &taken,
            seats: self.seats(),
            kept: self.connections.staying().count() - members.len(),
            min: self.settings.min as usize,
            free_places: (self.slots.free() as usize).saturating_sub(taken.len()),
            is_block_under_way: self.under_way.is_any(now),
        };
        for step in plan(&scene, &mut self.chance) {
            match step {
                Move::Swap { out, into } => {
                    self.swaps.insert(into, out);
                    self.dial(into, Standing::Ordinary);
                }
                Move::Drop { out } => self.rotate_out(out),
            }
        }
    }

    fn rotate_out(&mut self, address: SocketAddr) {
        let peer = self.connections.peer_at(address);
        if let Some(connection) = peer.and_then(|peer| self.connections.get_mut(peer))
            && connection.ending == Ending::No
        {
            connection.end("rotated-out");
            self.count_drop("rotated-out");
            tracing::debug!(peer = %address, "rotated out");
        }
    }

    /// A greeted peer takes its seat: an empty one, or that of whom it replaces. Where things have
    /// changed since it was dialled it is let go of, and stays a candidate.
    pub(super) fn join(
        &mut self,
        address: SocketAddr,
        standing: Standing,
        dialled: Dialled,
        now: Instant,
    ) {
        let replaced = self.swaps.remove(&address);
        if standing != Standing::Ordinary {
            self.adopt(address, standing, dialled, now);
            return;
        }
        let has_seat = self.connections.ordinary().count() < self.seats();
        let replaced = replaced.filter(|_| !has_seat);
        let out = replaced.filter(|out| {
            !self.under_way.is_any(now) && self.connections.ordinary().any(|it| it.address == *out)
        });
        if !has_seat && out.is_none() {
            return self.let_go(address, &dialled, "no-seat");
        }
        let others = self.connections.ordinary().filter(|it| Some(it.address) != out);
        let kin = self.kin_of(address);
        if Crowd::of(others.map(|it| it.kin)).is_full_for(kin).is_some() {
            return self.let_go(address, &dialled, "crowded");
        }
        // It is in before the other one goes: there are never fewer.
        if self.adopt(address, standing, dialled, now)
            && let Some(out) = out
        {
            self.rotate_out(out);
        }
    }

    /// Greeted in vain: what it said is kept, the socket is not.
    fn let_go(&mut self, address: SocketAddr, dialled: &Dialled, word: &'static str) {
        self.note_connected(address, &dialled.facts, epoch_s());
        self.dial_counts.succeeded += 1;
        self.count_drop(word);
    }
}
