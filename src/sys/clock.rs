//! The one clock of all measurements.

/// CLOCK_MONOTONIC now, in ns (`clock_gettime(2)`; no system call on x86-64 and arm64).
#[must_use]
pub fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // JUSTIFICATION: std's Instant does not show its value, and times of several processes and
    // of the kernel's own stamps must be comparable.
    // SAFETY: the pointer is to a live, writable timespec of this frame; the clock id is valid on
    // every Linux, so the call can't fail and always fills it.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos)
}

/// Whether the kernel's clock is synchronised with others (`adjtimex(2)`, STA_UNSYNC). `None`: the
/// kernel does not tell, as in some containers.
#[must_use]
pub fn is_synchronised() -> Option<bool> {
    // JUSTIFICATION: nobody else tells.
    // SAFETY: all fields of `timex` are integers, for which zeros are values.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, writable timex of this frame; its `modes` are 0, so nothing
    // is set.
    let told = unsafe { libc::adjtimex(&raw mut state) };
    (told >= 0).then_some(state.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::now_ns;

    #[test]
    fn asking_changes_nothing() {
        assert_eq!(super::is_synchronised(), super::is_synchronised());
    }

    #[test]
    fn does_not_run_backwards() {
        let mut last = now_ns();
        for _ in 0..10_000 {
            let now = now_ns();
            assert!(now >= last && now > 0);
            last = now;
        }
    }
}
