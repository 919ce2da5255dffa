//! The round that is made every `refresh`: who is alive, who is spent, who stands where.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::RosterSettings;
use super::keeper::{Keeper, epoch_s};
use super::kept::STABLE;
use crate::cold::score;
use crate::limits::{FEW_PEERS_REFRESH_MS, HANDSHAKE_DEADLINE_MS};

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
        self.tend_scouts(now_s);
        self.draw_candidates(now_s);
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
                None => drop(self.book.remove(address)),
            }
        }
    }

    /// Works out everybody's place in the order of service, when that is due.
    pub(super) fn rank(&mut self, now: Instant) {
        if !self.schedule.take_rank(now) {
            return;
        }
        let now_s = epoch_s();
        for (peer, connection) in self.connections.iter_named() {
            if let Some(entry) = self.book.get(connection.address) {
                let value = score::rank_value(entry, now_s);
                connection.rank = score::rank(connection.standing, value);
                let place = &connection.place;
                self.slots.note_rank(place.link.shard, place.slot, peer, connection.rank);
            }
        }
        self.schedule.show_soon();
    }
}
