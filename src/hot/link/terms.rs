//! What holds between us and a peer, and in which form it gets a block.

use crate::wire::chain::Chain;

/// What is sent to the peers of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Relay {
    /// The whole block to everybody.
    #[default]
    Full,
    /// A compact block to all that take it, the whole block right behind.
    CompactAndFull,
    /// To those a compact block only; the whole block when they need it.
    Compact,
}

impl Relay {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::CompactAndFull => "compact+full",
            Self::Compact => "compact",
        }
    }
}

/// The form in which one block goes to one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Way {
    /// The whole block.
    #[default]
    Full,
    /// A compact block; the whole one only when it is asked for or no receipt comes.
    Compact,
    /// A compact block, and the whole one behind it.
    CompactThenFull,
    /// The header; the peer asks for the rest.
    Headers,
}

impl Way {
    /// All ways, in the order of [`Way::index`].
    pub const ALL: [Self; 4] = [Self::Full, Self::Compact, Self::CompactThenFull, Self::Headers];

    /// Position in [`Way::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// One word for tables, metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Compact => "compact",
            Self::CompactThenFull => "compact+full",
            Self::Headers => "headers",
        }
    }
}

/// What holds between us and one peer. The default is a peer that only takes whole blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What is sent to peers of its chain.
    pub relay: Relay,
    /// Version of compact blocks (BIP 152) that its chain uses.
    pub compact_version: u64,
    /// Inventory kind of a compact block on its chain.
    pub compact_inventory: u32,
    /// Nodes of its chain take a compact block that they did not ask for.
    pub takes_unasked: bool,
    /// It has named that version.
    pub speaks_compact: bool,
    /// It has asked for new blocks in compact form: we are one of its high-bandwidth senders.
    pub chose_us: bool,
    /// It asks us for blocks whose headers we send: we have announced that we serve them.
    pub asks_back: bool,
}

impl Terms {
    /// What holds with a peer of `chain` that has sent these `sendcmpct`s: flag and version.
    #[must_use]
    pub fn of(chain: &Chain, relay: Relay, said: &[(bool, u64)]) -> Self {
        let mut terms = Self {
            relay,
            compact_version: chain.compact_version,
            compact_inventory: chain.compact_inventory,
            takes_unasked: chain.takes_compact_unasked,
            ..Self::default()
        };
        said.iter().for_each(|(chosen, version)| terms.heard(*chosen, *version));
        terms
    }

    /// Whether it takes a compact block that it did not ask for.
    #[must_use]
    pub const fn takes_compact(&self) -> bool {
        self.speaks_compact && (self.takes_unasked || self.chose_us)
    }

    /// It said `sendcmpct`: whether as a choice, and which version.
    pub const fn heard(&mut self, chosen: bool, version: u64) {
        if version == self.compact_version {
            (self.speaks_compact, self.chose_us) = (true, chosen);
        }
    }
}
