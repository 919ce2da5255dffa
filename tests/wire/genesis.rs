//! The first block of every network, built from what its coinbase says.

use broadside::wire::chain::{Network, find};
use broadside::wire::check::parse_and_check;

use super::build::{Block, Tx};

/// A network's first block: time, nonce, bits.
type Row = (&'static str, Network, u32, u32, u32);

const ROWS: [Row; 12] = [
    ("bitcoin", Network::Main, 1_231_006_505, 2_083_236_893, 0x1d00_ffff),
    ("bitcoin", Network::Test, 1_714_777_860, 393_743_547, 0x1d00_ffff),
    ("bitcoin", Network::Regtest, 1_296_688_602, 2, 0x207f_ffff),
    ("litecoin", Network::Main, 1_317_972_665, 2_084_524_493, 0x1e0f_fff0),
    ("litecoin", Network::Test, 1_486_949_366, 293_345, 0x1e0f_fff0),
    ("litecoin", Network::Regtest, 1_296_688_602, 0, 0x207f_ffff),
    ("dogecoin", Network::Main, 1_386_325_540, 99_943, 0x1e0f_fff0),
    ("dogecoin", Network::Test, 1_391_503_289, 997_879, 0x1e0f_fff0),
    ("dogecoin", Network::Regtest, 1_296_688_602, 2, 0x207f_ffff),
    ("dash", Network::Main, 1_390_095_618, 28_917_698, 0x1e0f_fff0),
    ("dash", Network::Test, 1_390_666_206, 3_861_367_235, 0x1e0f_fff0),
    ("dash", Network::Regtest, 1_417_713_337, 1_096_447, 0x207f_ffff),
];

/// What a coin's first coinbase says, whom it pays, and how many coins.
fn coinbase(name: &str, network: Network) -> (&'static str, &'static str, u64) {
    const SHARED_KEY: &str = "040184710fa689ad5023690c80f3a49c8f13f8d45b8c857fbcbc8bc4a8e4d3eb4b1\
                              0f4d4604fa08dce601aaf0f470216fe1b51850b4acf21b179c45070ac7b03a9";
    const FIRST_KEY: &str = "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb64\
                             9f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f";
    const NO_KEY: &str = "000000000000000000000000000000000000000000000000000000000000000000";
    match (name, network) {
        ("bitcoin", Network::Test) => (
            "03/May/2024 000000000000000000001ebd58c244970b3aa9d783bb001011fbe8ea8e98e00e",
            NO_KEY,
            50,
        ),
        ("bitcoin", _) => {
            ("The Times 03/Jan/2009 Chancellor on brink of second bailout for banks", FIRST_KEY, 50)
        }
        ("litecoin", _) => {
            ("NY Times 05/Oct/2011 Steve Jobs, Apple’s Visionary, Dies at 56", SHARED_KEY, 50)
        }
        ("dogecoin", _) => ("Nintondo", SHARED_KEY, 88),
        _ => (
            "Wired 09/Jan/2014 The Grand Experiment Goes Live: Overstock.com Is Now Accepting \
             Bitcoins",
            SHARED_KEY,
            50,
        ),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digits).collect()
}

#[test]
fn every_network_starts_with_its_own_block() {
    for (name, network, time_s, nonce, bits) in ROWS {
        let chain = find(name, network).expect("every row is there");
        let (text, key, coins) = coinbase(name, network);
        let mut tx = Tx::coinbase(1);
        let push: &[u8] = if text.len() > 75 { &[0x4c] } else { &[] };
        let length = [text.len() as u8];
        let said = [&[4, 0xff, 0xff, 0, 0x1d, 1, 4], push, &length, text.as_bytes()].concat();
        let key = unhex(key);
        let script = [&[key.len() as u8], &key[..], &[0xac]].concat();
        (tx.version, tx.inputs[0].1) = (1, said);
        tx.outputs = vec![(coins * 100_000_000, script)];
        let block = Block { version: 1, bits, time_s, txs: vec![tx], ..Block::new(chain, 1, []) };
        let mut header = block.header(nonce);
        header[4..36].fill(0);
        let raw = [&header[..], &block.body()].concat();
        let (_, checked) = parse_and_check(chain, &raw)
            .unwrap_or_else(|why| panic!("{name} {}: {why}", network.name()));
        assert_eq!(checked.hash.0, chain.genesis_hash, "{name} {}", network.name());
        assert_eq!((checked.height, checked.parent.0), (None, [0; 32]));
    }
}
