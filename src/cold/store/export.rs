//! Peers for somebody else: another instance, the programs before us, a node's configuration.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::entry::WrittenEntry;
use super::json::VERSION;
use super::{PeerBook, PeerEntry, Source, StoreError, StoreSettings, file, format_address};
use crate::cold::score;

/// In which shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The seeds' schema, with all that we know beside it: for another instance.
    Seeds,
    /// As p2pool forks of one chain write it: `version`, `last_updated`, `local_dashd`.
    P2pool,
    /// As p2pool forks with merged mining write it: `bootstrapped`, `saved_at`.
    P2poolMerged,
    /// `addnode=` lines for a node's configuration.
    Addnode,
    /// One address per line.
    List,
}

/// Each format and the word for it.
pub const FORMATS: [(&str, Format); 5] = [
    ("seeds", Format::Seeds),
    ("p2pool", Format::P2pool),
    ("p2pool-merged", Format::P2poolMerged),
    ("addnode", Format::Addnode),
    ("list", Format::List),
];

/// The fields that the programs before us know.
const THEIR_FIELDS: [&str; 9] = [
    "score",
    "first_seen",
    "last_seen",
    "source",
    "protected",
    "successful_broadcasts",
    "failed_broadcasts",
    "ping_ms",
    "outbound",
];
/// Their words for where an address is from: local node, its peers, the network.
const WORDS: [&str; 3] = ["local_dashd", "dashd", "p2p_discovery"];
const MERGED_WORDS: [&str; 3] = ["local_coind", "coind", "p2p"];

/// Writes `book` to `out`, the best first where the format has an order; how many peers that are.
/// Whom the operator has banned is left out, and so are the bans: they are this instance's own.
///
/// # Errors
/// `out` can't be written.
pub fn write(
    out: &mut dyn Write,
    settings: &StoreSettings,
    book: &PeerBook,
    format: Format,
    now_s: f64,
) -> io::Result<usize> {
    let mut peers: Vec<_> = book.iter().filter(|(address, _)| !book.is_banned(*address)).collect();
    match format {
        Format::Addnode | Format::List => {
            // The local node is nobody else's.
            peers.retain(|(_, entry)| !entry.protected);
            let value = |entry| score::rank_value(entry, now_s);
            peers.sort_by(|a, b| value(b.1).total_cmp(&value(a.1)).then(a.0.cmp(&b.0)));
            let front = if format == Format::Addnode { "addnode=" } else { "" };
            for (address, _) in &peers {
                writeln!(out, "{front}{address}")?;
            }
        }
        Format::Seeds | Format::P2pool | Format::P2poolMerged => {
            let file = file_of(settings, book, &peers, format, now_s);
            serde_json::to_writer_pretty(&mut *out, &file)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(peers.len())
}

/// The same into a file, whole or not at all.
///
/// # Errors
/// [`StoreError::Write`]: what was there before is untouched.
pub fn write_file(
    path: &Path,
    settings: &StoreSettings,
    book: &PeerBook,
    format: Format,
    now_s: f64,
) -> Result<usize, StoreError> {
    let count = std::cell::Cell::new(0);
    let write = |out: &mut dyn Write| {
        count.set(write(out, settings, book, format, now_s)?);
        Ok(())
    };
    file::replace(path, false, &write)
        .map_err(|source| StoreError::Write { path: path.into(), source })?;
    Ok(count.get())
}

fn file_of(
    settings: &StoreSettings,
    book: &PeerBook,
    peers: &[(SocketAddr, &PeerEntry)],
    format: Format,
    now_s: f64,
) -> Value {
    let node = peers.iter().find(|(_, entry)| entry.protected);
    let node = node.map(|(address, _)| format_address(*address));
    let records: Map<_, _> = peers
        .iter()
        .map(|(address, entry)| (format_address(*address), record(entry, format)))
        .collect();
    match format {
        Format::P2poolMerged => {
            json!({"bootstrapped": book.bootstrapped, "saved_at": now_s, "peers": records})
        }
        Format::P2pool => json!({
            "version": VERSION, "last_updated": now_s, "bootstrapped": book.bootstrapped,
            "local_dashd": node, "peers": records,
        }),
        _ => json!({
            "version": VERSION, "last_updated": now_s, "local_dashd": node, "peers": records,
            "bootstrapped": book.bootstrapped, "chain": settings.chain,
            "network": settings.network,
        }),
    }
}

fn record(entry: &PeerEntry, format: Format) -> Value {
    let Ok(Value::Object(mut record)) = serde_json::to_value(WrittenEntry::from(entry)) else {
        return Value::Null;
    };
    let words = if format == Format::P2poolMerged { MERGED_WORDS } else { WORDS };
    let word = word(entry, words);
    if format == Format::Seeds {
        if entry.source == Source::Operator {
            record.insert("source_original".into(), entry.source.word().into());
        }
    } else {
        record.retain(|name, _| THEIR_FIELDS.contains(&name.as_str()));
    }
    record.insert("source".into(), word.into());
    Value::Object(record)
}

/// Where the entry is from, in another program's words; in its own where it came from there.
fn word<'a>(entry: &'a PeerEntry, [local, node, heard]: [&'a str; 3]) -> &'a str {
    let known = ["coind_refresh", "refresh", local, node, heard];
    match (&entry.source_original, entry.source) {
        (_, Source::LocalNode) => local,
        (Some(word), source) if known.contains(&word.as_str()) && Source::parse(word) == source => {
            word
        }
        (_, Source::Node) => node,
        (_, Source::Discovered | Source::Operator) => heard,
    }
}

#[cfg(test)]
mod tests {
    use super::super::import::read_text;
    use super::*;

    const NOW_S: f64 = 1_800_000_000.0;

    fn settings() -> StoreSettings {
        let (chain, network) = ("silver".to_owned(), "main".to_owned());
        StoreSettings { path: "x".into(), chain, network, port: 9_333 }
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, last], 9_333))
    }

    fn book() -> PeerBook {
        let mut book = PeerBook::default();
        book.bootstrapped = true;
        let sources = [Source::Node, Source::Discovered, Source::Operator];
        for (last, source) in (1..).zip(sources) {
            let mut entry = PeerEntry::new(source, NOW_S - f64::from(last));
            (entry.successful_broadcasts, entry.services) = (u64::from(last), Some(9));
            book.insert(address(last), entry);
        }
        book.get_mut(address(1)).unwrap().source_original = Some("coind_refresh".into());
        book.insert("127.0.0.1:9333".parse().unwrap(), PeerEntry::new(Source::LocalNode, NOW_S));
        book.insert(address(9), PeerEntry::new(Source::Node, NOW_S));
        book.ban("203.0.113.9".parse().unwrap(), 1.0);
        book
    }

    fn exported(format: Format) -> (usize, String) {
        let mut text = Vec::new();
        let count = write(&mut text, &settings(), &book(), format, NOW_S).unwrap();
        (count, String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_seeds_schema_keeps_all_for_another_instance() {
        let (count, text) = exported(Format::Seeds);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((count, value["version"].as_str()), (4, Some("1.0")));
        assert_eq!(value["local_dashd"], "127.0.0.1:9333");
        let node = &value["peers"]["127.0.0.1:9333"];
        assert_eq!((&node["source"], &node["score"]), (&json!("local_dashd"), &json!(999_999.0)));
        assert_eq!(value["peers"]["203.0.113.2:9333"]["source"], "p2p_discovery");
        for name in ["first_seen", "last_seen", "protected", "successful_broadcasts"] {
            assert!(!node[name].is_null(), "{name}");
        }
        let import = read_text(text.as_bytes(), Path::new("x"), &settings(), NOW_S).unwrap();
        assert_eq!((import.own_nodes, import.faults.count, import.book.len()), (1, 0, 3));
        let book = book();
        for (address, entry) in import.book.iter() {
            let before = book.get(address).unwrap();
            let mut entry = entry.clone();
            entry.source_original.clone_from(&before.source_original);
            assert_eq!(&entry, before, "{address}");
        }
    }

    #[test]
    fn the_forks_shapes_have_their_names_and_no_others() {
        for (format, words, names) in [
            (
                Format::P2pool,
                ["local_dashd", "coind_refresh", "p2p_discovery"],
                &["bootstrapped", "last_updated", "local_dashd", "peers", "version"][..],
            ),
            (
                Format::P2poolMerged,
                ["local_coind", "coind_refresh", "p2p"],
                &["bootstrapped", "peers", "saved_at"],
            ),
        ] {
            let (_, text) = exported(format);
            let value: Value = serde_json::from_str(&text).unwrap();
            let found: Vec<_> = value.as_object().unwrap().keys().collect();
            assert_eq!(found, names);
            for (at, word) in
                ["127.0.0.1:9333", "203.0.113.1:9333", "203.0.113.2:9333"].iter().zip(words)
            {
                let record = value["peers"][at].as_object().unwrap();
                assert_eq!(record["source"], word);
                assert!(record.keys().all(|name| THEIR_FIELDS.contains(&name.as_str())));
            }
            let import = read_text(text.as_bytes(), Path::new("x"), &settings(), NOW_S).unwrap();
            assert_eq!((import.book.len(), import.faults.count), (3, 0));
            assert_eq!(import.book.get(address(2)).unwrap().successful_broadcasts, 2);
        }
    }

    #[test]
    fn lists_are_the_best_first_without_our_node() {
        let (count, text) = exported(Format::Addnode);
        let lines: Vec<_> = text.lines().collect();
        let all =
            ["addnode=203.0.113.1:9333", "addnode=203.0.113.3:9333", "addnode=203.0.113.2:9333"];
        assert_eq!((count, &lines[..]), (3, &all[..]));
        let (_, text) = exported(Format::List);
        assert!(text.starts_with("203.0.113.1:9333\n"));
        let import = read_text(text.as_bytes(), Path::new("x"), &settings(), NOW_S).unwrap();
        assert_eq!(import.book.len(), 3);
    }
}
