//! What the kernel tells of connections and cores through the programs in `bpf/` (`bpf(2)`): built by
//! clang at build time with the feature `bpf`, loaded here.
//!
//! What they tell lies in rings that somebody has to read now and then; nobody is woken, and the threads that
//! send or are watched are not asked. Each watch detaches its program when it is dropped, and the kernel does
//! when the process ends, however it ends.
//!
//! Without the feature everything is here too, and starting says [`BpfError::NotBuilt`].

#[cfg(any(feature = "bpf", test))]
mod cgroup;
#[cfg(feature = "bpf")]
mod cores;
#[cfg(feature = "bpf")]
mod delivery;
mod error;
#[cfg(feature = "bpf")]
mod load;
#[cfg(not(feature = "bpf"))]
mod without;

#[cfg(feature = "bpf")]
pub use cores::CoreWatch;
#[cfg(feature = "bpf")]
pub use delivery::DeliveryWatch;
pub use error::BpfError;
#[cfg(not(feature = "bpf"))]
pub use without::{CoreWatch, DeliveryWatch};

/// Name of the map that holds a program's settings and counts.
#[cfg(feature = "bpf")]
const STATE: &str = ".data.state";

/// How far the last byte of one send had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The socket had taken it.
    Given,
    /// It was handed to the device's queue (qdisc).
    Queued,
    /// It was handed to the device's driver.
    Wire,
    /// The peer's TCP had acknowledged it.
    Acknowledged,
}

/// One moment of one send on one connection.
///
/// The kernel stamps the packet with a send's last byte. So of a send that the next one overtakes in the same
/// packet no more than [`Moment::Given`] is told; of one that waited for room in the socket the last
/// packet may be gone before it is stamped, and [`Moment::Acknowledged`] alone follows; and a packet that is
/// sent again passes queue and device again: the first time of each moment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The connection: `SO_COOKIE` of `socket(7)`.
    pub cookie: u64,
    /// TCP sequence number of the send's last byte: the same in all moments of one send.
    pub last_byte: u32,
    /// Which moment.
    pub moment: Moment,
    /// When: CLOCK_MONOTONIC, in ns.
    pub at_ns: u64,
}

/// Who ran on a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runner {
    /// A thread, by its id.
    Task,
    /// A device's or the processor's interrupt, by its number.
    Interrupt,
    /// Work put off by an interrupt (softirq), by its vector.
    SoftInterrupt,
}

/// Something that ran on a watched core and is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stolen {
    /// The core.
    pub core: u32,
    /// Who.
    pub runner: Runner,
    /// Thread id as the host has it, outside of all containers; interrupt number or vector; softirq vector.
    pub number: u32,
    /// Its name, as far as the kernel has one, ended by zeros.
    pub name: [u8; 16],
    /// From when: CLOCK_MONOTONIC, in ns,
    pub start_ns: u64,
    /// for how long, in ns, without what interrupted it meanwhile, which is told of itself: what ran on a
    /// core can be summed.
    pub took_ns: u64,
    /// Whether a thread of ours was held up by it: it ran or was ready to run on that core at some time of it.
    pub held_us_up: bool,
}

/// What is wanted of [`DeliveryWatch`].
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliverySettings {
    /// First congestion window of each connection that this process makes from now on, in packets;
    /// 0: the kernel's own.
    pub initial_window_packets: u32,
    /// Only the window: no moments are told.
    pub window_only: bool,
}
