//! Cuts messages into blocks and keeps two lanes of the compression busy with them.

use std::slice;

use super::compress::{Block, START, State, compress, digest};
use crate::wire::hash::{Message, Pair};

/// Bytes of a block.
const BLOCK_BYTES: usize = size_of::<Block>();
/// Where the length of the message, in bits, stands in its last block.
const LENGTH_AT: usize = BLOCK_BYTES - size_of::<u64>();
/// Stands behind a message.
const END: u8 = 0x80;
/// Of a message this much is copied together at a time, in blocks: most transactions whole.
/// What stands together in pieces longer than that is hashed where it is.
const GATHERED_BLOCKS: usize = 16;
/// The same in bytes.
const GATHERED_BYTES: usize = GATHERED_BLOCKS * BLOCK_BYTES;
/// A block behind a message that is one block long.
const BEHIND_ONE_BLOCK: Block = padded(&[], BLOCK_BYTES as u64);

/// What comes next of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its bytes, if any are left, and their end.
    Bytes,
    /// The first hash, to be hashed itself.
    Again,
    /// Nothing: the state is that of the second hash.
    Done,
}

/// One of two messages that are hashed side by side.
struct Lane<'a, 'out> {
    state: State,
    input: Input<'a>,
    stage: Stage,
    /// Where the hash is to go; nothing where the lane is idle.
    hash: Option<&'out mut [u8; 32]>,
}

/// Cuts a message into blocks.
struct Input<'a> {
    /// What is left of the message.
    rest: Message<'a>,
    /// In bytes.
    length: u64,
    /// The blocks that are next, where they stand in the message as they are.
    ready: &'a [Block],
    /// Else they are these, from `from` to `to`. There is room for an end behind what is gathered.
    gathered: [Block; GATHERED_BLOCKS + 1],
    from: usize,
    to: usize,
}

impl<'a> Input<'a> {
    /// The blocks that are next.
    fn blocks(&self) -> &[Block] {
        if self.ready.is_empty() {
            self.gathered.get(self.from..self.to).unwrap_or_default()
        } else {
            self.ready
        }
    }

    /// Moves on behind `count` of the blocks. `true`: there are more.
    fn pass(&mut self, count: usize) -> bool {
        if self.ready.is_empty() {
            self.from += count;
            self.from < self.to
        } else {
            self.ready = self.ready.get(count..).unwrap_or_default();
            !self.ready.is_empty()
        }
    }

    /// Makes out the blocks that are next: one at the least. `true`: they are the last ones.
    fn cut(&mut self) -> bool {
        let (mut filled, bytes) = (0, self.gathered.as_flattened_mut());
        for piece in &mut self.rest {
            if filled == 0 && piece.len() >= GATHERED_BYTES {
                (self.ready, *piece) = piece.as_chunks();
                return false;
            }
            let taken = piece.len().min(GATHERED_BYTES - filled);
            let (front, rest) = piece.split_at(taken);
            bytes[filled..filled + taken].copy_from_slice(front);
            (*piece, filled) = (rest, filled + taken);
            if filled == GATHERED_BYTES {
                (self.from, self.to) = (0, GATHERED_BLOCKS);
                return false;
            }
        }
        let blocks = (filled + 1 + size_of::<u64>()).div_ceil(BLOCK_BYTES);
        let length_at = blocks * BLOCK_BYTES - size_of::<u64>();
        bytes[filled] = END;
        bytes[filled + 1..length_at].fill(0);
        bytes[length_at..][..size_of::<u64>()].copy_from_slice(&(8 * self.length).to_be_bytes());
        (self.from, self.to) = (0, blocks);
        true
    }

    /// Makes `block` the one that is next, and the last.
    fn set(&mut self, block: Block) {
        self.gathered[0] = block;
        (self.from, self.to) = (0, 1);
    }
}

impl<'a, 'out> Lane<'a, 'out> {
    const fn idle() -> Self {
        let gathered = [[0; BLOCK_BYTES]; GATHERED_BLOCKS + 1];
        let input = Input { rest: [&[]; 4], length: 0, ready: &[], gathered, from: 0, to: 0 };
        Self { state: START, input, stage: Stage::Done, hash: None }
    }

    /// Starts with the next message of `messages`; idle when there is none.
    fn start(
        &mut self,
        messages: &mut impl Iterator<Item = (&'a Message<'a>, &'out mut [u8; 32])>,
    ) {
        self.hash = None;
        let Some((message, hash)) = messages.next() else {
            return;
        };
        (self.input.rest, self.hash) = (*message, Some(hash));
        self.input.length = message.iter().map(|piece| piece.len() as u64).sum();
        (self.state, self.stage) = (START, Stage::Bytes);
        self.cut();
    }

    /// Whether there is nothing to hash.
    const fn is_idle(&self) -> bool {
        self.hash.is_none()
    }

    /// Moves on behind `count` of the blocks. `true`: the message's hash was handed out.
    fn pass(&mut self, count: usize) -> bool {
        if self.input.pass(count) {
            return false;
        }
        match self.stage {
            Stage::Bytes => self.cut(),
            Stage::Again => {
                self.input.set(padded(&digest(&self.state), 32));
                (self.state, self.stage) = (START, Stage::Done);
            }
            Stage::Done => {
                if let Some(hash) = &mut self.hash {
                    **hash = digest(&self.state);
                }
                return true;
            }
        }
        false
    }

    fn cut(&mut self) {
        if self.input.cut() {
            self.stage = Stage::Again;
        }
    }
}

/// The last block of a message of `length` bytes, `tail` being those that fill no block.
const fn padded(tail: &[u8], length: u64) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let (front, behind) = block.split_at_mut(tail.len());
    front.copy_from_slice(tail);
    behind[0] = END;
    let (_, end) = block.split_at_mut(LENGTH_AT);
    end.copy_from_slice(&(8 * length).to_be_bytes());
    block
}

/// See [`Lanes::hash`](crate::wire::hash::Lanes::hash).
pub(super) fn hash(messages: &[Message<'_>], hashes: &mut [[u8; 32]]) {
    let mut messages = messages.iter().zip(hashes);
    let [mut one, mut other] = [const { Lane::idle() }; 2];
    one.start(&mut messages);
    other.start(&mut messages);
    while !one.is_idle() && !other.is_idle() {
        let blocks = [one.input.blocks(), other.input.blocks()];
        let count = compress([&mut one.state, &mut other.state], blocks);
        for lane in [&mut one, &mut other] {
            if lane.pass(count) {
                lane.start(&mut messages);
            }
        }
    }
    // What one lane has left when there is nothing for the other.
    let last = if one.is_idle() { &mut other } else { &mut one };
    while !last.is_idle() {
        let count = compress([&mut last.state], [last.input.blocks()]);
        if last.pass(count) {
            last.start(&mut messages);
        }
    }
}

/// See [`Lanes::hash_pairs`](crate::wire::hash::Lanes::hash_pairs).
pub(super) fn hash_pairs(pairs: &[Pair; 2]) -> [[u8; 32]; 2] {
    let [mut one, mut other] = [START; 2];
    let blocks = pairs.each_ref().map(|pair| pair.as_flattened().as_chunks().0);
    compress([&mut one, &mut other], blocks);
    compress([&mut one, &mut other], [slice::from_ref(&BEHIND_ONE_BLOCK); 2]);
    let again = [one, other].map(|state| padded(&digest(&state), 32));
    [one, other] = [START; 2];
    compress([&mut one, &mut other], again.each_ref().map(slice::from_ref));
    [one, other].map(|state| digest(&state))
}
