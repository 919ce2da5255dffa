//! `core_jitter`: who else ran on a core.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use broadside::sys::bpf::{CoreWatch, Runner, Stolen};
use broadside::sys::clock::now_ns;
use broadside::sys::cpu;
use rustix::thread::gettid;

use crate::{alone, here};

/// How long a thread burns, in ns of its own time.
const BURNED_NS: u64 = 60_000_000;
/// How often something is tried where the kernel does not tell all.
const RUNS_MAX: u32 = 20;

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
        let (say, listen) = channel();
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

/// What a run showed, or why it is wrong.
type Shown = Result<(), String>;

fn must(holds: bool, why: impl FnOnce() -> String) -> Shown {
    if holds { Ok(()) } else { Err(why()) }
}

/// Shows it in a run in which the kernel told all: in virtual machines it misses a switch of tasks now and
/// then, which the program notices and counts. `show` gives the watch back with what it showed.
fn where_all_is_told(show: fn(usize) -> Option<(CoreWatch, Shown)>) {
    let _turn = alone();
    let core = *cpu::available().last().unwrap();
    for _ in 0..RUNS_MAX {
        let Some((watch, shown)) = show(core) else { return };
        match watch.lost() {
            0 => return shown.unwrap(),
            lost => eprintln!("{lost} switches were not told, once more; else: {shown:?}"),
        }
    }
    panic!("{RUNS_MAX} times in a row something was lost");
}

#[test]
fn a_thief_on_our_core_is_told_by_name_and_with_its_time() {
    where_all_is_told(|core| {
        // Ours is there and running before the start: nothing has told the program of it.
        let ours = Burner::start("ours", core);
        let Some(mut watch) = here(CoreWatch::start(&[core], &[ours.id])) else {
            ours.end();
            return None;
        };
        let (begun_ns, mut events) = (now_ns(), Vec::new());
        let thief = Burner::start("thief", core);
        let (thief_id, burned_ns) = (thief.id, thief.end());
        // Its last switch may come after it could be joined.
        for _ in 0..crate::LOOKS {
            watch.read(&mut |event| events.push(event)).unwrap();
            if has_enough(&events, thief_id, burned_ns) {
                break;
            }
            std::thread::yield_now();
        }
        let took_ns = now_ns() - begun_ns;
        let our_id = ours.id;
        ours.end();
        let shown = is_a_theft(&events, core, thief_id, burned_ns).and_then(|()| {
            let is_of_us = |it: &Stolen| it.number == our_id && it.runner == Runner::Task;
            must(!events.iter().any(is_of_us), || "ours is no thief".to_owned())?;
            // What runs on one core does not run at once, and interrupts are not counted twice.
            let sum_ns: u64 = events.iter().map(|event| event.took_ns).sum();
            must(sum_ns <= took_ns, || format!("{sum_ns} ns in {took_ns} ns"))
        });
        Some((watch, shown))
    });
}

fn is_a_theft(events: &[Stolen], core: usize, thief_id: u32, burned_ns: u64) -> Shown {
    let table = table(events);
    for ((runner, number, name), (times, sum_ns, held)) in &table {
        let sum_us = sum_ns / 1_000;
        println!("{runner:?} {number} {name}: {times} times, {sum_us} us, held us up: {held}");
    }
    must(events.iter().all(|event| event.core as usize == core), || "other cores".to_owned())?;
    let is_theft = |event: &&Stolen| event.runner == Runner::Task && event.number == thief_id;
    let thefts: Vec<_> = events.iter().filter(is_theft).collect();
    // A thread has its parent's name until it gives itself one.
    must(thefts.iter().any(|event| name_of(event) == "thief"), || format!("{table:?}"))?;
    let held = thefts.iter().any(|event| event.held_us_up);
    must(held, || "ours was ready all the while".to_owned())?;
    let enough = has_enough(events, thief_id, burned_ns);
    must(enough, || format!("too little of {burned_ns} ns: {table:?}"))
}

/// Whether what the thief burned is told. The kernel counts interrupts as the thread's own time; here they are
/// told of themselves.
fn has_enough(events: &[Stolen], thief_id: u32, burned_ns: u64) -> bool {
    let counts = |it: &&Stolen| it.runner != Runner::Task || it.number == thief_id;
    let told_ns: u64 = events.iter().filter(counts).map(|event| event.took_ns).sum();
    told_ns * 10 >= burned_ns * 9
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

/// A thread on `core` that does `what` each time that it is told to, and sleeps otherwise.
fn sleeper(core: usize, what: impl Fn() + Send + 'static) -> (u32, Sender<()>, JoinHandle<()>) {
    let (tell, told) = channel();
    let (say, listen) = channel();
    let thread = std::thread::spawn(move || {
        assert!(cpu::pin_to(core));
        say.send(own_id()).unwrap();
        while told.recv().is_ok() {
            what();
        }
    });
    let id = listen.recv().unwrap();
    asleep(id);
    (id, tell, thread)
}

/// Reads until `wanted` was told; all that was told until then.
fn read_until(
    watch: &mut CoreWatch,
    wanted: impl Fn(&Stolen) -> bool,
) -> Result<Vec<Stolen>, String> {
    let mut events = Vec::new();
    for _ in 0..crate::LOOKS {
        watch.read(&mut |event| events.push(event)).unwrap();
        if events.iter().any(&wanted) {
            return Ok(events);
        }
        std::thread::yield_now();
    }
    Err(format!("it is not told: {:?}", table(&events)))
}

#[test]
fn a_thief_holds_us_up_from_when_we_are_woken() {
    where_all_is_told(|core| {
        let (our_id, wake, ours) = sleeper(core, || {});
        // The second time it is the thief itself that wakes ours, so that the core is the thief's just then.
        let wakes = Arc::new(AtomicBool::new(false));
        let (whether, alarm) = (Arc::clone(&wakes), wake.clone());
        let (thief_id, steal, thief) = sleeper(core, move || {
            if whether.load(Ordering::Relaxed) {
                alarm.send(()).unwrap();
            }
        });
        let show = |watch: &mut CoreWatch| {
            steal.send(()).unwrap();
            let quiet = read_until(watch, |event| event.number == thief_id)?;
            let slept = quiet.iter().all(|event| !event.held_us_up);
            must(slept, || format!("we slept: {:?}", table(&quiet)))?;
            asleep(thief_id);
            wakes.store(true, Ordering::Relaxed);
            steal.send(()).unwrap();
            read_until(watch, |event| event.number == thief_id && event.held_us_up).map(drop)
        };
        let shown = here(CoreWatch::start(&[core], &[our_id])).map(|mut watch| {
            let shown = show(&mut watch);
            (watch, shown)
        });
        drop(steal);
        thief.join().unwrap();
        drop(wake);
        ours.join().unwrap();
        shown
    });
}
