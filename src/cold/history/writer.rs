//! The thread that writes: what changes within a second together, and what can't be written later.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::fault::Fault;
use super::reader::{Reader, Shared};
use super::store::{Batch, Store};
use super::{HistoryFile, HistorySettings, HistoryView, aside, bound};
use crate::cold::stats::{BlockLog, KeptTotals};
use crate::limits::{
    BLOCKS_WITH_ROWS_MAX, HISTORY_AGE_INTERVAL_MS, HISTORY_BATCH_BLOCKS, HISTORY_CHECK_INTERVAL_MS,
    HISTORY_DELETE_STEPS_MAX, HISTORY_PAUSE_MS, HISTORY_RETRY_MS, HISTORY_STOP_MS,
};

const PAUSE: Duration = Duration::from_millis(HISTORY_PAUSE_MS);
const RETRY: Duration = Duration::from_millis(HISTORY_RETRY_MS);
const CHECK_INTERVAL: Duration = Duration::from_millis(HISTORY_CHECK_INTERVAL_MS);
const AGE_INTERVAL: Duration = Duration::from_millis(HISTORY_AGE_INTERVAL_MS);
/// A turn of so many batches is followed by the next at once.
const BURST_BATCHES: usize = BLOCKS_WITH_ROWS_MAX as usize / HISTORY_BATCH_BLOCKS / 4;
/// How long the last write is tried: what is left of the stop is for closing the file.
const LAST_TRIES: Duration = Duration::from_millis(HISTORY_STOP_MS / 2);

/// Everything that the thread has.
pub(super) struct Writer {
    pub(super) settings: HistorySettings,
    pub(super) shared: Arc<Shared>,
    pub(super) reader: Reader,
    pub(super) log: Arc<BlockLog>,
    pub(super) view: watch::Sender<HistoryView>,
    pub(super) store: Option<Store>,
    /// Whether the kept sums are in the log: before that none are written over them.
    pub(super) is_restored: bool,
    pub(super) trouble: Option<Fault>,
    pub(super) lost: u64,
    /// Whether so many blocks came that the next turn must not wait.
    pub(super) is_burst: bool,
    /// When old blocks were looked for last,
    pub(super) aged: Option<Instant>,
    /// and when the whole file was looked through.
    pub(super) checked: Option<Instant>,
    pub(super) started_us: i64,
}

impl Writer {
    /// Runs until it is told to stop. `ready` is told when the first look is over.
    pub(super) fn run(mut self, ready: oneshot::Sender<()>) {
        let mut more = self.turn();
        // Who waited may have stopped waiting.
        let _ = ready.send(());
        loop {
            let least = match self.trouble.is_some() {
                true => RETRY,
                // Rows would fade before they are written.
                false if self.is_burst => Duration::ZERO,
                false => PAUSE,
            };
            let most = match more || self.trouble.is_some() {
                true => least,
                false => AGE_INTERVAL,
            };
            let calls = self.shared.bell.wait(least, most);
            if calls.stop {
                break;
            }
            if calls.suspect {
                self.look_through();
            }
            more = self.turn();
            if self.trouble.as_ref().is_some_and(Fault::is_final) {
                break;
            }
        }
        self.finish();
    }

    /// Writes what there is to write. Whether there is more to do soon.
    fn turn(&mut self) -> bool {
        let done = self.try_turn();
        let more = *done.as_ref().unwrap_or(&true);
        self.tell(done.err());
        more
    }

    fn try_turn(&mut self) -> Result<bool, Fault> {
        self.open()?;
        self.restore()?;
        // What changes meanwhile is the next turn's.
        let batches = self.log.unkept() / HISTORY_BATCH_BLOCKS;
        self.is_burst = batches >= BURST_BATCHES;
        for _ in 0..batches {
            self.write_some()?;
            self.shrink()?;
        }
        self.write_some()?;
        let is_over = self.shrink()?;
        Ok(self.age()? || is_over)
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.store.is_some() {
            return Ok(());
        }
        let run = self.shared.run.load(Ordering::Acquire);
        let file = &self.shared.file;
        let opened = match Store::open(file, run, self.started_us) {
            Err(Fault::Damaged(why)) => {
                self.put_aside(&why)?;
                Store::open(&self.shared.file, run, self.started_us)
            }
            opened => opened,
        };
        let store = opened?;
        self.shared.run.store(store.run, Ordering::Release);
        self.store = Some(store);
        Ok(())
    }

    /// Moves a damaged file away, and has everything written anew that is still known.
    fn put_aside(&mut self, why: &str) -> Result<(), Fault> {
        self.store = None;
        self.reader.close();
        let aside: PathBuf = aside::put(&self.shared.file, now_us() / 1_000_000)?;
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.reader.close();
        let begins = if self.is_restored { "" } else { "; its statistics begin at zero" };
        warn!(
            "the history was damaged ({why}) and is kept as {}; a new one is begun{begins}",
            aside.display()
        );
        self.is_restored = true;
        self.log.put_back_all();
        self.shared.bell.changed();
        Ok(())
    }

    /// Gives the log the sums of earlier processes, once.
    fn restore(&mut self) -> Result<(), Fault> {
        let Some(store) = self.store.as_ref().filter(|_| !self.is_restored) else {
            return Ok(());
        };
        let mut all = Vec::new();
        for name in &self.settings.chains {
            all.push(match store.kept(name) {
                Err(Fault::Damaged(why)) => return self.put_aside(&why),
                kept => kept?,
            });
        }
        for (index, (kept, fates)) in (0..).zip(all) {
            let (totals, damaged) = kept.read();
            if !damaged.is_empty() {
                let chain = &self.settings.chains[usize::from(index)].chain;
                warn!(chain, "kept times are damaged and begin at zero: {}", damaged.join(", "));
            }
            self.log.restore(index, &totals, fates);
        }
        self.is_restored = true;
        Ok(())
    }

    /// Writes one batch.
    fn write_some(&mut self) -> Result<(), Fault> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let (changes, totals) = self.log.take_with_totals(HISTORY_BATCH_BLOCKS);
        let kept: Vec<KeptTotals> =
            totals.iter().take(self.settings.chains.len()).map(Into::into).collect();
        // At once: while this is held, the log has to copy a histogram before it adds to it.
        drop(totals);
        self.lost += changes.lost;
        let (chains, totals) = (&self.settings.chains, &kept);
        let log_bytes_max = bound::log_bytes_max(self.settings.bounds.keep_bytes);
        match store.write(&Batch { changes: &changes, chains, totals, log_bytes_max }) {
            Ok(faded) => {
                self.lost += faded;
                Ok(())
            }
            Err(fault) => {
                self.lost += self.log.put_back(&changes);
                // Of a damaged file nothing is left to do here: the next turn begins a new one.
                self.on_fault(fault)
            }
        }
    }

    /// A damaged file is dealt with at once; anything else is for later.
    fn on_fault(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::Damaged(why) => {
                self.put_aside(&why)?;
                self.open()
            }
            // Locked is no reason to open anew; all else may be about the file as it was opened.
            Fault::Locked | Fault::Held | Fault::Full => Err(fault),
            fault => {
                self.store = None;
                Err(fault)
            }
        }
    }

    /// Deletes the oldest while there is too much. Whether there is more to do.
    fn shrink(&mut self) -> Result<bool, Fault> {
        for _ in 0..HISTORY_DELETE_STEPS_MAX {
            let Some(store) = &mut self.store else {
                break;
            };
            match store.shrink(self.settings.bounds.keep_bytes) {
                Ok(false) => return Ok(false),
                Ok(true) => {}
                Err(fault) => return self.on_fault(fault).map(|()| true),
            }
        }
        Ok(true)
    }

    /// Deletes what is too old, from time to time. Whether there is more.
    fn age(&mut self) -> Result<bool, Fault> {
        let Some(store) = &mut self.store else {
            return Ok(true);
        };
        if self.aged.is_some_and(|aged| aged.elapsed() < AGE_INTERVAL) {
            return Ok(false);
        }
        let oldest_us = now_us() - i64::from(self.settings.bounds.keep_days) * 86_400_000_000;
        for _ in 0..HISTORY_DELETE_STEPS_MAX {
            match store.forget(oldest_us) {
                Ok(true) => {}
                Ok(false) => {
                    self.aged = Some(Instant::now());
                    return Ok(false);
                }
                Err(fault) => return self.on_fault(fault).map(|()| true),
            }
        }
        Ok(true)
    }

    /// A reader has met damage: is there any?
    fn look_through(&mut self) {
        if self.checked.is_some_and(|checked| checked.elapsed() < CHECK_INTERVAL) {
            return;
        }
        self.checked = Some(Instant::now());
        // Through a connection of its own: the writer's may have the good pages in memory.
        let checked = HistoryFile::open(&self.shared.file).and_then(|file| file.check());
        if let Err(fault @ Fault::Damaged(_)) = checked {
            let done = self.on_fault(fault);
            self.tell(done.err());
        }
    }

    /// Says when trouble comes and when it is over, and shows how things stand.
    fn tell(&mut self, fault: Option<Fault>) {
        match (&self.trouble, &fault) {
            (Some(before), Some(now)) if before.is_like(now) => {}
            (_, Some(now)) => {
                warn!("history: {now}. Blocks go out as ever");
            }
            (Some(_), None) => {
                let lost = self.lost;
                info!(
                    "history: written again; {lost} blocks could not be kept whole since the start"
                );
            }
            (None, None) => {}
        }
        self.trouble = fault;
        self.show();
    }

    fn show(&self) {
        let is_final = self.trouble.as_ref().is_some_and(Fault::is_final);
        let view = HistoryView {
            enabled: !is_final,
            blocks: self.store.as_ref().map_or(0, |store| store.blocks),
            bytes: self.store.as_ref().map_or(0, Store::bytes),
            lost: self.lost,
            trouble: self.trouble.as_ref().map(Fault::to_string),
        };
        self.view.send_if_modified(|shown| {
            let is_news = *shown != view;
            *shown = view;
            is_news
        });
    }

    /// The last write; a file that is locked is tried a few times.
    fn finish(mut self) {
        if self.trouble.as_ref().is_some_and(Fault::is_final) {
            return;
        }
        let end = Instant::now() + LAST_TRIES;
        loop {
            self.turn();
            let is_over = self.trouble.as_ref().is_none_or(Fault::is_final);
            if is_over || Instant::now() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let left = self.log.unkept();
        if left > 0 && self.trouble.is_some() {
            warn!("history: the last changes of {left} blocks could not be written");
        }
        // The last connection to be closed writes the log back.
        self.reader.close();
        self.store = None;
    }
}

pub(super) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as i64)
}
