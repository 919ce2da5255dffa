//! The `version` message.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::MessageError;
use crate::limits::USER_AGENT_BYTES_MAX;
use crate::wire::cursor::{Cursor, push_compact_size};

/// What a node says of itself first.
///
/// # Shape
///
/// `version [i32 LE] · services [u64 LE] · time [i64 LE, s] · receiver [26] · sender [26] ·
/// nonce [u64 LE] · user agent [varstr] · start height [i32 LE] · relay [u8]`
///
/// where an address is `services [u64 LE] · IPv6 or mapped IPv4 [16] · port [u16 BE]`.
/// Source: `net_processing.cpp`, VERSION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Protocol version.
    pub version: i32,
    /// Service bits.
    pub services: u64,
    /// The sender's clock, in seconds since 1970.
    pub time_s: i64,
    /// The receiver, as the sender sees it.
    pub receiver: SocketAddr,
    /// Random; finds connections to oneself.
    pub nonce: u64,
    /// Name and version of the program; at most 256 bytes.
    pub user_agent: Vec<u8>,
    /// Height of the sender's tip.
    pub start_height: i32,
    /// Whether the sender wants transactions announced (BIP 37).
    pub relay: bool,
}

impl Version {
    /// The payload. A user agent longer than nodes accept is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let agent = self.user_agent.get(..USER_AGENT_BYTES_MAX as usize);
        let agent = agent.unwrap_or(&self.user_agent);
        let mut out = Vec::with_capacity(96 + agent.len());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.services.to_le_bytes());
        out.extend_from_slice(&self.time_s.to_le_bytes());
        out.extend_from_slice(&0_u64.to_le_bytes());
        push_address(&mut out, self.receiver);
        // Nodes stopped believing what we say of our own address: zeros.
        out.extend_from_slice(&[0; 26]);
        out.extend_from_slice(&self.nonce.to_le_bytes());
        push_compact_size(&mut out, agent.len() as u64);
        out.extend_from_slice(agent);
        out.extend_from_slice(&self.start_height.to_le_bytes());
        out.push(u8::from(self.relay));
        out
    }

    /// Reads the payload. As nodes do, takes it that what stands behind the receiver may be
    /// missing, and does not look at what stands behind the last field.
    ///
    /// # Errors
    /// A field is cut, or the user agent is longer than 256 bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        const MALFORMED: MessageError = MessageError::Malformed("version");
        let mut cursor = Cursor::new(payload);
        let mut read = Self {
            version: cursor.i32().ok_or(MALFORMED)?,
            services: cursor.u64().ok_or(MALFORMED)?,
            time_s: cursor.i64().ok_or(MALFORMED)?,
            receiver: cursor.u64().and_then(|_| address(&mut cursor)).ok_or(MALFORMED)?,
            nonce: 0,
            user_agent: Vec::new(),
            start_height: 0,
            relay: true,
        };
        if !cursor.is_empty() {
            cursor.take(26).ok_or(MALFORMED)?;
            read.nonce = cursor.u64().ok_or(MALFORMED)?;
        }
        if !cursor.is_empty() {
            let agent = cursor.bytes(USER_AGENT_BYTES_MAX as usize);
            read.user_agent = agent.ok_or(MessageError::TooLong("user agent"))?.to_vec();
        }
        if !cursor.is_empty() {
            read.start_height = cursor.i32().ok_or(MALFORMED)?;
        }
        read.relay = cursor.u8() != Some(0);
        Ok(read)
    }
}

/// Text from a peer, fit for a terminal: printable ASCII only, at most 256 characters.
#[must_use]
pub fn sanitised(text: &[u8]) -> String {
    let printable = text.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    printable.take(USER_AGENT_BYTES_MAX as usize).map(|byte| char::from(*byte)).collect()
}

/// Appends 16 bytes of address and a big-endian port.
pub(super) fn push_address(out: &mut Vec<u8>, address: SocketAddr) {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out.extend_from_slice(&ip.octets());
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Reads 16 bytes of address and a big-endian port; a mapped IPv4 address comes out as IPv4.
pub(super) fn address(cursor: &mut Cursor<'_>) -> Option<SocketAddr> {
    let ip = Ipv6Addr::from(*cursor.array::<16>()?);
    Some(SocketAddr::new(IpAddr::V6(ip).to_canonical(), cursor.u16_be()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Version {
        Version {
            version: 70016,
            services: 0x409,
            time_s: 1_700_000_000,
            receiver: "203.0.113.7:9333".parse().expect("an address"),
            nonce: 0x0102_0304_0506_0708,
            user_agent: b"/broadside:0.1.0/".to_vec(),
            start_height: 2_800_000,
            relay: false,
        }
    }

    #[test]
    fn it_reads_back_and_matches_an_independent_encoder() {
        use bitcoin::consensus::encode::deserialize;
        use bitcoin::p2p::message_network::VersionMessage;
        let (sent, payload) = (sample(), sample().encode());
        assert_eq!(Version::decode(&payload), Ok(sent.clone()));
        let other: VersionMessage = deserialize(&payload).expect("well formed");
        assert_eq!(other.version, 70016);
        assert_eq!(other.receiver.socket_addr().expect("an address"), sent.receiver);
        assert_eq!((other.nonce, other.start_height), (sent.nonce, sent.start_height));
        assert_eq!((other.user_agent.as_bytes(), other.relay), (&sent.user_agent[..], false));
    }

    #[test]
    fn optional_ends_may_be_missing_but_no_field_may_be_cut() {
        let payload = sample().encode();
        let whole = [46, 80, 98, 102, 103];
        for cut in 0..payload.len() {
            let read = Version::decode(&payload[..cut]);
            assert_eq!(read.is_ok(), whole.contains(&cut), "cut at {cut}");
        }
        assert!(Version::decode(&payload[..102]).expect("no relay byte").relay);
        let longer = [&payload[..], &[0; 33]].concat();
        assert_eq!(Version::decode(&longer), Ok(sample()));
    }

    #[test]
    fn user_agents_are_bounded_and_cleaned() {
        let mut long = sample();
        long.user_agent = vec![b'a'; 300];
        assert_eq!(Version::decode(&long.encode()).expect("cut").user_agent.len(), 256);
        let mut payload = sample().encode();
        payload.splice(80..81, [0xfd, 0x01, 0x01]);
        payload.resize(1000, b'a');
        assert_eq!(Version::decode(&payload), Err(MessageError::TooLong("user agent")));
        assert_eq!(sanitised(b"/ok:1/\x1b[31m\n\xff"), "/ok:1/[31m");
        assert_eq!(sanitised(&[b'a'; 300]).len(), 256);
    }
}
