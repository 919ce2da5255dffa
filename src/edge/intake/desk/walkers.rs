//! Threads that walk blocks beside those that receive them.
//!
//! A thread that is woken by the receiving one is often put on the receiver's own core, where it
//! waits until all bytes are there. These are told to keep off it, again whenever it has moved.

use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::limits::WALKERS_IDLE_MAX;
use crate::sys::cpu;

/// A block's walk.
pub(super) type Walk = Box<dyn FnOnce() + Send>;

/// The thread of one of them, once it runs.
type Name = Arc<OnceLock<cpu::Thread>>;

struct Idle {
    name: Name,
    walks: Sender<Walk>,
}

/// A thread that walks a block, as the receiving side knows it.
pub(super) struct Walker {
    name: Name,
    kept_off: Option<usize>,
}

impl Walker {
    /// Has it make way where the caller runs on its core now. For as long as it walks that block:
    /// it does not end before.
    pub(super) fn make_way(&mut self) {
        let core = cpu::current();
        if let Some(thread) = self.name.get()
            && self.kept_off != Some(core)
        {
            thread.keep_off(core);
            self.kept_off = Some(core);
        }
    }
}

/// All of them that have nothing to do. They end with this.
#[derive(Default)]
pub(super) struct Walkers(Mutex<Vec<Idle>>);

impl Walkers {
    /// One thread, ready for the first block.
    pub(super) fn start() -> Arc<Self> {
        let walkers = Arc::new(Self::default());
        let _at_the_first_block = walkers.spawn(Box::new(|| {}));
        walkers
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks on a thread of its own, on another core than the caller's where there is one.
    ///
    /// # Errors
    /// No thread is to be had: the walk is the caller's again.
    pub(super) fn run(self: &Arc<Self>, walk: Walk) -> Result<Walker, Walk> {
        let idle = self.lock().pop();
        let Some(Idle { name, walks }) = idle else {
            return self.spawn(walk);
        };
        let mut walker = Walker { name, kept_off: None };
        walker.make_way();
        match walks.send(walk) {
            Ok(()) => Ok(walker),
            // It has ended in a panic of its last walk.
            Err(SendError(walk)) => self.spawn(walk),
        }
    }

    fn spawn(self: &Arc<Self>, walk: Walk) -> Result<Walker, Walk> {
        let (walkers, name) = (Arc::downgrade(self), Name::default());
        let (walks, first) = channel();
        let own = Arc::clone(&name);
        let body = move || {
            own.get_or_init(cpu::Thread::current);
            if let Ok(first) = first.recv() {
                work(&walkers, &own, first);
            }
        };
        match std::thread::Builder::new().name("walker".to_owned()).spawn(body) {
            Ok(_) => walks.send(walk).map_err(|SendError(walk)| walk)?,
            Err(_) => return Err(walk),
        }
        Ok(Walker { name, kept_off: None })
    }
}

/// Walks one block after the other, until enough others are idle.
fn work(walkers: &Weak<Walkers>, name: &Name, first: Walk) {
    let mut walk = first;
    loop {
        walk();
        let Some(walkers) = walkers.upgrade() else {
            return;
        };
        let (walks, next) = channel();
        {
            let mut idle = walkers.lock();
            if idle.len() >= WALKERS_IDLE_MAX {
                return;
            }
            idle.push(Idle { name: Arc::clone(name), walks });
        }
        // Held no longer: whoever ends the walkers closes this queue.
        drop(walkers);
        match next.recv() {
            Ok(next) => walk = next,
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn walks_run_side_by_side_and_threads_are_used_again() {
        let walkers = Walkers::start();
        let (told, names) = channel();
        let (hold, held) = channel::<()>();
        let first = {
            let told = told.clone();
            move || {
                let _ended = held.recv();
                told.send(std::thread::current().id()).unwrap();
            }
        };
        assert!(walkers.run(Box::new(first)).is_ok());
        let second = move || told.send(std::thread::current().id()).unwrap();
        assert!(walkers.run(Box::new(second)).is_ok(), "while the first is held");
        let one = names.recv().unwrap();
        drop(hold);
        assert_ne!(names.recv().unwrap(), one);
        while walkers.lock().len() < 2 {
            std::thread::yield_now();
        }
        let (told, cores) = channel();
        let here = cpu::current();
        let third = move || told.send(cpu::available()).unwrap();
        assert!(walkers.run(Box::new(third)).is_ok());
        let cores = cores.recv().unwrap();
        assert!(!cores.contains(&here) || cores.len() == 1 || here != cpu::current());
    }

    #[test]
    fn they_end_with_the_desk() {
        let walkers = Walkers::start();
        let (alive, gone) = channel::<()>();
        assert!(walkers.run(Box::new(move || drop(alive))).is_ok());
        assert!(gone.recv().is_err());
        drop(walkers);
    }
}
