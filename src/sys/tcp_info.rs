//! What the kernel knows of a TCP connection (`tcp(7)`, TCP_INFO; `linux/tcp.h`, `struct tcp_info`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use socket2::SockRef;

/// Length of the structure up to `tcpi_snd_wnd` (Linux 5.4). Older kernels give less of it, later
/// ones more.
const INFO_BYTES: usize = 232;

/// One connection at one moment. What the kernel is too old to tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round trip, in us; 0: none measured.
    pub round_trip_us: u32,
    /// Least round trip of the last minutes, in us; 0 where none was measured.
    pub least_round_trip_us: u32,
    /// Congestion window, in segments.
    pub window_segments: u32,
    /// Payload of a full segment, in bytes.
    pub segment_bytes: u32,
    /// What the peer says that it can take, in bytes.
    pub peer_window_bytes: Option<u32>,
    /// Segments that are sent and not acknowledged.
    pub unacknowledged_segments: u32,
    /// Segments with data sent over its life, those sent again among them.
    pub sent_segments: u32,
    /// Of those, the ones that were sent again.
    pub resent_segments: u32,
    /// Segments that the peer has acknowledged (Linux 4.18).
    pub delivered_segments: Option<u32>,
    /// Payload bytes sent over its life, those sent again among them (Linux 4.19).
    pub sent_bytes: Option<u64>,
    /// Bytes given to the kernel that it has not sent yet.
    pub unsent_bytes: u32,
    /// Since data was last sent, in ms.
    pub idle_ms: u32,
    /// How long an acknowledgement is waited for before segments are sent again, in us.
    pub timeout_us: u32,
    /// Rate of the last flight that was acknowledged, in bytes/s.
    pub delivery_bytes_per_s: u64,
}

impl TcpInfo {
    /// Reads it of `socket`.
    ///
    /// # Errors
    /// The socket is no TCP socket, or the kernel is older than 4.9.
    pub fn read(socket: &impl AsFd) -> io::Result<Self> {
        let mut bytes = [0_u8; INFO_BYTES];
        let mut length = INFO_BYTES as libc::socklen_t;
        // JUSTIFICATION: neither std nor socket2 reads TCP_INFO, and libc's structure ends early.
        // SAFETY: the descriptor is open for the call; the kernel writes at most `length` bytes to
        // `bytes`, which has that many and for which any content is valid, and says how many.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                bytes.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        let told = bytes.get(..length as usize).unwrap_or(&bytes);
        Self::of(told).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Of the structure as the kernel wrote it; `None` where it ends before what is needed.
    fn of(told: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = told.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_ne_bytes(*bytes))
        };
        let long = |at: usize| {
            let bytes = told.get(at..)?.first_chunk::<8>()?;
            Some(u64::from_ne_bytes(*bytes))
        };
        Some(Self {
            timeout_us: word(8)?,
            idle_ms: word(44)?,
            segment_bytes: word(16)?,
            unacknowledged_segments: word(24)?,
            round_trip_us: word(68)?,
            window_segments: word(80)?,
            resent_segments: word(100)?,
            unsent_bytes: word(144)?,
            // The kernel's word for "none yet".
            least_round_trip_us: word(148).map(|us| if us == u32::MAX { 0 } else { us })?,
            sent_segments: word(156)?,
            delivery_bytes_per_s: long(160)?,
            delivered_segments: word(192),
            sent_bytes: long(200),
            peer_window_bytes: word(228),
        })
    }

    /// What may be in flight by our own count, in bytes.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        u64::from(self.window_segments) * u64::from(self.segment_bytes)
    }
}

/// The name of the rule by which `socket` opens and closes its window.
///
/// # Errors
/// The socket is no TCP socket.
pub fn congestion_control(socket: &impl AsFd) -> io::Result<String> {
    let name = SockRef::from(socket).tcp_congestion()?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// Has `socket` go by the rule of this name from now on.
///
/// # Errors
/// The kernel does not have it, or does not allow it to this user.
pub fn set_congestion_control(socket: &impl AsFd, name: &str) -> io::Result<()> {
    SockRef::from(socket).set_tcp_congestion(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_tells_what_went_over_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let before = TcpInfo::read(&near).unwrap();
        assert_eq!((before.sent_segments, before.unsent_bytes), (0, 0));
        assert!(before.window_segments >= 2 && before.segment_bytes >= 500, "{before:?}");
        near.write_all(&[7; 10_000]).unwrap();
        far.read_exact(&mut [0; 10_000]).unwrap();
        far.write_all(&[1]).unwrap();
        near.read_exact(&mut [0]).unwrap();
        let after = TcpInfo::read(&near).unwrap();
        assert!(after.sent_segments > 0 && after.window_bytes() >= 1_000, "{after:?}");
        // Loopback's round trip can be 0 us, rounded down; it is never that of another planet.
        assert!(after.least_round_trip_us < 10_000_000, "{after:?}");
        if let (Some(bytes), Some(window)) = (after.sent_bytes, after.peer_window_bytes) {
            assert!(bytes == 10_000 && window > 0, "{after:?}");
        }
        let rule = congestion_control(&near).unwrap();
        assert!(!rule.is_empty() && set_congestion_control(&near, &rule).is_ok());
        assert!(set_congestion_control(&near, "no-such-rule").is_err());
    }

    #[test]
    fn an_old_kernel_tells_less_and_another_socket_nothing() {
        let mut told = [0; INFO_BYTES];
        told[148..152].fill(0xff);
        told[192] = 9;
        told[228] = 5;
        let info = TcpInfo::of(&told).unwrap();
        assert_eq!((info.least_round_trip_us, info.delivered_segments), (0, Some(9)));
        assert_eq!(info.peer_window_bytes, Some(5));
        let old = TcpInfo::of(&told[..192]).unwrap();
        assert_eq!(
            (old.delivered_segments, old.sent_bytes, old.peer_window_bytes),
            (None, None, None)
        );
        for cut in 0..168 {
            assert_eq!(TcpInfo::of(&told[..cut]), None, "{cut}");
        }
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(TcpInfo::read(&one).is_err());
    }
}
