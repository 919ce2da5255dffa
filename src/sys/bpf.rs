//! What the kernel tells of connections and cores through the programs in `bpf/` (`bpf(2)`): built by
//! clang at build time with the feature `bpf`, loaded here.
//!
//! Without the feature everything is here too, and starting says [`BpfError::NotBuilt`].

/// Why the kernel tells nothing. Each is one line for the operator; everything else works.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    /// This program was built without it.
    #[error("built without BPF: build with --features bpf (needs clang, libelf-dev, zlib1g-dev)")]
    NotBuilt,
    /// The kernel says no.
    #[error(
        "BPF is not allowed to this process: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
    )]
    NotAllowed,
    /// The kernel is too old or was built without what it takes.
    #[error("this kernel lacks {what}: {needs}")]
    NotSupported {
        /// What it lacks.
        what: &'static str,
        /// From which kernel on there is that, or which option of its build gives it.
        needs: &'static str,
    },
    /// Anything else.
    #[error("BPF {doing}: {why}")]
    Failed {
        /// At which step.
        doing: &'static str,
        /// What was said.
        why: String,
    },
}

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
    /// Thread id, interrupt number or softirq vector.
    pub number: u32,
    /// Its name, as far as the kernel has one, ended by zeros.
    pub name: [u8; 16],
    /// From when: CLOCK_MONOTONIC, in ns,
    pub start_ns: u64,
    /// for how long, in ns.
    pub took_ns: u64,
    /// Whether a thread of ours was held up by it: it ran or was ready to run on that core.
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

/// The program `tcp_delivery`, attached to this process's control group until it is dropped. It minds
/// connections that this process makes from then on, and nobody else's.
#[derive(Debug)]
pub struct DeliveryWatch {
    _private: (),
}

/// The program `core_jitter`, until it is dropped.
#[derive(Debug)]
pub struct CoreWatch {
    _private: (),
}

impl DeliveryWatch {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn start(_settings: DeliverySettings) -> Result<Self, BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// Tells everything that has happened since the last call, without waiting. The kernel wakes
    /// nobody: call it a few times a second.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn read(&mut self, _tell: &mut dyn FnMut(Delivery)) -> Result<(), BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// Moments that found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        0
    }
}

impl CoreWatch {
    /// Loads and attaches it for these cores. `ours` are threads (ids as `gettid(2)` gives them) whose
    /// own running is not told.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn start(_cores: &[usize], _ours: &[u32]) -> Result<Self, BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// As [`DeliveryWatch::read`].
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn read(&mut self, _tell: &mut dyn FnMut(Stolen)) -> Result<(), BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// What found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        0
    }
}
