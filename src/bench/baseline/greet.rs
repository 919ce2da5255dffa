//! Blocking dialling, the same for every kind, and the answers to peers' pings.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::limits::{HANDSHAKE_DEADLINE_MS, HANDSHAKE_READ_BYTES};
use crate::sys::socket::prepare;
use crate::wire::chain::Chain;
use crate::wire::frame::{FrameError, FrameReader, frame};
use crate::wire::handshake::{Handshake, HandshakeSettings, Progress};
use crate::wire::message::name;

/// Threads that dial at the same time: far peers take three round trips each.
const DIALLERS: usize = 64;

/// Connects to all `peers`, in order, and greets them. Those that can't be greeted are left out.
///
/// # Errors
/// One can't be connected to; the message names it.
pub(super) fn dial_all(chain: &'static Chain, peers: &[SocketAddr]) -> io::Result<Vec<TcpStream>> {
    let share = peers.len().div_ceil(DIALLERS).max(1);
    let results = thread::scope(|scope| {
        let dial_share = |share: &[SocketAddr]| -> Vec<_> {
            share.iter().map(|peer| dial(chain, *peer)).collect()
        };
        let threads: Vec<_> =
            peers.chunks(share).map(|share| scope.spawn(move || dial_share(share))).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let mut streams = Vec::with_capacity(peers.len());
    for result in results {
        for dialled in result.map_err(|_| io::Error::other("a dialling thread panicked"))? {
            streams.extend(dialled?);
        }
    }
    Ok(streams)
}

fn dial(chain: &'static Chain, peer: SocketAddr) -> io::Result<Option<TcpStream>> {
    let deadline = Duration::from_millis(HANDSHAKE_DEADLINE_MS);
    let connected = TcpStream::connect_timeout(&peer, deadline).and_then(|stream| {
        prepare(&stream)?;
        stream.set_read_timeout(Some(deadline))?;
        Ok(stream)
    });
    let unreached = |error: io::Error| {
        io::Error::new(error.kind(), format!("no connection to {peer}: {error}"))
    };
    let mut stream = connected.map_err(unreached)?;
    let greeted = greet(&mut stream, chain, peer).is_ok();
    stream.set_read_timeout(None)?;
    Ok(greeted.then_some(stream))
}

fn greet(stream: &mut TcpStream, chain: &'static Chain, remote: SocketAddr) -> io::Result<()> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut handshake = Handshake::new(HandshakeSettings {
        chain,
        nonce: getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?,
        now_s: i64::try_from(since_1970.as_secs()).unwrap_or(0),
        user_agent: "/baseline/".to_owned(),
        start_height: 0,
        services: 0,
        relay: false,
        remote,
        want_sendcmpct: None,
        initiator: true,
    });
    stream.write_all(&handshake.start())?;
    let mut input = [0; HANDSHAKE_READ_BYTES];
    loop {
        let length = stream.read(&mut input)?;
        let came = input.get(..length).filter(|input| !input.is_empty());
        let came = came.ok_or(ErrorKind::UnexpectedEof)?;
        match handshake.receive(came).map_err(io::Error::other)? {
            Progress::NeedsMore { reply } => stream.write_all(&reply)?,
            Progress::Done { reply, .. } => return stream.write_all(&reply),
        }
    }
}

/// Reads one peer's messages and answers its pings.
#[derive(Debug)]
pub(super) struct Pongs {
    reader: FrameReader<8>,
    magic: [u8; 4],
}

impl Pongs {
    pub(super) fn new(chain: &Chain) -> Self {
        let reader = FrameReader::new(chain.magic, chain.payload_bytes_max);
        Self { reader, magic: chain.magic }
    }

    /// What to send back to what came; mostly nothing.
    ///
    /// # Errors
    /// It is no message: drop the peer.
    pub(super) fn answer(&mut self, mut came: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut pongs = Vec::new();
        while let Some(message) = self.reader.push(&mut came)? {
            if message.is(name::PING) {
                pongs.extend(frame(self.magic, name::PONG, message.payload));
            }
        }
        Ok(pongs)
    }
}
