//! What changed lately: who came, who went, and who has another place in the order of service.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::keeper::epoch_s;
use super::view::{PlaceChange, RosterChange};
use crate::cold::cover::ChosenBy;
use crate::limits::{CHANGES_SHOWN_MAX, MOVE_PLACES_MIN, MOVES_NOTED_AT_ONCE_MAX};

/// The latest changes. Moves may take half of it, so that they push nobody's coming and going out.
#[derive(Debug, Default)]
pub(super) struct Diary {
    /// Newest first.
    lines: VecDeque<RosterChange>,
}

impl Diary {
    pub(super) fn note(&mut self, address: SocketAddr, change: PlaceChange) {
        self.lines.push_front(RosterChange { at_s: epoch_s(), address, change });
        if is_move(&change) && self.lines.iter().filter(|it| is_move(&it.change)).count() > HALF {
            let oldest = self.lines.iter().rposition(|it| is_move(&it.change));
            oldest.and_then(|at| self.lines.remove(at));
        }
        self.lines.truncate(CHANGES_SHOWN_MAX);
    }

    /// Newest first.
    pub(super) fn lines(&self) -> Vec<RosterChange> {
        self.lines.iter().cloned().collect()
    }
}

const HALF: usize = CHANGES_SHOWN_MAX / 2;

const fn is_move(change: &PlaceChange) -> bool {
    matches!(change, PlaceChange::Moved { .. })
}

/// Who has moved by at least [`MOVE_PLACES_MIN`] among those that were there `before` and are there
/// now: nobody moves because others come or go. The farthest first, with the places that they had
/// and have.
pub(super) fn moves(
    mut before: Vec<(u32, SocketAddr)>,
    now: &HashMap<SocketAddr, (u32, ChosenBy)>,
) -> Vec<(SocketAddr, PlaceChange)> {
    before.retain(|(_, address)| now.contains_key(address));
    before.sort_unstable();
    let mut moved = Vec::with_capacity(before.len());
    for (at, (from, address)) in before.into_iter().enumerate() {
        let to = now.get(&address).map_or(from, |(place, _)| *place);
        moved.push((to, at, from, address));
    }
    moved.sort_unstable();
    let far = moved.into_iter().enumerate().filter_map(|(now_at, (to, at, from, address))| {
        let places = now_at.abs_diff(at);
        (places >= MOVE_PLACES_MIN && from != to).then_some((places, from, to, address))
    });
    let mut far: Vec<_> = far.collect();
    far.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.2.cmp(&b.2)));
    far.truncate(MOVES_NOTED_AT_ONCE_MAX);
    far.into_iter()
        .map(|(_, from, to, address)| (address, PlaceChange::Moved { from, to }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u8) -> SocketAddr {
        SocketAddr::from(([20, 0, number, 1], 9_333))
    }

    fn places(order: &[u8]) -> HashMap<SocketAddr, (u32, ChosenBy)> {
        let places = (0..).zip(order);
        places.map(|(place, number)| (at(*number), (place, ChosenBy::Score))).collect()
    }

    fn moves_of(before: &[u8], now: &[u8]) -> Vec<(SocketAddr, PlaceChange)> {
        let before = (0..).zip(before).map(|(place, number)| (place, at(*number))).collect();
        moves(before, &places(now))
    }

    #[test]
    fn a_far_move_is_told_and_what_others_do_is_not() {
        let told = moves_of(&[0, 1, 2, 3, 4, 5], &[0, 5, 1, 2, 3, 4]);
        assert_eq!(told, [(at(5), PlaceChange::Moved { from: 5, to: 1 })]);
        // Four newcomers in front, one gone: nobody has moved.
        assert!(moves_of(&[0, 1, 2, 3, 4], &[6, 7, 8, 9, 0, 2, 3, 4]).is_empty());
        assert!(moves_of(&[0, 1, 2, 3], &[0, 2, 3, 1]).is_empty(), "two places");
        let turned: Vec<u8> = (0..100).rev().collect();
        let told = moves_of(&(0..100).collect::<Vec<_>>(), &turned);
        assert_eq!(told.len(), MOVES_NOTED_AT_ONCE_MAX);
        assert_eq!(told[0].1, PlaceChange::Moved { from: 99, to: 0 });
    }

    #[test]
    fn moves_never_fill_the_diary() {
        let mut diary = Diary::default();
        for number in 0..HALF as u8 {
            diary.note(at(number), PlaceChange::Joined);
        }
        for number in 0..10 * CHANGES_SHOWN_MAX as u32 {
            diary.note(at(1), PlaceChange::Moved { from: number, to: 0 });
        }
        let lines = diary.lines();
        let joined = lines.iter().filter(|it| it.change == PlaceChange::Joined).count();
        assert_eq!((lines.len(), joined), (CHANGES_SHOWN_MAX, HALF));
        let newest = PlaceChange::Moved { from: 10 * CHANGES_SHOWN_MAX as u32 - 1, to: 0 };
        assert_eq!(lines[0].change, newest, "newest first");
        for number in 0..200 {
            diary.note(at(number), PlaceChange::Left("closed"));
        }
        assert_eq!(diary.lines().len(), CHANGES_SHOWN_MAX);
    }
}
