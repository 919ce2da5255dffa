//! `[trace]`.

use super::read::Section;
use crate::limits::INITIAL_WINDOW_PACKETS_MAX;

/// `[trace]`: what is seen of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Whether the kernel is asked how far blocks come, where it lets us,
    pub deliveries: bool,
    /// and who runs on the shards' cores.
    pub cores: bool,
    /// First congestion window of our connections, in packets; 0: the kernel's own.
    pub initial_window_packets: u32,
}

pub(super) fn trace(section: &Section<'_, '_>) -> Trace {
    let choices = [
        ("auto", (true, true)),
        ("deliveries", (true, false)),
        ("cores", (false, true)),
        ("off", (false, false)),
    ];
    let (deliveries, cores) = section.choice("bpf", &choices).unwrap_or((true, true));
    let key = "initial_window_packets";
    let packets = section.whole(key, 0..=INITIAL_WINDOW_PACKETS_MAX).unwrap_or(0);
    if packets > 0
        && !deliveries
        && !cores
        && let Some(found) = section.find(key)
    {
        let message = "is set through BPF: take bpf = \"off\" out, or give 0".to_owned();
        section.fault(found.line, key, message);
    }
    Trace { deliveries, cores, initial_window_packets: packets }
}
