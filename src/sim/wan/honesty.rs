//! Whether the emulator does what it says. A bench asks before it believes any figure.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{Wan, value};
use crate::limits::{SEGMENT_LINE_BYTES, SEGMENT_PAYLOAD_BYTES};

/// Connections whose fastest handshake is the round trip.
const TRIES: usize = 5;
/// How much longer than set a round trip may be.
const ROUND_TRIP_OFF_US: u64 = 2_000;
/// Share of the line that a single flow must reach, in percent of what is possible.
const FLOW_PERCENT_MIN: u64 = 80;
/// What it may seem to exceed it by: the first packets of the measured half wait in the queue.
const FLOW_PERCENT_MAX: u64 = 103;
/// Lateness beyond which a run is not believed, in ns.
const LATE_NS_MAX: u64 = 30_000_000;
/// Line time of the flow's measured half.
pub(super) const FLOW_MS: u64 = 500;
const DEADLINE: Duration = Duration::from_secs(20);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Honesty {
    /// Nearest, middle and farthest peer: round trip as set and as measured, in us.
    pub round_trips_us: Vec<(u64, u64)>,
    /// Rate of one flow, in percent of what the line lets through beside the others.
    pub flow_percent: Option<u64>,
    /// How late packets were handed on at most, in ns.
    pub late_ns_max: u64,
    /// Packets that a device refused.
    pub refused: u64,
}

impl Honesty {
    /// What is wrong, a sentence each; empty: it can be believed.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (set_us, found_us) in &self.round_trips_us {
            if found_us < set_us || *found_us > set_us + ROUND_TRIP_OFF_US {
                faults.push(format!("a round trip of {set_us} us takes {found_us} us"));
            }
        }
        if let Some(percent) = self.flow_percent
            && !(FLOW_PERCENT_MIN..=FLOW_PERCENT_MAX).contains(&percent)
        {
            faults.push(format!("a single flow has {percent} % of the line"));
        }
        if self.late_ns_max > LATE_NS_MAX {
            let late_ms = self.late_ns_max / 1_000_000;
            faults.push(format!("packets were handed on up to {late_ms} ms late: a busy host"));
        }
        if self.refused > 0 {
            faults.push(format!("{} packets were refused by a device", self.refused));
        }
        faults
    }
}

pub(super) fn check(wan: &Wan) -> io::Result<Honesty> {
    let _ = wan.take_late_ns();
    let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
    let listener = wan.receiver().run(listen)??;
    let peers = wan.peers(listener.local_addr()?.port());
    let last = peers.len().saturating_sub(1);
    let mut round_trips_us = Vec::new();
    for at in [0, last / 2, last] {
        let (Some(peer), Some(path)) = (peers.get(at), wan.settings().paths.get(at)) else {
            break;
        };
        let address = SocketAddr::V4(*peer);
        let found_us = wan.sender().run(move || round_trip_us(address))??;
        round_trips_us.push((path.round_trip_us.into(), found_us));
    }
    let bits_per_s = wan.settings().uplink_bits_per_s;
    let flow_percent = match peers.first() {
        Some(peer) if bits_per_s > 0 => {
            let free = bits_per_s.saturating_sub(wan.settings().foreign_bits_per_s).max(1) / 8;
            let payload = free * u64::from(SEGMENT_PAYLOAD_BYTES) / u64::from(SEGMENT_LINE_BYTES);
            let measured = payload * FLOW_MS / 1_000;
            Some(flow_rate(wan, listener, SocketAddr::V4(*peer), measured)? * 100 / payload)
        }
        _ => None,
    };
    Ok(Honesty {
        round_trips_us,
        flow_percent,
        late_ns_max: wan.take_late_ns(),
        refused: value(&wan.counts().refused),
    })
}

/// The fastest of a few handshakes: one round trip each.
fn round_trip_us(address: SocketAddr) -> io::Result<u64> {
    let mut least_us = u64::MAX;
    for _ in 0..TRIES {
        let before = Instant::now();
        TcpStream::connect_timeout(&address, DEADLINE)?;
        least_us = least_us.min(before.elapsed().as_micros() as u64);
    }
    Ok(least_us)
}

/// Bytes/s of one flow once its window is open: of the last `measured` bytes of three times as many.
fn flow_rate(
    wan: &Wan,
    listener: TcpListener,
    address: SocketAddr,
    measured: u64,
) -> io::Result<u64> {
    let receive = move || -> io::Result<u64> {
        let mut stream = loop {
            // Those of the handshakes before are closed by now; the flow is the one that sends.
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(DEADLINE))?;
            if matches!(stream.peek(&mut [0]), Ok(1)) {
                break stream;
            }
        };
        let mut room = vec![0; 256 * 1024];
        let (mut received, mut begun) = (0_u64, None);
        while received < 3 * measured {
            received += match stream.read(&mut room)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => length as u64,
            };
            if begun.is_none() && received >= 2 * measured {
                begun = Some((Instant::now(), received));
            }
        }
        let (since, before) = begun.unwrap_or((Instant::now(), received));
        let ns = since.elapsed().as_nanos().max(1);
        Ok((u128::from(received - before) * 1_000_000_000 / ns) as u64)
    };
    let wanted = wan.settings().stack.congestion_control.clone();
    let send = move || -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        SockRef::from(&stream).set_tcp_congestion(wanted.as_bytes())?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let bytes = vec![0; 256 * 1024];
        let mut left = 3 * measured + bytes.len() as u64;
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            left -= stream.write(&bytes[..some])? as u64;
        }
        Ok(())
    };
    let receiving = wan.receiver().spawn("flow", receive)?;
    let sent = wan.sender().run(send)?;
    let panicked = |_| io::Error::other("the receiving thread panicked");
    let rate = receiving.join().map_err(panicked)???;
    // The receiver closes with what it did not want still coming: that is no fault.
    match sent {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(rate),
    }
}
