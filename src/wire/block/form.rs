//! How a chain lays its transactions out.

use crate::wire::chain::Chain;

/// From this version on a transaction has a type where it has one at all.
const TYPED_VERSION: i16 = 3;
/// Types that have neither inputs nor outputs: quorum commitment, fork signal.
const EMPTY_TYPES: [u16; 2] = [6, 7];
/// A type that has no inputs: asset unlock.
const NO_INPUTS_TYPE: u16 = 9;

/// How a chain lays its transactions out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// A zero where the count of inputs should be starts flags. Nodes read a witness even where
    /// the chain does not allow one, and refuse it then.
    pub(super) flags: bool,
    /// The extension flag is known.
    pub(super) extension: bool,
    /// Transactions have types and payloads.
    typed: bool,
}

impl Form {
    /// Of the parent's coinbase in an auxiliary proof.
    pub(crate) const PARENT: Self = Self { flags: true, extension: false, typed: false };

    /// Of a chain's own transactions.
    pub(crate) const fn of(chain: &Chain) -> Self {
        Self {
            flags: !chain.has_special_transactions,
            extension: chain.has_mweb,
            typed: chain.has_special_transactions,
        }
    }

    /// The type of a transaction with these first four bytes; 0 where it has none.
    pub(super) const fn kind(self, version: i16, kind: u16) -> u16 {
        if self.typed && version >= TYPED_VERSION { kind } else { 0 }
    }

    /// Whether a transaction of this type may have no inputs.
    pub(super) fn allows_no_inputs(self, kind: u16) -> bool {
        self.typed && (kind == NO_INPUTS_TYPE || EMPTY_TYPES.contains(&kind))
    }

    /// Whether a transaction of this type may have no outputs.
    pub(super) fn allows_no_outputs(self, kind: u16) -> bool {
        self.typed && EMPTY_TYPES.contains(&kind)
    }
}
