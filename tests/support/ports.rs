//! Ports for programs that must be told theirs before they start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports given out so far by this process.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// An address on 127.0.0.1 that nobody listens on, never given out twice, and below the range from
/// which the kernel takes ports by itself (`ip_local_port_range`, 32768 and up): nobody who asks for
/// any port can get it between this call and the program's start.
pub fn free_address() -> SocketAddr {
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id().wrapping_mul(97).wrapping_add(given)) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
        assert!(given < 20_000, "no port from 10000 to 29999 is free");
    }
}
