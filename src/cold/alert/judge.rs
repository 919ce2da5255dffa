//! What of a situation is wrong. Keeps what it takes to see what happens once: which blocks were
//! slow, when the clock was set, when reports were dropped.

mod blocks;
mod engine;

#[cfg(test)]
mod tests;

use super::situation::{ChainNow, PlaceNow, Situation};
use super::text::span;
use super::{Kind, Moment, Severity};
use crate::limits::{ALERT_NODE_P2P_RAISE_MS, ALERT_SPOOL_AGE_MS, ALERT_SPOOL_BLOCKS_MAX};
use blocks::Blocks;
use engine::EngineMemory;

/// One thing that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub kind: Kind,
    /// The chain that it is about; `None`: the whole engine.
    pub chain: Option<&'static str>,
    /// What it is about where there may be several.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what to do.
    pub text: String,
    /// What is said when it is over.
    pub over: String,
    /// How long it must last before it is said, and be gone before its end is said; in ms.
    pub hold_ms: (u64, u64),
}

impl Finding {
    fn new(kind: Kind, severity: Severity, text: String, over: impl Into<String>) -> Self {
        let (subject, hold_ms) = (String::new(), kind.hold_ms());
        Self { kind, chain: None, subject, severity, text, over: over.into(), hold_ms }
    }

    fn on(self, chain: &'static str) -> Self {
        Self { chain: Some(chain), ..self }
    }

    fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }
}

/// Judges one situation after the other.
#[derive(Debug)]
pub struct Judge {
    slow_factor: f64,
    blocks: Vec<Blocks>,
    engine: EngineMemory,
}

impl Judge {
    /// A judge that calls a block slow from `slow_factor` times the usual on.
    #[must_use]
    pub fn new(slow_factor: f64) -> Self {
        Self { slow_factor, blocks: Vec::new(), engine: EngineMemory::default() }
    }

    /// Everything that is wrong now.
    pub fn look(&mut self, situation: &Situation, now: Moment) -> Vec<Finding> {
        let mut found = Vec::new();
        self.blocks.resize_with(situation.chains.len(), Blocks::default);
        for (chain, blocks) in situation.chains.iter().zip(&mut self.blocks) {
            let name = chain.chain;
            let of_chain = node(chain).into_iter().chain(others(chain));
            let of_chain = of_chain.chain(blocks.look(chain, self.slow_factor, now));
            found.extend(of_chain.map(|finding| finding.on(name)));
        }
        found.extend(self.engine.look(situation, now));
        found
    }
}

/// The own node, both ways to it.
fn node(chain: &ChainNow) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(PlaceNow { url, trouble: Some(why) }) = &chain.node {
        let text = format!(
            "your node's RPC at {url} is away: {why}. Blocks still go to peers, and wait in the spool \
             for the node's verdict; the pool gets none. Start the node, or check chain.node.rpc and \
             its login"
        );
        let over = format!("your node's RPC at {url} answers again");
        found.push(Finding::new(Kind::NodeLost, Severity::Critical, text, over).about("rpc"));
    }
    if chain.node_p2p == Some(false) {
        let text =
            "the protected connection to your node's P2P port is lost: the node gets blocks by \
                    RPC alone. Start the node, or check chain.node.p2p and its list of bans"
                .to_owned();
        let over = "the protected connection to your node is there again";
        let finding = Finding::new(Kind::NodeLost, Severity::Critical, text, over).about("p2p");
        let hold_ms = (ALERT_NODE_P2P_RAISE_MS, finding.hold_ms.1);
        found.push(Finding { hold_ms, ..finding });
    }
    found
}

/// Peers, spool, endpoints, proxy.
fn others(chain: &ChainNow) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(few_peers(chain));
    let spool = chain.spool;
    if spool.oldest_ms >= ALERT_SPOOL_AGE_MS || spool.waiting >= ALERT_SPOOL_BLOCKS_MAX {
        let text = format!(
            "{} blocks wait for your node's verdict, the oldest for {}: the node is away, catching up, \
             or does not answer submitblock. See its log; they are handed in again by themselves",
            spool.waiting,
            span(spool.oldest_ms)
        );
        let over =
            "all blocks that waited for your node have a verdict, or wait no longer than usual";
        found.push(Finding::new(Kind::SpoolNotDraining, Severity::Critical, text, over));
    }
    for PlaceNow { url, trouble } in &chain.endpoints {
        let Some(why) = trouble else { continue };
        let text = format!(
            "the endpoint {url} takes no blocks: {why}. The others get them; check that node, or take \
             its [[chain.submit]] out"
        );
        let over = format!("the endpoint {url} takes blocks again");
        let finding = Finding::new(Kind::EndpointAway, Severity::Warning, text, over);
        found.push(finding.about(url.clone()));
    }
    if let Some(why) = &chain.proxy_trouble {
        let text = format!(
            "the proxy can't be used: {why}. Peers that are lost can't be replaced; start it, or check \
             chain.peers.proxy"
        );
        let over = "peers can be dialled through the proxy again";
        found.push(Finding::new(Kind::ProxyAway, Severity::Warning, text, over));
    }
    found
}

fn few_peers(chain: &ChainNow) -> Option<Finding> {
    let peers = chain.peers?;
    let (connected, min) = (peers.connected, peers.min);
    let (severity, what) = match connected {
        0 => (
            Severity::Critical,
            "no peer is connected: a block would go to your nodes alone".to_owned(),
        ),
        _ if connected < min => (
            Severity::Warning,
            format!("only {connected} peers are connected, at least {min} are wanted"),
        ),
        _ => return None,
    };
    let text = format!(
        "{what}. Check that the host reaches the network; give chain.peers.fixed, or let \
         chain.peers.bootstrap and discover find peers"
    );
    let over = format!("enough peers are connected again (at least {})", min.max(1));
    Some(Finding::new(Kind::FewPeers, severity, text, over))
}
