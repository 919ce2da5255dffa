//! A bounded queue between whoever finds something and the thread that tells it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cold::alert::Severity;
use crate::limits::ALERT_QUEUE_MAX;

/// See above. Nobody who pushes ever waits.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Nothing more comes.
    is_closed: bool,
    /// What still waits is not wanted any more.
    is_given_up: bool,
    /// Something is being told.
    is_busy: bool,
    has_ended: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let (is_closed, is_given_up, is_busy, has_ended) = (false, false, false, false);
        let waiting = VecDeque::new();
        let state = State { waiting, is_closed, is_given_up, is_busy, has_ended };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `item`. Where all places are taken, the oldest of the least severe makes room, which
    /// may be `item` itself; it is returned.
    pub(super) fn push(&self, item: T, severity: impl Fn(&T) -> Severity) -> Option<T> {
        let mut state = self.lock();
        if state.is_closed {
            return Some(item);
        }
        state.waiting.push_back(item);
        let gone = (state.waiting.len() > ALERT_QUEUE_MAX).then(|| {
            let least = state.waiting.iter().enumerate().min_by_key(|(at, it)| (severity(it), *at));
            let at = least.map_or(0, |(at, _)| at);
            state.waiting.remove(at)
        });
        self.changed.notify_all();
        gone.flatten()
    }

    /// Waits for the next item; `None`: there is none to come.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        state.is_busy = false;
        loop {
            if state.is_given_up {
                return None;
            }
            if let Some(item) = state.waiting.pop_front() {
                state.is_busy = true;
                return Some(item);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for `pause`; false: given up meanwhile, nothing more is to be tried.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut state = self.lock();
        while !state.is_given_up {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Lets go of what waits; how many that were, the one being told among them.
    pub(super) fn give_up(&self) -> usize {
        let mut state = self.lock();
        (state.is_closed, state.is_given_up) = (true, true);
        let left = state.waiting.len() + usize::from(state.is_busy && !state.has_ended);
        state.waiting.clear();
        self.changed.notify_all();
        left
    }

    /// Whether nothing more is to be tried.
    pub(super) fn is_given_up(&self) -> bool {
        self.lock().is_given_up
    }

    /// Its thread has ended.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_least_severe_makes_room() {
        let queue = Queue::default();
        let severity = |item: &(Severity, usize)| item.0;
        for at in 0..ALERT_QUEUE_MAX {
            let is_bad = at % 2 == 0;
            let item = (if is_bad { Severity::Critical } else { Severity::Warning }, at);
            assert_eq!(queue.push(item, severity), None);
        }
        let info = (Severity::Info, 1_000);
        assert_eq!(queue.push(info, severity), Some(info), "nothing waits that is less");
        assert_eq!(queue.push((Severity::Critical, 1_001), severity), Some((Severity::Warning, 1)));
        assert_eq!(queue.next(), Some((Severity::Critical, 0)));
        assert_eq!(queue.next(), Some((Severity::Critical, 2)));
        for at in 2_000..2_000 + 2 * ALERT_QUEUE_MAX {
            queue.push((Severity::Critical, at), severity);
        }
        let all_bad = queue.push((Severity::Critical, 9_999), severity);
        assert_eq!(all_bad.map(|it| it.0), Some(Severity::Critical), "then the oldest of all");
        assert_eq!(queue.give_up(), ALERT_QUEUE_MAX + 1);
        assert_eq!((queue.next(), queue.pause(Duration::from_secs(60))), (None, false));
    }

    #[test]
    fn what_waits_is_told_before_the_end() {
        let queue = Queue::default();
        queue.push(1, |_| Severity::Info);
        queue.close();
        assert_eq!(queue.push(2, |_| Severity::Info), Some(2));
        assert_eq!((queue.next(), queue.next()), (Some(1), None));
    }
}
