//! One block on one connection.

use crate::hot::due::Part;
use crate::hot::link::Way;

/// How far one offer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::hot) enum Stage {
    /// Not offered to this connection.
    #[default]
    None,
    /// Not all that is due of it is out.
    Due,
    /// All is out, the receipt is not here.
    Sent,
    /// Ended.
    Settled,
}

/// One block on one connection. It outlives the offer: a peer may ask for the block later.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::hot) struct Offer {
    pub(in crate::hot) stage: Stage,
    pub(in crate::hot) way: Way,
    /// The peer has announced it.
    pub(in crate::hot) echoed: bool,
    /// All of the whole block went out, at least once.
    pub(in crate::hot) full_out: bool,
    /// The same for the compact form.
    pub(in crate::hot) compact_out: bool,
    /// The peer lacks transactions of the compact form, and has not been sent them.
    pub(in crate::hot) lacks: bool,
    /// Pings of the compact form that are out and unanswered: it and each answer bring one.
    pub(in crate::hot) pings: u8,
    /// Requests that were granted.
    pub(in crate::hot) answers: u8,
    /// Parts that are due.
    pub(in crate::hot) owed: u8,
    /// Bytes out of the whole block, of the turn that it is in.
    pub(in crate::hot) full_bytes: u32,
    /// The same of the compact form.
    pub(in crate::hot) compact_bytes: u32,
    /// Bytes out of it in any form.
    pub(in crate::hot) total_bytes: u32,
    /// The connection's count of sent bytes behind it, modulo 2^32.
    pub(in crate::hot) end_bytes: u32,
    pub(in crate::hot) submitted_ns: u64,
    /// When the first form was out.
    pub(in crate::hot) sent_ns: u64,
    /// When the last thing that was due was out.
    pub(in crate::hot) out_ns: u64,
    /// When its last byte was known to be acknowledged.
    pub(in crate::hot) acknowledged_ns: u64,
    /// When the first receipt came.
    pub(in crate::hot) handled_ns: u64,
}

impl Offer {
    /// Whether all of it is out and not known to be acknowledged.
    pub(in crate::hot) fn awaits_acknowledgement(&self) -> bool {
        self.stage == Stage::Sent && self.acknowledged_ns == 0
    }

    /// Whether it has had the block in some form that makes it whole, as far as we know.
    pub(in crate::hot) fn has_it(&self) -> bool {
        self.echoed || self.full_out || self.handled_ns > 0
    }

    /// Bytes out of a form that is cut anew each time.
    pub(in crate::hot) fn bytes_of(&mut self, part: Part) -> Option<&mut u32> {
        match part {
            Part::Full => Some(&mut self.full_bytes),
            Part::Compact => Some(&mut self.compact_bytes),
            Part::Transactions | Part::Headers => None,
        }
    }

    /// When its bytes were known to be there, by whatever told so first; 0: not known.
    pub(in crate::hot) fn arrived_ns(&self, handled_ns: u64) -> u64 {
        [self.acknowledged_ns, handled_ns].into_iter().filter(|ns| *ns > 0).min().unwrap_or(0)
    }
}
