//! What the roster has to do when.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{RANK_PAUSE_MS, VIEW_PAUSE_MS};

const RANK_PAUSE: Duration = Duration::from_millis(RANK_PAUSE_MS);
const SHOW_PAUSE: Duration = Duration::from_millis(VIEW_PAUSE_MS);

/// Times at which things are due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// When empty places are looked at anew, with fresh candidates.
    pub(super) refresh: Instant,
    /// When peers may be rotated next, at a refresh.
    pub(super) rotation: Instant,
    /// When orders that found a full queue are offered again.
    pub(super) orders: Option<Instant>,
    rank: Option<Instant>,
    is_fill_due: bool,
    is_view_old: bool,
    last_shown: Instant,
}

impl Schedule {
    /// Everything is due at `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            refresh: now,
            rotation: now,
            orders: None,
            rank: None,
            is_fill_due: true,
            is_view_old: true,
            last_shown: now,
        }
    }

    /// There may be an empty place.
    pub(super) const fn fill_soon(&mut self) {
        self.is_fill_due = true;
    }

    /// Ranks may have changed.
    pub(super) fn rank_soon(&mut self, now: Instant) {
        self.rank.get_or_insert(now + RANK_PAUSE);
    }

    /// The view is out of date.
    pub(super) const fn show_soon(&mut self) {
        self.is_view_old = true;
    }

    /// Whether places are to be filled now; asking makes it done.
    pub(super) const fn take_fill(&mut self) -> bool {
        std::mem::replace(&mut self.is_fill_due, false)
    }

    /// Whether ranks are to be worked out now; asking makes it done.
    pub(super) fn take_rank(&mut self, now: Instant) -> bool {
        self.rank.take_if(|due| *due <= now).is_some()
    }

    /// Whether the view is to be renewed now; asking makes it done.
    pub(super) fn take_show(&mut self, now: Instant) -> bool {
        let is_due = self.is_view_old && now >= self.last_shown + SHOW_PAUSE;
        if is_due {
            (self.is_view_old, self.last_shown) = (false, now);
        }
        is_due
    }

    /// The first of all of these.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let show = self.is_view_old.then_some(self.last_shown + SHOW_PAUSE);
        let fill = self.is_fill_due.then_some(now);
        let all = [self.orders, self.rank, show, fill];
        all.into_iter().flatten().fold(self.refresh, Instant::min)
    }
}
