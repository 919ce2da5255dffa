//! How fast one socket sends by itself, and what of it is still to be sent: for programs that rule the
//! uplink socket by socket (`socket(7)`, `tcp(7)`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `SIOCOUTQNSD` of `linux/sockios.h`: bytes that were given to a socket and not sent yet.
const UNSENT: libc::Ioctl = 0x894b;

/// Has TCP send no faster than this on `socket` (SO_MAX_PACING_RATE), in bytes/s of payload.
///
/// # Errors
/// It is no TCP socket, or gone.
pub fn limit_rate(socket: &impl AsFd, bytes_per_s: u64) -> io::Result<()> {
    let length = size_of::<u64>() as libc::socklen_t;
    let descriptor = socket.as_fd().as_raw_fd();
    // JUSTIFICATION: neither std nor socket2 knows SO_MAX_PACING_RATE.
    // SAFETY: the descriptor is open for the call; value and length describe one live u64, a length
    // that the kernel knows the option by since 4.20.
    let result = unsafe {
        libc::setsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_MAX_PACING_RATE,
            (&raw const bytes_per_s).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes that were given to this socket and that TCP has not sent yet, not even once.
///
/// # Errors
/// The socket is no connected TCP socket.
pub fn unsent_bytes(socket: &impl AsFd) -> io::Result<u32> {
    let mut bytes: libc::c_int = 0;
    let descriptor = socket.as_fd().as_raw_fd();
    // JUSTIFICATION: neither std nor socket2 knows SIOCOUTQNSD.
    // SAFETY: the descriptor is open for the call, which writes one c_int to a live one.
    if unsafe { libc::ioctl(descriptor, UNSENT, &raw mut bytes) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(bytes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// What does not fit the other side's buffer stays unsent; a rate is taken.
    #[test]
    fn what_cannot_be_sent_is_unsent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _other = listener.accept().unwrap();
        assert_eq!(unsent_bytes(&stream).unwrap(), 0);
        limit_rate(&stream, 10_000_000).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut given = 0;
        while let Ok(count) = stream.write(&[0; 65_536]) {
            given += count;
        }
        let unsent = unsent_bytes(&stream).unwrap() as usize;
        assert!(0 < unsent && unsent <= given, "{unsent} of {given}");
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(limit_rate(&one, 1).is_ok() && unsent_bytes(&one).is_err());
    }
}
