//! A node of its own that makes blocks, for others to be handed.

use std::ops::Deref;

use serde_json::json;

use super::litecoind::Node;
use broadside::wire::hash::unhex;

/// First block with an extension block on this node's regtest.
pub const MWEB_HEIGHT: u64 = 432;
/// Blocks until a coinbase can be spent.
const MATURITY: u64 = 100;

/// A block as the node gives it.
#[derive(Clone, Debug)]
pub struct Mined {
    /// Identity as people write it.
    pub hash: String,
    /// Its height.
    pub height: u64,
    /// All its bytes, in hex.
    pub hex: String,
}

impl Mined {
    /// All its bytes.
    pub fn raw(&self) -> Vec<u8> {
        let mut raw = vec![0; self.hex.len() / 2];
        unhex(self.hex.as_bytes(), &mut raw).expect("hex");
        raw
    }
}

/// A node that makes blocks. Nobody is connected to it.
pub struct Miner {
    node: Node,
    address: String,
    /// Every block made so far, from height 1 on.
    pub blocks: Vec<Mined>,
}

impl Deref for Miner {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Miner {
    /// Starts on the genesis block.
    pub fn start() -> Self {
        let node = Node::start();
        node.call("createwallet", json!(["miner"]));
        let address = node.call("getnewaddress", json!(["", "bech32"]));
        let address = address.as_str().expect("text").to_owned();
        Self { node, address, blocks: Vec::new() }
    }

    /// Makes `count` more blocks.
    pub fn mine(&mut self, count: u64) -> &[Mined] {
        let from = self.blocks.len();
        let hashes = self.node.call("generatetoaddress", json!([count, self.address]));
        for hash in hashes.as_array().expect("a list") {
            let hash = hash.as_str().expect("text").to_owned();
            let hex = self.node.call("getblock", json!([hash, 0]));
            let hex = hex.as_str().expect("text").to_owned();
            let height = self.blocks.len() as u64 + 1;
            self.blocks.push(Mined { hash, height, hex });
        }
        &self.blocks[from..]
    }

    /// Makes blocks until each further one carries an extension block. The first such block needs
    /// coins on their way into it.
    pub fn activate_mweb(&mut self) {
        self.mine((MWEB_HEIGHT - 1).saturating_sub(self.blocks.len() as u64).max(MATURITY + 1));
        let inside = self.node.call("getnewaddress", json!(["", "mweb"]));
        self.node.call("sendtoaddress", json!([inside, 1]));
        self.mine(1);
    }

    /// Sends `count` payments to itself, for the next block to hold.
    pub fn pay(&self, count: usize) {
        for _ in 0..count {
            self.node.call("sendtoaddress", json!([self.address, 0.01]));
        }
    }

    /// Gives these nodes all payments that are not in a block yet.
    pub fn tell(&self, nodes: &[&Node]) {
        let pool = self.node.call("getrawmempool", json!([true]));
        let pool = pool.as_object().expect("an object");
        let mut payments: Vec<_> = pool.iter().collect();
        // What others spend goes first.
        payments.sort_by_key(|(_, it)| it["ancestorcount"].as_u64());
        for (txid, _) in payments {
            let raw = self.node.call("getrawtransaction", json!([txid]));
            for node in nodes {
                node.call("sendrawtransaction", json!([raw]));
            }
        }
    }

    /// All blocks so far, in hex.
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().map(|block| block.hex.as_str())
    }

    /// The newest block.
    pub fn last(&self) -> &Mined {
        self.blocks.last().expect("a block was made")
    }
}
