//! Whether a shard has to be rung: a system call that only a sleeping one is worth.
//!
//! The shard announces its sleep, then looks at its queues once more; a publisher queues, then
//! looks for the announcement. Each does its write before its read with a full fence in between, so
//! in whatever order the four happen, at least one of the two reads sees the other side's write:
//! the shard finds the item and stays awake, or the publisher finds the announcement and rings. A
//! ring that comes too late, to a shard that woke by itself, ends its next sleep at once: no harm.
//! Of several publishers the one that takes the announcement back rings for all: what the others
//! queued before they looked is in the queues when the shard comes to.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// A shard's announcement that it sleeps.
#[derive(Debug, Default)]
pub(crate) struct Asleep(AtomicBool);

impl Asleep {
    /// Shard: announces sleep, unless `is_idle`, asked after the announcement, says that there is
    /// something to do. Whether it may sleep.
    pub(crate) fn announce(&self, is_idle: impl FnOnce() -> bool) -> bool {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let may_sleep = is_idle();
        if !may_sleep {
            self.end();
        }
        may_sleep
    }

    /// Shard: it is awake, and will look at its queues before it sleeps again.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Publisher, after queueing: whether it has to ring.
    pub(crate) fn must_ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::hot::link::{Link, Order};
    use crate::sys::doorbell::Doorbell;
    use crate::sys::epoll::Epoll;
    use crate::sys::ring::{Event, Ring, Wait};

    const FOR_EVER: Wait = Wait::UpTo(60_000_000_000);

    #[test]
    fn only_a_sleeper_is_rung_and_once() {
        let asleep = Asleep::default();
        assert!(!asleep.must_ring());
        assert!(!asleep.announce(|| false) && !asleep.must_ring());
        assert!(asleep.announce(|| true));
        assert!(asleep.must_ring() && !asleep.must_ring());
        assert!(asleep.announce(|| true));
        asleep.end();
        assert!(!asleep.must_ring());
    }

    /// Two threads that queue as the sleeper falls asleep: a wake-up that is lost would leave it in
    /// the kernel for a minute with something in its queue.
    #[test]
    fn no_wake_up_is_lost() {
        const EACH: u64 = 20_000;
        let bell = Arc::new(Doorbell::new().unwrap());
        let link = Arc::new(Link::new(0, bell).unwrap());
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for lead in 0..2 {
                let (link, taken) = (&link, &taken);
                scope.spawn(move || {
                    for sent in 0..EACH {
                        // Not far ahead, so that the sleeper sleeps often.
                        while taken.load(Ordering::Acquire) + lead < 2 * sent.saturating_sub(1) {
                            std::thread::yield_now();
                        }
                        while link.order(Order::Drain).is_err() {}
                    }
                });
            }
            let mut ring = Epoll::new(Arc::clone(&link.to_hot), Arc::clone(&link.to_cold)).unwrap();
            let mut sleeps = 0;
            while taken.load(Ordering::Relaxed) < 2 * EACH {
                while link.next_order().is_some() {
                    taken.fetch_add(1, Ordering::Release);
                }
                let done = taken.load(Ordering::Relaxed) == 2 * EACH;
                if !done && link.asleep.announce(|| !link.has_orders()) {
                    ring.enter(FOR_EVER);
                    link.asleep.end();
                    let woken = std::iter::from_fn(|| ring.next());
                    assert!(woken.filter(|it| matches!(it, Event::Woken)).count() > 0, "lost");
                    sleeps += 1;
                }
            }
            eprintln!("{sleeps} sleeps for {} orders, none overslept", 2 * EACH);
        });
    }
}
