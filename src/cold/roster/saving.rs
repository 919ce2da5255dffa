//! When the database is saved: every five minutes, after broadcasts, on demand, and at the end.
//! Files are touched on blocking threads only. In between it looks for the edits of commands.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Event;
use crate::cold::store::{Loaded, PeerBook, Store, StoreError, StoreSettings};
use crate::limits::{EDITS_INTERVAL_MS, EDITS_RETRY_MS, SAVE_INTERVAL_MS, SAVE_PAUSE_MS};

pub(super) const SAVE_INTERVAL: Duration = Duration::from_millis(SAVE_INTERVAL_MS);
const SAVE_PAUSE: Duration = Duration::from_millis(SAVE_PAUSE_MS);
const EDITS_INTERVAL: Duration = Duration::from_millis(EDITS_INTERVAL_MS);
const EDITS_RETRY: Duration = Duration::from_millis(EDITS_RETRY_MS);

/// The database file and its timetable.
#[derive(Debug)]
pub(super) struct Saver {
    store: Arc<Store>,
    next: Instant,
    last: Option<Instant>,
    /// A save or a look for edits.
    running: Option<JoinHandle<()>>,
    next_look: Instant,
    /// Files of edits that are in the book, and go once it has been saved.
    edits: Vec<PathBuf>,
    is_failing: bool,
}

impl Saver {
    /// Reads the database; warnings go to the log.
    pub(super) async fn load(settings: StoreSettings, now_s: f64) -> (Self, PeerBook) {
        let path = settings.path.display().to_string();
        let spare = settings.clone();
        let read = spawn_blocking(move || {
            let mut store = Store::new(settings);
            let loaded = store.load(now_s);
            (store, loaded)
        });
        // Only a panic or the runtime's end gets in between.
        let (store, loaded) = read.await.unwrap_or_else(|_| (Store::new(spare), Loaded::default()));
        for warning in loaded.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            database = path,
            peers = loaded.book.len(),
            skipped = loaded.faults.count,
            "peer database loaded"
        );
        let now = Instant::now();
        let saver = Self {
            store: Arc::new(store),
            next: if loaded.edits.is_empty() { now + SAVE_INTERVAL } else { now },
            last: None,
            running: None,
            next_look: now + EDITS_INTERVAL,
            edits: loaded.edits,
            is_failing: false,
        };
        (saver, loaded.book)
    }

    /// Wants a save soon.
    pub(super) fn ask(&mut self, now: Instant) {
        let soon = self.last.map_or(now, |last| (last + SAVE_PAUSE).max(now));
        self.next = self.next.min(soon);
    }

    /// When the next save or look is due; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.running.is_none().then_some(self.next.min(self.next_look))
    }

    /// Begins the save that is due, which ends as [`Event::Saved`], or a look for edits, which ends
    /// as [`Event::Edited`].
    pub(super) fn begin(
        &mut self,
        book: &PeerBook,
        now: Instant,
        now_s: f64,
        inbox: &WeakUnboundedSender<Event>,
    ) {
        let Some(inbox) = inbox.upgrade() else { return };
        let store = Arc::clone(&self.store);
        self.running = Some(if self.next <= now {
            (self.last, self.next) = (Some(now), now + SAVE_INTERVAL);
            let (book, edits) = (book.clone(), std::mem::take(&mut self.edits));
            spawn_blocking(move || {
                // Those that can't be removed are taken in again, which changes nothing.
                let saved = store.save(&book, now_s).and_then(|()| store.done(&edits));
                let _ = inbox.send(Event::Saved(saved));
            })
        } else {
            spawn_blocking(move || drop(inbox.send(Event::Edited(store.edits(now_s)))))
        });
    }

    /// Notes that a look has ended. What it found is in the book, and is to be saved at once.
    pub(super) fn on_edited(&mut self, files: Vec<PathBuf>, now: Instant) {
        self.running = None;
        self.next_look = now + if self.is_failing { EDITS_RETRY } else { EDITS_INTERVAL };
        if !files.is_empty() {
            (self.edits, self.next) = (files, now);
        }
    }

    /// Notes how a save ended. One log line each time that the state changes.
    pub(super) fn on_saved(&mut self, result: Result<(), StoreError>) {
        self.running = None;
        self.note(result);
    }

    /// The last save, after any that is under way.
    pub(super) async fn end(mut self, book: PeerBook, now_s: f64) {
        if let Some(running) = self.running.take() {
            let _ = running.await;
        }
        let (store, edits) = (Arc::clone(&self.store), std::mem::take(&mut self.edits));
        let save = move || store.save(&book, now_s).and_then(|()| store.done(&edits));
        if let Ok(result) = spawn_blocking(save).await {
            self.note(result);
        }
    }

    fn note(&mut self, result: Result<(), StoreError>) {
        let was_failing = std::mem::replace(&mut self.is_failing, result.is_err());
        match result {
            Ok(()) if was_failing => tracing::info!("the peer database is saved again"),
            Err(error) if !was_failing => {
                tracing::warn!("{error}; broadcasting goes on without it");
            }
            _ => {}
        }
    }
}
