//! The pool's side, for `submit --shared`, benches and tests. `include/broadside.h` is the same in C.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::layout::{self, Code, text};
use super::{GRANTED, MAGIC, REPLY_BYTES, SharedError};
use crate::limits::{SHARED_HEADER_BYTES, SHARED_SESSION_BYTES, UNIX_TRANSFER_DEADLINE_MS};
use crate::sys::clock::now_ns;
use crate::sys::doorbell::Doorbell;
use crate::sys::passing::receive_with;
use crate::sys::shared::SharedMemory;

const TRANSFER_DEADLINE: Duration = Duration::from_millis(UNIX_TRANSFER_DEADLINE_MS);
/// Longest text of a refusal that is read, in bytes.
const REFUSAL_BYTES_MAX: u32 = 4_096;

/// What became of a block. Times are CLOCK_MONOTONIC in ns; 0: did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedAnswer {
    /// The verdict.
    pub code: Code,
    /// Its word, where there is one.
    pub word: String,
    /// Why there is none, or why peers did not get the block.
    pub message: String,
    /// The block's hash as people write it, where there was a header.
    pub hash: String,
    /// First byte.
    pub first_byte_ns: u64,
    /// Last byte.
    pub last_byte_ns: u64,
    /// All bytes in the engine's own memory.
    pub taken_ns: u64,
    /// The peers' shards were told.
    pub published_ns: u64,
    /// The verdict was there.
    pub answered_ns: u64,
}

/// A session with an engine.
#[derive(Debug)]
pub struct SharedClient {
    path: PathBuf,
    socket: UnixStream,
    memory: SharedMemory,
    ring: Doorbell,
    bell: Doorbell,
    sequence: u32,
    written_bytes: u64,
    capacity_bytes: u64,
}

impl SharedClient {
    /// Opens a session with the engine at the socket `path`. `chain` may be empty: the engine's
    /// first chain.
    ///
    /// # Errors
    /// The engine can't be reached, refuses, or is of another version.
    pub fn open(path: &Path, chain: &str) -> Result<Self, SharedError> {
        let unreachable = |source| SharedError::Unreachable { path: path.to_owned(), source };
        let bad = || SharedError::BadAnswer { path: path.to_owned() };
        let length =
            u8::try_from(chain.len()).map_err(|_| SharedError::ChainName(chain.to_owned()))?;
        let mut socket = UnixStream::connect(path).map_err(unreachable)?;
        socket.set_read_timeout(Some(TRANSFER_DEADLINE)).map_err(unreachable)?;
        let request = [&MAGIC[..], &[length], chain.as_bytes()].concat();
        socket.write_all(&request).map_err(unreachable)?;
        let mut reply = [0; REPLY_BYTES];
        let (got, descriptors) = receive_with(&socket, &mut reply).map_err(unreachable)?;
        socket.read_exact(&mut reply[got..]).map_err(unreachable)?;
        let bytes = granted(&mut socket, &reply).map_err(|ended| ended.unwrap_or_else(bad))?;
        let Ok([memory, ring, bell]) = <[_; 3]>::try_from(descriptors) else {
            return Err(bad());
        };
        if bytes != SHARED_SESSION_BYTES {
            return Err(bad());
        }
        let memory = SharedMemory::map(&memory, bytes as usize).map_err(unreachable)?;
        let mut magic = [0; layout::MEMORY_MAGIC.len()];
        memory.copy_out(0, &mut magic);
        let version = memory.load_u32(layout::VERSION_AT, Ordering::Acquire);
        if magic != layout::MEMORY_MAGIC || version != layout::VERSION {
            return Err(bad());
        }
        let room = u64::from(SHARED_SESSION_BYTES - SHARED_HEADER_BYTES);
        let capacity_bytes = memory.load_u64(layout::CAPACITY_BYTES_AT, Ordering::Relaxed);
        Ok(Self {
            path: path.to_owned(),
            socket,
            memory,
            ring: ring.into(),
            bell: bell.into(),
            sequence: 0,
            written_bytes: 0,
            capacity_bytes: capacity_bytes.min(room),
        })
    }

    /// Begins a block, giving up one that was not rung. `announced_bytes`: its length, where it is
    /// known.
    pub fn begin(&mut self, announced_bytes: Option<u32>) {
        self.written_bytes = 0;
        self.sequence = self.sequence.wrapping_add(1);
        let total = u64::from(announced_bytes.unwrap_or(0));
        self.memory.store_u64(layout::WRITTEN_BYTES_AT, 0, Ordering::Relaxed);
        self.memory.store_u64(layout::TOTAL_BYTES_AT, total, Ordering::Relaxed);
        self.memory.store_u64(layout::BEGUN_NS_AT, now_ns(), Ordering::Relaxed);
        self.memory.store_u32(layout::SEQUENCE_AT, self.sequence, Ordering::Release);
        self.poke();
    }

    /// Appends a piece of the block.
    ///
    /// # Errors
    /// [`SharedError::TooLong`].
    pub fn write(&mut self, piece: &[u8]) -> Result<(), SharedError> {
        let end = self.written_bytes + piece.len() as u64;
        if end > self.capacity_bytes {
            return Err(SharedError::TooLong);
        }
        self.memory.copy_in(SHARED_HEADER_BYTES as usize + self.written_bytes as usize, piece);
        self.claim_written(end);
        Ok(())
    }

    /// Says how many bytes of the block are there, true or not: what [`Self::write`] does at its end.
    pub fn claim_written(&mut self, written_bytes: u64) {
        self.written_bytes = written_bytes;
        self.memory.store_u64(layout::WRITTEN_BYTES_AT, written_bytes, Ordering::Release);
        self.poke();
    }

    /// The block is complete.
    pub fn ring(&mut self) {
        let written_bytes = self.written_bytes;
        self.ring_as(written_bytes);
    }

    /// As [`Self::ring`], with a length that may be wrong.
    pub fn ring_as(&mut self, total_bytes: u64) {
        self.memory.store_u64(layout::TOTAL_BYTES_AT, total_bytes, Ordering::Relaxed);
        self.memory.store_u64(layout::RUNG_NS_AT, now_ns(), Ordering::Relaxed);
        self.memory.store_u32(layout::RUNG_SEQUENCE_AT, self.sequence, Ordering::Release);
        self.poke();
    }

    /// The shared memory itself, for whoever does not want to be nice.
    #[must_use]
    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// Waits until the engine has its own copy of the block that was rung last: its bytes may then
    /// be written over.
    ///
    /// # Errors
    /// As for [`Self::answer`].
    pub fn taken(&mut self, patience: Duration) -> Result<(), SharedError> {
        self.wait(patience, &[layout::TAKEN_SEQUENCE_AT, layout::ANSWERED_SEQUENCE_AT])
    }

    /// Waits for what became of the block that was begun last.
    ///
    /// # Errors
    /// The engine ended the session, or does not answer in time.
    pub fn answer(&mut self, patience: Duration) -> Result<SharedAnswer, SharedError> {
        self.wait(patience, &[layout::ANSWERED_SEQUENCE_AT])?;
        let memory = &self.memory;
        let code = Code::of(memory.load_u32(layout::VERDICT_AT, Ordering::Relaxed));
        let number = |at| memory.load_u64(at, Ordering::Relaxed);
        Ok(SharedAnswer {
            code: code.ok_or_else(|| SharedError::BadAnswer { path: self.path.clone() })?,
            word: text(memory, layout::WORD_AT, layout::WORD_BYTES),
            message: text(memory, layout::MESSAGE_AT, layout::MESSAGE_BYTES),
            hash: text(memory, layout::HASH_AT, layout::HASH_BYTES),
            first_byte_ns: number(layout::FIRST_BYTE_NS_AT),
            last_byte_ns: number(layout::LAST_BYTE_NS_AT),
            taken_ns: number(layout::TAKEN_NS_AT),
            published_ns: number(layout::PUBLISHED_NS_AT),
            answered_ns: number(layout::ANSWERED_NS_AT),
        })
    }

    /// Waits until one of the numbers is that of the current block.
    fn wait(&mut self, patience: Duration, places: &[usize]) -> Result<(), SharedError> {
        let until_ns = now_ns().saturating_add(patience.as_nanos() as u64);
        let mut ended = false;
        loop {
            // Before the look: rings of a later moment stay in the bell.
            self.bell.answer();
            let here = |at: &usize| self.memory.load_u32(*at, Ordering::Acquire) == self.sequence;
            if places.iter().any(here) {
                return Ok(());
            }
            if ended {
                return Err(self.ended());
            }
            let left_ns = until_ns.saturating_sub(now_ns());
            if left_ns == 0 {
                return Err(SharedError::Silent(patience.as_secs()));
            }
            let timeout = Timespec {
                tv_sec: (left_ns / 1_000_000_000) as _,
                tv_nsec: (left_ns % 1_000_000_000) as _,
            };
            let mut watched =
                [PollFd::new(&self.bell, PollFlags::IN), PollFd::new(&self.socket, PollFlags::IN)];
            let _any = poll(&mut watched, Some(&timeout));
            // One more look first: the last result may have come just before the end.
            ended = !watched[1].revents().is_empty();
        }
    }

    /// Why the engine ended the session.
    fn ended(&mut self) -> SharedError {
        let mut reply = [0; REPLY_BYTES];
        let read = self.socket.read_exact(&mut reply);
        let path = self.path.clone();
        match read.map(|()| granted(&mut self.socket, &reply)) {
            Ok(Err(Some(refused))) => refused,
            Ok(_) => SharedError::BadAnswer { path },
            Err(source) => SharedError::Unreachable { path, source },
        }
    }

    /// Wakes the engine where it sleeps.
    fn poke(&self) {
        // Pairs with the engine's fence between its note that it sleeps and its last look.
        fence(Ordering::SeqCst);
        if self.memory.load_u32(layout::ENGINE_WAITS_AT, Ordering::Relaxed) != 0 {
            self.ring.ring();
        }
    }
}

/// The length that a reply grants; the refusal, or `None` where it is no reply at all.
fn granted(socket: &mut UnixStream, reply: &[u8; REPLY_BYTES]) -> Result<u32, Option<SharedError>> {
    let fields = reply.as_chunks::<4>().0;
    let [magic, version, status, length] = [0, 1, 2, 3].map(|at| u32::from_le_bytes(fields[at]));
    if magic != u32::from_le_bytes(MAGIC) || version != layout::VERSION {
        return Err(None);
    }
    if status == GRANTED {
        return Ok(length);
    }
    let mut text = Vec::new();
    let reading = socket.take(u64::from(length.min(REFUSAL_BYTES_MAX))).read_to_end(&mut text);
    let read: io::Result<usize> = reading;
    Err(read.is_ok().then(|| SharedError::Refused(String::from_utf8_lossy(&text).into_owned())))
}
