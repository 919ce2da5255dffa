//! Peers from somebody else's file: every shape of the programs before us, and lists of addresses.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::json::Whose;
use super::{Faults, PeerBook, PeerEntry, Source, StoreError, StoreSettings, file, json};
use crate::limits::{PEER_ENTRIES_MAX, PEER_FILE_BYTES_MAX};

/// What a file gave.
#[derive(Debug, Default)]
pub struct Import {
    /// What can be used.
    pub book: PeerBook,
    /// What can't, by name.
    pub faults: Faults,
    /// Local nodes of whoever wrote it: theirs, not ours, so left out.
    pub own_nodes: usize,
}

/// Reads the file at `path`.
///
/// # Errors
/// It can't be read, is damaged as a whole (a truncated database), or of another chain.
pub fn read_file(path: &Path, settings: &StoreSettings, now_s: f64) -> Result<Import, StoreError> {
    let text = file::read_bounded(path, PEER_FILE_BYTES_MAX)
        .map_err(|source| StoreError::Read { path: path.into(), source })?
        .ok_or_else(|| StoreError::TooLarge { path: path.into() })?;
    read_text(&text, path, settings, now_s)
}

/// Reads `text`, a database (it begins with a brace) or a list; `path` is its name in messages.
///
/// # Shape
///
/// A list has one address per line: `IP`, `IP:PORT`, `[IPv6]:PORT`, and those as
/// `addnode=ADDRESS` (a node's configuration file, sections honoured) or `addnode ADDRESS add`
/// (its console). What is behind `#` is not read. Without a port the chain's own is meant.
///
/// # Errors
/// As [`read_file`].
pub fn read_text(
    text: &[u8],
    path: &Path,
    settings: &StoreSettings,
    now_s: f64,
) -> Result<Import, StoreError> {
    let damaged = |reason: &str| StoreError::Damaged { path: path.into(), reason: reason.into() };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.trim_ascii_start().starts_with(b"{") {
        let read = json::read(text, settings, Whose::Theirs, now_s)
            .map_err(|problem| StoreError::of(problem, path, settings))?;
        let json::Read { book, faults, own_nodes, .. } = read;
        return Ok(Import { book, faults, own_nodes });
    }
    if text.trim_ascii_start().starts_with(b"[")
        && serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(text).is_ok()
    {
        return Err(damaged("a JSON list; give a database or a list with one address per line"));
    }
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| damaged("neither JSON nor text"))?;
    Ok(lines(text, settings, now_s))
}

fn lines(text: &str, settings: &StoreSettings, now_s: f64) -> Import {
    let mut import = Import::default();
    // A node's configuration file names other networks by sections.
    let mut section = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let is_section = line.starts_with('[') && line.ends_with(']') && !line.contains(':');
        if is_section {
            section = Some(line.trim_matches(['[', ']']));
            continue;
        }
        let taken = match section.filter(|name| !is_network(name, &settings.network)) {
            Some(name) => Err(format!("stands under [{name}]; this is {}", settings.network)),
            None => address(line, settings.port),
        };
        match taken {
            Ok(_) if import.book.len() >= PEER_ENTRIES_MAX as usize => {
                import.faults.add(&format!("line {number}"), "is one too many");
            }
            Ok(address) => {
                import.book.insert(address, PeerEntry::new(Source::Operator, now_s));
            }
            Err(why) => import.faults.add(&format!("line {number}"), &why),
        }
    }
    import
}

/// Whether a section's name, as nodes spell it, is our network.
fn is_network(name: &str, network: &str) -> bool {
    name == network || (name == "testnet4" || name == "testnet") && network == "test"
}

fn address(line: &str, port: u16) -> Result<SocketAddr, String> {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or("");
    let text = match (first.split_once('='), words.next()) {
        (Some(("addnode", value)), None) => value,
        // Its value may be a password: only the name is repeated.
        (Some((name, _)), _) => return Err(format!("{name} is not addnode")),
        (None, None) => first,
        (None, Some("=")) if first == "addnode" => words.next().unwrap_or(""),
        (None, Some(value)) if first == "addnode" => {
            let action = words.next().unwrap_or("add");
            if !matches!(unquoted(action), "add" | "onetry") {
                return Err(format!("addnode ... {action} adds nobody"));
            }
            value
        }
        (None, Some(_)) => return Err("has more than one word".to_owned()),
    };
    let text = unquoted(text);
    let address = parse(text, port).ok_or_else(|| why_not(text))?;
    if is_dialable(address.ip()) { Ok(address) } else { Err(format!("{text} can't be dialled")) }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\'', ',', ';'])
}

/// As nodes read it: several colons without brackets are an IPv6 address without a port.
fn parse(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => text.parse().ok()?,
    };
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    (address.port() != 0).then_some(address)
}

fn why_not(text: &str) -> String {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let is_name = host.contains('.') && host.chars().any(|c| c.is_ascii_alphabetic());
    match host.rsplit('.').next() {
        Some("onion" | "i2p") => format!("{text}: only IP addresses are kept"),
        _ if is_name => format!("{text} is a name; give its address"),
        _ => format!("{text} is no address"),
    }
}

/// Whether anybody can be there. The operator may well mean a private address.
fn is_dialable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first != 0 && first < 224
        }
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> StoreSettings {
        let (chain, network) = ("silver".to_owned(), "main".to_owned());
        StoreSettings { path: "x".into(), chain, network, port: 9_333 }
    }

    fn read(text: &[u8]) -> Result<Import, StoreError> {
        read_text(text, Path::new("list"), &settings(), 1e9)
    }

    fn addresses(import: &Import) -> Vec<String> {
        let mut found: Vec<_> = import.book.iter().map(|(it, _)| it.to_string()).collect();
        found.sort();
        found
    }

    #[test]
    fn every_spelling_of_a_list_is_read_and_every_bad_line_is_named() {
        let text = "\u{feff}# mine\n203.0.113.1\n203.0.113.2:1234   # two\n\n2001:db8::1\n\
            [2001:db8::2]:9444\naddnode=203.0.113.3\naddnode = 203.0.113.4:9333\r\n\
            addnode \"203.0.113.5:9333\" \"add\"\naddnode 203.0.113.6 onetry\n[main]\n\
            addnode=203.0.113.7\n\"203.0.113.8\",\n::ffff:203.0.113.9\n10.0.0.2\n\
            rpcpassword=hunter2\nseed.example.org:9333\nabcdef.onion:9333\n203.0.113.300\n\
            203.0.113.1:0\n203.0.113.1:99999\n239.0.0.1\na b c\naddnode 203.0.113.9 remove\n\
            [test]\naddnode=203.0.113.10\n[main]\n203.0.113.11\n";
        let import = read(text.as_bytes()).unwrap();
        let mut expected: Vec<_> =
            [1, 3, 4, 5, 6, 7, 8, 9, 11].map(|last| format!("203.0.113.{last}:9333")).to_vec();
        expected.extend(
            ["203.0.113.2:1234", "[2001:db8::1]:9333", "[2001:db8::2]:9444"].map(String::from),
        );
        expected.push("10.0.0.2:9333".into());
        expected.sort();
        assert_eq!(addresses(&import), expected);
        let named: Vec<_> = import.faults.named.iter().map(|it| it.what.as_str()).collect();
        let lines = [16, 17, 18, 19, 20, 21, 22, 23, 24, 26].map(|line| format!("line {line}"));
        assert_eq!(named, lines, "{:#?}", import.faults.named);
        let all = format!("{:?}", import.faults);
        assert!(all.contains("rpcpassword") && !all.contains("hunter2"), "{all}");
        for why in ["is a name", "only IP", "no address", "under [test]", "can't be dialled"] {
            assert!(all.contains(why), "{why}: {all}");
        }
        assert!(import.book.iter().all(|(_, entry)| entry.score == 100.0));
    }

    #[test]
    fn what_is_no_list_at_all_is_refused_as_a_whole() {
        for (bad, why) in [
            (&b"\xff\xfe\x00binary"[..], "neither JSON nor text"),
            (b"abc\0def", "neither JSON nor text"),
            (b"{\"peers\": {\"203.0.113.1:9333\": {\"sco", "EOF while parsing"),
            (b"[\"203.0.113.1:9333\"]", "a JSON list"),
            (b"{}", "no peers"),
            (
                b"{\"peers\": {\"x\": {}, \"y:1\": {}}}",
                "none of its 2 peers can be used: x: is not",
            ),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("the peer database list is damaged (") && error.contains(why),
                "{error}"
            );
        }
        let empty = read(b"").unwrap();
        assert_eq!((empty.book.len(), empty.faults.count), (0, 0));
    }

    #[test]
    fn another_chains_file_is_told_by_its_name_or_its_ports() {
        let named = br#"{"chain": "gold", "network": "main", "peers": {}}"#;
        let error = read(named).unwrap_err();
        assert!(error.to_string().contains("is of gold main, not of silver main"), "{error}");
        let ported = br#"{"version": "1.0", "peers": {"203.0.113.1:9999": {"score": 50},
            "203.0.113.2:9999": {"score": 50}, "203.0.113.3:51234": {"score": 50}}}"#;
        assert!(matches!(read(ported), Err(StoreError::Foreign { .. })));
        let mixed = br#"{"peers": {"203.0.113.1:9999": {}, "203.0.113.2:9333": {}}}"#;
        assert_eq!(addresses(&read(mixed).unwrap()), ["203.0.113.2:9333"]);
    }

    #[test]
    fn a_local_node_and_bans_stay_their_owners() {
        let text = br#"{"banned": {"203.0.113.2": 5}, "connected": ["203.0.113.2:9333"], "peers": {
            "127.0.0.1:9333": {"source": "local_coind", "score": 999999, "protected": true},
            "203.0.113.2:9333": {"source": "coind", "score": 120}}}"#;
        let import = read(text).unwrap();
        assert_eq!(
            (addresses(&import), import.own_nodes),
            (vec!["203.0.113.2:9333".to_owned()], 1)
        );
        assert!(import.book.bans().next().is_none() && import.book.connected.is_empty());
    }

    proptest::proptest! {
        /// Whatever a file holds, it is refused or read within bounds, and no message moves the
        /// terminal.
        #[test]
        fn anything_is_refused_or_read(
            text in "\\PC{0,60}|[a-f0-9:.=#{}\"\\[\\] \n]{0,200}|(addnode[= ]\\PC{0,9}\n){0,9}",
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        ) {
            for text in [text.as_bytes(), &bytes] {
                let Ok(import) = read(text) else { continue };
                let lines = text.split(|byte| *byte == b'\n').count();
                assert!(import.book.len() + import.faults.count <= lines);
                for fault in &import.faults.named {
                    assert!(fault.to_string().chars().all(|c| c == ' ' || c.is_ascii_graphic()));
                }
            }
        }
    }

    #[test]
    fn a_list_without_end_is_bounded() {
        let list: String = (0..2 * PEER_ENTRIES_MAX)
            .map(|it| format!("20.{}.{}.{}\n", it >> 16, it >> 8 & 255, it & 255))
            .collect();
        let import = read(list.as_bytes()).unwrap();
        assert_eq!(import.book.len(), PEER_ENTRIES_MAX as usize);
        assert_eq!(import.faults.count, PEER_ENTRIES_MAX as usize);
        assert!(import.book.get("20.0.0.0:9333".parse().unwrap()).is_some(), "the first stay");
    }
}
