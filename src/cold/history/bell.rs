//! Wakes the writing thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the writing thread is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// Something has changed.
    pub(super) changed: bool,
    /// A reader has met damage.
    pub(super) suspect: bool,
    /// The engine ends.
    pub(super) stop: bool,
}

/// Wakes the writing thread, from anywhere, without waiting.
#[derive(Debug, Default)]
pub(super) struct Bell {
    calls: Mutex<Calls>,
    rung: Condvar,
}

impl Bell {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, call: impl FnOnce(&mut Calls)) {
        call(&mut self.calls());
        self.rung.notify_all();
    }

    pub(super) fn changed(&self) {
        self.ring(|calls| calls.changed = true);
    }

    pub(super) fn suspect(&self) {
        self.ring(|calls| calls.suspect = true);
    }

    pub(super) fn stop(&self) {
        self.ring(|calls| calls.stop = true);
    }

    /// Waits for `least`, unless it is to stop; then for a call, at most until `most` have passed in
    /// all. What was called for; the stop stays.
    pub(super) fn wait(&self, least: Duration, most: Duration) -> Calls {
        let began = Instant::now();
        let mut calls = self.calls();
        while !calls.stop {
            let is_called = calls.changed || calls.suspect;
            let wanted = if is_called { least } else { most.max(least) };
            let Some(left) = wanted.checked_sub(began.elapsed()).filter(|left| !left.is_zero())
            else {
                break;
            };
            calls = match self.rung.wait_timeout(calls, left) {
                Ok((calls, _)) => calls,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let told = *calls;
        *calls = Calls { stop: told.stop, ..Calls::default() };
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn calls_are_told_once_and_a_stop_stays() {
        let bell = Bell::default();
        assert_eq!(bell.wait(NONE, NONE), Calls::default());
        bell.changed();
        bell.suspect();
        let told = bell.wait(NONE, LONG);
        assert_eq!(told, Calls { changed: true, suspect: true, stop: false });
        assert_eq!(bell.wait(NONE, NONE), Calls::default());
        std::thread::scope(|scope| {
            scope.spawn(|| bell.stop());
            assert!(bell.wait(LONG, LONG).stop, "a stop is not waited with");
        });
        assert!(bell.wait(LONG, LONG).stop);
    }
}
