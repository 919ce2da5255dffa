//! Walks one transaction while its bytes arrive; a long one is hashed on the way.

mod ids;

use super::{BlockError, Form};
use crate::limits::HASH_WHOLE_BYTES_MAX;
use crate::wire::cursor::{CompactSize, compact_size};
use ids::Hashers;

/// An input's outpoint, in bytes.
const OUTPOINT_BYTES: usize = 36;
/// The outpoint of a coinbase: no transaction, no index.
const NO_OUTPOINT: [u8; OUTPOINT_BYTES] = {
    let mut bytes = [0; OUTPOINT_BYTES];
    let mut at = 32;
    while at < OUTPOINT_BYTES {
        bytes[at] = 0xff;
        at += 1;
    }
    bytes
};
/// Flag: a witness follows the outputs.
const FLAG_WITNESS: u8 = 1;
/// Flag: extension data follows the witness.
const FLAG_EXTENSION: u8 = 8;
/// Marker and flags, in bytes, where there are flags.
const FLAGS_BYTES: usize = 2;
/// The end of a part that is still to come.
const UNKNOWN: usize = usize::MAX;

/// The part of a transaction that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Version,
    Flags,
    InputCount,
    Inputs,
    OutputCount,
    Outputs,
    StackSize,
    StackItems,
    Extension,
    LockTime,
    Payload,
    End,
}

/// Whether a step got on, or how long the prefix must be for the next one.
enum Step {
    Moved,
    Needs(usize),
}

/// A transaction under way. All places are in bytes from the start of the block.
#[derive(Clone, Debug)]
pub(crate) struct TransactionWalker {
    form: Form,
    part: Part,
    start: usize,
    at: usize,
    flags: u8,
    outputs_end: usize,
    /// End of the witness; of the outputs without one.
    witness_end: usize,
    /// Inputs, outputs or stack items to come.
    left: u64,
    inputs: u64,
    stacks_left: u64,
    /// Only where it was long before it was whole.
    hashers: Option<Box<Hashers>>,
    /// Type, where transactions have one.
    pub(crate) kind: u16,
    /// One input, and that one spends nothing.
    pub(crate) is_coinbase: bool,
    /// Bytes of witness with its markers.
    pub(crate) witness_bytes: usize,
    /// Bytes of extension markers.
    pub(crate) extension_bytes: usize,
}

impl TransactionWalker {
    /// Of the transaction that starts at `start`.
    pub(crate) fn new(form: Form, start: usize) -> Self {
        Self {
            form,
            part: Part::Version,
            start,
            at: start,
            flags: 0,
            outputs_end: UNKNOWN,
            witness_end: UNKNOWN,
            left: 0,
            inputs: 0,
            stacks_left: 0,
            hashers: None,
            kind: 0,
            is_coinbase: false,
            witness_bytes: 0,
            extension_bytes: 0,
        }
    }

    /// Where it starts.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Where it ends, once the walk is over.
    pub(crate) const fn end(&self) -> usize {
        self.at
    }

    /// Whether it has a witness.
    pub(crate) const fn has_witness(&self) -> bool {
        self.flags & FLAG_WITNESS != 0
    }

    /// Whether it carries the state of an extension block.
    pub(crate) const fn is_hogex(&self) -> bool {
        self.flags & FLAG_EXTENSION != 0
    }

    /// Goes on as far as `all` reaches. `None`: the transaction is whole; else the length of the
    /// prefix to come back with at the least.
    pub(crate) fn walk(&mut self, all: &[u8]) -> Result<Option<usize>, BlockError> {
        while self.part != Part::End {
            if let Step::Needs(length) = self.step(all)? {
                // What is asked for belongs to the part that is next, up to its end.
                let there = length.min(all.len());
                if there.saturating_sub(self.start) > HASH_WHOLE_BYTES_MAX {
                    self.feed(all, there);
                }
                return Ok(Some(length));
            }
        }
        if self.hashers.is_some() {
            self.feed(all, self.at);
        }
        Ok(None)
    }

    fn step(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        match self.part {
            Part::Version => Ok(self.version(all)),
            Part::Flags => self.flags(all),
            Part::InputCount => self.input_count(all),
            Part::Inputs => self.input(all),
            Part::OutputCount => self.output_count(all),
            Part::Outputs => self.output(all),
            Part::StackSize => self.stack_size(all),
            Part::StackItems => self.stack_item(all),
            Part::Extension => self.extension(all),
            Part::LockTime => Ok(self.lock_time(all)),
            Part::Payload => self.payload(all),
            Part::End => Ok(Step::Moved),
        }
    }

    fn version(&mut self, all: &[u8]) -> Step {
        let Some([v0, v1, k0, k1]) = array(all, self.at) else {
            return Step::Needs(self.at + 4);
        };
        let (version, kind) = (i16::from_le_bytes([v0, v1]), u16::from_le_bytes([k0, k1]));
        self.kind = self.form.kind(version, kind);
        let next = if self.form.flags { Part::Flags } else { Part::InputCount };
        self.go_on(self.at + 4, next)
    }

    fn flags(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        let Some(marker) = all.get(self.at) else {
            return Ok(Step::Needs(self.at + 1));
        };
        if *marker != 0 {
            return Ok(self.go_on(self.at, Part::InputCount));
        }
        let Some(flags) = all.get(self.at + 1) else {
            return Ok(Step::Needs(self.at + 2));
        };
        let known = FLAG_WITNESS | if self.form.extension { FLAG_EXTENSION } else { 0 };
        match *flags {
            0 => {
                return Err(BlockError::NoInputs { start: self.start as u32 });
            }
            flags if flags & !known != 0 => return Err(self.malformed("transaction flag")),
            flags => self.flags = flags,
        }
        if self.has_witness() {
            self.witness_bytes = FLAGS_BYTES;
        } else {
            self.extension_bytes = FLAGS_BYTES;
        }
        Ok(self.go_on(self.at + FLAGS_BYTES, Part::InputCount))
    }

    fn input_count(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        let Some((count, behind)) = self.counted(all, self.at, "count of inputs")? else {
            return Ok(Step::Needs(self.at + 1));
        };
        if count == 0 && self.has_witness() {
            return Err(self.malformed("empty witness"));
        }
        if count == 0 && !self.form.allows_no_inputs(self.kind) {
            return Err(BlockError::NoInputs { start: self.start as u32 });
        }
        (self.inputs, self.left, self.stacks_left) = (count, count, count);
        Ok(self.go_on(behind, Part::Inputs))
    }

    fn input(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        if self.left == 0 {
            return Ok(self.go_on(self.at, Part::OutputCount));
        }
        let script = self.at + OUTPOINT_BYTES;
        let Some((length, behind)) = self.counted(all, script, "length of an input script")? else {
            return Ok(Step::Needs(script + 1));
        };
        let end = behind + length as usize + 4;
        let Some(outpoint) = all.get(..end).and_then(|_| all.get(self.at..script)) else {
            return Ok(Step::Needs(end));
        };
        self.is_coinbase = self.inputs == 1 && outpoint == NO_OUTPOINT;
        self.left -= 1;
        Ok(self.go_on(end, Part::Inputs))
    }

    fn output_count(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        let Some((count, behind)) = self.counted(all, self.at, "count of outputs")? else {
            return Ok(Step::Needs(self.at + 1));
        };
        if count == 0 && !self.form.allows_no_outputs(self.kind) {
            return Err(BlockError::NoOutputs { start: self.start as u32 });
        }
        self.left = count;
        Ok(self.go_on(behind, Part::Outputs))
    }

    fn output(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        if self.left == 0 {
            self.outputs_end = self.at;
            if self.has_witness() {
                return Ok(self.go_on(self.at, Part::StackSize));
            }
            self.witness_end = self.at;
            return Ok(self.go_on(self.at, Part::Extension));
        }
        let script = self.at + 8;
        let Some((length, behind)) = self.counted(all, script, "length of an output script")?
        else {
            return Ok(Step::Needs(script + 1));
        };
        let step = self.skip(all, behind + length as usize, Part::Outputs);
        if matches!(step, Step::Moved) {
            self.left -= 1;
        }
        Ok(step)
    }

    fn stack_size(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        if self.stacks_left == 0 {
            // The markers alone, or all stacks empty: nodes refuse to read it.
            if self.witness_bytes == 2 + self.inputs as usize {
                return Err(self.malformed("empty witness"));
            }
            self.witness_end = self.at;
            return Ok(self.go_on(self.at, Part::Extension));
        }
        let Some((count, behind)) = self.counted(all, self.at, "size of a witness stack")? else {
            return Ok(Step::Needs(self.at + 1));
        };
        self.stacks_left -= 1;
        self.left = count;
        self.witness_bytes += behind - self.at;
        Ok(self.go_on(behind, Part::StackItems))
    }

    fn stack_item(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        if self.left == 0 {
            return Ok(self.go_on(self.at, Part::StackSize));
        }
        let Some((length, behind)) = self.counted(all, self.at, "length of a witness item")? else {
            return Ok(Step::Needs(self.at + 1));
        };
        let (end, before) = (behind + length as usize, self.at);
        let step = self.skip(all, end, Part::StackItems);
        if matches!(step, Step::Moved) {
            self.left -= 1;
            self.witness_bytes += end - before;
        }
        Ok(step)
    }

    fn extension(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        if !self.is_hogex() {
            return Ok(self.go_on(self.at, Part::LockTime));
        }
        match all.get(self.at) {
            None => Ok(Step::Needs(self.at + 1)),
            Some(0) => {
                self.extension_bytes += 1;
                Ok(self.go_on(self.at + 1, Part::LockTime))
            }
            Some(1) => Err(BlockError::ExtensionInTransaction { start: self.start as u32 }),
            Some(_) => Err(self.malformed("extension marker")),
        }
    }

    fn lock_time(&mut self, all: &[u8]) -> Step {
        let next = if self.kind == 0 { Part::End } else { Part::Payload };
        self.skip(all, self.at + 4, next)
    }

    fn payload(&mut self, all: &[u8]) -> Result<Step, BlockError> {
        let Some((length, behind)) = self.counted(all, self.at, "length of a payload")? else {
            return Ok(Step::Needs(self.at + 1));
        };
        Ok(self.skip(all, behind + length as usize, Part::End))
    }

    /// Goes on at `end` if `all` reaches that far.
    fn skip(&mut self, all: &[u8], end: usize, next: Part) -> Step {
        if all.len() < end {
            return Step::Needs(end);
        }
        self.go_on(end, next)
    }

    fn go_on(&mut self, at: usize, next: Part) -> Step {
        (self.at, self.part) = (at, next);
        Step::Moved
    }

    /// The count at `at` and where it ends; `None` while it is not all there.
    fn counted(
        &self,
        all: &[u8],
        at: usize,
        what: &'static str,
    ) -> Result<Option<(u64, usize)>, BlockError> {
        match compact_size(all.get(at..).unwrap_or_default()) {
            CompactSize::Value { value, bytes } => Ok(Some((value, at + bytes))),
            CompactSize::NeedsMore => Ok(None),
            CompactSize::Malformed => Err(BlockError::Malformed { what, at: at as u32 }),
        }
    }

    const fn malformed(&self, what: &'static str) -> BlockError {
        BlockError::Malformed { what, at: self.at as u32 }
    }
}

/// The `N` bytes at `at`.
pub(super) fn array<const N: usize>(all: &[u8], at: usize) -> Option<[u8; N]> {
    all.get(at..)?.first_chunk().copied()
}
