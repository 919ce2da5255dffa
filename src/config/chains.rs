//! `[[chain]]` and what is below it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::parse::{PATH, password, path};
use super::read::{Report, Section};
use super::{
    ChainSection, Endpoint, EndpointLogin, Password, Peers, Proxy, Relay, Selection, Submit,
    Template, Warm,
};
use crate::limits::{
    CHAIN_ENDPOINTS_MAX, CHAIN_PEERS_MAX, CHAIN_SCOUTS_MAX, CHAINS_MAX, ENDPOINT_DEADLINE_MS,
    ENDPOINT_TRY_MS, NODE_SUBMIT_DEADLINE_MS, PROXY_LOGIN_BYTES_MAX, REFRESH_S_MAX, REGIONS_MAX,
};
use crate::wire::chain::{self, Chain, Network};

const PROXY: &str = "socks5://IP:PORT or socks5://USER:PASSWORD@IP:PORT, without host names";
const ENDPOINT_LOGIN: &str = "give cookie_file, or user and password";

pub(super) fn chains<'t>(
    report: &Report<'t>,
    file: &Section<'_, 't>,
    data_dir: &Path,
) -> Vec<ChainSection> {
    let sections = file.each("chain", "chain");
    if file.find("chain").is_none() || sections.len() > CHAINS_MAX as usize {
        let message = format!("give from 1 to {CHAINS_MAX} sections [[chain]], each with its name");
        report.fault(sections.first().and_then(|section| section.line), "chain", message);
    }
    let mut seen = HashSet::new();
    let mut databases: HashSet<PathBuf> = HashSet::new();
    let mut chains = Vec::new();
    for section in &sections {
        let Some(chain) = named_chain(section) else {
            continue;
        };
        // One coin, one network: statistics and paths are named by the coin alone.
        if !seen.insert(chain.name) {
            let message = format!("{} has a section already; run a second engine", chain.name);
            report.fault(section.line, "chain.name", message);
            continue;
        }
        let read = chain_section(section, chain, data_dir);
        if !databases.insert(read.peers.database.clone()) {
            let message = "another chain keeps its peers there; give each a file of its own";
            report.fault(section.line, "chain.peers.db", message.to_owned());
        }
        chains.push(read);
    }
    chains
}

fn named_chain(section: &Section<'_, '_>) -> Option<&'static Chain> {
    let names: Vec<_> = chain::names().iter().map(|name| (*name, *name)).collect();
    let networks = [Network::Main, Network::Test, Network::Regtest].map(|it| (it.name(), it));
    if section.find("name").is_none() {
        let known: Vec<_> = chain::names().iter().map(|name| format!("\"{name}\"")).collect();
        section.missing("name", &format!("give one of {}", known.join(", ")));
    }
    let name = section.choice("name", &names);
    let network = section.choice("network", &networks);
    let network = network.or_else(|| section.find("network").is_none().then_some(Network::Main));
    chain::find(name?, network?)
}

fn chain_section(
    section: &Section<'_, '_>,
    chain: &'static Chain,
    data_dir: &Path,
) -> ChainSection {
    let node = section.below("node", "chain.node");
    let submit = section.each("submit", "chain.submit");
    if let Some(beyond) = submit.get(CHAIN_ENDPOINTS_MAX) {
        let line = beyond.line.unwrap_or_default();
        section.fault(line, "submit", format!("give at most {CHAIN_ENDPOINTS_MAX} of them"));
    }
    ChainSection {
        chain,
        node_p2p: node
            .parsed("p2p", "IP:PORT, for example \"127.0.0.1:9333\"", |text| text.parse().ok()),
        node: endpoint(&node, "rpc"),
        template: template(&node),
        submit: submit
            .iter()
            .filter_map(|section| {
                if section.find("url").is_none() {
                    section.missing("url", "give http://HOST:PORT");
                }
                submit_section(section)
            })
            .collect(),
        peers: peers(&section.below("peers", "chain.peers"), chain, data_dir),
    }
}

/// A further node. Its times are its own: one behind a long line needs others than one next door.
fn submit_section(section: &Section<'_, '_>) -> Option<Submit> {
    let (longest_s, usual_s) = (ENDPOINT_DEADLINE_MS / 1_000, ENDPOINT_TRY_MS / 1_000);
    let seconds = |key, most_ms: u64, usual_s: u64| {
        let given = section.whole(key, 1..=(most_ms / 1_000) as u32).map(u64::from);
        Duration::from_secs(given.unwrap_or(usual_s))
    };
    Some(Submit {
        timeout: seconds("timeout_s", NODE_SUBMIT_DEADLINE_MS, usual_s),
        retry: seconds("retry_s", ENDPOINT_DEADLINE_MS, longest_s),
        endpoint: endpoint(section, "url")?,
    })
}

fn template(node: &Section<'_, '_>) -> Template {
    let words = [
        ("auto", Template::Auto),
        ("off", Template::Off),
        ("poll", Template::Poll),
        ("longpoll", Template::LongPoll),
    ];
    node.choice("template", &words).unwrap_or(Template::Auto)
}

/// A node's URL under `key`, with what to log in with beside it.
fn endpoint(section: &Section<'_, '_>, key: &'static str) -> Option<Endpoint> {
    const ALLOWED: &str = "http://HOST:PORT, without user, password or path";
    let cookie = section.parsed("cookie_file", PATH, path);
    let password = password(section);
    if section.find(key).is_none() {
        if section.find("cookie_file").or_else(|| section.find("user")).is_some() {
            section.missing(key, "the login beside it has nowhere to go");
        }
        return None;
    }
    let url = section.parsed(key, ALLOWED, url)?;
    let login = match (cookie, password) {
        (Some(_), Some(_)) => {
            section.missing("login", &format!("{ENDPOINT_LOGIN}, not both"));
            return None;
        }
        (Some(file), None) => EndpointLogin::Cookie(file),
        (None, Some(password)) => EndpointLogin::Password(password),
        (None, None) => {
            // A login that is there and wrong has been reported already.
            let begun = ["cookie_file", "user", "password"];
            if begun.into_iter().all(|key| section.find(key).is_none()) {
                section.missing("cookie_file", ENDPOINT_LOGIN);
            }
            return None;
        }
    };
    Some(Endpoint { url, login })
}

fn url(text: &str) -> Option<String> {
    let place = text.strip_prefix("http://")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = place.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    let port_is_right = port.parse::<u16>().is_ok_and(|port| port > 0);
    (port_is_right && !host.is_empty() && host.chars().all(plain))
        .then(|| format!("http://{place}"))
}

fn peers(section: &Section<'_, '_>, chain: &Chain, data_dir: &Path) -> Peers {
    let relays = [
        ("auto", Relay::Auto),
        ("full", Relay::Full),
        ("compact", Relay::Compact),
        ("compact+full", Relay::CompactAndFull),
    ];
    let warms = [("auto", Warm::Auto), ("off", Warm::Off), ("always", Warm::Always)];
    let selections = [("measured", Selection::Measured), ("seed", Selection::Seed)];
    let max = section.whole("max", 1..=CHAIN_PEERS_MAX).unwrap_or(20);
    Peers {
        max,
        min: section.whole("min", 0..=max).unwrap_or(5.min(max)),
        scouts: section.whole("scouts", 0..=CHAIN_SCOUTS_MAX).unwrap_or(100),
        refresh: Duration::from_secs(
            section.whole("refresh_s", 1..=REFRESH_S_MAX).unwrap_or(60).into(),
        ),
        bootstrap: section.flag("bootstrap").unwrap_or(true),
        discover: section.flag("discover").unwrap_or(true),
        fixed: fixed(section),
        database: data_dir
            .join(section.parsed("db", PATH, path).unwrap_or_else(|| database(chain))),
        proxy: proxy(section),
        relay: section.choice("relay", &relays).unwrap_or(Relay::Auto),
        warm: section.choice("warm", &warms).unwrap_or(Warm::Auto),
        selection: section.choice("selection", &selections).unwrap_or(Selection::Measured),
        regions: regions(section),
        locks: section.flag("locks").unwrap_or(true),
    }
}

/// What stands there is not repeated where it may hold a password.
fn proxy(section: &Section<'_, '_>) -> Option<Proxy> {
    let found = section.find("proxy")?;
    let read = found.value.as_str().and_then(socks5);
    if read.is_none() {
        match found.value.as_str() {
            Some(text) if text.contains('@') => {
                section.fault(found.line, "proxy", format!("is not allowed; give {PROXY}"));
            }
            _ => section.refuse("proxy", found, PROXY),
        }
    }
    read
}

/// `socks5://[USER:PASSWORD@]IP:PORT`. Not a name: looking it up would tell what is about to be done.
fn socks5(text: &str) -> Option<Proxy> {
    let rest = text.strip_prefix("socks5://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login.split_once(':')?), place),
        None => (None, rest),
    };
    let fits = |word: &str| (1..=PROXY_LOGIN_BYTES_MAX).contains(&word.len());
    if login.is_some_and(|(user, password)| !fits(user) || !fits(password)) {
        return None;
    }
    let address: SocketAddr = place.parse().ok().filter(|it: &SocketAddr| it.port() > 0)?;
    let login = login
        .map(|(user, password)| Password { user: user.to_owned(), password: password.to_owned() });
    Some(Proxy { address, login })
}

fn fixed(section: &Section<'_, '_>) -> Vec<SocketAddr> {
    const ALLOWED: &str = "IP:PORT, for example \"203.0.113.7:9333\"";
    let address = |value: &toml::de::DeValue<'_>| value.as_str()?.parse::<SocketAddr>().ok();
    let mut fixed = Vec::new();
    for (address, line) in section.list("fixed", ALLOWED, address).unwrap_or_default() {
        if fixed.contains(&address) {
            section.fault(line, "fixed", format!("{address} is named twice; name each once"));
        } else if fixed.len() >= CHAIN_PEERS_MAX as usize {
            section.fault(line, "fixed", format!("give at most {CHAIN_PEERS_MAX} of them"));
            break;
        }
        fixed.push(address);
    }
    fixed
}

fn regions(section: &Section<'_, '_>) -> Vec<String> {
    const ALLOWED: &str = "two letters: a country like \"DE\", or AF, AN, AS, EU, NA, OC, SA";
    let letters = |text: &str| text.len() == 2 && text.bytes().all(|it| it.is_ascii_uppercase());
    let word = |value: &toml::de::DeValue<'_>| {
        value.as_str().filter(|text| letters(text)).map(str::to_owned)
    };
    let named = section.list("regions", ALLOWED, word).unwrap_or_default();
    if let Some((_, line)) = named.get(REGIONS_MAX) {
        section.fault(*line, "regions", format!("give at most {REGIONS_MAX} of them"));
    }
    named.into_iter().map(|(word, _)| word).collect()
}

/// The peer database where the file names none: one per chain and network.
fn database(chain: &Chain) -> PathBuf {
    match chain.network {
        Network::Main => format!("broadcaster_peers_{}.json", chain.name).into(),
        network => format!("broadcaster_peers_{}_{}.json", chain.name, network.name()).into(),
    }
}
