//! One peer in the database, and its two written forms: ours, and what we can read.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::cold::onion::OnionKey;
use crate::cold::score;
use crate::limits::{PEER_RETRY_MAX_MS, PEER_WORD_BYTES_MAX, USER_AGENT_BYTES_MAX};

const NEXT_TRY_S_MAX: f64 = PEER_RETRY_MAX_MS as f64 / 1_000.0;

/// Where we have an address from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// It is the protected local node.
    LocalNode,
    /// The local node is or was connected to it.
    Node,
    /// Heard of on the network.
    Discovered,
    /// Named by the operator.
    Operator,
}

impl Source {
    /// One word for tables and the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LocalNode => "local_node",
            Self::Node => "node",
            Self::Discovered => "discovered",
            Self::Operator => "operator",
        }
    }

    /// Reads our words and those of the p2pool forks; what is unknown counts as discovered.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "local_node" | "local_coind" | "local_dashd" => Self::LocalNode,
            "node" | "coind" | "coind_refresh" | "dashd" | "refresh" => Self::Node,
            "operator" => Self::Operator,
            _ => Self::Discovered,
        }
    }
}

/// What we know of one address. Times are epoch seconds; 0 stands for never.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerEntry {
    /// Base score, see [`score`].
    pub score: f64,
    /// When we first heard of it.
    pub first_seen_s: f64,
    /// When it was last known to be alive.
    pub last_seen_s: f64,
    /// Where we have it from.
    pub source: Source,
    /// The word for it in the file of another program, kept.
    pub source_original: Option<String>,
    /// Whether it is the local node: never dropped.
    pub protected: bool,
    /// Whether the operator wants it kept. The configuration's to say: not in the file.
    pub fixed: bool,
    /// Blocks that it has dealt with, or already had.
    pub successful_broadcasts: u64,
    /// Blocks that it did not take.
    pub failed_broadcasts: u64,
    /// Smoothed round trip of pings, in ms.
    pub ping_ms: Option<f64>,
    /// Whether the local node dialled it (so that its port is the one that it listens on).
    pub outbound: bool,
    /// Smoothed time from sending a block to its receipt, in ms.
    pub delivery_ms: Option<f64>,
    /// What it offers, as announced in its `version`.
    pub services: Option<u64>,
    /// Its block height when we last connected.
    pub start_height: Option<i32>,
    /// Its user agent when we last connected.
    pub user_agent: String,
    /// When a handshake with it last succeeded.
    pub last_connected_s: f64,
    /// Failed attempts and short-lived connections since it last held.
    pub failures_in_row: u32,
    /// One word on what last went wrong.
    pub last_failure: String,
    /// When that was.
    pub last_failure_s: f64,
    /// Not to be dialled before this.
    pub next_try_s: f64,
    /// Whose made-up address it is: an onion service, dialled by name through a proxy.
    pub onion: Option<OnionKey>,
}

impl PeerEntry {
    /// An entry from `source`, seen at `seen_s` for the first time.
    #[must_use]
    pub fn new(source: Source, seen_s: f64) -> Self {
        Self {
            score: score::starting_score(source),
            first_seen_s: seen_s,
            last_seen_s: seen_s,
            source,
            source_original: None,
            protected: source == Source::LocalNode,
            fixed: false,
            successful_broadcasts: 0,
            failed_broadcasts: 0,
            ping_ms: None,
            outbound: false,
            delivery_ms: None,
            services: None,
            start_height: None,
            user_agent: String::new(),
            last_connected_s: 0.0,
            failures_in_row: 0,
            last_failure: String::new(),
            last_failure_s: 0.0,
            next_try_s: 0.0,
            onion: None,
        }
    }

    /// Whether something at this address has ever spoken our protocol.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.last_connected_s > 0.0 || self.successful_broadcasts > 0
    }

    /// Until when it is left alone, epoch s; `None`: it may be dialled. A clock that was put back
    /// must not lock anybody out for longer than the longest wait.
    #[must_use]
    pub fn waits_until(&self, now_s: f64) -> Option<f64> {
        let left_s = self.next_try_s - now_s;
        (left_s > 0.0 && left_s <= NEXT_TRY_S_MAX).then_some(self.next_try_s)
    }

    /// Takes in what another instance knows of the same address. Its record counts where it has
    /// tried more often than we have; what is ours to know (waits, failures) stays ours.
    pub fn merge(&mut self, other: &Self) {
        let tried = |it: &Self| it.successful_broadcasts.saturating_add(it.failed_broadcasts);
        if tried(other) > tried(self) {
            self.successful_broadcasts = other.successful_broadcasts;
            self.failed_broadcasts = other.failed_broadcasts;
            if !self.protected {
                self.score = other.score;
            }
        }
        if other.first_seen_s > 0.0 {
            let first_s = if self.first_seen_s > 0.0 { self.first_seen_s } else { f64::MAX };
            self.first_seen_s = first_s.min(other.first_seen_s);
        }
        self.last_seen_s = self.last_seen_s.max(other.last_seen_s);
        self.outbound |= other.outbound;
        self.ping_ms = self.ping_ms.or(other.ping_ms);
        self.delivery_ms = self.delivery_ms.or(other.delivery_ms);
        self.services = self.services.or(other.services);
        self.onion = self.onion.or(other.onion);
        self.start_height = self.start_height.or(other.start_height);
        if self.user_agent.is_empty() {
            self.user_agent.clone_from(&other.user_agent);
        }
        // Somebody vouches for what was hearsay: it starts as such a one does.
        if self.source == Source::Discovered && other.source != Source::Discovered {
            self.source = other.source;
            self.source_original.clone_from(&other.source_original);
            if tried(self) == 0 {
                self.score = self.score.max(other.score);
            }
        }
    }
}

/// Reads "host:port", split at the last colon: IPv6 comes with and without brackets. `None` for
/// host names, onion addresses, port 0.
#[must_use]
pub fn parse_address(key: &str) -> Option<SocketAddr> {
    let (host, port) = key.trim().rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// "host:port" as the other programs write it: no brackets, split it at the last colon.
#[must_use]
pub fn format_address(address: SocketAddr) -> String {
    format!("{}:{}", address.ip(), address.port())
}

/// The written form.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WrittenEntry {
    score: Option<f64>,
    first_seen: Option<f64>,
    last_seen: Option<f64>,
    source: Option<String>,
    protected: Option<bool>,
    successful_broadcasts: Option<Number>,
    failed_broadcasts: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ping_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_original: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_ms: Option<f64>,
    /// 16 hex digits, as in getpeerinfo: JSON numbers lose bits above the 53rd.
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_height: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_connected: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures_in_row: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    onion: Option<String>,
}

impl From<&PeerEntry> for WrittenEntry {
    fn from(entry: &PeerEntry) -> Self {
        let known = |time_s: f64| (time_s > 0.0).then_some(time_s);
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            score: Some(entry.score),
            first_seen: Some(entry.first_seen_s),
            last_seen: Some(entry.last_seen_s),
            source: Some(entry.source.word().to_owned()),
            protected: Some(entry.protected),
            successful_broadcasts: Some(entry.successful_broadcasts.into()),
            failed_broadcasts: Some(entry.failed_broadcasts.into()),
            ping_ms: entry.ping_ms,
            outbound: entry.outbound.then_some(true),
            source_original: entry.source_original.clone(),
            delivery_ms: entry.delivery_ms,
            services: entry.services.map(|bits| format!("{bits:016x}")),
            start_height: entry.start_height,
            user_agent: said(&entry.user_agent),
            last_connected: known(entry.last_connected_s),
            failures_in_row: (entry.failures_in_row > 0).then(|| entry.failures_in_row.into()),
            last_failure: said(&entry.last_failure),
            last_failure_at: known(entry.last_failure_s),
            next_try: known(entry.next_try_s),
            onion: entry.onion.map(|key| key.to_string()),
        }
    }
}

impl WrittenEntry {
    /// Whether it stands for the local node of the program that wrote it.
    pub(super) fn is_own_node(&self) -> bool {
        let says = |word: &String| Source::parse(word) == Source::LocalNode;
        self.protected == Some(true) || self.source.as_ref().is_some_and(says)
    }

    /// What a file says, made plausible at `now_s`. Nothing in a file makes a peer protected: that
    /// is the configuration's to say, so such an entry comes in as one of the node's peers.
    pub(super) fn into_entry(mut self, now_s: f64) -> PeerEntry {
        let past = |time: Option<f64>| time.unwrap_or(0.0).clamp(0.0, now_s);
        let measured = |ms: Option<f64>| ms.filter(|ms| *ms > 0.0 && *ms < 3_600_000.0);
        let mut word = self.source.unwrap_or_default();
        // Our own word, where the file had to use another program's.
        if self.source_original.as_deref() == Some(Source::Operator.word()) {
            word = self.source_original.take().unwrap_or_default();
        }
        let mut source = Source::parse(&word);
        let was_protected = source == Source::LocalNode || self.protected == Some(true);
        if source == Source::LocalNode {
            source = Source::Node;
        }
        let starting = score::starting_score(source);
        let mut entry = PeerEntry::new(source, past(self.last_seen));
        entry.score = match self.score {
            Some(score) if !was_protected => score.clamp(0.0, score::SCORE_MAX),
            _ => starting,
        };
        entry.first_seen_s = past(self.first_seen.or(self.last_seen));
        entry.source_original = self
            .source_original
            .or_else(|| (word != Source::parse(&word).word()).then_some(word))
            .map(|word| clean(&word, PEER_WORD_BYTES_MAX))
            .filter(|word| !word.is_empty());
        entry.successful_broadcasts = count(self.successful_broadcasts);
        entry.failed_broadcasts = count(self.failed_broadcasts);
        entry.ping_ms = measured(self.ping_ms);
        entry.outbound = self.outbound.unwrap_or(false);
        entry.delivery_ms = measured(self.delivery_ms);
        entry.services = self.services.and_then(|hex| u64::from_str_radix(&hex, 16).ok());
        entry.start_height = self.start_height;
        entry.user_agent =
            clean(&self.user_agent.unwrap_or_default(), USER_AGENT_BYTES_MAX as usize);
        entry.last_connected_s = past(self.last_connected);
        entry.failures_in_row = u32::try_from(count(self.failures_in_row)).unwrap_or(u32::MAX);
        entry.last_failure = clean(&self.last_failure.unwrap_or_default(), PEER_WORD_BYTES_MAX);
        entry.last_failure_s = past(self.last_failure_at);
        entry.next_try_s = self.next_try.unwrap_or(0.0).clamp(0.0, now_s + NEXT_TRY_S_MAX);
        entry.onion = self.onion.and_then(|name| name.parse().ok());
        entry
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn count(written: Option<Number>) -> u64 {
    // Other programs write counts as floats.
    written.and_then(|number| number.as_f64()).unwrap_or(0.0).clamp(0.0, 9e15) as u64
}

fn clean(text: &str, bytes_max: usize) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(bytes_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_the_last_colon() {
        let parsed = |key| parse_address(key).map(format_address);
        assert_eq!(parsed("203.0.113.7:9333").as_deref(), Some("203.0.113.7:9333"));
        assert_eq!(parsed("2001:db8::1:9333").as_deref(), Some("2001:db8::1:9333"));
        assert_eq!(parsed("[2001:db8::1]:9333").as_deref(), Some("2001:db8::1:9333"));
        assert_eq!(parsed("::ffff:203.0.113.7:9333").as_deref(), Some("203.0.113.7:9333"));
        for bad in ["", ":", "203.0.113.7", "host:9333", "203.0.113.7:0", "203.0.113.7:65536"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_file_cannot_make_a_peer_protected() {
        let written = WrittenEntry {
            score: Some(999_999.0),
            protected: Some(true),
            source: Some("local_dashd".into()),
            ..WrittenEntry::default()
        };
        let entry = written.into_entry(1e9);
        assert!(!entry.protected);
        assert_eq!((entry.score, entry.source), (100.0, Source::Node));
        assert_eq!(entry.source_original.as_deref(), Some("local_dashd"));
    }

    #[test]
    fn absurd_figures_are_made_plausible() {
        let written = WrittenEntry {
            score: Some(-1e300),
            last_seen: Some(1e300),
            successful_broadcasts: Number::from_f64(-3.5),
            failed_broadcasts: Number::from_f64(1e300),
            ping_ms: Some(-1.0),
            next_try: Some(1e300),
            user_agent: Some("a\u{1b}[2J\n".repeat(500)),
            ..WrittenEntry::default()
        };
        let entry = written.into_entry(1e9);
        assert_eq!((entry.score, entry.last_seen_s, entry.next_try_s), (0.0, 1e9, 1e9 + 3_600.0));
        assert_eq!((entry.successful_broadcasts, entry.ping_ms), (0, None));
        assert!(entry.user_agent.len() <= 256 && !entry.user_agent.contains('\u{1b}'));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut entry = PeerEntry::new(Source::Discovered, 1e9);
        entry.source_original = Some("p2p_discovery".into());
        entry.services = Some(u64::MAX);
        entry.ping_ms = Some(12.5);
        entry.last_failure = "refused".into();
        entry.failures_in_row = 3;
        entry.onion = Some(OnionKey([7; 32]));
        let json = serde_json::to_string(&WrittenEntry::from(&entry)).unwrap();
        let read: WrittenEntry = serde_json::from_str(&json).unwrap();
        assert_eq!(read.into_entry(1e9), entry);
    }
}
