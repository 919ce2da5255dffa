//! Bitcoin Core on regtest, as tests/bitcoind/build makes it, and one that makes blocks without a
//! wallet: its coins are anyone's to spend.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::PathBuf;

use broadside::wire::hash::{hex, unhex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::litecoind::{Node, Program};
use super::miner::Mined;

/// Built without a wallet, and without much else.
pub static BITCOIND: Program = Program { find: bitcoind, options: &["-natpmp=0"] };

/// `OP_TRUE`: whoever comes may spend.
const ANYONE: [u8; 1] = [0x51];
/// What a payment leaves to the miner, in smallest units.
const FEE: u64 = 20_000;
/// Blocks until a coinbase can be spent.
const MATURITY: u64 = 100;

/// `BITCOIND` where it is set, else what tests/bitcoind/build has built.
fn bitcoind() -> PathBuf {
    let built = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target");
        target.unwrap_or_else(here).join("bitcoind/bitcoind")
    };
    let path = std::env::var_os("BITCOIND").map_or_else(built, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: tests/bitcoind/build makes it, tests/run --quick does without",
        path.display()
    );
    path
}

/// Starts a node that has the genesis block alone.
pub fn start() -> Node {
    Node::start_program(&BITCOIND, Ipv4Addr::LOCALHOST, &[])
}

/// A payment as it goes into blocks and messages.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Its bytes, with witness, in hex.
    pub hex: String,
    /// The output spent, as people write it.
    pub spends: String,
}

/// A node that makes blocks. Nobody is connected to it.
pub struct Forge {
    node: Node,
    address: String,
    /// Every block made so far, from height 1 on.
    pub blocks: Vec<Mined>,
    /// Height of the next block whose coinbase is spent.
    purse: u64,
}

impl Deref for Forge {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Forge {
    /// Starts on the genesis block.
    pub fn start() -> Self {
        let node = start();
        let script = node.call("decodescript", json!([hex(&ANYONE)]));
        let address = script["segwit"]["address"].as_str().expect("text").to_owned();
        Self { node, address, blocks: Vec::new(), purse: 1 }
    }

    /// Makes `count` more blocks.
    pub fn mine(&mut self, count: u64) -> &[Mined] {
        let from = self.blocks.len();
        let hashes = self.node.call("generatetoaddress", json!([count, self.address]));
        for hash in hashes.as_array().expect("a list") {
            self.note(hash.as_str().expect("text"));
        }
        &self.blocks[from..]
    }

    /// Makes a block that holds these payments, whoever else knows them.
    pub fn mine_with(&mut self, payments: &[Payment]) -> &Mined {
        let all: Vec<_> = payments.iter().map(|it| it.hex.as_str()).collect();
        let made = self.node.call("generateblock", json!([self.address, all]));
        self.note(made["hash"].as_str().expect("text"));
        self.last()
    }

    /// A good block on top that this node itself is not told of.
    pub fn make_aside(&self) -> Mined {
        let none: [&str; 0] = [];
        let made = self.node.call("generateblock", json!([self.address, none, false]));
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let height = self.blocks.len() as u64 + 1;
        Mined { hash: text(&made["hash"]), height, hex: text(&made["hex"]) }
    }

    fn note(&mut self, hash: &str) {
        let text = self.node.call("getblock", json!([hash, 0]));
        let text = text.as_str().expect("text").to_owned();
        let height = self.blocks.len() as u64 + 1;
        self.blocks.push(Mined { hash: hash.to_owned(), height, hex: text });
    }

    /// Makes blocks until `count` coinbases can be spent.
    pub fn ripen(&mut self, count: u64) {
        let wanted = self.purse - 1 + count + MATURITY;
        self.mine(wanted.saturating_sub(self.blocks.len() as u64));
    }

    /// Spends the oldest ripe coinbase to anyone.
    pub fn pay(&mut self) -> Payment {
        let block = &self.blocks[self.purse as usize - 1];
        self.purse += 1;
        let txid = self.node.call("getblock", json!([block.hash, 1]))["tx"][0].clone();
        let txid = txid.as_str().expect("text");
        let coins = self.node.call("gettxout", json!([txid, 0]))["value"].as_f64();
        let units = (coins.expect("it is unspent") * 1e8).round() as u64;
        Payment { hex: hex(&payment(txid, units - FEE)), spends: format!("{txid}:0") }
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

/// Spends output 0 of `txid` (as people write it), with witness.
fn payment(txid: &str, units: u64) -> Vec<u8> {
    let mut spent = [0; 32];
    unhex(txid.as_bytes(), &mut spent).expect("hex");
    spent.reverse();
    let mut raw = vec![2, 0, 0, 0, 0, 1, 1];
    raw.extend(spent);
    // Output 0, no script, final but replaceable.
    raw.extend([0, 0, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff, 1]);
    raw.extend(units.to_le_bytes());
    raw.extend([34, 0, 32]);
    raw.extend(Sha256::digest(ANYONE));
    // One witness item: the script.
    raw.extend([1, 1]);
    raw.extend(ANYONE);
    raw.extend([0; 4]);
    raw
}
