//! Networks of our own: unnamed network namespaces (`network_namespaces(7)`), for benches and tests.
//!
//! A namespace lives as long as a descriptor of it or a thread in it. Nothing names it in the file
//! system, so nothing is left of it when the process ends, however it ends.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread::{self, JoinHandle};

/// One network namespace.
#[derive(Debug)]
pub struct Network {
    entry: File,
}

impl Network {
    /// A new, empty network.
    ///
    /// # Errors
    /// Not allowed: needs CAP_SYS_ADMIN. Or the kernel has no network namespaces.
    pub fn new() -> io::Result<Self> {
        let make = || {
            // JUSTIFICATION: std knows no namespaces.
            // SAFETY: takes no pointer; with CLONE_NEWNET it changes the calling thread alone, which
            // ends right after.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            File::open("/proc/thread-self/ns/net").map(|entry| Self { entry })
        };
        joined(thread::Builder::new().name("new-network".to_owned()).spawn(make)?)?
    }

    /// Starts a thread in this network. Whatever threads it starts are in there too.
    ///
    /// # Errors
    /// The system gives no thread. That it can't enter the network is told by the thread's result.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<io::Result<T>>> {
        let entry = self.entry.try_clone()?;
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            enter(entry.as_fd())?;
            drop(entry);
            Ok(work())
        })
    }

    /// Does `work` in this network, on a thread of its own, and waits for it.
    ///
    /// # Errors
    /// The system gives no thread, or it can't enter the network, or `work` panicked.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        joined(self.spawn("in-network", work)?)?
    }
}

fn joined<T>(thread: JoinHandle<T>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("a thread of a network panicked"))
}

fn enter(entry: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call; it changes the calling thread's network alone.
    match unsafe { libc::setns(entry.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `SO_NETNS_COOKIE` of `socket(7)`, since Linux 5.14; the same on all of our processors.
const COOKIE: libc::c_int = 71;

/// What no other network of this boot has or will have, for the calling thread's. None: before
/// Linux 5.14.
#[must_use]
pub fn cookie() -> Option<u64> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // JUSTIFICATION: neither std nor a crate of ours knows this option.
    // SAFETY: the descriptor is open for the call; pointer and length describe one live, writable u64,
    // for which any content is valid; the other pointer is to a live socklen_t.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (result == 0 && length as usize == size_of::<u64>()).then_some(cookie)
}

/// `struct ifreq` of `netdevice(7)`: a device's name and a value of up to 24 bytes.
#[repr(C, align(8))]
pub(super) struct DeviceRequest {
    name: [u8; libc::IFNAMSIZ],
    value: [u8; 24],
}

const _: () = assert!(size_of::<DeviceRequest>() == size_of::<libc::ifreq>());

impl DeviceRequest {
    pub(super) fn new(device: &str, value: &[u8]) -> io::Result<Self> {
        let mut request = Self { name: [0; libc::IFNAMSIZ], value: [0; 24] };
        let fits = device.len() < libc::IFNAMSIZ && value.len() <= request.value.len();
        if !fits {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        request.name[..device.len()].copy_from_slice(device.as_bytes());
        request.value[..value.len()].copy_from_slice(value);
        Ok(request)
    }
}

/// Asks the kernel for something of a device.
pub(super) fn ask(
    descriptor: &impl AsRawFd,
    operation: libc::Ioctl,
    mut request: DeviceRequest,
) -> io::Result<()> {
    // JUSTIFICATION: no crate of ours sets up devices.
    // SAFETY: every operation that this module passes takes a pointer to an ifreq; the request is a
    // live, writable value of that size and alignment, plain bytes for which any content is valid.
    let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), operation, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A device of the calling thread's network.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a>(
    /// Its name; `lo:0` and the like for a further address of it.
    pub &'a str,
);

impl Device<'_> {
    /// Gives it an address; all of the prefix is then reached through it, or, on a loopback device,
    /// is this host itself.
    ///
    /// # Errors
    /// No such device, or not allowed.
    pub fn set_address(&self, address: Ipv4Addr, mask: Ipv4Addr) -> io::Result<()> {
        self.set(libc::SIOCSIFADDR as libc::Ioctl, &socket_address(address))?;
        self.set(libc::SIOCSIFNETMASK as libc::Ioctl, &socket_address(mask))
    }

    /// Sets its packet size and queue, and switches it on.
    ///
    /// # Errors
    /// No such device, or not allowed.
    pub fn up(&self, packet_bytes: Option<u32>, queue_packets: Option<u32>) -> io::Result<()> {
        if let Some(bytes) = packet_bytes {
            self.set(libc::SIOCSIFMTU as libc::Ioctl, &bytes.to_ne_bytes())?;
        }
        if let Some(packets) = queue_packets {
            self.set(libc::SIOCSIFTXQLEN as libc::Ioctl, &packets.to_ne_bytes())?;
        }
        let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
        self.set(libc::SIOCSIFFLAGS as libc::Ioctl, &flags.to_ne_bytes())
    }

    fn set(&self, operation: libc::Ioctl, value: &[u8]) -> io::Result<()> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        ask(&socket, operation, DeviceRequest::new(self.0, value)?)
    }
}

/// `struct sockaddr_in` as bytes.
fn socket_address(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}

/// Lets the calling thread's sleeps end on time (`PR_SET_TIMERSLACK`): 1 us instead of 50.
pub fn sleep_exactly() {
    // SAFETY: PR_SET_TIMERSLACK takes a number and no pointer, and changes this thread alone.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64, 0_u64, 0_u64, 0_u64) };
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_network_is_of_its_own_and_loopback_holds_a_prefix() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(error) => return eprintln!("SKIPPED: no network namespaces here ({error})"),
        };
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let outside = outside.local_addr().unwrap();
        let inside = move || -> io::Result<bool> {
            Device("lo").up(None, None)?;
            let mask = Ipv4Addr::new(255, 255, 0, 0);
            Device("lo:0").set_address(Ipv4Addr::new(10, 9, 255, 254), mask)?;
            let listener = TcpListener::bind((Ipv4Addr::new(10, 9, 3, 7), 0))?;
            TcpStream::connect(listener.local_addr()?)?;
            Ok(TcpStream::connect(outside).is_err())
        };
        assert!(network.run(inside).unwrap().unwrap(), "the host's own loopback was reached");
        assert!(network.run(|| Device("none").up(None, None)).unwrap().is_err());
        let inside = network.run(cookie).unwrap();
        assert!(cookie() == cookie() && (inside != cookie() || inside.is_none()));
        assert!(DeviceRequest::new("a-name-that-is-too-long", &[]).is_err());
    }
}
