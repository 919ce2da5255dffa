//! What the kernel says of this process (`proc_pid_stat(5)`).

use std::fs;
use std::path::Path;

use crate::sys::process::cpu_ns;

/// Ticks of a second in /proc, on every machine that Linux runs on (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// `None`: the kernel did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Memory in RAM.
    pub(super) resident_bytes: Option<u64>,
    /// Address space.
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) open_files_max: Option<u64>,
    /// Processor time, user and system.
    pub(super) cpu_s: Option<f64>,
    /// When it was started, in s since 1970.
    pub(super) started_s: Option<f64>,
}

impl Process {
    pub(super) fn now() -> Self {
        let read = |name: &str| fs::read_to_string(Path::new("/proc").join(name));
        let status = read("self/status").unwrap_or_default();
        let kilobytes = |key| Some(number(&status, key)? * 1_024);
        let limits = read("self/limits").unwrap_or_default();
        let files = limits.lines().find(|line| line.starts_with("Max open files"));
        Self {
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            threads: number(&status, "Threads:"),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            open_files_max: files.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()),
            cpu_s: cpu_ns(std::process::id()).ok().map(|ns| ns as f64 / 1e9),
            started_s: started_s(
                &read("self/stat").unwrap_or_default(),
                &read("stat").unwrap_or_default(),
            ),
        }
    }
}

/// The number behind `key` at the start of a line.
fn number(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// From `/proc/self/stat` and `/proc/stat`.
fn started_s(own: &str, host: &str) -> Option<f64> {
    // The second field is the program's name, which may hold anything.
    let (_, fields) = own.rsplit_once(')')?;
    let ticks: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(number(host, "btime")? as f64 + ticks / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_kernel_says_all_of_it() {
        let now = Process::now();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(now.resident_bytes > Some(1 << 20) && now.virtual_bytes >= now.resident_bytes);
        assert!(now.threads >= Some(1) && now.cpu_s > Some(0.0));
        assert!(now.open_files >= Some(3) && now.open_files < now.open_files_max);
        let started_s = now.started_s.unwrap();
        assert!(started_s < now_s + 1.0 && started_s > now_s - 86_400.0, "{started_s} {now_s}");
    }

    #[test]
    fn a_name_can_hold_anything() {
        let own = "7 (a) 1 2) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 250 9";
        assert_eq!(started_s(own, "cpu 1\nbtime 1000\n"), Some(1_002.5));
        assert_eq!((started_s("", "btime 1"), started_s(own, "")), (None, None));
    }
}
