//! `sys/doorbell.rs` and the rings behind it: from the ring of the bell until the other thread is
//! awake, for each way to wait. The answer's way back, a store and a load, is part of the figure.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use broadside::sys::doorbell::Doorbell;
use broadside::sys::epoll::Epoll;
use broadside::sys::memory::Arena;
use broadside::sys::ring::{Event, Ring, Wait};
use broadside::sys::uring::Uring;
use criterion::{Criterion, Throughput};

/// Long enough for the other thread to be asleep again.
const PAUSE: Duration = Duration::from_micros(50);
/// Marks the end.
const STOP: u64 = u64::MAX;

/// What the two threads share.
struct Pair {
    bell: Arc<Doorbell>,
    /// The call's number.
    call: AtomicU64,
    /// The number of the last call that was heard.
    heard: AtomicU64,
}

impl Pair {
    /// Makes the call `number`, by the bell if told so, and waits until it was heard.
    fn call(&self, number: u64, ring: bool) {
        self.call.store(number, Ordering::Release);
        if ring {
            self.bell.ring();
        }
        while self.heard.load(Ordering::Acquire) != number {
            spin_loop();
        }
    }

    /// Answers calls until the end. `wait` returns whenever there may be one.
    fn listen(&self, mut wait: impl FnMut()) {
        loop {
            wait();
            let number = self.call.load(Ordering::Acquire);
            self.heard.store(number, Ordering::Release);
            if number == STOP {
                return;
            }
        }
    }
}

/// Waits in `ring` for the bell.
fn until_woken(ring: &mut impl Ring) {
    let mut woken = false;
    while !woken {
        ring.enter(Wait::UpTo(1_000_000_000));
        while let Some(event) = ring.next() {
            woken |= matches!(event, Event::Woken);
        }
    }
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    ring: bool,
    listen: impl FnOnce(&Pair) + Send + 'static,
) {
    let bell = Arc::new(Doorbell::new().unwrap());
    let pair = Arc::new(Pair { bell, call: AtomicU64::new(0), heard: AtomicU64::new(0) });
    let theirs = Arc::clone(&pair);
    let thread = thread::spawn(move || listen(&theirs));
    let mut group = criterion.benchmark_group("wake");
    group.throughput(Throughput::Elements(1));
    let mut number = 0;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let mut total = Duration::ZERO;
            for _ in 0..count {
                let ready = Instant::now() + PAUSE;
                while Instant::now() < ready {
                    spin_loop();
                }
                number += 1;
                let start = Instant::now();
                pair.call(number, ring);
                total += start.elapsed();
            }
            total
        });
    });
    pair.call(STOP, ring);
    thread.join().unwrap();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let silent = || Arc::new(Doorbell::new().unwrap());
    measure(&mut criterion, "epoll", true, move |pair| {
        let mut ring = Epoll::new(Arc::clone(&pair.bell), silent()).unwrap();
        pair.listen(|| until_woken(&mut ring));
    });
    let arena = Arena::new().unwrap();
    match Uring::new(Arc::clone(&arena), silent(), silent()) {
        Ok(_) => measure(&mut criterion, "io_uring", true, move |pair| {
            let mut ring = Uring::new(arena, Arc::clone(&pair.bell), silent()).unwrap();
            pair.listen(|| until_woken(&mut ring));
        }),
        Err(error) => eprintln!("NOT MEASURED: io_uring: {error}"),
    }
    measure(&mut criterion, "spin", false, |pair| {
        let mut last = 0;
        pair.listen(|| {
            while pair.call.load(Ordering::Acquire) == last {
                spin_loop();
            }
            last = pair.call.load(Ordering::Acquire);
        });
    });
    criterion.final_summary();
}
