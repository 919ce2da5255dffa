//! Why bytes are not a block.

use thiserror::Error;

/// Why a block can't be cut into its parts. It must not go to a peer in this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// More bytes than the chain allows.
    #[error("the block is longer than this chain's {limit} bytes: look at the template's limits")]
    TooLong {
        /// Longest block allowed, in bytes.
        limit: u32,
    },
    /// It ends too early.
    #[error("the block ends at byte {at}, in the middle of something: it was cut on its way here")]
    Truncated {
        /// Its length, in bytes.
        at: u32,
    },
    /// Something stands behind its end.
    #[error("{bytes} bytes stand behind the block's end: hand over the block alone")]
    Trailing {
        /// How much, in bytes.
        bytes: u32,
    },
    /// It has no transactions.
    #[error("the block has no transactions: its builder left the coinbase out")]
    NoTransactions,
    /// A field can't be what it says.
    #[error("the block's {what} at byte {at} is malformed: its builder or the way here spoilt it")]
    Malformed {
        /// Which field.
        what: &'static str,
        /// Where it starts.
        at: u32,
    },
    /// A transaction has no inputs.
    #[error("the transaction at byte {start} has no inputs: its builder spoilt it")]
    NoInputs {
        /// Where it starts.
        start: u32,
    },
    /// A transaction has no outputs.
    #[error("the transaction at byte {start} has no outputs: its builder spoilt it")]
    NoOutputs {
        /// Where it starts.
        start: u32,
    },
    /// A transaction carries extension data of its own.
    #[error(
        "the transaction at byte {start} carries extension data of its own: in a block it belongs \
         into the extension block, take the template's transactions as they are"
    )]
    ExtensionInTransaction {
        /// Where it starts.
        start: u32,
    },
    /// The last transaction promises an extension block, but the block ends there.
    #[error(
        "the extension block behind the last transaction was cut off: append 01 and the \
         template's `mweb` field"
    )]
    ExtensionCutOff,
    /// The last transaction promises an extension block, and a byte says that there is none.
    #[error("the extension block is marked as missing: append 01 and the template's `mweb` field")]
    ExtensionMissing,
}

impl BlockError {
    /// What a node answers to `submitblock`; `None` where it says "Block decode failed" (-22) or,
    /// for trailing bytes, does not mind.
    #[must_use]
    pub const fn bip22(&self) -> Option<&'static str> {
        match self {
            Self::TooLong { .. } => Some("bad-blk-length"),
            Self::NoInputs { .. } => Some("bad-txns-vin-empty"),
            Self::NoOutputs { .. } => Some("bad-txns-vout-empty"),
            Self::ExtensionInTransaction { .. } => Some("unexpected-mweb-data"),
            Self::ExtensionMissing => Some("mweb-missing"),
            Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::NoTransactions
            | Self::Malformed { .. }
            | Self::ExtensionCutOff => None,
        }
    }
}
