//! The initial congestion window by route (`ip-route(8)`, `initcwnd`): what a connection sends before
//! the first acknowledgement. Set over `rtnetlink(7)`, for the calling thread's network.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};

use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Protocol, Socket, Type};

/// `RTM_NEWROUTE`.
const NEW_ROUTE: u16 = 24;
/// `NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE | NLM_F_CREATE`.
const FLAGS: u16 = 0x1 | 0x4 | 0x100 | 0x400;
/// `NLMSG_ERROR`, which also carries the acknowledgement.
const ERROR: u16 = 2;
/// Attributes: `RTA_DST`, `RTA_OIF`, `RTA_METRICS`, and `RTAX_INITCWND` within the last.
const DESTINATION: u16 = 1;
const DEVICE: u16 = 4;
const METRICS: u16 = 8;
const INITIAL_WINDOW: u16 = 11;
/// `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RT_SCOPE_LINK`, `RTN_UNICAST`.
const MAIN_STATIC_LINK_UNICAST: [u8; 4] = [254, 4, 253, 1];
/// `struct nlmsghdr` and `struct rtmsg`, in bytes.
const HEADER_BYTES: usize = 16;

/// Routes `prefix`/`bits` over `device`, connections made from now on beginning
/// with a window of `packets`; 0: with the kernel's own (10).
///
/// # Errors
/// No such device, or not allowed (needs CAP_NET_ADMIN).
pub fn route(prefix: Ipv4Addr, bits: u8, device: &str, packets: u32) -> io::Result<()> {
    let any = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let device = name_to_index(&any, device)?;
    let request = request(prefix, bits, device, packets);
    let kind = (Domain::from(libc::AF_NETLINK), Protocol::from(libc::NETLINK_ROUTE));
    let mut socket = Socket::new(kind.0, Type::RAW, Some(kind.1))?;
    socket.write_all(&request)?;
    let mut answer = [0; 512];
    let length = socket.read(&mut answer)?;
    verdict(answer.get(..length).unwrap_or_default())
}

fn request(prefix: Ipv4Addr, bits: u8, device: u32, packets: u32) -> Vec<u8> {
    let mut message = vec![0; HEADER_BYTES];
    // Family, lengths of the prefixes, type of service; then table and the rest; then flags.
    message.extend([libc::AF_INET as u8, bits, 0, 0]);
    message.extend(MAIN_STATIC_LINK_UNICAST);
    message.extend([0; 4]);
    attribute(&mut message, DESTINATION, &prefix.octets());
    attribute(&mut message, DEVICE, &device.to_ne_bytes());
    if packets > 0 {
        let mut metrics = Vec::new();
        attribute(&mut metrics, INITIAL_WINDOW, &packets.to_ne_bytes());
        attribute(&mut message, METRICS, &metrics);
    }
    let length = (message.len() as u32).to_ne_bytes();
    message[..4].copy_from_slice(&length);
    message[4..6].copy_from_slice(&NEW_ROUTE.to_ne_bytes());
    message[6..8].copy_from_slice(&FLAGS.to_ne_bytes());
    message
}

/// Appends `struct rtattr` and its value. All our values are multiples of four bytes long.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend((4 + value.len() as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

/// What an answer says.
fn verdict(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|it| it.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|it| it.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::namespace::{Device, Network};

    #[test]
    fn a_route_takes_its_window_and_loses_it_again() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(error) => return eprintln!("SKIPPED: no network namespaces here ({error})"),
        };
        let inside = || -> io::Result<()> {
            Device("lo").up(None, None)?;
            let prefix = Ipv4Addr::new(10, 9, 0, 0);
            route(prefix, 16, "lo", 64)?;
            route(prefix, 16, "lo", 0)?;
            let missing = route(prefix, 16, "none", 64).map_err(|error| error.raw_os_error());
            assert_eq!(missing, Err(Some(libc::ENODEV)));
            Ok(())
        };
        network.run(inside).unwrap().unwrap();
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        assert!(verdict(&[]).is_err() && verdict(&[0; 36]).is_err());
    }
}
