//! What a block holds while it comes in, and loses when it stalls: its place among those being
//! handed in, and its slot in the arena.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::edge::intake::desk::{Desk, Draft};
use crate::limits::RECEPTION_STALL_BYTES;

/// A slot with the block's first bytes in it.
pub(super) struct Placed {
    pub(super) draft: Box<dyn Draft>,
    /// `None` for a block that had come in whole when it got its slot.
    _right: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Held {
    admission: Option<OwnedSemaphorePermit>,
    placed: Option<Placed>,
    /// Since the last look.
    bytes: u64,
}

/// What one block holds. The intake's task is the only one to fill it; the watch empties it.
pub(super) struct Holding {
    held: Mutex<Held>,
    /// It came with a place of its own; else its caller has one.
    is_watched: bool,
}

impl Holding {
    /// With the place `admission`, which is watched from here on.
    pub(super) fn new(desk: &Desk, admission: Option<OwnedSemaphorePermit>) -> Arc<Self> {
        let is_watched = admission.is_some();
        let holding =
            Arc::new(Self { held: Mutex::new(Held { admission, ..Held::default() }), is_watched });
        if is_watched {
            desk.runtime.spawn(watch(Arc::downgrade(&holding), desk.stall));
        }
        holding
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More bytes have come; `write` puts them into the slot. False where there is no slot (any
    /// more).
    pub(super) fn write(
        &self,
        bytes: usize,
        write: impl FnOnce(&mut dyn Draft) -> Result<(), String>,
    ) -> bool {
        let mut held = self.lock();
        held.bytes = held.bytes.saturating_add(bytes as u64);
        let written = held.placed.as_mut().is_some_and(|placed| {
            write(&mut *placed.draft)
                .inspect_err(|reason| tracing::warn!(reason, "a block was not taken by the arena"))
                .is_ok()
        });
        if !written {
            held.placed = None;
        }
        written
    }

    /// Takes the checksum of what was written last.
    pub(super) fn digest(&self) {
        if let Some(placed) = &mut self.lock().placed {
            placed.draft.digest();
        }
    }

    /// Takes a slot for a block that is still coming in.
    pub(super) fn place(&self, desk: &Desk) -> bool {
        let Ok(right) = Arc::clone(&desk.early_slots).try_acquire_owned() else {
            return false;
        };
        let Some(draft) = desk.publisher.begin() else {
            return false;
        };
        self.lock().placed = Some(Placed { draft, _right: Some(right) });
        true
    }

    /// The slot, at the block's end.
    pub(super) fn take(&self) -> Option<Placed> {
        self.lock().placed.take()
    }

    /// The work does not hold: the slot is for others.
    pub(super) fn give_up_slot(&self) {
        self.lock().placed = None;
    }

    /// The block is there: it is worked on again, also where it had stalled.
    pub(super) fn complete(&self, desk: &Desk) -> Option<OwnedSemaphorePermit> {
        let admission = self.lock().admission.take();
        admission.or_else(|| self.is_watched.then(|| desk.admit()).flatten())
    }
}

impl From<Box<dyn Draft>> for Placed {
    fn from(draft: Box<dyn Draft>) -> Self {
        Self { draft, _right: None }
    }
}

impl Placed {
    /// A slot for a block that has come in whole.
    pub(super) fn at_once(desk: &Desk) -> Option<Self> {
        desk.publisher.begin().map(Self::from)
    }
}

/// Takes everything from a block that has brought too little for a while.
async fn watch(holding: Weak<Holding>, stall: Duration) {
    loop {
        tokio::time::sleep(stall).await;
        let Some(holding) = holding.upgrade() else {
            return;
        };
        let mut held = holding.lock();
        if held.bytes < RECEPTION_STALL_BYTES {
            if held.placed.is_some() {
                tracing::debug!("a block stalls on its way in: its image slot is given to others");
            }
            *held = Held::default();
            return;
        }
        held.bytes = 0;
    }
}
