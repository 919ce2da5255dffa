//! Packets as a TUN device hands them over: IPv4, with large TCP ones still to be cut. Pure.

use std::ops::Range;

use crate::limits::WAN_FRAMING_BYTES;
use crate::sys::tun::OFFLOAD_HEADER_BYTES;

const NEEDS_CHECKSUM: u8 = 1;
const CUT_TCP4: u8 = 1;
const TCP: u8 = 6;
const FIN_AND_PUSH: u8 = 0x09;

/// A packet with its offload header, looked at.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    whole: &'a [u8],
    /// Bytes of the IP header.
    ip_bytes: usize,
    /// IP and TCP header together; 0 when it is not to be cut.
    headers_bytes: usize,
    /// Payload of a segment, in bytes.
    segment_bytes: usize,
}

impl<'a> Packet<'a> {
    /// Reads the headers; `None`: not IPv4, or shorter than it says.
    #[must_use]
    pub fn read(whole: &'a [u8]) -> Option<Self> {
        let ip = whole.get(OFFLOAD_HEADER_BYTES..).filter(|ip| ip.len() >= 20)?;
        let ip_bytes = usize::from(ip[0] & 15) * 4;
        if ip[0] >> 4 != 4 || ip_bytes < 20 || ip.len() < ip_bytes {
            return None;
        }
        let plain = Self { whole, ip_bytes, headers_bytes: 0, segment_bytes: 0 };
        let segment_bytes = usize::from(u16::from_ne_bytes([whole[4], whole[5]]));
        if whole[1] & 0x7f != CUT_TCP4 || ip[9] != TCP || segment_bytes == 0 {
            return Some(plain);
        }
        let tcp_bytes = usize::from(ip.get(ip_bytes + 12)? >> 4) * 4;
        let headers_bytes = ip_bytes + tcp_bytes;
        let sound = tcp_bytes >= 20 && headers_bytes < ip.len();
        sound.then_some(Self { headers_bytes, segment_bytes, ..plain })
    }

    /// Where it goes.
    #[must_use]
    pub fn destination(&self) -> [u8; 4] {
        let ip = &self.whole[OFFLOAD_HEADER_BYTES..];
        [ip[16], ip[17], ip[18], ip[19]]
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> [u8; 4] {
        let ip = &self.whole[OFFLOAD_HEADER_BYTES..];
        [ip[12], ip[13], ip[14], ip[15]]
    }

    fn payload_bytes(&self) -> usize {
        self.whole.len() - OFFLOAD_HEADER_BYTES - self.headers_bytes
    }

    /// Segments that it will be cut into.
    #[must_use]
    pub fn segments(&self) -> usize {
        match self.headers_bytes {
            0 => 1,
            _ => self.payload_bytes().div_ceil(self.segment_bytes),
        }
    }

    /// What segment `at` takes of the line, in bytes.
    #[must_use]
    pub fn line_bytes(&self, at: usize) -> usize {
        let payload = match self.headers_bytes {
            0 => self.payload_bytes(),
            _ => self.segment_bytes.min(self.payload_bytes() - at * self.segment_bytes),
        };
        WAN_FRAMING_BYTES + self.headers_bytes + payload
    }

    /// The packet that holds `segments` alone, with its offload header.
    #[must_use]
    pub fn slice(&self, segments: Range<usize>) -> Box<[u8]> {
        if self.headers_bytes == 0 {
            return self.whole.into();
        }
        let ip = &self.whole[OFFLOAD_HEADER_BYTES..];
        let (headers, payload) = ip.split_at(self.headers_bytes);
        let from = segments.start * self.segment_bytes;
        let to = payload.len().min(segments.end * self.segment_bytes);
        let length = self.headers_bytes + (to - from);
        let mut out = Vec::with_capacity(OFFLOAD_HEADER_BYTES + length);
        out.extend_from_slice(&[0; OFFLOAD_HEADER_BYTES]);
        out.extend_from_slice(headers);
        out.extend_from_slice(&payload[from..to]);
        let (offload, ip) = out.split_at_mut(OFFLOAD_HEADER_BYTES);
        offload[0] = NEEDS_CHECKSUM;
        offload[2..4].copy_from_slice(&(self.headers_bytes as u16).to_ne_bytes());
        offload[6..8].copy_from_slice(&(self.ip_bytes as u16).to_ne_bytes());
        offload[8..10].copy_from_slice(&16_u16.to_ne_bytes());
        if to - from > self.segment_bytes {
            offload[1] = CUT_TCP4;
            offload[4..6].copy_from_slice(&(self.segment_bytes as u16).to_ne_bytes());
        }
        ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        let number = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(segments.start as u16);
        ip[4..6].copy_from_slice(&number.to_be_bytes());
        ip[10..12].fill(0);
        let sum = !folded(sum_of(&ip[..self.ip_bytes]));
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        // The kernel adds the rest: only the pseudo header's sum stands in the TCP header.
        let pseudo = sum_of(&ip[12..20]) + u64::from(TCP) + (length - self.ip_bytes) as u64;
        let tcp = &mut ip[self.ip_bytes..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        tcp[4..8].copy_from_slice(&sequence.wrapping_add(from as u32).to_be_bytes());
        if to < payload.len() {
            tcp[13] &= !FIN_AND_PUSH;
        }
        tcp[16..18].copy_from_slice(&folded(pseudo).to_be_bytes());
        out.into()
    }
}

fn sum_of(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP packet of 3,500 payload bytes to be cut at 1,448.
    fn large() -> Vec<u8> {
        let mut packet = vec![0; OFFLOAD_HEADER_BYTES + 52 + 3_500];
        packet[1] = CUT_TCP4;
        packet[4..6].copy_from_slice(&1_448_u16.to_ne_bytes());
        let ip = &mut packet[OFFLOAD_HEADER_BYTES..];
        (ip[0], ip[9]) = (0x45, TCP);
        ip[12..20].copy_from_slice(&[10, 8, 0, 1, 10, 9, 0, 1]);
        (ip[32], ip[33]) = (8 << 4, 0x18);
        ip[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
        ip[52..].iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
        packet
    }

    #[test]
    fn a_large_packet_is_cut_and_nothing_is_lost() {
        let whole = large();
        let packet = Packet::read(&whole).unwrap();
        assert_eq!((packet.segments(), packet.destination()), (3, [10, 9, 0, 1]));
        assert_eq!((packet.line_bytes(0), packet.line_bytes(2)), (1_538, 694));
        let (front, last) = (packet.slice(0..2), packet.slice(2..3));
        let parts = [Packet::read(&front).unwrap(), Packet::read(&last).unwrap()];
        assert_eq!((parts[0].segments(), parts[1].segments()), (2, 1));
        let mut payload = front[OFFLOAD_HEADER_BYTES + 52..].to_vec();
        payload.extend_from_slice(&last[OFFLOAD_HEADER_BYTES + 52..]);
        assert_eq!(payload, whole[OFFLOAD_HEADER_BYTES + 52..]);
        let ip = &last[OFFLOAD_HEADER_BYTES..];
        assert_eq!(u32::from_be_bytes([ip[24], ip[25], ip[26], ip[27]]), 2 * 1_448 - 1);
        assert_eq!(folded(sum_of(&ip[..20])), 0xffff, "the IP header's checksum");
        assert_eq!((ip[33], front[OFFLOAD_HEADER_BYTES + 33]), (0x18, 0x10), "PSH on the last");
    }

    #[test]
    fn nonsense_is_no_packet() {
        let whole = large();
        for length in 0..80 {
            if let Some(packet) = Packet::read(&whole[..length]) {
                let _ = (packet.segments(), packet.slice(0..packet.segments()));
            }
        }
        assert!(Packet::read(&[0x60; 60]).is_none());
    }
}
