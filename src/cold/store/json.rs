//! The database as JSON. Entries are read one by one, so that a bad one costs only itself.

use std::fmt;
use std::io::{self, Write};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::StoreSettings;
use super::book::PeerBook;
use super::entry::{PeerEntry, WrittenEntry, format_address, parse_address};

/// What we write as `version`, as the programs before us do.
const VERSION: &str = "1.0";

/// Why a text is not our database.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Not JSON, or without a `peers` object.
    Damaged(String),
    /// Of this "chain network".
    Foreign(String),
}

/// Reads `text`; gives the entries and how many could not be used.
pub(super) fn read(
    text: &[u8],
    settings: &StoreSettings,
    now_s: f64,
) -> Result<(PeerBook, usize), Problem> {
    let damaged = |error: serde_json::Error| Problem::Damaged(error.to_string());
    let mut input = serde_json::Deserializer::from_slice(text);
    let reader = FileReader { settings, now_s };
    let read = input.deserialize_map(reader).map_err(damaged)?;
    input.end().map_err(damaged)?;
    let of = |found: &Option<String>, ours: &str| found.as_ref().is_none_or(|name| name == ours);
    if !of(&read.chain, &settings.chain) || !of(&read.network, &settings.network) {
        let (chain, network) = (read.chain.unwrap_or_default(), read.network.unwrap_or_default());
        return Err(Problem::Foreign(format!("{chain:.32} {network:.32}")));
    }
    let (mut book, skipped) = read.peers.ok_or_else(|| Problem::Damaged("no peers".into()))?;
    book.bootstrapped = read.bootstrapped;
    Ok((book, skipped))
}

#[derive(Default)]
struct Read {
    chain: Option<String>,
    network: Option<String>,
    bootstrapped: bool,
    peers: Option<(PeerBook, usize)>,
}

#[derive(Clone, Copy)]
struct FileReader<'a> {
    settings: &'a StoreSettings,
    now_s: f64,
}

impl<'de> Visitor<'de> for FileReader<'_> {
    type Value = Read;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a peer database object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Read, M::Error> {
        let mut read = Read::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "chain" => read.chain = map.next_value()?,
                "network" => read.network = map.next_value()?,
                "bootstrapped" => {
                    read.bootstrapped = map.next_value::<Option<bool>>()?.unwrap_or(false);
                }
                "peers" => read.peers = Some(map.next_value_seed(PeersReader(self))?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(read)
    }
}

struct PeersReader<'a>(FileReader<'a>);

impl<'de> DeserializeSeed<'de> for PeersReader<'_> {
    type Value = (PeerBook, usize);

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PeersReader<'_> {
    type Value = (PeerBook, usize);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of peers")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let FileReader { settings, now_s } = self.0;
        let (mut book, mut skipped) = (PeerBook::default(), 0usize);
        while let Some(key) = map.next_key::<String>()? {
            let raw: Box<RawValue> = map.next_value()?;
            let written = serde_json::from_str::<WrittenEntry>(raw.get());
            match (parse_address(&key), written) {
                (Some(address), Ok(written)) => {
                    let entry = written.into_entry(now_s);
                    if is_reachable_port(address.port(), &entry, settings.port) {
                        book.insert(address, entry);
                    } else {
                        skipped += 1;
                    }
                }
                _ => skipped += 1,
            }
        }
        Ok((book, skipped))
    }
}

/// The files of the programs before us hold inbound peers with ephemeral ports: nobody listens
/// there.
fn is_reachable_port(port: u16, entry: &PeerEntry, default_port: u16) -> bool {
    port == default_port || entry.outbound || entry.has_answered()
}

/// Writes the database to `out`.
pub(super) fn write(
    out: &mut dyn Write,
    settings: &StoreSettings,
    book: &PeerBook,
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
