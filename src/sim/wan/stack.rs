//! How a network's TCP is set: stock, unless said otherwise, and not as the host happens to be.

use std::fs;
use std::io;

const ROOT: &str = "/proc/sys/net/ipv4";
const CONGESTION_CONTROL: &str = "tcp_congestion_control";
/// The kernel lets a network of its own choose among what the host allows everybody only; a socket
/// of root may choose freely.
const NOT_ALLOWED: &str = " (the host allows no other by net.ipv4.tcp_allowed_congestion_control: \
                           set it per socket)";

/// What is set in both networks before a socket is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackSettings {
    /// Congestion control of new connections. Where the host does not allow it to be set for a
    /// network, [`super::Wan::stack`] says so and each sending socket has to be set.
    pub congestion_control: String,
    /// Least, first and most of a receive buffer, in bytes.
    pub receive_bytes: [u32; 3],
    /// Least, first and most of a send buffer, in bytes.
    pub send_bytes: [u32; 3],
    /// Whether a window is closed again after a pause.
    pub slow_start_after_idle: bool,
    /// Whether what was learnt of a peer is kept for its next connection.
    pub keep_metrics: bool,
}

impl Default for StackSettings {
    /// The kernel's own defaults; metrics are not kept, as runs would not be independent.
    fn default() -> Self {
        Self {
            congestion_control: "cubic".to_owned(),
            receive_bytes: [4_096, 131_072, 6_291_456],
            send_bytes: [4_096, 16_384, 4_194_304],
            slow_start_after_idle: true,
            keep_metrics: false,
        }
    }
}

impl StackSettings {
    /// Sets it for the calling thread's network; what the kernel says it is then.
    pub(super) fn apply(&self, device: &str) -> io::Result<String> {
        let three = |[least, first, most]: [u32; 3]| format!("{least} {first} {most}");
        let rows = [
            (CONGESTION_CONTROL, self.congestion_control.clone()),
            ("tcp_rmem", three(self.receive_bytes)),
            ("tcp_wmem", three(self.send_bytes)),
            ("tcp_slow_start_after_idle", u8::from(self.slow_start_after_idle).to_string()),
            ("tcp_no_metrics_save", u8::from(!self.keep_metrics).to_string()),
        ];
        let mut said = Vec::new();
        for (name, value) in rows {
            let path = format!("{ROOT}/{name}");
            let told = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
            let written = fs::write(&path, &value);
            let refused =
                matches!(&written, Err(error) if error.kind() == io::ErrorKind::PermissionDenied);
            if !(refused && name == CONGESTION_CONTROL) {
                written.map_err(told)?;
            }
            let now = fs::read_to_string(&path).map_err(told)?;
            let now = now.split_whitespace().collect::<Vec<_>>().join("/");
            let hint = if now == value || !refused { "" } else { NOT_ALLOWED };
            said.push(format!("{name}={now}{hint}"));
        }
        for name in ["all", device] {
            fs::write(format!("{ROOT}/conf/{name}/rp_filter"), "0")?;
        }
        Ok(said.join(" "))
    }
}
