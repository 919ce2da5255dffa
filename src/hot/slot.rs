//! A shard's place for one connection, and the small messages that wait to go out on it.

use super::allowance::Allowance;
use super::due::{Due, Item};
use super::link::{Cause, PeerId, Terms};
use crate::limits::{CONTROL_BYTES_MAX, MESSAGE_HEAD_BYTES};
use crate::wire::frame::FrameReader;

/// Whether the slot is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody is here.
    Free,
    /// Served.
    Live,
    /// The ring is letting go of it.
    Closing(Cause),
}

/// The one send that is outstanding on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// None.
    Nothing,
    /// So many bytes of small messages.
    Control { asked_bytes: u32 },
    /// Bytes of this item: so many, in this way, `fed` by the governor or not.
    Image { item: Item, asked_bytes: u32, debited_bytes: u32, zero_copy: bool, fed: bool },
}

/// One connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) peer: PeerId,
    pub(super) rank: u32,
    /// It shares the uplink with others.
    pub(super) governed: bool,
    /// Least round trip measured, in us; 0: not known.
    pub(super) round_trip_us: u32,
    /// Its windows let a block through.
    pub(super) warm: bool,
    /// The same for a compact block.
    pub(super) warm_for_small: bool,
    pub(super) magic: [u8; 4],
    pub(super) reader: FrameReader<{ MESSAGE_HEAD_BYTES as usize }>,
    pub(super) sending: Sending,
    /// It can take bytes, as far as the ring has told: not before it says so for the first time.
    pub(super) writable: bool,
    /// Since when it is not.
    pub(super) full_ns: u64,
    /// A part of an item is out: nothing else may go before its rest.
    pub(super) mid_image: bool,
    /// Its way out of this host.
    pub(super) route: u8,
    /// Releases still to come of zero-copy sends that took no bytes: each reports "copied", which
    /// means nothing.
    pub(super) void_releases: u16,
    /// What it took last of more than it could take.
    pub(super) likely_bytes: u32,
    pub(super) due: Due,
    /// What holds between us and it.
    pub(super) terms: Terms,
    pub(super) control: Control,
    pub(super) ping: Ping,
    /// How long a pong may take.
    pub(super) ping_deadline_ms: u64,
    /// What it may make us do; `None`: anything.
    pub(super) allowance: Option<Allowance>,
    pub(super) adopted_ns: u64,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
}

/// Our own pings, for the round trip and for noticing silence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ping {
    /// Of the last ping.
    pub(super) nonce: u64,
    /// When it was queued; 0 before the first.
    pub(super) sent_ns: u64,
    /// Its pong is still to come.
    pub(super) awaited: bool,
}

impl Slot {
    /// An empty place.
    pub(super) fn free() -> Self {
        Self {
            state: State::Free,
            peer: PeerId(0),
            rank: 0,
            governed: false,
            round_trip_us: 0,
            warm: false,
            warm_for_small: false,
            magic: [0; 4],
            reader: FrameReader::new([0; 4], 0),
            sending: Sending::Nothing,
            writable: false,
            full_ns: 0,
            mid_image: false,
            route: 0,
            void_releases: 0,
            likely_bytes: u32::MAX,
            due: Due::default(),
            terms: Terms::default(),
            control: Control::default(),
            ping: Ping::default(),
            ping_deadline_ms: u64::MAX,
            allowance: None,
            adopted_ns: 0,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// Whether `peer` is served here.
    pub(super) fn serves(&self, peer: PeerId) -> bool {
        self.state == State::Live && self.peer == peer
    }

    /// It can take nothing until it says so again.
    pub(super) fn fill(&mut self, now_ns: u64) {
        self.writable = false;
        self.full_ns = now_ns;
    }

    /// Whether something of the first item that is due is out or with the kernel.
    pub(super) fn is_begun(&self) -> bool {
        self.mid_image || matches!(self.sending, Sending::Image { .. })
    }

    /// Whether something could be sent right now.
    pub(super) fn idle(&self) -> bool {
        self.state == State::Live && self.writable && self.sending == Sending::Nothing
    }
}

/// Small messages waiting for their turn, back to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    bytes: [u8; CONTROL_BYTES_MAX as usize],
    length: u16,
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; CONTROL_BYTES_MAX as usize], length: 0 }
    }
}

impl Control {
    /// Queues a whole message; `false` when there is no room for all of it.
    pub(super) fn push(&mut self, message: &[u8]) -> bool {
        let start = usize::from(self.length);
        let Some(place) = self.bytes.get_mut(start..start + message.len()) else {
            return false;
        };
        place.copy_from_slice(message);
        self.length += message.len() as u16;
        true
    }

    /// What is waiting.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The first `count` bytes are out.
    pub(super) fn consume(&mut self, count: usize) {
        let length = usize::from(self.length);
        let count = count.min(length);
        self.bytes.copy_within(count..length, 0);
        self.length -= count as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::Control;
    use crate::limits::CONTROL_BYTES_MAX;

    #[test]
    fn control_takes_whole_messages_only() {
        let mut control = Control::default();
        let message = [7; 32];
        let fits = CONTROL_BYTES_MAX as usize / message.len();
        for _ in 0..fits {
            assert!(control.push(&message));
        }
        assert!(!control.push(&message));
        control.consume(40);
        assert_eq!(control.waiting().len(), fits * 32 - 40);
        assert!(control.push(&[8; 32]));
        assert_eq!(control.waiting().last(), Some(&8));
        control.consume(usize::MAX);
        assert!(control.waiting().is_empty());
    }
}
