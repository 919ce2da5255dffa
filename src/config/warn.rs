//! What the operator should know although nothing is wrong: what is lost by what was left out.

use std::net::SocketAddr;

use super::{ChainSection, Config};

pub(super) fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for chain in &config.chains {
        notes.extend(chain_notes(chain));
    }
    let open = |address: Option<SocketAddr>| address.filter(|address| !address.ip().is_loopback());
    if let Some(address) = open(config.intake.rpc) {
        notes.push(format!(
            "intake.rpc listens on {address}: the login and the blocks cross the network unencrypted"
        ));
    }
    if let Some(address) = open(config.http) {
        notes.push(format!(
            "http.listen is {address}: the login crosses the network unencrypted; put a reverse proxy \
             with TLS before it (docs/http.md)"
        ));
    }
    let is_plain = |url: &str| url.strip_prefix("http://").is_some_and(|it| !is_here(it));
    if config.alerts.webhooks.iter().any(|webhook| is_plain(&webhook.0)) {
        notes.push(
            "a webhook in [alerts] is http://: alerts cross the network unencrypted".to_owned(),
        );
    }
    let file = config.file.display();
    notes.into_iter().map(|note| format!("{file}: {note}")).collect()
}

/// Whether a URL behind `http://` leads to this host.
fn is_here(rest: &str) -> bool {
    ["127.", "localhost", "[::1]"].iter().any(|host| rest.starts_with(host))
}

fn chain_notes(section: &ChainSection) -> Vec<String> {
    let name = format!("{} {}", section.chain.name, section.chain.network.name());
    let mut notes = Vec::new();
    match (&section.node, section.node_p2p) {
        (None, None) => notes.push(format!(
            "{name} has no [chain.node]: no node of yours gets the block first, the pool gets no \
             node's verdict, other RPC methods are not answered, no peers are learnt from it"
        )),
        (None, Some(_)) => notes.push(format!(
            "{name} has no chain.node.rpc: the pool gets no node's verdict, other RPC methods are \
             not answered, no peers are learnt from the node"
        )),
        (Some(_), None) => notes
            .push(format!("{name} has no chain.node.p2p: your node gets the block by RPC alone")),
        (Some(_), Some(_)) => {}
    }
    let can_ask = section.peers.bootstrap && section.node.is_some();
    // Peers that are known lead to others; without any, only the chain's DNS seeds do.
    let can_discover = section.peers.discover && !section.chain.dns_seeds.is_empty();
    if section.peers.fixed.is_empty() && !can_ask && !can_discover {
        notes.push(format!(
            "{name} has no fixed peers and no node to ask for peers: only those in {} are tried",
            section.peers.database.display()
        ));
    }
    notes
}
