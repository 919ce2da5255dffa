//! Which chain a request is for.
//!
//! `/chain/NAME` names one, for everything in the request. Any other path means the first chain, but
//! for what can only be meant for a chain that is merged into it: calls of merged mining, and blocks
//! whose version has the merged chain's number. So one port takes both blocks of a share.

use super::call::{Call, Hex, Wanted};
use crate::edge::intake::desk::Desk;

/// Digits of a block that hold its version.
pub(super) const VERSION_DIGITS: usize = 8;

/// What a path says of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The chain, by its place in the configuration.
    chain_index: u8,
    /// Whether the path names it.
    is_named: bool,
}

impl Route {
    /// Reads a path: the chain, and where the node gets the request. `None`: nothing is there.
    pub(super) fn read(desk: &Desk, path: &str) -> Option<(Self, String)> {
        let (route, rest) = match path.strip_prefix("/chain/") {
            None => (Self { chain_index: 0, is_named: false }, path),
            Some(named) => {
                let (name, rest) = named.split_at(named.find('/').unwrap_or(named.len()));
                (Self { chain_index: desk.chain_index(name)?, is_named: true }, rest)
            }
        };
        match rest {
            "" | "/" => Some((route, "/".to_owned())),
            wallet if wallet.starts_with("/wallet/") => Some((route, wallet.to_owned())),
            _ => None,
        }
    }

    /// The chain that the first byte of a path's request is for, before anything of it is read.
    pub(super) const fn chain_index(self) -> u8 {
        self.chain_index
    }

    /// The chain that `call` is for.
    pub(super) fn of(self, desk: &Desk, call: &Call) -> u8 {
        match &call.wanted {
            Wanted::Block(Hex::Good { raw, .. }) => self.of_block(desk, raw),
            _ if call.is_aux && !self.is_named => desk.chain_of_aux_call(self.chain_index),
            _ => self.chain_index,
        }
    }

    /// The chain that a block is for.
    pub(super) fn of_block(self, desk: &Desk, raw: &[u8]) -> u8 {
        if self.is_named { self.chain_index } else { desk.chain_of_block(self.chain_index, raw) }
    }

    /// Digits of a block that must be there before it is known for which chain it is.
    pub(super) fn digits_needed(self, desk: &Desk) -> usize {
        let is_open = !self.is_named && desk.has_merged_behind(self.chain_index);
        if is_open { VERSION_DIGITS } else { 0 }
    }
}

#[cfg(test)]
impl Route {
    /// The first chain and no other.
    pub(super) const FIRST: Self = Self { chain_index: 0, is_named: true };
}
