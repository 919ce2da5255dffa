//! Cores and limits of this process (`sched_setaffinity(2)`, `setrlimit(2)`).

use core_affinity::CoreId;

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

/// Lets the calling thread run on all of `cores` and nowhere else; whether the kernel allowed it.
pub fn keep_on(cores: &[usize]) -> bool {
    if cores.is_empty() {
        return false;
    }
    // SAFETY: a cpu_set_t is an array of integers, for which all zeros is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for core in cores.iter().filter(|core| **core < libc::CPU_SETSIZE as usize) {
        // SAFETY: the core's number was checked to lie inside the set.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // JUSTIFICATION: core_affinity knows only how to pin to a single core.
    // SAFETY: 0 is the calling thread; the pointer and size describe one live cpu_set_t.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) == 0 }
}

/// Raises this process's limit of open files as far as it may; what it is then.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live, writable rlimit of this frame.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live rlimit of this frame; a soft limit up to the hard one is
    // always allowed.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 {
        limit.rlim_max
    } else {
        before
    }
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
