//! The facts of this host that a figure depends on.

use std::collections::BTreeMap;
use std::fs::read_to_string;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::sys::cpu;

/// The congestion control that all sockets of a bench ask for: what most hosts have.
pub const CONGESTION_CONTROL: &str = "cubic";
/// Settings of the kernel that matter for fan-out on loopback, below /proc/sys.
const SYSCTLS: [&str; 12] = [
    "kernel/io_uring_disabled",
    "net/core/busy_poll",
    "net/core/default_qdisc",
    "net/core/rmem_max",
    "net/core/somaxconn",
    "net/core/wmem_max",
    "net/ipv4/tcp_autocorking",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_mem",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_slow_start_after_idle",
    "net/ipv4/tcp_wmem",
];

/// Where a bench ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The kernel's version.
    pub kernel: String,
    /// The processor's name.
    pub processor: String,
    /// Cores that the bench could use.
    pub cores: Vec<usize>,
    /// The core of the sinks and the client; none where they could not be pinned.
    pub sink_core: Option<usize>,
    /// The cores of the engine's shards.
    pub shard_cores: Vec<usize>,
    /// Open files allowed.
    pub open_files: u64,
    /// The congestion control that the bench's sockets had.
    #[serde(default)]
    pub congestion_control: String,
    /// Settings of the kernel, by name; those that it does not have are left out.
    pub sysctls: BTreeMap<String, String>,
}

impl Host {
    /// Looks at this one.
    #[must_use]
    pub fn look(shard_cores: &[usize], sink_core: Option<usize>) -> Self {
        let processors = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = processors.lines().find(|line| line.starts_with("model name"));
        let sysctl = |name: &&str| {
            let value = read_to_string(format!("/proc/sys/{name}")).ok()?;
            let words: Vec<_> = value.split_whitespace().collect();
            Some((name.replace('/', "."), words.join(" ")))
        };
        Self {
            kernel: read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            processor: named
                .and_then(|line| line.split(": ").nth(1))
                .unwrap_or(std::env::consts::ARCH)
                .to_owned(),
            cores: cpu::available(),
            sink_core,
            shard_cores: shard_cores.to_vec(),
            open_files: cpu::raise_open_files(),
            congestion_control: congestion_control().unwrap_or_else(|_| "unknown".to_owned()),
            sysctls: SYSCTLS.iter().filter_map(sysctl).collect(),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let list =
            |cores: &[usize]| cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let sinks = self.sink_core.map_or("anywhere".to_owned(), |core| format!("on core {core}"));
        format!(
            "Linux {}, {}, cores {}; shard on core {}, sinks and client {sinks}; TCP {}",
            self.kernel,
            self.processor,
            list(&self.cores),
            list(&self.shard_cores),
            self.congestion_control,
        )
    }
}
/// What sockets get that ask for [`CONGESTION_CONTROL`].
fn congestion_control() -> std::io::Result<String> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let _ = socket.set_tcp_congestion(CONGESTION_CONTROL.as_bytes());
    let name = socket.tcp_congestion()?;
    Ok(String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned())
}
