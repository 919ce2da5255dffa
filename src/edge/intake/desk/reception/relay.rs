//! A long block on two threads: the intake's decodes and takes the frame's checksum, a second one
//! walks. The second commits, so that no third has to be woken in between.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::{oneshot, watch};

use super::arriving::{Arriving, Ending, Entered};
use super::holding::{Holding, Placed};
use super::piece::Piece;
use super::walk::{Gathered, Work};
use super::{Desk, ReceptionError};
use crate::edge::intake::desk::walkers::Walker;
use crate::limits::{RECEPTION_PIECE_BYTES, RECEPTION_SPIN_US};

const SPIN: Duration = Duration::from_micros(RECEPTION_SPIN_US);

/// What goes to the walking thread. Bounded by the block's length.
enum Message {
    Piece(BytesMut),
    End(Ending),
    /// All so far is wanted back, and there will be no end.
    Back(oneshot::Sender<Bytes>),
    /// After the end: the slot with all of the block in it, where there is one.
    Placed(Option<Placed>),
}

/// Where the intake's side stands with the arena.
enum Placing {
    /// The work is not known yet: these bytes are to be caught up with.
    Waiting(Gathered),
    /// Bytes go straight into the slot.
    Placed,
    /// No slot before the end.
    Late,
}

/// The intake's side.
pub(super) struct Relay {
    desk: Arc<Desk>,
    queue: Sender<Message>,
    /// Bytes that the walking thread has not got yet.
    open: BytesMut,
    pub(super) work: watch::Receiver<Work>,
    placing: Placing,
    entered: oneshot::Receiver<Entered>,
    /// Who walks; `None` where it is one of the runtime's own threads.
    walker: Option<Walker>,
}

impl Relay {
    /// Hands what has come of a block to a thread of its own; in all, `expected_bytes` will come.
    pub(super) fn start(mut arriving: Arriving, expected_bytes: usize) -> Self {
        let desk = Arc::clone(&arriving.desk);
        let mut open = BytesMut::new();
        let before = match &mut arriving.walk.gathered {
            Gathered::Whole(whole) => Gathered::Whole(whole.clone()),
            Gathered::Growing(bytes) => {
                let copy = BytesMut::from(&bytes[..]);
                open = std::mem::take(bytes);
                open.reserve(expected_bytes.saturating_sub(open.len()));
                // Of the same memory as all that follows: the pieces fit together again.
                *bytes = open.split();
                Gathered::Growing(copy)
            }
        };
        let (queue, pieces) = channel();
        let work = arriving.work.subscribe();
        let (told, entered) = oneshot::channel();
        let walking = Walking { arriving, pieces };
        let walker = desk.walkers.run(Box::new(move || walking.run(told)));
        let walker = walker.map_err(|walk| {
            // No further thread: one of the runtime's has to do.
            desk.runtime.spawn_blocking(walk);
        });
        let placing = Placing::Waiting(before);
        Self { desk, queue, open, work, placing, entered, walker: walker.ok() }
    }

    /// Takes the next bytes: the walking thread gets them before their checksum is taken here.
    pub(super) fn take(
        &mut self,
        piece: Piece<'_>,
        holding: &Holding,
    ) -> Result<(), ReceptionError> {
        let start = self.open.len();
        piece.append_to(&mut self.open)?;
        let fresh = self.open.get(start..).unwrap_or_default();
        if let Placing::Waiting(Gathered::Growing(before)) = &mut self.placing {
            before.extend_from_slice(fresh);
        }
        let is_placed = matches!(self.placing, Placing::Placed);
        let copied = holding.write(fresh.len(), |draft| match is_placed {
            true => draft.push(fresh),
            false => Ok(()),
        });
        if self.open.len() >= RECEPTION_PIECE_BYTES {
            self.hand_on();
        }
        if is_placed && (!copied || *self.work.borrow() == Work::Failed) {
            holding.give_up_slot();
            self.placing = Placing::Late;
        }
        self.see_to_place(holding);
        if matches!(self.placing, Placing::Placed) {
            holding.digest();
        }
        Ok(())
    }

    fn hand_on(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let piece = self.open.split();
        match self.queue.send(Message::Piece(piece)) {
            Ok(()) => self.walker.iter_mut().for_each(Walker::make_way),
            // A walk that has ended unasked has panicked; `finish` tells.
            Err(_) => self.walker = None,
        }
    }

    /// Takes a slot once the work holds, and writes into it what came before.
    fn see_to_place(&mut self, holding: &Holding) {
        let Placing::Waiting(before) = &self.placing else {
            return;
        };
        let work = *self.work.borrow();
        self.placing = match work {
            Work::Unknown => return,
            Work::Holds
                if holding.place(&self.desk) && holding.write(0, |at| at.push(before.bytes())) =>
            {
                Placing::Placed
            }
            Work::Holds | Work::Failed => Placing::Late,
        };
    }

    /// All so far, in place of an end.
    pub(super) async fn give_back(mut self) -> Bytes {
        self.hand_on();
        let (told, raw) = oneshot::channel();
        let _unheard = self.queue.send(Message::Back(told));
        raw.await.unwrap_or_default()
    }

    /// All bytes are there.
    pub(super) async fn finish(mut self, ending: Ending, holding: &Holding) -> Option<Entered> {
        self.hand_on();
        let _unheard = self.queue.send(Message::End(ending));
        let placed = match self.placing {
            Placing::Placed => holding.take(),
            Placing::Late => None,
            // So fast that the work is not known yet. All is there: no right to wait for.
            Placing::Waiting(ref before) => {
                let known = self.work.wait_for(|work| *work != Work::Unknown).await;
                let holds = known.is_ok_and(|work| *work == Work::Holds);
                let placed = holds.then(|| Placed::at_once(&self.desk)).flatten();
                placed.and_then(|mut at| {
                    at.draft.push(before.bytes()).ok()?;
                    at.draft.digest();
                    Some(at)
                })
            }
        };
        let _unheard = self.queue.send(Message::Placed(placed));
        self.entered.await.ok()
    }
}

/// The walking side.
struct Walking {
    arriving: Arriving,
    pieces: Receiver<Message>,
}

impl Walking {
    fn run(mut self, told: oneshot::Sender<Entered>) {
        // An intake that gives up closes the queue: nothing has happened then.
        let Some(ending) = self.walk() else { return };
        let Some(publishable) = self.arriving.close(ending, told) else {
            return;
        };
        let placed = match next(&self.pieces) {
            Ok(Message::Placed(placed)) => placed,
            // The caller has gone: the block goes on by itself.
            Ok(_) | Err(RecvError) => None,
        };
        publishable.publish(placed);
    }

    /// Takes and walks pieces until the end is in sight.
    fn walk(&mut self) -> Option<Ending> {
        loop {
            let message = if self.arriving.walk.is_behind() {
                match self.pieces.try_recv() {
                    Ok(message) => message,
                    Err(TryRecvError::Empty) => {
                        self.arriving.step();
                        continue;
                    }
                    Err(TryRecvError::Disconnected) => return None,
                }
            } else {
                next(&self.pieces).ok()?
            };
            match message {
                Message::Piece(piece) => self.arriving.walk.take(piece),
                Message::End(ending) => return Some(ending),
                Message::Back(told) => {
                    let _unheard = told.send(self.arriving.walk.all());
                    return None;
                }
                Message::Placed(_) => {}
            }
        }
    }
}

/// The next message: looked for without sleeping for a while.
fn next(pieces: &Receiver<Message>) -> Result<Message, RecvError> {
    let start = Instant::now();
    loop {
        match pieces.try_recv() {
            Ok(message) => return Ok(message),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) if start.elapsed() >= SPIN => return pieces.recv(),
            Err(TryRecvError::Empty) => std::hint::spin_loop(),
        }
    }
}
