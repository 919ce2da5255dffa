//! TUN devices (kernel: `networking/tuntap`): a device whose packets this process reads and writes.
//!
//! A device is gone with its last descriptor.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use super::namespace::{DeviceRequest, ask};

/// `struct virtio_net_hdr` before each packet, in bytes: what is still to be checked and cut.
pub const OFFLOAD_HEADER_BYTES: usize = 10;

/// One end of a device.
#[derive(Debug)]
pub struct Tun {
    file: File,
}

impl Tun {
    /// Makes the device `name` in the calling thread's network. TCP may hand over packets far larger
    /// than the device's packet size, to be cut by the reader.
    ///
    /// # Errors
    /// No /dev/net/tun, or not allowed (needs CAP_NET_ADMIN).
    pub fn new(name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open("/dev/net/tun")?;
        let flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as u16;
        ask(&file, libc::TUNSETIFF, DeviceRequest::new(name, &flags.to_ne_bytes())?)?;
        let size = OFFLOAD_HEADER_BYTES as libc::c_int;
        // JUSTIFICATION: no crate of ours knows TUN devices.
        // SAFETY: TUNSETVNETHDRSZ reads one int behind the pointer, a live one of this frame.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const size) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let offloads = libc::c_ulong::from(libc::TUN_F_CSUM | libc::TUN_F_TSO4);
        // SAFETY: TUNSETOFFLOAD takes a number, no pointer.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, offloads) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { file })
    }

    /// Reads the next packet with its header into `room`; `None` when there is none now.
    pub fn receive(&self, room: &mut [u8]) -> Option<usize> {
        (&self.file).read(room).ok().filter(|length| *length > OFFLOAD_HEADER_BYTES)
    }

    /// Writes a packet with its header; whether the kernel took it.
    pub fn send(&self, packet: &[u8]) -> bool {
        (&self.file).write(packet).is_ok_and(|length| length == packet.len())
    }
}

/// Waits until one of two devices has a packet, for `wait_ns` at most.
pub fn wait_for_either(one: &Tun, other: &Tun, wait_ns: u64) {
    let entry =
        |tun: &Tun| libc::pollfd { fd: tun.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries = [entry(one), entry(other)];
    let seconds = (wait_ns / 1_000_000_000) as libc::time_t;
    let timeout =
        libc::timespec { tv_sec: seconds, tv_nsec: (wait_ns % 1_000_000_000) as libc::c_long };
    // JUSTIFICATION: mio and std wait in whole ms; a delay is to be right to some us.
    // SAFETY: the first pointer is to two live, writable entries, the second to a live timespec;
    // no signal mask is passed. An error is a wait that ended early.
    unsafe { libc::ppoll(entries.as_mut_ptr(), 2, &raw const timeout, std::ptr::null()) };
}
