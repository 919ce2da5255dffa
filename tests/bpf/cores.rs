//! `core_jitter`: who else ran on a core.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use broadside::sys::bpf::{CoreWatch, Runner, Stolen};
use broadside::sys::clock::now_ns;
use broadside::sys::cpu;
use rustix::thread::gettid;

use crate::{alone, here};

/// How long a thread burns, in ns of its own time.
const BURNED_NS: u64 = 60_000_000;

pub(crate) fn own_id() -> u32 {
    gettid().as_raw_nonzero().get().cast_unsigned()
}

/// What this thread has had of a processor, in ns, as of the last tick (`proc(5)`, schedstat).
fn burned_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

/// A thread of this name on `core` that burns time until told to stop, and so much at least.
pub(crate) struct Burner {
    pub(crate) id: u32,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Burner {
    pub(crate) fn start(name: &str, core: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (say, listen) = std::sync::mpsc::channel();
        let until = Arc::clone(&stop);
        let burn = move || {
            assert!(cpu::pin_to(core));
            say.send(own_id()).unwrap();
            let begun_ns = burned_ns();
            while !until.load(Ordering::Relaxed) || burned_ns() < begun_ns + BURNED_NS {
                (0..1_000).for_each(|_| std::hint::spin_loop());
            }
            burned_ns() - begun_ns
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(burn).unwrap();
        Self { id: listen.recv().unwrap(), stop, thread }
    }

    /// What it has burned, in ns.
    pub(crate) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

pub(crate) fn name_of(event: &Stolen) -> String {
    String::from_utf8_lossy(&event.name).trim_end_matches('\0').to_owned()
}

/// Times, sum and whether it held us up, by who it was.
type Table = HashMap<(Runner, u32, String), (u64, u64, bool)>;

fn table(events: &[Stolen]) -> Table {
    let mut table = Table::new();
    for event in events {
        let row = table.entry((event.runner, event.number, name_of(event))).or_default();
        *row = (row.0 + 1, row.1 + event.took_ns, row.2 || event.held_us_up);
    }
    table
}

#[test]
fn a_thief_on_our_core_is_told_by_name_and_with_its_time() {
    let _turn = alone();
    let core = *cpu::available().last().unwrap();
    // Ours is there and running before the start: nothing has told the program of it.
    let ours = Burner::start("ours", core);
    let Some(mut watch) = here(CoreWatch::start(&[core], &[ours.id])) else {
        ours.end();
        return;
    };
    let (begun_ns, mut events) = (now_ns(), Vec::new());
    let thief = Burner::start("thief", core);
    let (thief_id, burned_ns) = (thief.id, thief.end());
    watch.read(&mut |event| events.push(event)).unwrap();
    let ended_ns = now_ns();
    let our_id = ours.id;
    ours.end();

    let table = table(&events);
    for ((runner, number, name), (times, sum_ns, held)) in &table {
        println!(
            "{runner:?} {number} {name}: {times} times, {} us, held us up: {held}",
            sum_ns / 1_000
        );
    }
    assert!(events.iter().all(|event| event.core as usize == core));
    let thefts: Vec<_> = events
        .iter()
        .filter(|event| event.runner == Runner::Task && event.number == thief_id)
        .collect();
    // A thread has its parent's name until it gives itself one.
    assert!(thefts.iter().any(|event| name_of(event) == "thief"), "{table:?}");
    assert!(thefts.iter().any(|event| event.held_us_up), "ours was ready all the while");
    let told_ns: u64 = thefts.iter().map(|event| event.took_ns).sum();
    let interrupts = events.iter().filter(|event| event.runner != Runner::Task);
    let interrupts_ns: u64 = interrupts.map(|event| event.took_ns).sum();
    // The kernel counts interrupts as the thread's own time; here they are told of themselves.
    assert!((told_ns + interrupts_ns) * 10 >= burned_ns * 9, "{told_ns} of {burned_ns}");
    assert!(events.iter().all(|event| event.number != our_id || event.runner != Runner::Task));
    // What runs on one core does not run at once, and interrupts are not counted twice.
    let sum_ns: u64 = events.iter().map(|event| event.took_ns).sum();
    assert!(sum_ns <= ended_ns - begun_ns, "{sum_ns} ns in {} ns", ended_ns - begun_ns);
    assert_eq!(watch.lost(), 0);
}

/// Waits until the thread is asleep (`proc(5)`, stat).
fn asleep(id: u32) {
    for _ in 0..crate::LOOKS {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
        if stat.rsplit(") ").next().unwrap().starts_with('S') {
            return;
        }
        std::thread::yield_now();
    }
    panic!("it does not go to sleep");
}

#[test]
fn a_thief_holds_us_up_from_when_we_are_woken() {
    let _turn = alone();
    let core = *cpu::available().last().unwrap();
    let (say, listen) = std::sync::mpsc::channel();
    let (wake, wait) = std::sync::mpsc::channel::<()>();
    let ours = std::thread::spawn(move || {
        assert!(cpu::pin_to(core));
        say.send(own_id()).unwrap();
        let _ = wait.recv();
    });
    let id = listen.recv().unwrap();
    asleep(id);
    let Some(mut watch) = here(CoreWatch::start(&[core], &[id])) else {
        drop(wake);
        return ours.join().unwrap();
    };
    let thief = Burner::start("thief", core);
    let mut quiet = Vec::new();
    while !quiet.iter().any(|event: &Stolen| event.number == thief.id) {
        watch.read(&mut |event| quiet.push(event)).unwrap();
        std::thread::yield_now();
    }
    assert!(quiet.iter().all(|event| !event.held_us_up), "we were asleep: {:?}", table(&quiet));
    drop(wake);
    let (mut after, id) = (Vec::new(), thief.id);
    ours.join().unwrap();
    thief.end();
    watch.read(&mut |event| after.push(event)).unwrap();
    let mut thefts = after.iter().filter(|event| event.number == id);
    assert!(thefts.any(|event| event.held_us_up), "we were ready: {:?}", table(&after));
}
