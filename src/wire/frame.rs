//! Message frames: the header of every message, one-shot and streaming.

use thiserror::Error;

use crate::wire::hash::sha256d;

/// Why a peer's stream can't be read on. Both end the connection: what follows can't be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The first four bytes are not the chain's magic.
    #[error(
        "a message starts with {found:02x?}, which is not this chain's magic: drop the peer; if \
         all peers do this, the chain or network configured is not theirs"
    )]
    Magic {
        /// What stood there.
        found: [u8; 4],
    },
    /// The announced payload is longer than the chain allows.
    #[error("a message announces {announced} bytes where {limit} are allowed: drop the peer")]
    TooLong {
        /// Announced payload, in bytes.
        announced: u32,
        /// Longest payload allowed, in bytes.
        limit: u32,
    },
}

/// What stands before every payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name of the message, padded with zeros.
    pub command: [u8; 12],
    /// Length of the payload, in bytes.
    pub length: u32,
    /// First four bytes of the payload's double SHA-256.
    pub checksum: [u8; 4],
}

/// Reads the message header at the front of `input`, which may hold any part of a peer's stream.
///
/// Returns `None` while fewer than 24 bytes are there: too little is not an error, ask again.
///
/// # Shape
///
/// `magic [4] · command [12, ASCII, zero-padded] · length [u32 LE, bytes] · checksum [4]`
///
/// # Errors
///
/// * [`FrameError::Magic`]: the first four bytes are not `magic`. Drop the peer.
/// * [`FrameError::TooLong`]: `length` is over `limit`. Drop the peer, reserve nothing.
///
/// Source: Bitcoin Core, `src/protocol.h`, `CMessageHeader`.
pub fn read_header(input: &[u8], magic: [u8; 4], limit: u32) -> Result<Option<Header>, FrameError> {
    let Some(bytes) = input.first_chunk::<24>() else {
        return Ok(None);
    };
    // The compiler checks that the pieces add up: `command` can only be the 12 that remain.
    let [m0, m1, m2, m3, command @ .., l0, l1, l2, l3, c0, c1, c2, c3] = *bytes;
    let (found, announced) = ([m0, m1, m2, m3], u32::from_le_bytes([l0, l1, l2, l3]));
    match announced {
        _ if found != magic => Err(FrameError::Magic { found }),
        _ if announced > limit => Err(FrameError::TooLong { announced, limit }),
        length => Ok(Some(Header { command, length, checksum: [c0, c1, c2, c3] })),
    }
}

/// Writes the header of a message. Of a `command` longer than 12 bytes the first 12 are taken.
pub fn write_header(
    out: &mut [u8; 24],
    magic: [u8; 4],
    command: &str,
    length: u32,
    checksum: [u8; 4],
) {
    let mut name = [0; 12];
    name.iter_mut().zip(command.bytes()).for_each(|(to, from)| *to = from);
    let fields = magic.iter().chain(&name);
    let length = length.to_le_bytes();
    out.iter_mut().zip(fields.chain(&length).chain(&checksum)).for_each(|(to, from)| *to = *from);
}

/// A whole message, header and payload. `payload` is of our own making, far below 4 GiB.
#[must_use]
pub fn frame(magic: [u8; 4], command: &str, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 24];
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let [c0, c1, c2, c3, ..] = sha256d(payload);
    write_header(&mut header, magic, command, length, [c0, c1, c2, c3]);
    [&header, payload].concat()
}

/// One message of a stream, as far as it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Name of the message, padded with zeros.
    pub command: &'a [u8; 12],
    /// Length of the payload, in bytes.
    pub length: u32,
    /// The payload's first bytes, at most the reader's `HEAD` of them.
    pub payload: &'a [u8],
    /// Whether `payload` is the whole of it.
    pub complete: bool,
    /// Whether the checksum holds; `None` where the payload was too long to be kept and hashed.
    pub checksum_ok: Option<bool>,
}

impl Message<'_> {
    /// Whether this is the message `name`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        command_is(self.command, name)
    }
}

/// Whether a header's command field says `name`.
#[must_use]
pub fn command_is(command: &[u8; 12], name: &str) -> bool {
    command.split_at_checked(name.len()).is_some_and(|(front, padding)| {
        front == name.as_bytes() && padding.iter().all(|byte| *byte == 0)
    })
}

/// Cuts a peer's stream into messages. Keeps at most `HEAD` payload bytes of each, skips the rest,
/// and never allocates: a hostile length costs nothing.
#[derive(Clone, Debug)]
pub struct FrameReader<const HEAD: usize> {
    magic: [u8; 4],
    limit: u32,
    header: [u8; 24],
    /// Bytes of `header` that are there.
    header_bytes: usize,
    /// What `header` says, once it is whole.
    parsed: Option<Header>,
    head: [u8; HEAD],
    /// Bytes of the payload that have gone by.
    payload_bytes: u32,
    /// The message was given out: the next push starts a new one.
    given: bool,
}

impl<const HEAD: usize> FrameReader<HEAD> {
    /// Starts at a message boundary. `limit` is the longest payload allowed, in bytes.
    #[must_use]
    pub const fn new(magic: [u8; 4], limit: u32) -> Self {
        Self {
            magic,
            limit,
            header: [0; 24],
            header_bytes: 0,
            parsed: None,
            head: [0; HEAD],
            payload_bytes: 0,
            given: false,
        }
    }

    /// Whether the stream is between two messages.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        self.given || self.header_bytes == 0
    }

    /// Consumes from the front of `input` until one whole message is there, and returns it; or
    /// until `input` is empty: `None`. Call again until it says `None`.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: drop the peer. The reader says the same to every further push.
    pub fn push<'a>(&'a mut self, input: &mut &[u8]) -> Result<Option<Message<'a>>, FrameError> {
        if self.given {
            (self.header_bytes, self.parsed) = (0, None);
            (self.payload_bytes, self.given) = (0, false);
        }
        if self.parsed.is_none() {
            let room = self.header.get_mut(self.header_bytes..).unwrap_or_default();
            self.header_bytes += fill(room, input);
            if self.header_bytes < self.header.len() {
                return Ok(None);
            }
            self.parsed = read_header(&self.header, self.magic, self.limit)?;
        }
        let Some(Header { length, .. }) = self.parsed else {
            return Ok(None);
        };
        let kept = HEAD.min(length as usize);
        if let Some(room) = self.head.get_mut(self.payload_bytes as usize..kept) {
            // At most `kept`, which `length` bounds: the cast is exact.
            self.payload_bytes += fill(room, input) as u32;
        }
        if self.payload_bytes as usize >= kept {
            let skipped = input.len().min((length - self.payload_bytes) as usize);
            *input = input.get(skipped..).unwrap_or_default();
            self.payload_bytes += skipped as u32;
        }
        if self.payload_bytes < length {
            return Ok(None);
        }
        self.given = true;
        Ok(self.message(kept))
    }

    /// The message that is there, with the first `kept` bytes of its payload.
    fn message(&self, kept: usize) -> Option<Message<'_>> {
        let Header { command, length, checksum } = self.parsed.as_ref()?;
        let payload = self.head.get(..kept)?;
        let complete = kept == *length as usize;
        let checksum_ok = complete.then(|| sha256d(payload).starts_with(checksum));
        Some(Message { command, length: *length, payload, complete, checksum_ok })
    }
}

/// Moves as many bytes as fit from the front of `input` to the front of `room`.
fn fill(room: &mut [u8], input: &mut &[u8]) -> usize {
    let count = room.len().min(input.len());
    let (taken, rest) = input.split_at(count);
    room.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
    *input = rest;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

    /// Everything that one reader with a head of 16 says of `stream` when it comes in `pieces`.
    fn read_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, Vec<u8>, bool)> {
        let mut reader = FrameReader::<16>::new(MAGIC, 1000);
        let mut all = Vec::new();
        for mut piece in pieces {
            while let Some(message) = reader.push(&mut piece).expect("a good stream") {
                let name = String::from_utf8_lossy(message.command);
                let good = message.checksum_ok != Some(false);
                assert_eq!(message.complete, message.length <= 16);
                assert_eq!(message.checksum_ok.is_some(), message.complete);
                all.push((name.trim_end_matches('\0').to_owned(), message.payload.to_vec(), good));
            }
            assert!(piece.is_empty());
        }
        assert!(reader.at_boundary());
        all
    }

    fn stream() -> Vec<u8> {
        let mut spoilt = frame(MAGIC, "pong", b"12345678");
        spoilt[24] ^= 1;
        let long: Vec<u8> = (0..200).collect();
        [
            frame(MAGIC, "verack", b""),
            frame(MAGIC, "ping", b"12345678"),
            frame(MAGIC, "inv", &long[..16]),
            frame(MAGIC, "inv", &long[..17]),
            spoilt,
            frame(MAGIC, "headers", &long),
            frame(MAGIC, "sendaddrv2xx", b""),
        ]
        .concat()
    }

    #[test]
    fn every_cut_gives_the_same_messages() {
        let stream = stream();
        let whole = read_all([stream.as_slice()]);
        assert_eq!(whole.iter().filter(|(_, _, good)| !good).count(), 1);
        assert_eq!((whole.len(), whole[5].1.len()), (7, 16));
        assert_eq!(read_all(stream.chunks(1)), whole);
        for cut in 0..=stream.len() {
            let (front, back) = stream.split_at(cut);
            assert_eq!(read_all([front, back]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_foreign_magic_and_a_hostile_length_end_the_stream_for_good() {
        let mut foreign = frame(MAGIC, "ping", b"12345678");
        foreign[0] ^= 1;
        let mut hostile = frame(MAGIC, "block", b"");
        hostile[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        for (bytes, too_long) in [(foreign, false), (hostile, true)] {
            let mut reader = FrameReader::<8>::new(MAGIC, 1000);
            for _ in 0..3 {
                let error = reader.push(&mut bytes.as_slice()).expect_err("refused");
                assert_eq!(matches!(error, FrameError::TooLong { limit: 1000, .. }), too_long);
            }
        }
        let mut reader = FrameReader::<8>::new(MAGIC, 8);
        let whole = frame(MAGIC, "ping", b"12345678");
        assert!(reader.push(&mut whole.as_slice()).expect("at the limit").is_some());
    }

    #[test]
    fn commands_compare_whole() {
        let [header, _] = [frame(MAGIC, "ping", b""), frame(MAGIC, "pong", b"")];
        let read = read_header(&header, MAGIC, 0).expect("good").expect("whole");
        assert!(command_is(&read.command, "ping"));
        assert!(!command_is(&read.command, "pin") && !command_is(&read.command, "pingx"));
        assert!(!command_is(b"ping\0junk\0\0\0", "ping"));
        assert!(command_is(b"sendaddrv2xx", "sendaddrv2xx"));
        assert!(!command_is(b"sendaddrv2xx", "sendaddrv2xxyy"));
        assert_eq!(read_header(&header[..23], MAGIC, 0), Ok(None));
    }
}
