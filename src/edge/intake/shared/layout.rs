//! Where everything stands in a session's memory: the same as in `include/broadside.h`, which
//! `tests/abi.rs` compares number by number.
//!
//! # Shape
//!
//! Numbers are little-endian and aligned to their size. Each line of 64 bytes has one writer.
//!
//! | offset | field | written by |
//! | --- | --- | --- |
//! | 0 | magic [8], version u32, header bytes u32, capacity u64 | engine, once |
//! | 64 | sequence u32, rung sequence u32, written u64, total u64, begun ns u64, rung ns u64 | pool |
//! | 128 | engine waits u32, taken sequence u32 | engine |
//! | 192 | answered sequence u32, verdict u32, times and image 6 × u64 | engine |
//! | 256 | hash [72], word [56], message [256]: text, ended by a zero | engine |
//! | header bytes | the block area, capacity bytes | pool |

use std::sync::atomic::Ordering;

use crate::limits::{BLOCK_BYTES_MAX, SHARED_HEADER_BYTES};
use crate::sys::shared::SharedMemory;

/// First bytes of the memory.
pub const MEMORY_MAGIC: [u8; 8] = *b"BSSHARED";
/// Of this layout. Another version has another one.
pub const VERSION: u32 = 1;

/// [`VERSION`], u32.
pub const VERSION_AT: usize = 8;
/// Where the block area begins, u32.
pub const HEADER_BYTES_AT: usize = 12;
/// Bytes of the block area, u64.
pub const CAPACITY_BYTES_AT: usize = 16;

/// Number of the block being written, u32: another one begins a block.
pub const SEQUENCE_AT: usize = 64;
/// Number of the last block that is complete, u32.
pub const RUNG_SEQUENCE_AT: usize = 68;
/// Bytes of the block that are there, u64.
pub const WRITTEN_BYTES_AT: usize = 72;
/// The block's length, u64: 0 is not known yet; binding once it is rung.
pub const TOTAL_BYTES_AT: usize = 80;
/// When the block was begun (CLOCK_MONOTONIC, ns), u64; 0: not said.
pub const BEGUN_NS_AT: usize = 88;
/// When it was rung (CLOCK_MONOTONIC, ns), u64; 0: not said.
pub const RUNG_NS_AT: usize = 96;

/// 1 while the engine sleeps and has to be poked, u32.
pub const ENGINE_WAITS_AT: usize = 128;
/// The last block that the engine has a copy of, u32: its bytes may be written over.
pub const TAKEN_SEQUENCE_AT: usize = 132;

/// Which block the result below is about, u32. Written last.
pub const ANSWERED_SEQUENCE_AT: usize = 192;
/// A [`Code`], u32.
pub const VERDICT_AT: usize = 196;
/// First byte seen (CLOCK_MONOTONIC, ns), u64.
pub const FIRST_BYTE_NS_AT: usize = 200;
/// Last byte there, u64.
pub const LAST_BYTE_NS_AT: usize = 208;
/// All bytes in the engine's own memory, u64.
pub const TAKEN_NS_AT: usize = 216;
/// Peers' shards told, u64; 0: it was not published.
pub const PUBLISHED_NS_AT: usize = 224;
/// Result written, u64.
pub const ANSWERED_NS_AT: usize = 232;
/// The block's number among those published by this engine, u64.
pub const IMAGE_AT: usize = 240;
/// The block's hash in hex, as people write it.
pub const HASH_AT: usize = 256;
/// Room for it.
pub const HASH_BYTES: usize = 72;
/// The verdict in the node's word.
pub const WORD_AT: usize = 328;
/// Room for it.
pub const WORD_BYTES: usize = 56;
/// Why there is no verdict, or why peers did not get it, for people.
pub const MESSAGE_AT: usize = 384;
/// Room for it.
pub const MESSAGE_BYTES: usize = 256;

const _: () = {
    assert!(HASH_AT + HASH_BYTES == WORD_AT && WORD_AT + WORD_BYTES == MESSAGE_AT);
    assert!(MESSAGE_AT + MESSAGE_BYTES <= SHARED_HEADER_BYTES as usize);
    assert!(IMAGE_AT + size_of::<u64>() <= HASH_AT && HASH_BYTES > 64);
    assert!(RUNG_NS_AT + size_of::<u64>() <= ENGINE_WAITS_AT);
    assert!(SEQUENCE_AT.is_multiple_of(64) && ENGINE_WAITS_AT.is_multiple_of(64));
    assert!(ANSWERED_SEQUENCE_AT.is_multiple_of(64));
};

/// What became of a block, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// The node holds it for valid (or, without a node, our own checks do).
    Accepted = 1,
    /// The node, or our own checks, will not have it.
    Refused = 2,
    /// Not judged (yet): the message says where it is. The engine keeps on handing it to the node.
    Unjudged = 3,
    /// The hand-over itself was wrong: the engine has nothing. Begin another block.
    Lost = 4,
}

impl Code {
    /// The code behind a number.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        [Self::Accepted, Self::Refused, Self::Unjudged, Self::Lost]
            .into_iter()
            .find(|code| *code as u32 == number)
    }
}

/// Writes what never changes.
pub(super) fn prepare(memory: &SharedMemory) {
    memory.copy_in(0, &MEMORY_MAGIC);
    memory.store_u32(HEADER_BYTES_AT, SHARED_HEADER_BYTES, Ordering::Relaxed);
    memory.store_u64(CAPACITY_BYTES_AT, u64::from(BLOCK_BYTES_MAX), Ordering::Relaxed);
    memory.store_u32(VERSION_AT, VERSION, Ordering::Release);
}

/// Writes `text`, cut to its place, ended by a zero.
pub(super) fn put_text(memory: &SharedMemory, at: usize, room: usize, text: &str) {
    let mut bytes = vec![0; room];
    let fits = (0..room).rev().find(|cut| text.is_char_boundary(*cut)).unwrap_or(0);
    bytes[..fits].copy_from_slice(&text.as_bytes()[..fits]);
    memory.copy_in(at, &bytes);
}

/// Reads what [`put_text`] wrote.
pub(super) fn text(memory: &SharedMemory, at: usize, room: usize) -> String {
    let mut bytes = vec![0; room];
    memory.copy_out(at, &mut bytes);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(room);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// What the pool says of its block, at one glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) sequence: u32,
    pub(super) rung: bool,
    pub(super) written_bytes: u64,
}

impl Glance {
    /// Reads in the order that makes a ring imply all bytes before it.
    pub(super) fn at(memory: &SharedMemory) -> Self {
        let sequence = memory.load_u32(SEQUENCE_AT, Ordering::Acquire);
        let rung = memory.load_u32(RUNG_SEQUENCE_AT, Ordering::Acquire) == sequence;
        let written_bytes = memory.load_u64(WRITTEN_BYTES_AT, Ordering::Acquire);
        Self { sequence, rung, written_bytes }
    }
}
