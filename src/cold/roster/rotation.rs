//! Replacing the worst peers by better ones, a few at a time.
//!
//! A replacement is made before the old connection is ended, so that no seat is empty meanwhile and
//! an address that can't be reached costs nothing. Nothing is ended while a block is under way.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Chance;
use super::choose::Wanted;
use crate::cold::cover::ChosenBy;
use crate::cold::diversity::{Crowd, Kin};
use crate::hot::link::ImageId;
use crate::limits::{
    BLOCK_UNDER_WAY_MS_MAX, BLOCKS_UNDER_WAY_MAX, ROTATED_AT_ONCE_MAX, ROTATION_POINTS_MIN,
    ROTATION_SLACK_ONE_IN,
};

/// An ordinary connection that is to stay so far. The local node and the operator's peers are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    pub(super) kin: Kin,
    /// Its rank value.
    pub(super) value: f64,
    /// It has been there for long enough to be judged.
    pub(super) is_settled: bool,
}

/// All that a round of rotation goes by.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) members: &'a [Member],
    /// In the order in which they should have seats, members among them.
    pub(super) wanted: &'a [Wanted],
    /// Whom nobody may dial for a seat: being dialled already.
    pub(super) taken: &'a HashSet<SocketAddr>,
    /// Seats for ordinary peers.
    pub(super) seats: usize,
    /// Kept connections that are there.
    pub(super) kept: usize,
    /// Fewer connections than this are too few.
    pub(super) min: usize,
    /// Places that the shards have.
    pub(super) free_places: usize,
    /// A block is being sent.
    pub(super) is_block_under_way: bool,
}

/// One thing that a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Dial `into`; once it is greeted, `out` goes.
    Swap {
        /// Who goes.
        out: SocketAddr,
        /// Who comes.
        into: SocketAddr,
    },
    /// End the connection to `out`.
    Drop {
        /// Who goes.
        out: SocketAddr,
    },
}

/// What is to be done now; nothing, as a rule.
pub(super) fn plan(scene: &Scene<'_>, chance: &mut Chance) -> Vec<Move> {
    let count = scene.members.len();
    // An empty seat is filled first.
    if scene.is_block_under_way || count < scene.seats {
        return Vec::new();
    }
    let worst_first = scene.worst_first();
    let spare = (scene.kept + count).saturating_sub(scene.min);
    if count > scene.seats {
        let surplus = (count - scene.seats).min(ROTATED_AT_ONCE_MAX).min(spare);
        let worst = worst_first.into_iter().take(surplus);
        return worst.map(|(_, member)| Move::Drop { out: member.address }).collect();
    }
    let mut crowd = Crowd::of(scene.members.iter().map(|member| member.kin));
    let (mut used, mut moves) = (HashSet::new(), Vec::new());
    for (place, member) in worst_first {
        if moves.len() >= ROTATED_AT_ONCE_MAX {
            break;
        }
        crowd.remove(member.kin);
        let better = scene.better_than(member, place);
        let better = better.filter(|it| !used.contains(&it.address));
        let roomy: Vec<&Wanted> = better.filter(|it| crowd.is_full_for(it.kin).is_none()).collect();
        // It may be greeted before others have gone: only its own predecessor makes room for it.
        crowd.add(member.kin);
        let thrown = chance.next() % (roomy.len() as u64).max(1);
        let Some(into) = usize::try_from(thrown).ok().and_then(|at| roomy.get(at)) else {
            continue;
        };
        if scene.free_places > moves.len() {
            used.insert(into.address);
            crowd.add(into.kin);
            moves.push(Move::Swap { out: member.address, into: into.address });
        } else {
            // No shard has a place for one more: the seat is emptied first, if it can be spared.
            let out = member.address;
            return if moves.is_empty() && spare > 0 { vec![Move::Drop { out }] } else { moves };
        }
    }
    moves
}

impl Scene<'_> {
    /// Members with their places among the wanted (none: not wanted at all).
    fn worst_first(&self) -> Vec<(Option<usize>, &Member)> {
        let place =
            |member: &Member| self.wanted.iter().position(|it| it.address == member.address);
        let mut all: Vec<_> = self.members.iter().map(|member| (place(member), member)).collect();
        let rank = |place: Option<usize>| place.unwrap_or(usize::MAX);
        all.sort_by(|a, b| {
            let by_value = a.1.value.total_cmp(&b.1.value).then(a.1.address.cmp(&b.1.address));
            rank(b.0).cmp(&rank(a.0)).then(by_value)
        });
        all
    }

    /// Those who should have a seat, have none, and are clearly better than `member` at `place`.
    fn better_than<'a>(
        &'a self,
        member: &'a Member,
        place: Option<usize>,
    ) -> impl Iterator<Item = &'a Wanted> {
        let is_out = place.is_none_or(|place| place >= self.seats);
        let slack = self.seats / ROTATION_SLACK_ONE_IN;
        let is_far_out = place.is_none_or(|place| place >= self.seats + slack);
        let may_go = member.is_settled && is_out;
        let front = self.wanted.iter().take(if may_go { self.seats } else { 0 });
        front.filter(move |it| {
            let has_seat = self.members.iter().any(|other| other.address == it.address);
            let is_better = match it.by {
                ChosenBy::Cover | ChosenBy::Lot => is_far_out,
                ChosenBy::Score => it.value >= member.value + ROTATION_POINTS_MIN,
            };
            is_better && !has_seat && !self.taken.contains(&it.address)
        })
    }
}

/// Blocks of ours that are being sent, as far as the shards have told.
#[derive(Debug, Default)]
pub(super) struct UnderWay(BTreeMap<(ImageId, u8), Instant>);

impl UnderWay {
    /// A shard has offered a block to somebody.
    pub(super) fn begin(&mut self, image: ImageId, shard: u8, now: Instant) {
        let until = now + Duration::from_millis(BLOCK_UNDER_WAY_MS_MAX);
        self.0.insert((image, shard), until);
        while self.0.len() > BLOCKS_UNDER_WAY_MAX {
            self.0.pop_first();
        }
    }

    /// All its offers have ended there.
    pub(super) fn end(&mut self, image: ImageId, shard: u8) {
        self.0.remove(&(image, shard));
    }

    /// Whether a block is on its way at `now`. Reports can be lost, so none is for ever.
    pub(super) fn is_any(&mut self, now: Instant) -> bool {
        self.0.retain(|_, until| *until > now);
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
