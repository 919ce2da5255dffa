//! The families of the whole engine: uplink, alerts, the process itself.

use std::collections::BTreeMap;

use super::family::Family;
use super::now::Now;
use crate::cold::alert::Kind;
use crate::cold::stats::runner_word;

/// All of them, in the order in which they are written.
pub(super) const ENGINE: &[&[Family<Now>]] = &[UPLINK, ALERTS, HISTORY, TRACE, PROCESS];

const UPLINK: &[Family<Now>] = &[
    Family::gauge(
        "broadside_uplink_state",
        &["state"],
        "What is known of the uplink, in a word; always 1.",
        |now, samples| samples.put(&[now.uplink.state], 1_u64),
    ),
    Family::gauge(
        "broadside_uplink_bytes_per_second",
        &[],
        "What the uplink is reckoned to carry; nothing where nothing is held back.",
        |now, samples| samples.some(now.uplink.bits_per_s.map(bytes)),
    ),
    Family::gauge(
        "broadside_uplink_card_bytes_per_second",
        &[],
        "What the network card says that it can carry.",
        |now, samples| samples.some(now.uplink.card_bits_per_s.map(bytes)),
    ),
    Family::gauge(
        "broadside_uplink_measured_age_seconds",
        &[],
        "How long ago the uplink was measured.",
        |now, samples| samples.some(now.uplink.age_s),
    ),
    Family::gauge(
        "broadside_uplink_peers",
        &["warmth"],
        "Peers behind the uplink: all, those served among the warm, those whose windows let a block through.",
        |now, samples| {
            samples.put(&["all"], now.uplink.shared_peers);
            samples.put(&["warm"], now.uplink.warm_peers);
            samples.put(&["full-window"], now.uplink.full_window_peers);
        },
    ),
    Family::counter(
        "broadside_warm_up_sent_bytes_total",
        &[],
        "Bytes sent to keep windows open.",
        |now, samples| samples.put(&[], now.uplink.warm_up_sent_bytes),
    ),
    Family::counter(
        "broadside_warm_up_offers_total",
        &[],
        "Offers made to keep windows open.",
        |now, samples| samples.put(&[], now.uplink.warm_up_offers),
    ),
    Family::gauge(
        "broadside_warm_up_left_bytes",
        &[],
        "Bytes that may still be sent for that now.",
        |now, samples| samples.put(&[], now.uplink.warm_up_left_bytes),
    ),
];

const ALERTS: &[Family<Now>] = &[
    Family::gauge("broadside_alerts_active", &[], "Alerts that stand now.", |now, samples| {
        samples.put(&[], now.alerts.active.len());
    }),
    Family::gauge(
        "broadside_alert_active",
        &["kind", "severity", "chain"],
        "Alerts that stand now; 0 for every kind. Those of the whole engine have no chain.",
        |now, samples| {
            for kind in Kind::ALL {
                samples.put(&[kind.word(), "", ""], 0_u64);
            }
            let mut counts: BTreeMap<[&str; 3], u64> = BTreeMap::new();
            for alert in &now.alerts.active {
                let labels = [alert.kind, alert.severity.word(), alert.chain.unwrap_or_default()];
                *counts.entry(labels).or_default() += 1;
            }
            counts.iter().for_each(|(labels, count)| samples.put(labels, *count));
        },
    ),
    Family::gauge(
        "broadside_engine_sound",
        &[],
        "Whether the engine itself runs as it should (1) or needs a restart (0).",
        |now, samples| samples.put(&[], now.is_sound),
    ),
];

const HISTORY: &[Family<Now>] = &[
    Family::gauge("broadside_history_blocks", &[], "Blocks in the history.", |now, samples| {
        samples.some(now.history.enabled.then_some(now.history.blocks));
    }),
    Family::gauge("broadside_history_bytes", &[], "Its size on disk.", |now, samples| {
        samples.some(now.history.enabled.then_some(now.history.bytes));
    }),
    Family::counter(
        "broadside_history_lost_total",
        &[],
        "Blocks of which something could not be kept.",
        |now, samples| samples.put(&[], now.history.lost),
    ),
    Family::gauge(
        "broadside_history_troubled",
        &[],
        "Whether the history can't be written now (1) or can (0).",
        |now, samples| samples.put(&[], now.history.trouble.is_some()),
    ),
];

const TRACE: &[Family<Now>] = &[
    Family::gauge(
        "broadside_trace_on",
        &["program"],
        "Whether the kernel tells how far blocks come, and who runs on the shards' cores (1), or not (0).",
        |now, samples| {
            samples.put(&["tcp_delivery"], now.trace.deliveries.why_not.is_none());
            samples.put(&["core_jitter"], now.trace.cores.why_not.is_none());
        },
    ),
    Family::counter(
        "broadside_trace_lost_total",
        &["program"],
        "What the kernel had to tell and found no room for, or did not tell.",
        |now, samples| {
            samples.put(&["tcp_delivery"], now.trace.deliveries.lost);
            samples.put(&["core_jitter"], now.trace.cores.lost);
        },
    ),
    Family::counter(
        "broadside_core_stolen_seconds_total",
        &["core", "kind"],
        "Time for which others ran on a shard's core while the shard wanted it.",
        |now, samples| {
            for (core, runner, sum) in &now.trace.stolen {
                let labels = [&*core.to_string(), runner_word(*runner)];
                samples.put(&labels, sum.total_ns as f64 / 1e9);
            }
        },
    ),
    Family::counter(
        "broadside_core_stolen_total",
        &["core", "kind"],
        "How often they did.",
        |now, samples| {
            for (core, runner, sum) in &now.trace.stolen {
                samples.put(&[&core.to_string(), runner_word(*runner)], sum.count);
            }
        },
    ),
    Family::gauge(
        "broadside_core_stolen_longest_seconds",
        &["core", "kind"],
        "The longest that one of them ran at once since the start.",
        |now, samples| {
            for (core, runner, sum) in &now.trace.stolen {
                let labels = [&*core.to_string(), runner_word(*runner)];
                samples.put(&labels, sum.longest_ns as f64 / 1e9);
            }
        },
    ),
];

const PROCESS: &[Family<Now>] = &[
    Family::gauge(
        "broadside_build_info",
        &["version"],
        "Which build it is; always 1.",
        |_, samples| {
            samples.put(&[env!("CARGO_PKG_VERSION")], 1_u64);
        },
    ),
    Family::gauge(
        "broadside_time_seconds",
        &[],
        "This host's clock, in seconds since 1970.",
        |now, samples| samples.put(&[], now.time_s),
    ),
    Family::gauge("process_resident_memory_bytes", &[], "Memory in RAM.", |now, samples| {
        samples.some(now.process.resident_bytes);
    }),
    Family::gauge("process_virtual_memory_bytes", &[], "Address space.", |now, samples| {
        samples.some(now.process.virtual_bytes);
    }),
    Family::gauge("process_threads", &[], "Threads.", |now, samples| {
        samples.some(now.process.threads)
    }),
    Family::gauge("process_open_fds", &[], "Open file descriptors.", |now, samples| {
        samples.some(now.process.open_files);
    }),
    Family::gauge("process_max_fds", &[], "Open file descriptors at most.", |now, samples| {
        samples.some(now.process.open_files_max);
    }),
    Family::counter(
        "process_cpu_seconds_total",
        &[],
        "Processor time, user and system.",
        |now, samples| samples.some(now.process.cpu_s),
    ),
    Family::gauge(
        "process_start_time_seconds",
        &[],
        "When the process was started, in seconds since 1970.",
        |now, samples| samples.some(now.process.started_s),
    ),
];

const fn bytes(bits_per_s: u64) -> f64 {
    bits_per_s as f64 / 8.0
}
