//! What the operator can change while the roster runs, without losing a connection that stays.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::connections::Ending;
use super::keeper::{Keeper, epoch_s};
use super::{REFRESH_MIN, RosterSettings};
use crate::cold::score::Standing;

/// That of [`RosterSettings`] which can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changeable {
    /// Peers that are always kept.
    pub fixed: Vec<SocketAddr>,
    /// Connections aimed at.
    pub max: u32,
    /// Fewer than this is worth a warning.
    pub min: u32,
    /// How often empty places are filled anew.
    pub refresh: Duration,
}

impl From<RosterSettings> for Changeable {
    fn from(told: RosterSettings) -> Self {
        let RosterSettings { fixed, max, min, refresh, .. } = told;
        Self { fixed, max, min, refresh }
    }
}

impl Keeper {
    /// Lives by `to` from now on. Who is fixed no more stays as an ordinary peer; where too many are
    /// connected then, the worst go.
    pub(super) fn on_changed(&mut self, to: Changeable, now: Instant) {
        let Changeable { fixed, max, min, refresh } = to;
        let old_max = self.settings.max;
        let released = self.kept.change(&fixed, now);
        for address in &released {
            if let Some(entry) = self.book.get_mut(*address) {
                entry.fixed = false;
            }
        }
        self.book.enter_kept(self.kept.iter().map(|it| (it.address, it.standing)), epoch_s());
        for (address, standing) in &mut self.dialling {
            *standing = self.kept.standing(*address);
        }
        for connection in self.connections.iter_mut() {
            let standing = self.kept.standing(connection.address);
            if standing == Standing::Fixed && connection.standing == Standing::Ordinary {
                self.kept.on_connected(connection.address, now);
            }
            connection.standing = standing;
        }
        self.settings = RosterSettings {
            fixed,
            max,
            min,
            refresh: refresh.max(REFRESH_MIN),
            ..self.settings.clone()
        };
        self.aimed = if self.aimed == old_max { max } else { self.aimed.min(max) };
        self.end_surplus();
        self.candidates.clear();
        self.schedule.refresh = now;
        self.schedule.show_soon();
    }

    /// Ends the worst ordinary connections beyond the places that there are.
    fn end_surplus(&mut self) {
        let seats = self.seats();
        let ordinary = |it: &&mut super::connections::Connection| {
            it.standing == Standing::Ordinary && it.ending == Ending::No
        };
        let mut staying: Vec<_> = self.connections.iter_mut().filter(ordinary).collect();
        staying.sort_unstable_by_key(|it| (it.rank, it.address));
        for connection in staying.into_iter().skip(seats) {
            connection.end("surplus");
        }
    }
}
