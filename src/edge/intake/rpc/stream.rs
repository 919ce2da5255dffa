//! Reading a submission while it comes in: head, digits, tail.
//!
//! As soon as an opening quote comes behind which only a block can stand, its digits are handed out
//! as they arrive. At the end, head and tail are read with two digits in place of the block, as
//! [`call::read`] does with any long one. Whatever is out of the ordinary (a batch, a backslash, a
//! method named behind the block, a tail that changes what the head said) is left to
//! [`call::read`], which gets the whole body: so a body means the same however it came in.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::call::{self, Call, Calls, Hex, Wanted};
use crate::cold::node::leg::hex_of;
use crate::cold::node::pieces::Pieces;
use crate::limits::{RPC_STREAM_HEAD_BYTES_MAX, RPC_STREAM_TAIL_BYTES_MAX};
use crate::wire::hash::unhex;

/// Digits of a header: with fewer there is no block.
const HEADER_DIGITS: usize = 160;

/// What a whole body turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A submission; all digits of its block were handed out.
    Block {
        /// The request, without what was in it.
        call: Box<Call>,
        /// Everything from the closing quote on.
        tail: Bytes,
    },
    /// To be read as a whole.
    Whole(Kept),
}

/// A body, less the digits that whoever has the block can give back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    before: Bytes,
    /// Digits that come next.
    pub(super) forgotten: usize,
    behind: Bytes,
}

impl Kept {
    /// The body, with the digits of `block` in their place; `None` where those are too few.
    pub(super) fn join(self, block: &[u8]) -> Option<Bytes> {
        if self.before.is_empty() && self.forgotten == 0 {
            return Some(self.behind);
        }
        let digits = hex_of(block.get(..self.forgotten.div_ceil(2))?);
        let parts = [&self.before[..], digits.get(..self.forgotten)?, &self.behind];
        Some(Bytes::from(parts.concat()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the block.
    Head,
    /// In it.
    Digits,
    /// Behind it.
    Tail,
    /// Not a submission that is read while it comes in.
    Whole,
}

/// A body that is coming in.
#[derive(Debug)]
pub(super) struct CallStream {
    phase: Phase,
    bytes: usize,
    /// What is kept, from the start; of a block from its first digit that was not forgotten. Shared
    /// with whoever gets the digits, not copied.
    pieces: Pieces,
    /// Digits before `pieces` that were forgotten.
    forgotten: usize,
    /// Digits came that are not to be forgotten.
    keeps: bool,
    /// Up to and with the opening quote of the block.
    head: BytesMut,
    is_in_string: bool,
    /// The last byte of the head that is neither in a string nor a space.
    before: u8,
    digits: usize,
    tail: BytesMut,
}

impl CallStream {
    /// A body of which nothing has come yet. `worth`: whether it may be read while it comes in.
    pub(super) fn new(worth: bool) -> Self {
        Self {
            phase: if worth { Phase::Head } else { Phase::Whole },
            bytes: 0,
            pieces: Pieces::default(),
            forgotten: 0,
            keeps: false,
            head: BytesMut::new(),
            is_in_string: false,
            before: 0,
            digits: 0,
            tail: BytesMut::new(),
        }
    }

    /// Bytes so far.
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    /// Everything before the block, once digits have been handed out.
    pub(super) fn head(&self) -> Bytes {
        self.head.clone().freeze()
    }

    /// Whoever gets the digits can't use them: the body is to be read as a whole.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::Whole;
    }

    /// Takes the next piece; returns the digits in it, as they came: they are not looked at yet and
    /// may be anything, also an odd number. Some from the moment on when it is clear that a block
    /// follows, with or without digits in it; none behind them.
    pub(super) fn push(&mut self, piece: &Bytes) -> Option<Bytes> {
        self.bytes += piece.len();
        let mut rest = piece.clone();
        if self.phase == Phase::Head {
            let Some(start) = self.find_block(&rest) else {
                self.pieces.push(rest);
                return None;
            };
            // All before it is in the head.
            (self.phase, self.pieces) = (Phase::Digits, Pieces::default());
            rest = rest.slice(start..);
        }
        self.pieces.push(rest.clone());
        match self.phase {
            Phase::Digits => Some(self.take_digits(rest)),
            Phase::Tail => {
                self.take_tail(&rest);
                None
            }
            Phase::Head | Phase::Whole => None,
        }
    }

    /// Whoever got the last `digits` has the block's bytes now, and can give them back: so the text
    /// need not be held beside them, unless it is not what those bytes would be written as.
    pub(super) fn forget(&mut self, digits: &[u8]) {
        self.keeps |=
            !digits.iter().fold(true, |is_plain, digit| is_plain & is_plain_digit(*digit));
        if self.phase == Phase::Digits && !self.keeps {
            self.forgotten += self.pieces.len();
            self.pieces = Pieces::default();
        }
    }

    /// The place in `piece` where the block begins.
    fn find_block(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            self.head.extend_from_slice(&[*byte]);
            match byte {
                // Behind a backslash a quote may not be one.
                b'\\' => self.phase = Phase::Whole,
                b'"' if self.is_in_string => (self.is_in_string, self.before) = (false, b'"'),
                b'"' => {
                    self.is_in_string = true;
                    if self.opens_block() {
                        return Some(at + 1);
                    }
                }
                _ if self.is_in_string || byte.is_ascii_whitespace() => {}
                _ if self.before == 0 && *byte != b'{' => self.phase = Phase::Whole,
                _ => self.before = *byte,
            }
            if self.head.len() > RPC_STREAM_HEAD_BYTES_MAX {
                self.phase = Phase::Whole;
            }
            if self.phase == Phase::Whole {
                return None;
            }
        }
        None
    }

    /// Whether a block, and nothing else, follows the head as it is now.
    fn opens_block(&self) -> bool {
        let closing: &[u8] = match self.before {
            b'[' => br#""]}"#,
            b':' => br#""}}"#,
            _ => return false,
        };
        call::read_around_block(&self.head, b"00", closing).is_some()
    }

    fn take_digits(&mut self, rest: Bytes) -> Bytes {
        let mut digits = rest;
        if let Some(end) = memchr(b'"', &digits) {
            let tail = digits.split_off(end);
            self.phase = Phase::Tail;
            self.take_tail(&tail);
        }
        self.digits += digits.len();
        digits
    }

    fn take_tail(&mut self, rest: &[u8]) {
        if self.tail.len() + rest.len() > RPC_STREAM_TAIL_BYTES_MAX {
            self.phase = Phase::Whole;
        } else {
            self.tail.extend_from_slice(rest);
        }
    }

    /// The body is over.
    pub(super) fn end(self) -> Ended {
        if let Some(call) = self.read() {
            return Ended::Block { call: Box::new(call), tail: self.tail.freeze() };
        }
        let has_digits = self.bytes > self.pieces.len();
        let before = if has_digits { self.head.freeze() } else { Bytes::new() };
        Ended::Whole(Kept { before, forgotten: self.forgotten, behind: self.pieces.join() })
    }

    fn read(&self) -> Option<Call> {
        let is_block = self.digits >= HEADER_DIGITS && self.digits.is_multiple_of(2);
        if self.phase != Phase::Tail || !is_block {
            return None;
        }
        call::read_around_block(&self.head, b"00", &self.tail)
    }
}

/// Whether bytes are written with this digit.
const fn is_plain_digit(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'a'..=b'f')
}

/// The law that holds for every body, for tests and the fuzzer: cut into these `pieces`, it is read
/// as it is read whole. True where it was read while it came in.
///
/// # Errors
/// It does not hold; in words.
pub fn reads_as_whole(
    whole: &Bytes,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Result<bool, &'static str> {
    let mut stream = CallStream::new(true);
    let mut text = Vec::new();
    for piece in pieces {
        let Some(digits) = stream.push(&piece) else {
            continue;
        };
        text.extend_from_slice(&digits);
        // What the desk says to such a piece.
        match digits.iter().all(u8::is_ascii_hexdigit) {
            true => stream.forget(&digits),
            false => stream.give_up(),
        }
    }
    let head = stream.head();
    let (streamed, tail) = match stream.end() {
        Ended::Block { call, tail } => (call, tail),
        Ended::Whole(kept) => {
            let forgotten = text.get(..kept.forgotten).unwrap_or_default();
            let mut block = vec![0; forgotten.len() / 2];
            let even = forgotten.get(..2 * block.len()).unwrap_or_default();
            unhex(even, &mut block).ok_or("what is no hex was forgotten")?;
            // Half a byte is no less known for the missing half.
            if let [.., digit] = forgotten.get(2 * block.len()..).unwrap_or_default() {
                let mut last = [0];
                unhex(&[*digit, b'0'], &mut last).ok_or("what is no hex was forgotten")?;
                block.extend(last);
            }
            return match kept.join(&block) {
                Some(body) if body == *whole => Ok(false),
                _ => Err("the whole body is another one"),
            };
        }
    };
    if [&head[..], &text, &tail].concat() != **whole {
        return Err("bytes are lost");
    }
    let Ok(Calls::Single(call)) = call::read(whole) else {
        return Err("it is no single request");
    };
    match call.wanted {
        Wanted::Block(Hex::Good { digits, .. }) if text == digits => {}
        _ => return Err("it is another block, or none"),
    }
    if (&call.id, call.says_two) != (&streamed.id, streamed.says_two) {
        return Err("it asks for another answer");
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
