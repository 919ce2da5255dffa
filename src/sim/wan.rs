//! A wide area network on one host: a sender's network and the peers' network, and between them a
//! shared uplink and a delay for each peer, emulated in user space between two TUN devices.
//!
//! Needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN) and /dev/net/tun. The networks are unnamed and the
//! devices not persistent: nothing is left when the process ends, even when it is killed.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

pub use honesty::Honesty;
pub use pump::Counts;
pub use stack::StackSettings;

use crate::limits::WAN_PEERS_MAX;
use crate::sys::initial_window::route;
use crate::sys::namespace::{Device, Network};
use crate::sys::tun::Tun;

mod honesty;
pub mod line;
pub mod packet;
mod pump;
mod stack;

const SENDER: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 1);
const BEHIND: Ipv4Addr = Ipv4Addr::new(10, 8, 255, 254);
const PEERS_OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 255, 254);
/// 10.8.0.0 and 10.9.0.0 together: sender and peers.
const BOTH_MASK: Ipv4Addr = Ipv4Addr::new(255, 254, 0, 0);
const PEERS_MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 0, 0);
/// Length of that prefix, in bits.
const PEERS_BITS: u8 = 16;
/// The sender's device.
pub const UPLINK: &str = "uplink";
const PEERS_PER_BLOCK: usize = 200;
const PACKET_BYTES: u32 = 1_500;
const DEVICE_QUEUE_PACKETS: u32 = 20_000;

/// The way to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerPath {
    /// Round trip without queues, in us.
    pub round_trip_us: u32,
    /// Packets towards it that are lost by chance, of a million.
    pub loss_ppm: u32,
}

impl PeerPath {
    fn half_ns(self) -> u64 {
        u64::from(self.round_trip_us) * 500
    }
}

/// Which network to emulate.
#[derive(Clone, Debug)]
pub struct WanSettings {
    /// The uplink that all share, in bits/s on the line; 0: no limit.
    pub uplink_bits_per_s: u64,
    /// Its queue, in line bytes.
    pub queue_bytes: u64,
    /// What others send over it all the time, in bits/s.
    pub foreign_bits_per_s: u64,
    /// The peers.
    pub paths: Vec<PeerPath>,
    /// How both ends' kernels do TCP.
    pub stack: StackSettings,
    /// Core of the emulator; `None`: any.
    pub core: Option<usize>,
    /// Seed of the losses.
    pub seed: u64,
}

impl WanSettings {
    /// `peers` with round trips of 20 to 200 ms, evenly spread, behind an uplink with a queue of
    /// 50 ms; no losses, nobody else.
    #[must_use]
    pub fn spread(peers: usize, uplink_bits_per_s: u64) -> Self {
        let path = |at: usize| PeerPath {
            round_trip_us: 20_000 + (180_000 * at / peers.saturating_sub(1).max(1)) as u32,
            loss_ppm: 0,
        };
        Self {
            uplink_bits_per_s,
            queue_bytes: (uplink_bits_per_s / 8 / 20).max(100_000),
            foreign_bits_per_s: 0,
            paths: (0..peers).map(path).collect(),
            stack: StackSettings::default(),
            core: None,
            seed: 1,
        }
    }
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum WanError {
    /// More peers than addresses.
    #[error("{0} peers are too many for the emulated network: at most {WAN_PEERS_MAX}")]
    TooManyPeers(usize),
    /// The kernel refused.
    #[error("no emulated network ({step}: {error}): it needs root and /dev/net/tun")]
    System {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

fn at(step: &'static str) -> impl FnOnce(io::Error) -> WanError {
    move |error| WanError::System { step, error }
}

/// The peer that has this address.
fn peer_of([a, b, c, d]: [u8; 4]) -> Option<usize> {
    let within = (a, b) == (10, 9) && d > 0 && usize::from(d) <= PEERS_PER_BLOCK;
    within.then(|| usize::from(c) * PEERS_PER_BLOCK + usize::from(d) - 1)
}

/// A running network. Gone when dropped.
#[derive(Debug)]
pub struct Wan {
    settings: WanSettings,
    sender: Network,
    receiver: Network,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    pump: Option<JoinHandle<()>>,
    /// What both kernels' TCP is set to, as they say themselves.
    stack: String,
}

impl Wan {
    /// Makes both networks and starts the emulator between them.
    ///
    /// # Errors
    /// See [`WanError`]; nothing is left.
    pub fn start(settings: WanSettings) -> Result<Self, WanError> {
        if settings.paths.len() > WAN_PEERS_MAX {
            return Err(WanError::TooManyPeers(settings.paths.len()));
        }
        let sender = Network::new().map_err(at("network namespace"))?;
        let receiver = Network::new().map_err(at("network namespace"))?;
        let ends = [(&sender, UPLINK, SENDER), (&receiver, "downlink", BEHIND)];
        let mut devices = Vec::new();
        let mut stack = String::new();
        for (network, name, address) in ends {
            let wanted = settings.stack.clone();
            let set_up = move || set_up(name, address, &wanted);
            let (device, said) = network.run(set_up).map_err(at("thread"))??;
            devices.push(device);
            stack = said;
        }
        let (Some(downlink), Some(uplink)) = (devices.pop(), devices.pop()) else {
            return Err(at("devices")(io::ErrorKind::NotFound.into()));
        };
        let peers = || Device("lo:0").set_address(PEERS_OWN, PEERS_MASK);
        receiver.run(peers).and_then(|it| it).map_err(at("addresses of the peers"))?;
        let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
        let pump = pump::Pump {
            sender: uplink,
            receiver: downlink,
            settings: settings.clone(),
            counts: Arc::clone(&counts),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name("wan".to_owned());
        let pump = Some(thread.spawn(move || pump.run()).map_err(at("thread"))?);
        Ok(Self { settings, sender, receiver, counts, stop, pump, stack })
    }

    /// The sender's network: an engine started by a thread in it sends over the uplink.
    #[must_use]
    pub fn sender(&self) -> &Network {
        &self.sender
    }

    /// The peers' network: all their addresses are its own.
    #[must_use]
    pub fn receiver(&self) -> &Network {
        &self.receiver
    }

    /// The addresses of the peers, nearest first if the paths were; `port` 0 where they listen on
    /// any.
    #[must_use]
    pub fn peers(&self, port: u16) -> Vec<SocketAddrV4> {
        let address = |at: usize| {
            let (block, place) = (at / PEERS_PER_BLOCK, at % PEERS_PER_BLOCK + 1);
            SocketAddrV4::new(Ipv4Addr::new(10, 9, block as u8, place as u8), port)
        };
        (0..self.settings.paths.len()).map(address).collect()
    }

    /// What it emulates.
    #[must_use]
    pub fn settings(&self) -> &WanSettings {
        &self.settings
    }

    /// What it has counted.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How late packets were handed on at most since the last call, in ns: a run during which that
    /// was much is not to be believed.
    #[must_use]
    pub fn take_late_ns(&self) -> u64 {
        self.counts.late_ns_max.swap(0, Ordering::Relaxed)
    }

    /// Has the sender's connections begin with a window of `packets` from now on; 0: the kernel's own.
    ///
    /// # Errors
    /// The kernel refuses the route.
    pub fn set_initial_window(&self, packets: u32) -> io::Result<()> {
        let [a, b, ..] = PEERS_OWN.octets();
        let peers = Ipv4Addr::new(a, b, 0, 0);
        self.sender.run(move || route(peers, PEERS_BITS, UPLINK, packets))?
    }

    /// What TCP is set to in there, as the kernel says.
    #[must_use]
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// Checks that it does what it says: round trips, the rate of a single flow, lateness.
    ///
    /// # Errors
    /// A connection through it failed.
    pub fn check(&self) -> io::Result<Honesty> {
        honesty::check(self)
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
    }
}

/// In a new network: its device, its loopback, its TCP.
fn set_up(
    name: &'static str,
    address: Ipv4Addr,
    wanted: &StackSettings,
) -> Result<(Tun, String), WanError> {
    let device = Tun::new(name).map_err(at("TUN device"))?;
    Device("lo").up(None, None).map_err(at("loopback device"))?;
    let end = Device(name);
    end.set_address(address, BOTH_MASK).map_err(at("address"))?;
    end.up(Some(PACKET_BYTES), Some(DEVICE_QUEUE_PACKETS)).map_err(at("device"))?;
    let said = wanted.apply(name).map_err(at("TCP settings"))?;
    Ok((device, said))
}

/// A counter's value.
fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests;
