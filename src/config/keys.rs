//! Every key that a configuration can have, by section.

/// Section name and its keys, in the order of the example. The first entry is the whole file.
pub(super) const SECTIONS: [(&str, &[&str]); 11] = [
    ("", &["engine", "intake", "http", "history", "trace", "alerts", "chain"]),
    (
        "engine",
        &[
            "cores",
            "backend",
            "idle",
            "zero_copy",
            "uplink",
            "order",
            "warm_upload",
            "log",
            "asn_db",
            "data_dir",
        ],
    ),
    ("intake", &["rpc", "rpc_cookie", "user", "password", "unix"]),
    ("http", &["listen", "user", "password"]),
    ("history", &["enabled", "keep_days", "keep_bytes"]),
    ("trace", &["bpf", "initial_window_packets"]),
    ("alerts", &["webhook", "command", "min_severity", "repeat_h", "slow_factor", "off"]),
    ("chain", &["name", "network", "node", "submit", "peers"]),
    ("chain.node", &["p2p", "rpc", "cookie_file", "user", "password", "template"]),
    ("chain.submit", &["url", "cookie_file", "user", "password", "timeout_s", "retry_s"]),
    (
        "chain.peers",
        &[
            "max",
            "min",
            "scouts",
            "refresh_s",
            "bootstrap",
            "discover",
            "fixed",
            "db",
            "proxy",
            "relay",
            "warm",
            "selection",
            "regions",
            "locks",
        ],
    ),
];

/// The keys of `section`.
pub(super) fn known_keys(section: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

/// The only section that has a key of this name, so that a key under the wrong heading can be told
/// where it belongs.
pub(super) fn owner_of(key: &str) -> Option<&'static str> {
    let mut owners = SECTIONS.iter().filter(|(name, keys)| !name.is_empty() && keys.contains(&key));
    match (owners.next(), owners.next()) {
        (Some((section, _)), None) => Some(section),
        _ => None,
    }
}
