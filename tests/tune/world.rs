//! Where tuning is tried: a network of its own, or this host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use broadside::edge::tune::record::Record;
use broadside::edge::tune::unit::{Unit, units};
use broadside::sys::namespace::Network;
use tempfile::TempDir;

/// Settings of a network, on any kernel.
pub const NETWORK_UNITS: [&str; 6] = [
    "tcp/slow_start_after_idle",
    "tcp/no_metrics_save",
    "tcp/send_memory",
    "tcp/receive_memory",
    "tcp/mtu_probing",
    "tcp/sack",
];
/// Settings of the whole host that do no harm for a moment. Not the huge pages: an engine in another test
/// takes them at once, and they are put back only when that one ends.
pub const HOST_UNITS: [&str; 5] = [
    "memory/swappiness",
    "memory/stat_interval",
    "memory/compaction",
    "memory/numa_balancing",
    "memory/shared_huge_pages",
];
/// What every network begins with here, whatever the host has: so that something is to be set.
const FIRST: [(&str, &str); 5] = [
    ("tcp_slow_start_after_idle", "1"),
    ("tcp_no_metrics_save", "0"),
    ("tcp_mtu_probing", "0"),
    ("tcp_sack", "0"),
    ("tcp_wmem", "4096 16384 4194304"),
];

/// Path and contents of every readable setting.
pub type Dump = BTreeMap<String, String>;

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub errors: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Self { code, out: text(output.stdout), errors: text(output.stderr) }
    }
}

/// The program under test.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadside"));
    // No configuration of this machine is to be found.
    command.stdin(Stdio::null()).current_dir("/").env("HOME", "/nonexistent");
    command.env_remove("XDG_CONFIG_HOME");
    command
}

pub fn broadside(arguments: &[&str]) -> Said {
    Said::of(program().args(arguments).output().unwrap())
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

/// `--only` before each.
pub fn only<'a>(units: &[&'a str]) -> Vec<&'a str> {
    units.iter().flat_map(|unit| ["--only", *unit]).collect()
}

/// Where the record has something, oldest first.
pub fn recorded(record: &Path) -> Vec<String> {
    Record::peek(record).unwrap().into_iter().map(|entry| entry.place).collect()
}

/// The units that these words mean.
pub fn units_of(words: &[&str]) -> Vec<Unit> {
    let all = units().unwrap().into_iter();
    all.filter(|unit| words.iter().any(|word| unit.is_meant(word))).collect()
}

/// A network of its own or this host's, with a record.
pub struct Place {
    network: Option<Network>,
    pub record: PathBuf,
    _folder: TempDir,
}

impl Place {
    /// A new network; none, and a line that says so, where that takes more rights.
    pub fn network() -> Option<Self> {
        let network = match Network::new() {
            Ok(network) => network,
            Err(error) => {
                eprintln!("SKIPPED: no network namespaces here ({error})");
                return None;
            }
        };
        let place = Self { network: Some(network), ..Self::host() };
        for (name, value) in FIRST {
            place.put(&format!("/proc/sys/net/ipv4/{name}"), value);
        }
        Some(place)
    }

    /// This host.
    pub fn host() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("data/tuning.json");
        Self { network: None, record, _folder: folder }
    }

    /// Does `work` in the network; what it starts is in there too.
    pub fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match &self.network {
            Some(network) => network.run(work).unwrap(),
            None => work(),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = program();
        command.args(arguments);
        Said::of(self.within(move || command.output().unwrap()))
    }

    /// `tune WHAT` with this place's record.
    pub fn tune(&self, what: &str, only: &[&str], more: &[&str]) -> Said {
        let record = ["--record", self.record.to_str().unwrap()];
        self.run(&[&["tune", what][..], &record[..], only, more].concat())
    }

    pub fn put(&self, path: &str, value: &str) {
        let (path, value) = (path.to_owned(), value.to_owned());
        self.within(move || fs::write(path, value).unwrap());
    }

    pub fn value(&self, path: &str) -> String {
        let path = path.to_owned();
        self.within(move || fs::read_to_string(path).unwrap().trim().to_owned())
    }

    /// Every setting of the network.
    pub fn dump(&self) -> Dump {
        self.within(|| {
            let mut dump = Dump::new();
            let mut folders = vec![PathBuf::from("/proc/sys/net")];
            while let Some(folder) = folders.pop() {
                for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                    if path.is_dir() {
                        folders.push(path);
                    } else if let Ok(text) = fs::read_to_string(&path) {
                        dump.insert(path.display().to_string(), text);
                    }
                }
            }
            assert!(dump.len() > 100, "{}", dump.len());
            // Counts down by itself, on any host.
            dump.retain(|path, _| !path.ends_with("nf_conntrack_count"));
            dump
        })
    }
}

/// The values of this host that the tests change, by the files' own words.
pub fn host_values() -> Dump {
    let paths = [
        "/proc/sys/vm/swappiness",
        "/proc/sys/vm/stat_interval",
        "/proc/sys/vm/compaction_proactiveness",
        "/proc/sys/kernel/numa_balancing",
        "/sys/kernel/mm/transparent_hugepage/shmem_enabled",
    ];
    let read = |path: &str| Some((path.to_owned(), fs::read_to_string(path).ok()?));
    paths.into_iter().filter_map(read).collect()
}

/// Puts this host's values back also where a test fails.
pub struct PutBack(Dump);

impl PutBack {
    pub fn new(values: &Dump) -> Self {
        Self(values.clone())
    }
}

impl Drop for PutBack {
    fn drop(&mut self) {
        for (path, text) in &self.0 {
            if fs::read_to_string(path).is_ok_and(|now| now != *text) {
                let chosen =
                    text.split(' ').find_map(|word| word.strip_prefix('[')?.split(']').next());
                let _ = fs::write(path, chosen.unwrap_or(text));
            }
        }
    }
}
