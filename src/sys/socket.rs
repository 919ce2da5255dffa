//! Options of a peer's socket (`tcp(7)`, `socket(7)`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::limits::{
    KEEPALIVE_IDLE_MS, KEEPALIVE_INTERVAL_MS, KEEPALIVE_PROBES_MAX, SEND_BUFFER_BYTES,
    USER_TIMEOUT_MS,
};

static CONGESTION_CONTROL: OnceLock<&'static str> = OnceLock::new();

/// Has every socket that is prepared from here on use this congestion control, where the kernel has
/// it and allows it; said once, for a whole process. Benches say it, so that programs are compared
/// on what most hosts use and not on what this one happens to.
pub fn prefer_congestion_control(name: &'static str) {
    let _ = CONGESTION_CONTROL.set(name);
}

/// Sets what every peer's socket needs: no Nagle delay, keepalive, a limit on silence, room for a
/// whole block.
///
/// # Errors
/// The socket is no TCP socket, or gone. A send buffer that the kernel will not give in full is no
/// error: sends are then taken in parts.
pub fn prepare(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    if let Some(name) = CONGESTION_CONTROL.get() {
        let _ = socket.set_tcp_congestion(name.as_bytes());
    }
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_millis(KEEPALIVE_IDLE_MS))
        .with_interval(Duration::from_millis(KEEPALIVE_INTERVAL_MS))
        .with_retries(KEEPALIVE_PROBES_MAX);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(Duration::from_millis(USER_TIMEOUT_MS)))?;
    if !force_send_buffer(&*socket, SEND_BUFFER_BYTES) {
        socket.set_send_buffer_size(SEND_BUFFER_BYTES as usize)?;
    }
    Ok(())
}

/// Has `socket` take more only while less than `bytes` of what it was given are unsent
/// (TCP_NOTSENT_LOWAT).
///
/// # Errors
/// The socket is no TCP socket, or gone.
pub fn limit_unsent(socket: &impl AsFd, bytes: u32) -> io::Result<()> {
    SockRef::from(socket).set_tcp_notsent_lowat(bytes)
}

/// SO_SNDBUFFORCE: past net.core.wmem_max, with CAP_NET_ADMIN only.
fn force_send_buffer(socket: &impl AsRawFd, bytes: u32) -> bool {
    // The kernel doubles what it is given, for its own bookkeeping.
    let Ok(value) = libc::c_int::try_from(bytes) else {
        return false;
    };
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // JUSTIFICATION: socket2 knows SO_SNDBUF only, which stops at net.core.wmem_max.
    // SAFETY: the descriptor is open for the call; value and length describe one live c_int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            (&raw const value).cast(),
            length,
        )
    };
    result == 0
}

/// Bytes that were given to this socket and that the peer has not acknowledged (SIOCOUTQ).
///
/// # Errors
/// The socket is no connected TCP socket.
pub fn unacknowledged_bytes(socket: &impl AsFd) -> io::Result<u32> {
    let mut bytes: libc::c_int = 0;
    let descriptor = socket.as_fd().as_raw_fd();
    // JUSTIFICATION: neither std nor socket2 knows SIOCOUTQ, whose number is TIOCOUTQ's.
    // SAFETY: the descriptor is open for the call, which writes one c_int to a live one.
    if unsafe { libc::ioctl(descriptor, libc::TIOCOUTQ, &raw mut bytes) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(bytes.unsigned_abs())
}

/// The kernel's own number of a socket, which no other has or had (SO_COOKIE).
///
/// # Errors
/// The socket is gone.
pub fn cookie(socket: &impl AsFd) -> io::Result<u64> {
    Ok(rustix::net::sockopt::socket_cookie(socket)?)
}

/// Makes the next close drop what is unsent and reset the connection, instead of lingering on it.
pub fn abort_on_close(socket: &impl AsFd) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_takes_its_options() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        super::prepare(&stream).unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        let timeout_ms = socket.tcp_user_timeout().unwrap().map(|it| it.as_millis());
        assert_eq!(timeout_ms, Some(super::USER_TIMEOUT_MS.into()));
    }

    #[test]
    fn a_socket_keeps_a_number_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let number = super::cookie(&stream).unwrap();
        assert_eq!(super::cookie(&stream.try_clone().unwrap()).unwrap(), number);
        assert_ne!(super::cookie(&listener).unwrap(), number);
    }

    #[test]
    fn another_kind_of_socket_is_an_error() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(super::prepare(&one).is_err());
    }
}
