//! This process's heap, and processes that it has started: their processor time, how to halt them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has all threads share one heap (`mallopt(3)`): each of several would keep the room of the largest
/// block that it ever held. For the start, before there are threads; without effect where another
/// allocator is linked.
pub fn share_one_heap() {
    // JUSTIFICATION: the setting exists nowhere else, and a block's memory is a goal of its own.
    // SAFETY: the call takes two numbers and changes a setting of the allocator alone.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Processor time that process `pid` has used so far, all threads that it ever had, in ns
/// (`clock_getcpuclockid(3)`).
///
/// # Errors
/// There is no such process.
pub fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the pointer is to a live, writable clock id of this frame.
    let result = unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // JUSTIFICATION: the ticks in /proc are a hundred times too coarse for one block.
    // SAFETY: the pointer is to a live, writable timespec of this frame; a clock that is gone by
    // now makes the call fail.
    if unsafe { libc::clock_gettime(clock, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    Ok(seconds * 1_000_000_000 + nanos)
}

/// Halts process `pid` until [`resume`] (`SIGSTOP`). Call it only for a child that was not waited
/// for yet: nobody else can have its number.
///
/// # Errors
/// There is no such process, or it is not ours.
pub fn pause(pid: u32) -> io::Result<()> {
    signal(pid, libc::SIGSTOP)
}

/// Lets a halted process run on (`SIGCONT`).
///
/// # Errors
/// See [`pause`].
pub fn resume(pid: u32) -> io::Result<()> {
    signal(pid, libc::SIGCONT)
}

fn signal(pid: u32, number: libc::c_int) -> io::Result<()> {
    // SAFETY: takes two integers; no memory of ours is touched.
    if unsafe { libc::kill(pid.cast_signed(), number) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Has the kernel kill this process when the thread that started it ends (`PR_SET_PDEATHSIG`), also
/// while it is halted.
pub fn end_with_parent() {
    // SAFETY: takes integers; no memory of ours is touched. Where it fails, the end of standard
    // input still ends us.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Has the kernel kill what `command` starts when the thread that starts it ends, however it ends.
pub fn bind_to_parent(command: &mut Command) {
    let bind = || {
        end_with_parent();
        Ok(())
    };
    // JUSTIFICATION: a program that is not ours can't say it itself.
    // SAFETY: the closure runs in the child between fork and exec, where only calls that are safe in
    // a signal handler may be made: it makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(bind) };
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_child_is_halted_and_goes_on() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let state = |pid: u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            text.rsplit(')').next().unwrap().trim().chars().next().unwrap()
        };
        pause(child.id()).unwrap();
        while state(child.id()) != 'T' {
            std::thread::yield_now();
        }
        resume(child.id()).unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn processor_time_grows() {
        let own = std::process::id();
        let before = cpu_ns(own).unwrap();
        while cpu_ns(own).unwrap() == before {}
        // One more than any process can have (PID_MAX_LIMIT).
        assert!(cpu_ns(4_194_305).is_err());
    }
}
