//! Cores and limits of this process (`sched_setaffinity(2)`, `setrlimit(2)`).

use core_affinity::CoreId;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The nice value that is served first.
const HIGHEST_PRIORITY: i32 = -20;
/// The nice value of work that can wait.
const LOW_PRIORITY: i32 = 10;

/// The cores that this process may run on, lowest first.
#[must_use]
pub fn available() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Pins the calling thread to `core`; whether the kernel allowed it.
pub fn pin_to(core: usize) -> bool {
    // The crate panics on a number that no kernel set can hold.
    core < libc::CPU_SETSIZE as usize && core_affinity::set_for_current(CoreId { id: core })
}

/// The calling thread's number (`gettid(2)`), as other programs in this process-id namespace see it.
#[must_use]
pub fn thread_id() -> u32 {
    gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Lets the calling thread run on all of `cores` and nowhere else; whether the kernel allowed it.
pub fn keep_on(cores: &[usize]) -> bool {
    let mut set = CpuSet::new();
    cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    set.count() > 0 && sched_setaffinity(None, &set).is_ok()
}

/// The core that the calling thread runs on just now.
#[must_use]
pub fn current() -> usize {
    sched_getcpu()
}

/// Puts the calling thread before others that want its core, where this process may; whether it may
/// (`setpriority(2)`: CAP_SYS_NICE or the nice limit).
pub fn go_first() -> bool {
    setpriority_process(Some(gettid()), HIGHEST_PRIORITY).is_ok()
}

/// Puts the calling thread behind others that want its core.
pub fn go_last() -> bool {
    setpriority_process(Some(gettid()), LOW_PRIORITY).is_ok()
}

/// Lets the calling thread run as soon as it can, before every ordinary one, where this process may;
/// whether it may (`sched(7)`: SCHED_FIFO, CAP_SYS_NICE). For a thread that mostly sleeps and stands
/// for hardware: it must never wait for another in a loop.
pub fn go_at_once() -> bool {
    let lowest = libc::sched_param { sched_priority: 1 };
    // JUSTIFICATION: rustix knows no scheduling policies.
    // SAFETY: the pointer is to a live sched_param; 0 is the calling thread, nothing else changes.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) == 0 }
}

/// A thread, for others to say where it runs.
#[derive(Clone, Debug)]
pub struct Thread {
    id: Pid,
    /// Where it may run.
    home: CpuSet,
}

impl Thread {
    /// The calling one. It must not end before the last use of this.
    #[must_use]
    pub fn current() -> Self {
        Self { id: gettid(), home: sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new()) }
    }

    /// Has it run on its other cores than `core`, if it has any. Best said while it sleeps.
    pub fn keep_off(&self, core: usize) {
        let mut rest = self.home;
        if core < CpuSet::MAX_CPU {
            rest.unset(core);
        }
        if rest.count() > 0 {
            // Where the kernel says no it runs where it ran before.
            let _ = sched_setaffinity(Some(self.id), &rest);
        }
    }
}

/// Raises this process's limit of open files as far as it may; what it is then.
pub fn raise_open_files() -> u64 {
    // None stands for no limit.
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, ..before };
    let now =
        if setrlimit(Resource::Nofile, raised).is_ok() { before.maximum } else { before.current };
    now.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_can_be_pinned_to_each_core_there_is() {
        for core in super::available() {
            assert!(std::thread::spawn(move || super::pin_to(core)).join().unwrap());
        }
        assert!(!std::thread::spawn(|| super::pin_to(usize::MAX)).join().unwrap());
    }

    #[test]
    fn a_thread_can_be_kept_on_some_cores() {
        let all = super::available();
        let kept = std::thread::spawn(move || {
            let kept = super::keep_on(&all[..1]);
            (kept, super::available(), all[0])
        });
        let (kept, now, core) = kept.join().unwrap();
        assert!(kept);
        assert_eq!(now, [core]);
        assert!(!super::keep_on(&[]));
    }

    #[test]
    fn open_files_are_raised_to_the_hard_limit() {
        let raised = super::raise_open_files();
        assert!(raised > 0);
        assert_eq!(super::raise_open_files(), raised);
    }
}
