//! What is still to be sent on a connection, in order.

use super::inflight::WARM_UP_PLACE;
use crate::limits::BLOCKS_WATCHED_MAX;

/// A form of a block, or a part of it that a peer has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// The whole block with its receipt ping.
    #[default]
    Full,
    /// The compact block with its own.
    Compact,
    /// Transactions that the peer lacks.
    Transactions,
    /// The header, where it is too long for a small message.
    Headers,
}

/// How urgent it is, over all connections: the first before the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Small: compact blocks, and what is asked for because of them.
    Small,
    /// Whole blocks to peers that have had nothing of them.
    #[default]
    First,
    /// Whole blocks to peers that were sent the compact form.
    Behind,
}

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Small, Self::First, Self::Behind];

    /// Whether it is a whole block for somebody who had nothing of it.
    pub(super) const fn is_first(self) -> bool {
        matches!(self, Self::First)
    }
}

/// One thing to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    /// Place of the block.
    pub(super) place: u8,
    pub(super) part: Part,
    /// The compact form has gone before.
    pub(super) is_behind: bool,
}

impl Item {
    /// A warm-up image.
    pub(super) const WARM_UP: Self =
        Self { place: WARM_UP_PLACE, part: Part::Full, is_behind: false };

    pub(super) const fn new(place: u8, part: Part) -> Self {
        Self { place, part, is_behind: false }
    }

    /// The whole block, behind its compact form.
    pub(super) const fn behind(place: u8) -> Self {
        Self { place, part: Part::Full, is_behind: true }
    }

    pub(super) fn is(self, place: u8, part: Part) -> bool {
        self.place == place && self.part == part
    }

    pub(super) fn class(self) -> Class {
        match (self.part, self.is_behind) {
            (Part::Full, false) => Class::First,
            (Part::Full, true) => Class::Behind,
            _ => Class::Small,
        }
    }
}

/// Each part of each block once, and a warm-up.
const ITEMS_MAX: usize = 4 * BLOCKS_WATCHED_MAX as usize + 1;

/// What is to be sent on one connection, the first first: blocks oldest first, so that a parent is
/// before its child, and a warm-up last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    items: [Item; ITEMS_MAX],
    length: u8,
}

impl Default for Due {
    fn default() -> Self {
        Self { items: [Item::default(); ITEMS_MAX], length: 0 }
    }
}

impl Due {
    /// What is to be sent next.
    pub(super) fn first(&self) -> Option<Item> {
        (self.length > 0).then_some(self.items[0])
    }

    /// All of it.
    pub(super) fn items(&self) -> &[Item] {
        &self.items[..usize::from(self.length)]
    }

    pub(super) fn has(&self, place: u8, part: Part) -> bool {
        self.items().iter().any(|item| item.is(place, part))
    }

    /// Queues `item` unless it is queued already. Something small passes whole blocks whose
    /// headers the peer knows: by the compact form that went before. A warm-up lets all pass.
    /// Nothing passes the first one where `is_begun`: something of that is out.
    pub(super) fn push(&mut self, item: Item, is_begun: bool) -> bool {
        let length = usize::from(self.length);
        if length >= ITEMS_MAX || self.has(item.place, item.part) {
            return false;
        }
        let lets_pass = |other: &Item| match other.class() {
            _ if *other == Item::WARM_UP => true,
            Class::Behind => item.class() == Class::Small,
            Class::Small | Class::First => false,
        };
        let begun = usize::from(is_begun).min(length);
        let passed = self.items[begun..length].iter().rev().take_while(|other| lets_pass(other));
        let at = length - passed.count();
        self.items.copy_within(at..length, at + 1);
        self.items[at] = item;
        self.length += 1;
        true
    }

    /// Strikes a part, wherever it stands.
    pub(super) fn strike(&mut self, place: u8, part: Part) -> bool {
        let length = usize::from(self.length);
        let Some(at) = self.items().iter().position(|item| item.is(place, part)) else {
            return false;
        };
        self.items.copy_within(at + 1..length, at);
        self.length -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(place: u8) -> Item {
        Item::new(place, Part::Full)
    }

    fn compact(place: u8) -> Item {
        Item::new(place, Part::Compact)
    }

    #[test]
    fn due_blocks_keep_their_order() {
        let mut due = Due::default();
        (0..BLOCKS_WATCHED_MAX as u8).for_each(|place| assert!(due.push(full(place), true)));
        assert!(!due.push(full(3), true), "it is there");
        due.strike(0, Part::Full);
        due.strike(2, Part::Full);
        assert!(!due.strike(200, Part::Full) && !due.strike(3, Part::Compact));
        assert_eq!(due.first(), Some(full(1)));
        due.strike(1, Part::Full);
        assert_eq!(due.first(), Some(full(3)));
        due.push(full(0), false);
        (3..BLOCKS_WATCHED_MAX as u8).for_each(|place| assert!(due.strike(place, Part::Full)));
        assert_eq!(due.first(), Some(full(0)));
        due.strike(0, Part::Full);
        assert_eq!(due.first(), None);
    }

    #[test]
    fn a_warm_up_lets_blocks_pass_until_it_has_begun() {
        let mut due = Due::default();
        due.push(Item::WARM_UP, false);
        due.push(full(0), false);
        due.push(full(1), true);
        assert_eq!(due.items(), [full(0), full(1), Item::WARM_UP]);
        due.strike(0, Part::Full);
        due.strike(1, Part::Full);
        due.push(full(2), true);
        due.push(compact(3), true);
        assert_eq!(due.items(), [Item::WARM_UP, full(2), compact(3)]);
    }

    #[test]
    fn small_things_pass_what_stands_behind_its_compact_form() {
        let mut due = Due::default();
        due.push(compact(0), false);
        due.push(Item::behind(0), false);
        due.push(compact(1), false);
        due.push(Item::behind(1), false);
        let both = [compact(0), compact(1), Item::behind(0), Item::behind(1)];
        assert_eq!(due.items(), both, "first the small ones, parents first in each");
        due.push(full(2), false);
        due.push(compact(3), false);
        assert_eq!(due.items()[4..], [full(2), compact(3)], "no child before its parent");
        let mut begun = Due::default();
        begun.push(Item::behind(0), false);
        begun.push(compact(1), true);
        assert_eq!(begun.items(), [Item::behind(0), compact(1)], "nothing cuts a frame");
    }

    #[test]
    fn there_is_room_for_all() {
        let mut due = Due::default();
        for place in 0..BLOCKS_WATCHED_MAX as u8 {
            for part in [Part::Compact, Part::Full, Part::Transactions, Part::Headers] {
                assert!(due.push(Item::new(place, part), false));
            }
        }
        assert!(due.push(Item::WARM_UP, false));
        assert!(!due.push(full(200), false));
    }
}
