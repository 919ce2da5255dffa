//! The round that is made every `refresh`: who is alive, who is spent, who stands where.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::RosterSettings;
use super::covering;
use super::diary;
use super::keeper::{Keeper, epoch_s};
use super::kept::STABLE;
use crate::cold::cover::{ChosenBy, Selection};
use crate::cold::score::{self, Standing};
use crate::limits::{ANCHORS_MAX, FEW_PEERS_REFRESH_MS, HANDSHAKE_DEADLINE_MS};

const FEW_REFRESH: Duration = Duration::from_millis(FEW_PEERS_REFRESH_MS);

impl Keeper {
    /// Every `refresh`: who is connected is alive; who has lost its place goes; fresh candidates.
    pub(super) fn refresh(&mut self, now: Instant) {
        if now < self.schedule.refresh {
            return;
        }
        let now_s = epoch_s();
        self.note_alive(now, now_s);
        self.drop_spent();
        self.book.prune_stale(now_s);
        self.missed.prune(&self.book, now_s, |it| self.dialling.contains_key(&it));
        self.count_sources();
        self.tend_scouts(now_s);
        self.covering.cast_lots(covering::now_us(), || self.chance.next());
        self.follow_uplink();
        self.draw_candidates(now_s);
        self.rotate(now);
        self.note_anchors(now);
        let connected = self.connections.staying().count();
        let are_few = connected < self.settings.min as usize;
        self.tell_whether_few(connected, are_few, now);
        let pause =
            if are_few { self.settings.refresh.min(FEW_REFRESH) } else { self.settings.refresh };
        self.schedule.refresh = now + pause;
        self.schedule.rank_soon(now);
        self.schedule.fill_soon();
        self.schedule.show_soon();
    }

    /// One line each time that this changes; at the start dials are given time to end first.
    fn tell_whether_few(&mut self, connected: usize, are_few: bool, now: Instant) {
        let is_settling = now < self.started + Duration::from_millis(HANDSHAKE_DEADLINE_MS);
        if are_few == self.told_few || (are_few && is_settling) {
            return;
        }
        self.told_few = are_few;
        let RosterSettings { min, .. } = &self.settings;
        if are_few {
            tracing::warn!(
                "only {connected} peers connected, {min} are wanted at least; {} addresses known",
                self.book.len()
            );
        } else {
            tracing::info!("{connected} peers connected, enough again");
        }
    }

    fn count_sources(&mut self) {
        self.sources.clear();
        for (_, entry) in self.book.iter() {
            *self.sources.entry(entry.source.word()).or_default() += 1;
        }
    }

    fn note_alive(&mut self, now: Instant, now_s: f64) {
        for connection in self.connections.iter_mut() {
            let Some(entry) = self.book.get_mut(connection.address) else {
                continue;
            };
            entry.last_seen_s = now_s;
            if now.duration_since(connection.since) >= STABLE {
                entry.failures_in_row = 0;
                self.kept.on_stable(connection.address);
            }
        }
    }

    /// Takes entries that have lost their place out of the database; who is connected must go
    /// first.
    fn drop_spent(&mut self) {
        let spent = self.book.iter().filter(|(_, entry)| score::is_spent(entry));
        let spent: Vec<SocketAddr> = spent.map(|(address, _)| address).collect();
        for address in spent {
            match self.connections.peer_at(address) {
                Some(peer) => self.give_up(peer),
                None => self.forget_address(address),
            }
        }
    }

    /// Works out everybody's place in the order of service, when that is due.
    pub(super) fn rank(&mut self, now: Instant) {
        if !self.schedule.take_rank(now) {
            return;
        }
        let (now_s, now_us) = (epoch_s(), covering::now_us());
        let order = self.order_of_service(now_s, now_us);
        // Where the rule has no say a rank is a peer's own: who comes or goes changes no other's.
        self.is_by_rule =
            self.settings.selection == Selection::Measured && self.covering.cover.rules(now_us);
        let before = self.connections.iter().filter(|(_, it)| it.seat.0 != u32::MAX);
        let before = before.map(|(_, it)| (it.seat.0, it.address)).collect();
        for (address, change) in diary::moves(before, &order) {
            self.diary.note(address, change);
        }
        for (peer, connection) in self.connections.iter_named() {
            let Some(entry) = self.book.get(connection.address) else { continue };
            if let Some(seat) = order.get(&connection.address) {
                connection.seat = *seat;
            }
            connection.rank = match connection.standing {
                Standing::Fixed | Standing::Ordinary if self.is_by_rule => {
                    score::rank_in_order(connection.standing, connection.seat.0)
                }
                standing => score::rank(standing, score::rank_value(entry, now_s)),
            };
            let place = &connection.place;
            self.slots.note_rank(place.link.shard, place.slot, peer, connection.rank);
        }
        self.book.chosen = order.into_iter().collect();
        self.schedule.show_soon();
    }

    /// Everybody's place in the order of service, the local node's first, and what gave it.
    fn order_of_service(&self, now_s: f64, now_us: u64) -> HashMap<SocketAddr, (u32, ChosenBy)> {
        let value = |address| self.book.get(address).map_or(0.0, |it| score::rank_value(it, now_s));
        let of = |standing| {
            let those = self.connections.iter().filter(move |(_, it)| it.standing == standing);
            let mut those: Vec<_> = those.map(|(_, it)| (value(it.address), it.address)).collect();
            those.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            those.into_iter().map(|(_, address)| address)
        };
        let all: Vec<SocketAddr> = of(Standing::Fixed).chain(of(Standing::Ordinary)).collect();
        let cover = &self.covering.cover;
        let mut picked = self.settings.selection.pick(cover, &all, all.len(), now_us);
        // Each standing keeps its own, in the order in which the rule has them.
        picked.sort_by_key(|(address, _)| self.kept.standing(*address));
        let node = of(Standing::Protected).map(|address| (address, ChosenBy::Score));
        let places = (0..).zip(node.chain(picked));
        places.map(|(place, (address, by))| (address, (place, by))).collect()
    }

    /// The best of those that have held, for the next start. While there are none, the last ones.
    fn note_anchors(&mut self, now: Instant) {
        let held = self.connections.ordinary().filter(|it| now.duration_since(it.since) >= STABLE);
        let mut held: Vec<_> = held.map(|it| (it.rank, it.address)).collect();
        held.sort_unstable();
        if !held.is_empty() {
            self.book.anchors = held.into_iter().map(|it| it.1).take(ANCHORS_MAX).collect();
        }
        self.book.aimed = Some(self.aimed);
    }
}
