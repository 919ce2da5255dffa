//! The pool's part: a request that was made beforehand, written to a socket or into shared memory, and
//! the two times that everything is counted from.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use serde_json::Value;

use super::host::CONGESTION_CONTROL;
use crate::edge::intake::shared::SharedClient;
use crate::edge::intake::shared::layout::Code;
use crate::limits::{BENCH_DEADLINE_MS, CLIENT_HEADERS_MAX, UNIX_ANSWER_BYTES_MAX};
use crate::sys::clock::now_ns;
use crate::wire::hash::hex;

/// Bytes of one write at full speed.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of the last write at most: t1 is read right before it. Right behind it would be too late
/// where the program under test takes the client's core at once.
const LAST_PIECE_BYTES: usize = 1024;
/// A pool in the same rack: 1 Gbit/s, in bytes of one write and ns for each of them.
const LAN_PIECE_BYTES: usize = 16 * 1024;
const LAN_NS_PER_BYTE: u64 = 8;
/// How long a program has to take the connection before the first byte is written.
const ACCEPT_PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);
/// First bytes of a request at the Unix socket, and the length of the empty chain name.
const UNIX_HEAD: &[u8; 5] = b"BSB1\0";

/// Where a block is handed over, and how.
#[derive(Clone, Copy, Debug)]
pub enum Door<'a> {
    /// JSON-RPC, as fast as the program reads.
    Http(SocketAddr, Option<&'a str>),
    /// JSON-RPC, as over a LAN of 1 Gbit/s.
    PacedHttp(SocketAddr, Option<&'a str>),
    /// The Unix socket.
    Unix(&'a Path),
    /// Shared memory, asked for at this Unix socket; the block is written at the pace of a LAN.
    Shared(&'a Path),
}

/// When the client wrote, CLOCK_MONOTONIC in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Before the first write: t0.
    pub first_byte_ns: u64,
    /// Before the last write, of at most 1 KB, or before the ring: t1.
    pub last_byte_ns: u64,
}

/// An open hand-over whose answer is not read yet.
pub struct Exchange(Open);

enum Open {
    Http(TcpStream),
    Unix(UnixStream),
    Shared(Box<SharedClient>),
}

/// Hands `raw` over at `door`, over a connection of its own that was open before the first byte.
///
/// # Errors
/// The program hung up, or took longer than [`BENCH_DEADLINE_MS`].
pub fn hand_over(door: Door<'_>, raw: &[u8]) -> io::Result<(Written, Exchange)> {
    let (written, open) = match door {
        Door::Http(address, login) | Door::PacedHttp(address, login) => {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            // Where the kernel does not have it, the host's own stays; the report names it.
            let asked = socket2::SockRef::from(&stream);
            let _ = asked.set_tcp_congestion(CONGESTION_CONTROL.as_bytes());
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let request = http_request(address, login, raw);
            let is_paced = matches!(door, Door::PacedHttp(..));
            (send(&mut stream, &request, is_paced)?, Open::Http(stream))
        }
        Door::Unix(path) => {
            let mut stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            (send(&mut stream, &unix_request(raw), false)?, Open::Unix(stream))
        }
        Door::Shared(path) => {
            let mut session = SharedClient::open(path, "").map_err(io::Error::other)?;
            (share(&mut session, raw)?, Open::Shared(Box::new(session)))
        }
    };
    Ok((written, Exchange(open)))
}

fn send(stream: &mut impl Write, request: &[u8], is_paced: bool) -> io::Result<Written> {
    std::thread::sleep(ACCEPT_PAUSE);
    let first_byte_ns = now_ns();
    let (front, last) = split_last(request);
    if is_paced {
        paced(front.chunks(LAN_PIECE_BYTES), first_byte_ns, |piece| stream.write_all(piece))?;
    } else {
        front.chunks(PIECE_BYTES).try_for_each(|piece| stream.write_all(piece))?;
    }
    let last_byte_ns = now_ns();
    stream.write_all(last)?;
    Ok(Written { first_byte_ns, last_byte_ns })
}

/// Writes no faster than the engine hashes: what the ring has to wait for is the last piece.
fn share(session: &mut SharedClient, raw: &[u8]) -> io::Result<Written> {
    std::thread::sleep(ACCEPT_PAUSE);
    let first_byte_ns = now_ns();
    session.begin(u32::try_from(raw.len()).ok());
    let (front, last) = split_last(raw);
    let pieces = front.chunks(LAN_PIECE_BYTES).chain([last]);
    paced(pieces, first_byte_ns, |piece| session.write(piece).map_err(io::Error::other))?;
    let last_byte_ns = now_ns();
    session.ring();
    Ok(Written { first_byte_ns, last_byte_ns })
}

fn split_last(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().saturating_sub(LAST_PIECE_BYTES))
}

/// Writes each piece when its last byte would have come over the wire.
fn paced<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    start_ns: u64,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut sent_bytes = 0;
    for piece in pieces {
        sent_bytes += piece.len() as u64;
        let due_ns = start_ns + sent_bytes * LAN_NS_PER_BYTE;
        std::thread::sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns())));
        write(piece)?;
    }
    Ok(())
}

fn http_request(address: SocketAddr, login: Option<&str>, raw: &[u8]) -> Vec<u8> {
    let body = format!(
        "{{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"submitblock\",\"params\":[\"{}\"]}}",
        hex(raw)
    );
    let login = login.map_or(String::new(), |login| {
        let coded = base64::engine::general_purpose::STANDARD.encode(login);
        format!("Authorization: Basic {coded}\r\n")
    });
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\n{login}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    (head + &body).into_bytes()
}

fn unix_request(raw: &[u8]) -> Vec<u8> {
    let length = u32::try_from(raw.len()).unwrap_or(u32::MAX).to_le_bytes();
    [UNIX_HEAD, &length[..], raw].concat()
}

impl Exchange {
    /// Reads the answer.
    ///
    /// # Errors
    /// There is none, or it is no answer to `submitblock` that took the block.
    pub fn answer(self) -> io::Result<()> {
        let body = match self.0 {
            Open::Http(mut stream) => http_answer(&mut stream)?,
            Open::Unix(mut stream) => unix_answer(&mut stream)?,
            Open::Shared(mut session) => {
                let answer = session.answer(PATIENCE).map_err(io::Error::other)?;
                return match answer.code {
                    Code::Accepted => Ok(()),
                    _ => Err(not_taken(&format!("{} {}", answer.word, answer.message))),
                };
            }
        };
        let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if value.is_object() && value["result"].is_null() && value["error"].is_null() {
            return Ok(());
        }
        Err(not_taken(&String::from_utf8_lossy(body.get(..300).unwrap_or(&body))))
    }
}

fn not_taken(said: &str) -> io::Error {
    io::Error::other(format!("the block was not taken: {said}"))
}

fn unix_answer(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length).min(UNIX_ANSWER_BYTES_MAX);
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// Reads an HTTP answer; its body.
pub(super) fn http_answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let taken = stream.read(&mut piece)?;
        bytes.extend_from_slice(piece.get(..taken).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; CLIENT_HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(&bytes).map_err(io::Error::other)?;
        if let httparse::Status::Complete(body_at) = parsed {
            let length = head.headers.iter().find_map(|header| {
                let named = header.name.eq_ignore_ascii_case("content-length");
                let value = std::str::from_utf8(header.value).ok().filter(|_| named)?;
                value.trim().parse::<usize>().ok()
            });
            let end = length.map_or(usize::MAX, |length| body_at.saturating_add(length));
            if bytes.len() >= end || taken == 0 {
                return Ok(bytes.split_off(body_at));
            }
        }
        if taken == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What a server reads, and what the client makes of its answer.
    fn exchange(door: fn(SocketAddr) -> Door<'static>, answer: &str) -> (String, io::Result<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.to_owned();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            while !bytes.ends_with(b"}") {
                let taken = stream.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..taken]);
            }
            let length = answer.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}").unwrap();
            String::from_utf8(bytes).unwrap()
        });
        let (written, open) = hand_over(door(address), &[0xab; 50_000]).unwrap();
        assert!(written.first_byte_ns <= written.last_byte_ns);
        let answered = open.answer();
        (server.join().unwrap(), answered)
    }

    #[test]
    fn a_block_is_handed_over_by_http() {
        let good = "{\"result\":null,\"error\":null,\"id\":1}";
        let (request, answer) = exchange(|it| Door::Http(it, Some("user:word")), good);
        assert!(answer.is_ok());
        assert!(request.contains("Authorization: Basic dXNlcjp3b3Jk\r\n"), "{request:.300}");
        assert!(request.ends_with(&format!("[\"{}\"]}}", "ab".repeat(50_000))));
        let bad = "{\"result\":\"high-hash\",\"error\":null,\"id\":1}";
        let (request, answer) = exchange(|it| Door::PacedHttp(it, None), bad);
        assert!(!request.contains("Authorization"));
        assert!(answer.unwrap_err().to_string().contains("high-hash"));
    }
}
