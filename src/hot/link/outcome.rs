//! How connections and offers end.

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Cold asked for it.
    Asked,
    /// The peer closed the connection in order.
    Closed,
    /// The connection broke: the errno.
    Reset(i32),
    /// It did not take a block's bytes within [`crate::limits::SEND_DEADLINE_MS`].
    Stalled,
    /// It did not answer a ping within its chain's limit.
    Silent,
    /// It made us do more than a peer may.
    Flood(Flood),
    /// A message began with other bytes than the chain's magic.
    BadMagic,
    /// A message's announced length is over the chain's limit, in bytes.
    Oversized(u32),
    /// The shard is stopping.
    Stopping,
    /// The shard could not take it: the slot is occupied, or the ring refused the socket.
    NotTaken,
}

impl Cause {
    /// One word for tables, metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Closed => "closed",
            Self::Reset(_) => "reset",
            Self::Stalled => "stalled",
            Self::Silent => "silent",
            Self::Flood(_) => "flood",
            Self::BadMagic => "bad-magic",
            Self::Oversized(_) => "oversized",
            Self::Stopping => "stopping",
            Self::NotTaken => "not-taken",
        }
    }
}

/// Of what there was too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flood {
    /// Messages: [`crate::limits::RECEIVED_MESSAGES_PER_S`].
    Messages,
    /// Bytes: [`crate::limits::RECEIVED_BYTES_PER_S`].
    Bytes,
    /// Items asked for: [`crate::limits::REQUESTED_ITEMS_PER_S`].
    Requests,
}

impl Flood {
    /// What there was too much of, for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Requests => "requests",
        }
    }
}

/// What became of one image on one connection. Every offer ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receipt came: the peer has dealt with the block.
    Handled,
    /// The peer announced the block before its first byte left: nothing was sent.
    AlreadyHad,
    /// The peer closed the connection in order after the whole block was sent, without a receipt.
    Refused,
    /// It did not take the bytes in time; the connection was dropped.
    Stalled,
    /// The connection broke with the block (or its receipt) on its way.
    Reset,
    /// All bytes went out, no receipt came within [`crate::limits::RECEIPT_DEADLINE_MS`].
    Unanswered,
    /// We let go of the connection ourselves (asked, protocol violation, stop) before the receipt.
    Abandoned,
}

impl Outcome {
    /// All outcomes, in the order of [`Outcome::index`].
    pub const ALL: [Self; 7] = [
        Self::Handled,
        Self::AlreadyHad,
        Self::Refused,
        Self::Stalled,
        Self::Reset,
        Self::Unanswered,
        Self::Abandoned,
    ];

    /// Position in [`Outcome::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// One word for tables, metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::AlreadyHad => "already-had",
            Self::Refused => "refused",
            Self::Stalled => "stalled",
            Self::Reset => "reset",
            Self::Unanswered => "unanswered",
            Self::Abandoned => "abandoned",
        }
    }
}
