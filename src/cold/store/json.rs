//! The database as JSON. Entries are read one by one, so that a bad one costs only itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::book::PeerBook;
use super::entry::{PeerEntry, WrittenEntry, format_address, parse_address};
use super::{Ban, Faults, StoreSettings};
use crate::cold::cover::ChosenBy;
use crate::limits::{ANCHORS_MAX, PEER_BANS_MAX, PEER_ENTRIES_MAX};
use crate::wire::chain;

/// What we write as `version`, as the programs before us do.
pub(super) const VERSION: &str = "1.0";

/// Why a text is not our database.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Not JSON, or without a `peers` object, or with nothing in it that means anything.
    Damaged(String),
    /// Of this "chain network".
    Foreign(String),
}

/// Whose file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Our own: its protected peer is our node.
    Ours,
    /// To be imported: its protected peer is somebody else's node, its bans are their own.
    Theirs,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) book: PeerBook,
    pub(super) faults: Faults,
    /// Bans that are to be lifted: in an edit only.
    pub(super) unbanned: Vec<Ban>,
    /// Local nodes of whoever wrote it, left out of [`Whose::Theirs`].
    pub(super) own_nodes: usize,
    /// When it was written, epoch s, where it says so.
    pub(super) saved_at_s: Option<f64>,
}

/// Reads `text` as a database of `settings`' chain.
pub(super) fn read(
    text: &[u8],
    settings: &StoreSettings,
    whose: Whose,
    now_s: f64,
) -> Result<Read, Problem> {
    let damaged = |error: serde_json::Error| Problem::Damaged(error.to_string());
    let mut input = serde_json::Deserializer::from_slice(text);
    let reader = FileReader { settings, whose, now_s };
    let file = input.deserialize_map(reader).map_err(damaged)?;
    input.end().map_err(damaged)?;
    let of = |found: &Option<String>, ours: &str| found.as_ref().is_none_or(|name| name == ours);
    if !of(&file.chain, &settings.chain) || !of(&file.network, &settings.network) {
        let (chain, network) = (file.chain.unwrap_or_default(), file.network.unwrap_or_default());
        return Err(Problem::Foreign(format!("{chain:.32} {network:.32}")));
    }
    let mut peers = file.peers.ok_or_else(|| Problem::Damaged("no peers".into()))?;
    if file.chain.is_none() {
        unnamed_chain(&peers, settings.port)?;
    }
    if whose == Whose::Ours {
        peers.book.bootstrapped = file.bootstrapped;
        peers.book.connected = file.connected;
        peers.book.anchors = file.anchors;
        peers.book.chosen = file.chosen;
        peers.book.aimed = file.aimed;
        for (ban, since_s) in file.banned {
            peers.book.ban(ban, since_s.clamp(0.0, now_s));
        }
    }
    let Peers { book, faults, own_nodes, .. } = peers;
    let File { unbanned, saved_at_s, .. } = file;
    Ok(Read { book, faults, unbanned, own_nodes, saved_at_s })
}

/// Files of the programs before us don't say whose peers they hold; the ports do.
fn unnamed_chain(peers: &Peers, port: u16) -> Result<(), Problem> {
    let count = |port| peers.ports.get(&port).copied().unwrap_or(0);
    let total: usize = peers.ports.values().sum();
    let others = chain::all().filter(|chain| count(port) == 0 && chain.p2p_port != port);
    let likely = others.max_by_key(|chain| count(chain.p2p_port));
    if let Some(chain) = likely.filter(|chain| 2 * count(chain.p2p_port) > total) {
        return Err(Problem::Foreign(format!("{} {}", chain.name, chain.network.name())));
    }
    if peers.book.is_empty() && peers.own_nodes == 0 && peers.faults.count > 0 {
        let first = peers.faults.named.first().map(ToString::to_string).unwrap_or_default();
        let count = peers.faults.count;
        return Err(Problem::Damaged(format!("none of its {count} peers can be used: {first}")));
    }
    Ok(())
}

#[derive(Default)]
struct File {
    chain: Option<String>,
    network: Option<String>,
    bootstrapped: bool,
    saved_at_s: Option<f64>,
    connected: BTreeSet<SocketAddr>,
    anchors: Vec<SocketAddr>,
    chosen: BTreeMap<SocketAddr, (u32, ChosenBy)>,
    aimed: Option<u32>,
    banned: BTreeMap<Ban, f64>,
    unbanned: Vec<Ban>,
    peers: Option<Peers>,
}

#[derive(Clone, Copy)]
struct FileReader<'a> {
    settings: &'a StoreSettings,
    whose: Whose,
    now_s: f64,
}

impl<'de> Visitor<'de> for FileReader<'_> {
    type Value = File;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a peer database object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<File, M::Error> {
        let mut file = File::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "chain" => file.chain = map.next_value()?,
                "network" => file.network = map.next_value()?,
                "bootstrapped" => {
                    file.bootstrapped = map.next_value::<Option<bool>>()?.unwrap_or(false);
                }
                "last_updated" | "saved_at" => file.saved_at_s = map.next_value()?,
                "connected" => {
                    let words = map.next_value::<Vec<String>>()?.into_iter();
                    let known = words.filter_map(|word| parse_address(&word));
                    file.connected = known.take(PEER_ENTRIES_MAX as usize).collect();
                }
                // Names that others may have another use for: what is not ours is no damage.
                "anchors" => {
                    let found = map.next_value::<Value>()?;
                    let words = found.as_array().into_iter().flatten();
                    let known = words.filter_map(|word| parse_address(word.as_str()?));
                    file.anchors = known.take(ANCHORS_MAX).collect();
                }
                "chosen" => {
                    let found = map.next_value::<Value>()?;
                    let words = found.as_object().into_iter().flatten();
                    let known = words.filter_map(|(key, seat)| {
                        let place = u32::try_from(seat.get(0)?.as_u64()?).ok()?;
                        let word = seat.get(1)?.as_str()?;
                        let by = ChosenBy::ALL.into_iter().find(|by| by.word() == word)?;
                        Some((parse_address(key)?, (place, by)))
                    });
                    file.chosen = known.take(PEER_ENTRIES_MAX as usize).collect();
                }
                "aimed" => {
                    let found = map.next_value::<Value>()?.as_u64();
                    file.aimed = found.and_then(|aimed| u32::try_from(aimed).ok());
                }
                "banned" => {
                    let words = map.next_value::<BTreeMap<String, f64>>()?.into_iter();
                    let known = words.filter_map(|(word, since)| Some((word.parse().ok()?, since)));
                    file.banned = known.take(PEER_BANS_MAX).collect();
                }
                "unbanned" => {
                    let words = map.next_value::<Vec<String>>()?.into_iter();
                    let known = words.filter_map(|word| word.parse().ok());
                    file.unbanned = known.take(PEER_BANS_MAX).collect();
                }
                "peers" => file.peers = Some(map.next_value_seed(PeersReader(self))?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(file)
    }
}

#[derive(Default)]
struct Peers {
    book: PeerBook,
    faults: Faults,
    /// How often each port occurs, used or not.
    ports: HashMap<u16, usize>,
    /// Local nodes of whoever wrote it, left out.
    own_nodes: usize,
}

struct PeersReader<'a>(FileReader<'a>);

impl<'de> DeserializeSeed<'de> for PeersReader<'_> {
    type Value = Peers;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Peers, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PeersReader<'_> {
    type Value = Peers;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of peers")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Peers, M::Error> {
        let FileReader { settings, whose, now_s } = self.0;
        let mut peers = Peers::default();
        while let Some(key) = map.next_key::<String>()? {
            let raw: Box<RawValue> = map.next_value()?;
            let Some(address) = parse_address(&key) else {
                peers.faults.add(&key, "is not IP:PORT");
                continue;
            };
            *peers.ports.entry(address.port()).or_default() += 1;
            let written = match serde_json::from_str::<WrittenEntry>(raw.get()) {
                Ok(written) => written,
                Err(error) => {
                    peers.faults.add(&key, &format!("is not a peer's record: {error}"));
                    continue;
                }
            };
            if whose == Whose::Theirs && written.is_own_node() {
                peers.own_nodes += 1;
                continue;
            }
            let entry = written.into_entry(now_s);
            if is_reachable_port(address.port(), &entry, settings.port) {
                peers.book.insert(address, entry);
            } else {
                let port = settings.port;
                let why = format!("never answered, and nodes of this chain listen on {port}");
                peers.faults.add(&key, &why);
            }
        }
        Ok(peers)
    }
}

/// The files of the programs before us hold inbound peers with ephemeral ports: nobody listens
/// there.
fn is_reachable_port(port: u16, entry: &PeerEntry, default_port: u16) -> bool {
    let is_vouched_for = entry.outbound || entry.source == super::Source::Operator;
    port == default_port || is_vouched_for || entry.has_answered()
}

/// Writes the database to `out`; `unbanned` is for an edit.
pub(super) fn write(
    out: &mut dyn Write,
    settings: &StoreSettings,
    book: &PeerBook,
    unbanned: &[Ban],
    now_s: f64,
) -> io::Result<()> {
    let written = WrittenFile {
        version: VERSION,
        last_updated: now_s,
        bootstrapped: book.bootstrapped,
        chain: &settings.chain,
        network: &settings.network,
        local_node: book
            .iter()
            .find(|(_, entry)| entry.protected)
            .map(|(address, _)| format_address(address)),
        connected: book.connected.iter().map(|address| format_address(*address)).collect(),
        anchors: book.anchors.iter().map(|address| format_address(*address)).collect(),
        chosen: book
            .chosen
            .iter()
            .map(|(address, (place, by))| (format_address(*address), (*place, by.word())))
            .collect(),
        aimed: book.aimed,
        banned: book.bans().map(|(ban, since_s)| (ban.to_string(), since_s)).collect(),
        unbanned: unbanned.iter().map(ToString::to_string).collect(),
        peers: WrittenPeers(book),
    };
    serde_json::to_writer_pretty(&mut *out, &written)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct WrittenFile<'a> {
    version: &'static str,
    last_updated: f64,
    bootstrapped: bool,
    chain: &'a str,
    network: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_node: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connected: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anchors: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    chosen: BTreeMap<String, (u32, &'static str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aimed: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    banned: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unbanned: Vec<String>,
    peers: WrittenPeers<'a>,
}

struct WrittenPeers<'a>(&'a PeerBook);

impl Serialize for WrittenPeers<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.0.len()))?;
        for (address, entry) in self.0.iter() {
            map.serialize_entry(&format_address(address), &WrittenEntry::from(entry))?;
        }
        map.end()
    }
}
