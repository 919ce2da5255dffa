//! Everything that may cross between hot and cold, both ways, with the queue lengths.
//!
//! Cold gives [`Order`]s to a shard and rings; the shard gives [`Report`]s and rings back. Both
//! queues are bounded ([`ORDERS_MAX`], [`REPORTS_MAX`]) and neither side ever waits for the other.

pub mod locks;
mod outcome;
mod terms;
pub mod traffic;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

pub use outcome::{Cause, Flood, Outcome};
pub use terms::{Relay, Terms, Way};

use super::wake::Asleep;
use crate::limits::{CONTROL_FRAME_BYTES_MAX, ORDERS_MAX, PUSH_SPARED_MAX, REPORTS_MAX};
use crate::metrics::Counters;
use crate::sys::doorbell::Doorbell;
use locks::{LockLink, PushFrame};
use traffic::Traffic;

/// A connection's name for as long as it lives, never used twice. The upper 8 bits are the index
/// of its chain in the engine's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

impl PeerId {
    /// Names the `serial`-th connection of chain `chain`.
    #[must_use]
    pub const fn new(chain: u8, serial: u64) -> Self {
        Self((chain as u64) << 56 | serial & 0x00ff_ffff_ffff_ffff)
    }

    /// Index of the chain that the connection belongs to.
    #[must_use]
    pub const fn chain(self) -> u8 {
        (self.0 >> 56) as u8
    }
}

/// A published block's number: 1 for the first of this process, then counting up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub u64);

/// A small message that the cold side wants sent, complete with its header.
#[derive(Clone, Copy, Debug)]
pub struct ControlFrame {
    bytes: [u8; CONTROL_FRAME_BYTES_MAX as usize],
    length: u8,
}

impl ControlFrame {
    /// Copies `frame`; `None` when it is longer than [`CONTROL_FRAME_BYTES_MAX`].
    #[must_use]
    pub fn new(frame: &[u8]) -> Option<Self> {
        let mut bytes = [0; CONTROL_FRAME_BYTES_MAX as usize];
        bytes.get_mut(..frame.len())?.copy_from_slice(frame);
        Some(Self { bytes, length: u8::try_from(frame.len()).ok()? })
    }

    /// The message as it goes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// A connection that has finished its handshake, on its way to a shard.
#[derive(Debug)]
pub struct Adoption {
    /// The shard's place for it, chosen by cold and free since its last [`Report::Retired`].
    pub slot: u16,
    /// Its name in every report.
    pub peer: PeerId,
    /// Its place in the order of service: the lowest is served first.
    pub rank: u32,
    /// Least round trip measured, in us; 0: not known.
    pub round_trip_us: u32,
    /// Whether it shares the uplink with others. A connection that does not (loopback) is sent
    /// everything at once and asks for no tokens.
    pub governed: bool,
    /// Its way out of this host, below [`crate::limits::ROUTES_MAX`]: connections on one route
    /// learn together whether zero-copy pays there.
    pub route: u8,
    /// First four bytes of every message of its chain.
    pub magic: [u8; 4],
    /// Longest payload that its chain allows, in bytes: a longer one gets it dropped.
    pub payload_bytes_max: u32,
    /// How long it may take to answer a ping, in s.
    pub ping_deadline_s: u16,
    /// Whether it is held to the limits on what a peer may make a shard do. The local node is not.
    pub is_limited: bool,
    /// In which form it takes blocks.
    pub terms: Terms,
    /// The bare, connected, non-blocking socket, at a message boundary in both directions.
    pub socket: OwnedFd,
}

/// What cold may ask of a shard.
#[derive(Debug)]
pub enum Order {
    /// Serve this connection from now on.
    Adopt(Adoption),
    /// Let go of the connection in `slot` if it still is `peer`; its socket comes home in
    /// [`Report::Retired`] with [`Cause::Asked`].
    Retire {
        /// The shard's place for it.
        slot: u16,
        /// Who must be there.
        peer: PeerId,
    },
    /// All that the order of service needs to know of `peer`, for the next block on.
    Sight {
        /// The shard's place for it.
        slot: u16,
        /// Who must be there.
        peer: PeerId,
        /// The lowest is served first.
        rank: u32,
        /// Least round trip measured, in us; 0: not known.
        round_trip_us: u32,
        /// Its windows let a block through.
        warm: bool,
        /// They let a compact block through.
        warm_for_small: bool,
    },
    /// Send the warm-up image `image` to `peer`, once for each order: behind what is already being
    /// sent to it, and with any block that is due going first. It ends in [`Report::WarmedUp`].
    WarmUp {
        /// The shard's place for it.
        slot: u16,
        /// Who must be there.
        peer: PeerId,
        /// Which image.
        image: ImageId,
    },
    /// Whoever has no byte of this warm-up image yet does not get it any more; when the others have
    /// it, its memory is free.
    EndWarmUp {
        /// Which image.
        image: ImageId,
    },
    /// Send this message after what is already on its way to `peer`.
    Control {
        /// The shard's place for it.
        slot: u16,
        /// Who must be there.
        peer: PeerId,
        /// The message.
        frame: ControlFrame,
    },
    /// Send this message to every connection of `chain` but `spared`, before any block that has not
    /// begun there. Whoever orders keeps the frame until the shards are done with it, so that none
    /// of them ever frees memory.
    Push {
        /// Which chain, by its index.
        chain: u8,
        /// The message.
        frame: Arc<PushFrame>,
        /// Who has it already.
        spared: [Option<PeerId>; PUSH_SPARED_MAX],
    },
    /// The node refused this block: whoever has no byte of it yet does not get it.
    Withdraw {
        /// Which block.
        image: ImageId,
    },
    /// Finish what is in flight (at most [`crate::limits::DRAIN_MS`]), send every socket home, end.
    Drain,
}

/// What a shard tells cold. Times are CLOCK_MONOTONIC, in ns.
#[derive(Debug)]
pub enum Report {
    /// An offer has ended. 0 stands for a stage that was not reached.
    Settled {
        /// Which block.
        image: ImageId,
        /// On which connection.
        peer: PeerId,
        /// How.
        outcome: Outcome,
        /// In which form it was offered.
        way: Way,
        /// Bytes that were sent of it, in whatever form and also on request.
        sent_bytes: u32,
        /// When its first send was queued.
        submitted_ns: u64,
        /// When the kernel had taken the last byte of its first form.
        sent_ns: u64,
        /// When the peer's TCP was known to have acknowledged its last byte; 0: not known.
        acked_ns: u64,
        /// When the receipt came.
        handled_ns: u64,
    },
    /// A peer announced our own block: it is its tip.
    Echo {
        /// Which block.
        image: ImageId,
        /// By whom.
        peer: PeerId,
        /// When.
        at_ns: u64,
        /// Whether any byte of it had been sent to this peer before. If not, the peer is a witness:
        /// the block travels without us.
        sent_before: bool,
    },
    /// Every offer of this block in this shard has ended. Said again when a newcomer was offered it
    /// afterwards.
    Finished {
        /// Which block.
        image: ImageId,
        /// Which shard.
        shard: u8,
    },
    /// A block reached this shard and was offered to so many connections.
    Offered {
        /// Which block.
        image: ImageId,
        /// Which shard.
        shard: u8,
        /// Connections of its chain at that moment.
        offers: u32,
        /// When the shard saw it.
        at_ns: u64,
    },
    /// A peer announced a block that is not ours (by `inv`; hash as on the wire).
    Announced {
        /// Who.
        peer: PeerId,
        /// Which block, in wire order.
        hash: [u8; 32],
        /// When.
        at_ns: u64,
    },
    /// A peer answered one of the shard's pings.
    RoundTrip {
        /// Who.
        peer: PeerId,
        /// Time between ping and pong, in us.
        round_trip_us: u32,
    },
    /// The peer chose us (or no longer) as a high-bandwidth sender of compact blocks (BIP 152).
    HighBandwidth {
        /// Who.
        peer: PeerId,
        /// Chosen or not.
        chosen: bool,
        /// Compact block version that it names.
        version: u64,
    },
    /// A warm-up image has been sent to a peer, or not. It never counts as a broadcast.
    WarmedUp {
        /// Which image.
        image: ImageId,
        /// To whom.
        peer: PeerId,
        /// So many bytes of it were given to the kernel.
        sent_bytes: u32,
        /// All were: nobody waits for a receipt.
        whole: bool,
    },
    /// A connection has ended; its slot is free. The socket comes home only to be closed.
    Retired {
        /// Who.
        peer: PeerId,
        /// Which shard.
        shard: u8,
        /// The place that is free now.
        slot: u16,
        /// Why.
        cause: Cause,
        /// Bytes received over its life.
        received_bytes: u64,
        /// Bytes sent over its life.
        sent_bytes: u64,
        /// To be closed.
        socket: OwnedFd,
    },
    /// The shard has ended; nothing more will come from it.
    Stopped {
        /// Which shard.
        shard: u8,
    },
}

/// Both queues of one shard, shared by its two sides.
#[derive(Debug)]
pub struct Link {
    /// Index of the shard.
    pub shard: u8,
    orders: ArrayQueue<Order>,
    reports: ArrayQueue<Report>,
    /// Whether the shard sleeps, and so has to be rung.
    pub(crate) asleep: Asleep,
    /// Rung by cold and by publishers; wakes the shard.
    pub to_hot: Arc<Doorbell>,
    /// Rung by the shard; wakes the cold side's report pump.
    pub to_cold: Arc<Doorbell>,
    /// The shard's counters, read by anyone.
    pub counters: Counters,
    /// What went over its connections.
    pub traffic: Traffic,
    /// Locks that its peers told of.
    pub locks: LockLink,
}

impl Link {
    /// Makes the queues of shard `shard`. `to_cold` is shared by all shards of an engine.
    ///
    /// # Errors
    /// The kernel gave no eventfd (open files limit).
    pub fn new(shard: u8, to_cold: Arc<Doorbell>) -> std::io::Result<Self> {
        Ok(Self {
            shard,
            orders: ArrayQueue::new(ORDERS_MAX as usize),
            reports: ArrayQueue::new(REPORTS_MAX as usize),
            asleep: Asleep::default(),
            to_hot: Arc::new(Doorbell::new()?),
            to_cold,
            counters: Counters::default(),
            traffic: Traffic::default(),
            locks: LockLink::default(),
        })
    }

    /// Cold: queues an order and wakes the shard.
    ///
    /// # Errors
    /// The queue is full; the order is the caller's again.
    #[expect(clippy::result_large_err, reason = "an order that found no room goes back whole")]
    pub fn order(&self, order: Order) -> Result<(), Order> {
        self.orders.push(order)?;
        self.wake();
        Ok(())
    }

    /// Wakes the shard if it sleeps, after something was queued for it.
    pub(crate) fn wake(&self) {
        if self.asleep.must_ring() {
            self.to_hot.ring();
        }
    }

    /// Hot: whether there is an order.
    pub(crate) fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Cold: the next report.
    pub fn next_report(&self) -> Option<Report> {
        self.reports.pop()
    }

    /// Hot: the next order.
    pub fn next_order(&self) -> Option<Order> {
        self.orders.pop()
    }

    /// Hot: reports waiting to be read by cold.
    pub(crate) fn reports_waiting(&self) -> usize {
        self.reports.len()
    }

    /// Hot: queues a report without ringing.
    ///
    /// # Errors
    /// The queue is full; the report is the caller's again.
    pub fn report(&self, report: Report) -> Result<(), Report> {
        self.reports.push(report)
    }
}
