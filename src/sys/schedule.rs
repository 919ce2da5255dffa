//! How long threads of this process waited for a core (`/proc/PID/task/TID/schedstat`, proc(5)).

use std::fs;
use std::path::PathBuf;

/// The threads of one kind, found once by the front of their names.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    threads: Vec<(String, PathBuf)>,
}

impl Waiting {
    /// The threads of this process whose name begins with `front`, by name.
    #[must_use]
    pub fn of(front: &str) -> Self {
        let mut threads = Vec::new();
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if let Some(rest) = name.trim_end().strip_prefix(front) {
                threads.push((rest.to_owned(), task.path().join("schedstat")));
            }
        }
        threads.sort_by_key(|(rest, _)| (rest.parse().unwrap_or(usize::MAX), rest.clone()));
        Self { threads }
    }

    /// How long each has been ready to run and had no core, since its start, in ns. `None`: it has
    /// ended, or the kernel does not count that.
    #[must_use]
    pub fn waited_ns(&self) -> Vec<Option<u64>> {
        self.threads.iter().map(|(_, file)| waited_ns(&fs::read_to_string(file).ok()?)).collect()
    }
}

/// `RUN_NS WAITED_NS SLICES`.
fn waited_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_found_by_their_names() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (there, ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("sched-1".to_owned());
        let thread = thread.spawn(move || {
            there.send(()).unwrap();
            let _ = wait.recv();
        });
        ready.recv().unwrap();
        let waiting = Waiting::of("sched-");
        assert_eq!(waiting.waited_ns().len(), 1);
        go.send(()).unwrap();
        thread.unwrap().join().unwrap();
        assert!(Waiting::of("nobody-is-called-so").waited_ns().is_empty());
    }

    #[test]
    fn the_second_number_is_the_time_waited() {
        assert_eq!(waited_ns("100 20 3\n"), Some(20));
        assert_eq!((waited_ns(""), waited_ns("1 x 2")), (None, None));
    }
}
