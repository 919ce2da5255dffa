//! HTTP/1.1, as much of it as a pool's client of a node speaks: keep-alive and a length.

use crate::limits::{CLIENT_HEAD_BYTES_MAX, CLIENT_HEADERS_MAX, RPC_BODY_BYTES_MAX};

/// What a client that asks is told before it sends its body.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What a client is told whose request can't be read; then the connection is closed.
pub(super) const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[derive(Clone, Copy, Debug)]
struct Head {
    head_bytes: usize,
    total_bytes: usize,
    expects_continue: bool,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on.
    NeedsMore,
    /// Send [`CONTINUE`] and read on.
    Continue,
    /// [`Request::body`] is there.
    Whole,
    /// Send [`BAD_REQUEST`] and close.
    Bad,
}

/// One request after the other of one connection. The body is read straight into its place.
#[derive(Debug)]
pub(super) struct Request {
    room: Vec<u8>,
    filled: usize,
    head: Option<Head>,
}

impl Request {
    pub(super) fn new() -> Self {
        Self { room: vec![0; CLIENT_HEAD_BYTES_MAX], filled: 0, head: None }
    }

    /// Where to read to. Never empty after [`Step::NeedsMore`].
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.room.get_mut(self.filled..).unwrap_or_default()
    }

    /// The room itself and how much of it is filled, for those who have to own it while they read.
    pub(super) fn take_room(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.room), self.filled)
    }

    /// Gives the room back.
    pub(super) fn put_room(&mut self, room: Vec<u8>) {
        self.room = room;
    }

    /// Notes that so many bytes were read.
    pub(super) fn filled(&mut self, count: usize) {
        self.filled += count;
    }

    pub(super) fn step(&mut self) -> Step {
        let mut fresh = false;
        if self.head.is_none() {
            let Ok(head) = read_head(self.room.get(..self.filled).unwrap_or_default()) else {
                return Step::Bad;
            };
            let Some(found) = head else {
                let full = self.filled == self.room.len();
                return if full { Step::Bad } else { Step::NeedsMore };
            };
            // Zeroed by the kernel: costs nothing until it is read into.
            let mut room = vec![0; found.total_bytes.max(self.filled)];
            if let (Some(to), Some(from)) =
                (room.get_mut(..self.filled), self.room.get(..self.filled))
            {
                to.copy_from_slice(from);
            }
            (self.room, self.head, fresh) = (room, head, true);
        }
        match self.head {
            Some(head) if self.filled >= head.total_bytes => Step::Whole,
            Some(head) if fresh && head.expects_continue => Step::Continue,
            _ => Step::NeedsMore,
        }
    }

    pub(super) fn body(&self) -> &[u8] {
        let place = self.head.map(|head| head.head_bytes..head.total_bytes);
        place.and_then(|place| self.room.get(place)).unwrap_or_default()
    }

    /// Goes on to the next request, with what came of it already.
    pub(super) fn next(&mut self) {
        let end = self.head.map_or(0, |head| head.total_bytes);
        let rest = self.room.get(end..self.filled).unwrap_or_default();
        let mut next = Self::new();
        next.room.resize(rest.len().max(CLIENT_HEAD_BYTES_MAX), 0);
        next.room.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        next.filled = rest.len();
        *self = next;
    }
}

/// A head that can't be served.
struct Unserved;

fn read_head(input: &[u8]) -> Result<Option<Head>, Unserved> {
    let mut headers = [httparse::EMPTY_HEADER; CLIENT_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(input) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Unserved),
    };
    let value = |name: &str| {
        let found = request.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    // Without a length (chunked) there would be no room to read to: none of our clients does it.
    let length = value("content-length").and_then(|text| text.trim().parse::<u32>().ok());
    let length = length.filter(|length| *length <= RPC_BODY_BYTES_MAX).ok_or(Unserved)?;
    let expects_continue =
        value("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue"));
    Ok(Some(Head { head_bytes, total_bytes: head_bytes + length as usize, expects_continue }))
}

/// A whole response with a JSON body; the connection stays open.
pub(super) fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
         {body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `stream` in pieces of `piece` bytes; the bodies, and whether it went wrong.
    fn bodies(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
        let (mut request, mut rest, mut bodies) = (Request::new(), stream, Vec::new());
        loop {
            match request.step() {
                Step::Whole => {
                    bodies.push(request.body().to_vec());
                    request.next();
                }
                Step::Bad => return (bodies, true),
                Step::Continue => {}
                Step::NeedsMore if rest.is_empty() => return (bodies, false),
                Step::NeedsMore => {
                    let room = request.room();
                    let count = room.len().min(piece).min(rest.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    request.filled(count);
                    rest = &rest[count..];
                }
            }
        }
    }

    #[test]
    fn requests_are_the_same_however_they_are_cut() {
        let long = "x".repeat(100_000);
        let stream = format!(
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nexpect: \
             100-Continue\r\ncontent-length: 100000\r\n\r\n{long}POST / HTTP/1.1\r\n\
             content-length: 0\r\n\r\n"
        );
        for piece in [1, 7, 16_000, 1_000_000] {
            let (bodies, bad) = bodies(stream.as_bytes(), piece);
            assert!(!bad);
            assert_eq!(bodies, [b"abc".to_vec(), long.clone().into_bytes(), Vec::new()]);
        }
    }

    #[test]
    fn what_has_no_length_or_is_too_long_is_bad() {
        let endless = "POST / HTTP/1.1\r\nx: ".to_owned() + &"y".repeat(20_000);
        for text in [
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 4000000000\r\n\r\n",
            "\u{1}\u{2}\r\n\r\n",
            &endless,
        ] {
            assert!(bodies(text.as_bytes(), 5_000).1, "{text:.60}");
        }
    }
}
