//! When the database is saved: every five minutes, after broadcasts, on demand, and at the end.
//! Files are touched on blocking threads only.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Event;
use crate::cold::store::{Loaded, PeerBook, Store, StoreError, StoreSettings};
use crate::limits::{SAVE_INTERVAL_MS, SAVE_PAUSE_MS};

pub(super) const SAVE_INTERVAL: Duration = Duration::from_millis(SAVE_INTERVAL_MS);
const SAVE_PAUSE: Duration = Duration::from_millis(SAVE_PAUSE_MS);

/// The database file and its timetable.
#[derive(Debug)]
pub(super) struct Saver {
    store: Arc<Store>,
    next: Instant,
    last: Option<Instant>,
    running: Option<JoinHandle<()>>,
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
        let (store, loaded) = read.await.unwrap_or_else(|_| {
            let nothing = Loaded { book: PeerBook::default(), skipped: 0, warnings: Vec::new() };
            (Store::new(spare), nothing)
        });
        for warning in loaded.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            database = path,
            peers = loaded.book.len(),
            skipped = loaded.skipped,
            "peer database loaded"
        );
        let saver = Self {
            store: Arc::new(store),
            next: Instant::now() + SAVE_INTERVAL,
            last: None,
            running: None,
            is_failing: false,
        };
        (saver, loaded.book)
    }

    /// Wants a save soon.
    pub(super) fn ask(&mut self, now: Instant) {
        let soon = self.last.map_or(now, |last| (last + SAVE_PAUSE).max(now));
        self.next = self.next.min(soon);
    }

    /// When the next save is due; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.running.is_none().then_some(self.next)
    }

    /// Begins a save; its end comes as [`Event::Saved`].
    pub(super) fn begin(
        &mut self,
        book: &PeerBook,
        now: Instant,
        now_s: f64,
        inbox: &WeakUnboundedSender<Event>,
    ) {
        let Some(inbox) = inbox.upgrade() else { return };
        (self.last, self.next) = (Some(now), now + SAVE_INTERVAL);
        let (store, book) = (Arc::clone(&self.store), book.clone());
        self.running = Some(spawn_blocking(move || {
            let _ = inbox.send(Event::Saved(store.save(&book, now_s)));
        }));
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
        let store = Arc::clone(&self.store);
        if let Ok(result) = spawn_blocking(move || store.save(&book, now_s)).await {
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
