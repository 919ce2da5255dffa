//! The thread that reads along while a pool writes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::{Context, Poll, Waker};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::Patience;
use super::answer::Answering;
use super::layout::{self, Glance};
use super::session::Session;
use crate::edge::intake::desk::{Answer, Reception, ReceptionError};
use crate::limits::{
    BLOCK_BYTES_MAX, SHARED_HEADER_BYTES, SHARED_PIECE_BYTES, SHARED_PROGRESS_DEADLINE_MS,
};
use crate::sys::clock::now_ns;

const BLOCK_AREA_AT: usize = SHARED_HEADER_BYTES as usize;
/// Looks at the memory between two at the clock.
const LOOKS_PER_CLOCK: u32 = 32;

/// What a pool did wrong. Costs it this one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("written_bytes went backwards; begin a new block instead")]
    Backwards,
    #[error("written_bytes is beyond the block area: no chain has such a block")]
    Beyond,
    #[error("it was rung with a total_bytes that is not what was written")]
    Total,
    #[error("nothing more was written for {} s", SHARED_PROGRESS_DEADLINE_MS / 1_000)]
    Stalled,
    #[error("too many blocks are being handed in at once; try again")]
    Busy,
    #[error(transparent)]
    Reception(#[from] ReceptionError),
}

/// A block of which some bytes are here.
struct Incoming {
    reception: Reception,
    taken_bytes: u64,
    first_byte_ns: u64,
    /// When the last of them came.
    progress_ns: u64,
}

/// How following one block ended.
enum End {
    /// All of it is the desk's now.
    HandedOver,
    /// The pool began another one, or is gone.
    Abandoned,
}

pub(super) struct Follower {
    session: Arc<Session>,
    runtime: Handle,
    alive: mpsc::Sender<()>,
    patience: Patience,
    piece: Vec<u8>,
    /// The pool's number of the last block that is over for us.
    over: u32,
    /// Blocks followed so far, by our own count.
    count: u64,
}

impl Follower {
    pub(super) fn new(
        session: Arc<Session>,
        runtime: Handle,
        alive: mpsc::Sender<()>,
        patience: Patience,
    ) -> Self {
        let piece = vec![0; SHARED_PIECE_BYTES];
        Self { session, runtime, alive, patience, piece, over: 0, count: 0 }
    }

    /// Follows block after block, until the session ends.
    pub(super) fn run(mut self) {
        // The desk starts tasks: as if this were one of the runtime's own threads.
        let runtime = self.runtime.clone();
        let _inside = runtime.enter();
        while let Some(sequence) = self.next_block() {
            self.count += 1;
            match self.follow(sequence) {
                Ok(End::HandedOver) => {}
                Ok(End::Abandoned) => debug!(sequence, "a block in shared memory was given up"),
                Err(fault) => {
                    warn!(sequence, %fault, "a block was lost on its way through shared memory");
                    self.answering(sequence).lost(&fault.to_string());
                }
            }
            self.over = sequence;
        }
    }

    /// Waits for a block that is not over. `None`: the session has ended.
    fn next_block(&self) -> Option<u32> {
        loop {
            // Before the look: a block that was rung before the pool died is still taken.
            let ended = self.session.ended.load(Ordering::Acquire);
            let glance = Glance::at(&self.session.memory);
            if glance.sequence != self.over {
                return Some(glance.sequence);
            }
            if ended {
                return None;
            }
            self.sleep(glance, None);
        }
    }

    fn follow(&mut self, sequence: u32) -> Result<End, Fault> {
        let mut incoming = None;
        let mut begun_ns = now_ns();
        loop {
            let ended = self.session.ended.load(Ordering::Acquire);
            let glance = Glance::at(&self.session.memory);
            if glance.sequence != sequence {
                return Ok(End::Abandoned);
            }
            let taken_bytes = incoming.as_ref().map_or(0, |it: &Incoming| it.taken_bytes);
            if glance.written_bytes != taken_bytes || glance.rung {
                let mut block = match incoming.take() {
                    Some(block) => block,
                    None => self.receive(begun_ns)?,
                };
                self.pull(&mut block, glance.written_bytes)?;
                if Glance::at(&self.session.memory).sequence != sequence {
                    return Ok(End::Abandoned);
                }
                if glance.rung {
                    return self.finish(sequence, block).map(|()| End::HandedOver);
                }
                block.progress_ns = now_ns();
                begun_ns = block.progress_ns;
                incoming = Some(block);
                continue;
            }
            if ended {
                return Ok(End::Abandoned);
            }
            let deadline_ns =
                incoming.as_ref().map(|it| it.progress_ns + self.patience.progress_ns);
            if deadline_ns.is_some_and(|deadline_ns| now_ns() >= deadline_ns) {
                return Err(Fault::Stalled);
            }
            if !self.spin(glance, begun_ns + self.patience.spin_ns) {
                self.sleep(glance, deadline_ns);
            }
        }
    }

    /// The first bytes are there.
    fn receive(&self, seen_ns: u64) -> Result<Incoming, Fault> {
        let session = &self.session;
        let now_ns = now_ns();
        let said_ns = session.memory.load_u64(layout::BEGUN_NS_AT, Ordering::Relaxed);
        let first_byte_ns =
            said(said_ns, seen_ns.saturating_sub(self.patience.progress_ns), now_ns);
        let announced = session.memory.load_u64(layout::TOTAL_BYTES_AT, Ordering::Relaxed);
        let announced =
            u32::try_from(announced).ok().filter(|it| (1..=BLOCK_BYTES_MAX).contains(it));
        let reception = session.desk.receive(session.chain_index, first_byte_ns, announced);
        let reception = reception.ok_or(Fault::Busy)?;
        Ok(Incoming { reception, taken_bytes: 0, first_byte_ns, progress_ns: now_ns })
    }

    /// Copies what is new, each byte once: nothing that happens to the shared memory later matters.
    fn pull(&mut self, block: &mut Incoming, written_bytes: u64) -> Result<(), Fault> {
        if written_bytes < block.taken_bytes {
            return Err(Fault::Backwards);
        }
        if written_bytes > u64::from(BLOCK_BYTES_MAX) {
            return Err(Fault::Beyond);
        }
        while block.taken_bytes < written_bytes {
            let left = (written_bytes - block.taken_bytes).min(SHARED_PIECE_BYTES as u64);
            let piece = &mut self.piece[..left as usize];
            self.session.memory.copy_out(BLOCK_AREA_AT + block.taken_bytes as usize, piece);
            block.reception.push(piece)?;
            block.taken_bytes += left;
        }
        Ok(())
    }

    /// The block is complete: it is handed to the desk from this thread, and only the verdict is
    /// waited for elsewhere.
    fn finish(&self, sequence: u32, block: Incoming) -> Result<(), Fault> {
        let memory = &self.session.memory;
        if memory.load_u64(layout::TOTAL_BYTES_AT, Ordering::Acquire) != block.taken_bytes {
            return Err(Fault::Total);
        }
        let taken_ns = now_ns();
        let rung_ns = memory.load_u64(layout::RUNG_NS_AT, Ordering::Relaxed);
        let last_byte_ns = said(rung_ns, block.first_byte_ns, taken_ns);
        let mut answering = self.answering(sequence);
        answering.times_ns = [block.first_byte_ns, last_byte_ns, taken_ns];
        let mut finishing: Pin<Box<dyn Future<Output = Answer> + Send>> =
            Box::pin(block.reception.finish(last_byte_ns, None, None));
        // The first step is taken here and now: the runtime's wake-up would come too late for it.
        // Its next step is the runtime's, which makes a waker of its own known.
        let stepped = finishing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        memory.store_u32(layout::TAKEN_SEQUENCE_AT, sequence, Ordering::Release);
        self.session.bell.ring();
        match stepped {
            Poll::Ready(answer) => answering.answer(&answer),
            Poll::Pending => {
                drop(self.runtime.spawn(async move { answering.answer(&finishing.await) }));
            }
        }
        Ok(())
    }

    fn answering(&self, sequence: u32) -> Answering {
        Answering::new(&self.session, sequence, self.count, self.alive.clone())
    }

    fn changed(&self, since: Glance) -> bool {
        Glance::at(&self.session.memory) != since || self.session.ended.load(Ordering::Relaxed)
    }

    /// Looks again and again until something has changed or it is `until_ns`; which of both.
    fn spin(&self, since: Glance, until_ns: u64) -> bool {
        while now_ns() < until_ns {
            for _ in 0..LOOKS_PER_CLOCK {
                if self.changed(since) {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        false
    }

    /// Sleeps until the pool or the end rings, or until the deadline.
    fn sleep(&self, since: Glance, deadline_ns: Option<u64>) {
        let session = &self.session;
        session.memory.store_u32(layout::ENGINE_WAITS_AT, 1, Ordering::Relaxed);
        // Pairs with the pool's fence between its writing and its look at this: one of us sees the
        // other. Rings that are still in the eventfd end the wait at once, so none is lost.
        fence(Ordering::SeqCst);
        if !self.changed(since) {
            let left_ns = deadline_ns.map(|deadline_ns| deadline_ns.saturating_sub(now_ns()));
            let timeout = left_ns.map(|left_ns| Timespec {
                tv_sec: i64::try_from(left_ns / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (left_ns % 1_000_000_000) as _,
            });
            let mut bells =
                [&session.ring, &session.end].map(|bell| PollFd::new(bell, PollFlags::IN));
            // An interrupted wait is as good as a ring: the caller looks.
            let _any = poll(&mut bells, timeout.as_ref());
        }
        session.memory.store_u32(layout::ENGINE_WAITS_AT, 0, Ordering::Relaxed);
        session.ring.answer();
    }
}

/// What the pool says about a time, where it can be true; else now.
fn said(said_ns: u64, earliest_ns: u64, now_ns: u64) -> u64 {
    if (earliest_ns..=now_ns).contains(&said_ns) { said_ns } else { now_ns }
}
