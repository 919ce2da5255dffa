//! The table of coins. No other file of `wire` knows a coin by name.
//!
//! Sources: each node's `chainparams.cpp`, `chainparamsbase.cpp`, `net.h`, `version.h`.

mod row;

pub use row::{
    Chain, HashKind, Network, SERVICE_MWEB, SERVICE_NETWORK, SERVICE_NETWORK_LIMITED,
    SERVICE_WITNESS,
};

/// The row of coin `name` on `network`.
#[must_use]
pub fn find(name: &str, network: Network) -> Option<&'static Chain> {
    all().find(|chain| chain.name == name && chain.network == network)
}

/// Every row: four coins, three networks each.
pub fn all() -> impl Iterator<Item = &'static Chain> {
    CHAINS.iter()
}

/// Names of the coins, as the configuration spells them.
#[must_use]
pub const fn names() -> &'static [&'static str] {
    &["bitcoin", "litecoin", "dogecoin", "dash"]
}

static CHAINS: [Chain; 12] = [
    BITCOIN,
    Chain {
        network: Network::Test,
        magic: [0x1c, 0x16, 0x3f, 0x28],
        p2p_port: 48333,
        rpc_port: 48332,
        allows_least_difficulty: true,
        dns_seeds: &["seed.testnet4.bitcoin.sprovoost.nl", "seed.testnet4.wiz.biz"],
        genesis_hash: wire(b"00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"),
        cookie_folder: "testnet4",
        ..BITCOIN
    },
    Chain {
        network: Network::Regtest,
        magic: [0xfa, 0xbf, 0xb5, 0xda],
        p2p_port: 18444,
        rpc_port: 18443,
        allows_least_difficulty: true,
        pow_limit_bits: REGTEST_BITS,
        dns_seeds: &[],
        genesis_hash: wire(b"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
        cookie_folder: "regtest",
        ..BITCOIN
    },
    LITECOIN,
    Chain {
        network: Network::Test,
        magic: [0xfd, 0xd2, 0xc8, 0xf1],
        p2p_port: 19335,
        rpc_port: 19332,
        mweb_height: None,
        allows_least_difficulty: true,
        dns_seeds: &[
            "testnet-seed.litecointools.com",
            "seed-b.litecoin.loshan.co.uk",
            "dnsseed-testnet.thrasher.io",
        ],
        genesis_hash: wire(b"4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0"),
        cookie_folder: "testnet4",
        ..LITECOIN
    },
    Chain {
        network: Network::Regtest,
        magic: [0xfa, 0xbf, 0xb5, 0xda],
        p2p_port: 19444,
        rpc_port: 19443,
        mweb_height: None,
        allows_least_difficulty: true,
        pow_limit_bits: REGTEST_BITS,
        dns_seeds: &[],
        genesis_hash: wire(b"530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9"),
        cookie_folder: "regtest",
        ..LITECOIN
    },
    DOGECOIN,
    Chain {
        network: Network::Test,
        magic: [0xfc, 0xc1, 0xb7, 0xdc],
        p2p_port: 44556,
        rpc_port: 44555,
        auxpow_strict: false,
        legacy_versions_end_s: None,
        allows_least_difficulty: true,
        dns_seeds: &["testseed.jrn.me.uk"],
        genesis_hash: wire(b"bb0a78264637406b6360aad926284d544d7049f45189db5664f3c4d07350559e"),
        cookie_folder: "testnet3",
        ..DOGECOIN
    },
    Chain {
        network: Network::Regtest,
        magic: [0xfa, 0xbf, 0xb5, 0xda],
        p2p_port: 18444,
        rpc_port: 18332,
        // Witnesses can become active here, and nowhere else on this coin.
        has_witness: true,
        legacy_versions_end_s: None,
        retargets_every_block: false,
        allows_least_difficulty: true,
        pow_limit_bits: REGTEST_BITS,
        dns_seeds: &[],
        genesis_hash: wire(b"3d2160a3b5dc4a9d62e7e66a295f70313ac808440ef7400d6c0772171ce973a5"),
        cookie_folder: "regtest",
        ..DOGECOIN
    },
    DASH,
    Chain {
        network: Network::Test,
        magic: [0xce, 0xe2, 0xca, 0xff],
        p2p_port: 19999,
        rpc_port: 19998,
        typed_coinbase_height: Some(7_000),
        allows_least_difficulty: true,
        dns_seeds: &["testnet-seed.dashdot.io"],
        genesis_hash: wire(b"00000bafbc94add76cb75e2ec92894837288a481e5c005f6563d91623bf8bc2c"),
        cookie_folder: "testnet3",
        ..DASH
    },
    Chain {
        network: Network::Regtest,
        // The same four bytes as another coin's test network: the port tells them apart.
        magic: [0xfc, 0xc1, 0xb7, 0xdc],
        p2p_port: 19899,
        rpc_port: 19898,
        typed_coinbase_height: None,
        retargets_every_block: false,
        allows_least_difficulty: true,
        pow_limit_bits: REGTEST_BITS,
        dns_seeds: &[],
        genesis_hash: wire(b"000008ca1832a4baf228eb1553c03d3a2c8e02399550dd6ea8d65cec3ef23d2e"),
        cookie_folder: "regtest",
        ..DASH
    },
];

/// Lowest difficulty of all private networks: every second hash will do.
const REGTEST_BITS: u32 = 0x207f_ffff;

const BITCOIN: Chain = Chain {
    name: "bitcoin",
    title: "Bitcoin",
    symbol: "BTC",
    network: Network::Main,
    magic: [0xf9, 0xbe, 0xb4, 0xd9],
    p2p_port: 8333,
    rpc_port: 8332,
    protocol_version: 70_016,
    peer_version_min: 31_800,
    addrv2_version: Some(70_016),
    payload_bytes_max: 4_000_000,
    block_bytes_max: 4_000_000,
    services_wanted: SERVICE_WITNESS,
    identity: HashKind::Sha256d,
    proof_of_work: HashKind::Sha256d,
    has_witness: true,
    has_mweb: false,
    mweb_height: None,
    auxpow_chain_id: None,
    auxpow_strict: false,
    legacy_versions_end_s: None,
    has_special_transactions: false,
    has_locks: false,
    typed_coinbase_height: None,
    compact_version: 2,
    compact_inventory: 4,
    takes_compact_unasked: false,
    services_to_be_asked: SERVICE_NETWORK_LIMITED | SERVICE_WITNESS,
    block_inventory: 0x4000_0002,
    interval_s: 600,
    ping_deadline_s: 600,
    retargets_every_block: false,
    allows_least_difficulty: false,
    pow_limit_bits: 0x1d00_ffff,
    dns_seeds: &[
        "dnsseed.bluematt.me",
        "seed.bitcoin.jonasschnelli.ch",
        "seed.btc.petertodd.net",
        "seed.bitcoin.sprovoost.nl",
        "dnsseed.emzy.de",
        "seed.bitcoin.wiz.biz",
        "seed.mainnet.achownodes.xyz",
    ],
    genesis_hash: wire(b"000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
    status_daemon: None,
    cookie_folder: "",
};

const LITECOIN: Chain = Chain {
    name: "litecoin",
    title: "Litecoin",
    symbol: "LTC",
    magic: [0xfb, 0xc0, 0xb6, 0xdb],
    p2p_port: 9333,
    rpc_port: 9332,
    services_wanted: SERVICE_WITNESS | SERVICE_MWEB,
    proof_of_work: HashKind::Scrypt,
    has_mweb: true,
    mweb_height: Some(2_257_920),
    compact_version: 3,
    takes_compact_unasked: true,
    services_to_be_asked: SERVICE_NETWORK_LIMITED | SERVICE_WITNESS | SERVICE_MWEB,
    block_inventory: 0x6000_0002,
    interval_s: 150,
    ping_deadline_s: 300,
    pow_limit_bits: 0x1e0f_ffff,
    dns_seeds: &[
        "seed-a.litecoin.loshan.co.uk",
        "dnsseed.thrasher.io",
        "dnsseed.litecointools.com",
        "dnsseed.litecoinpool.org",
        "dnsseed.koin-project.com",
    ],
    genesis_hash: wire(b"12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2"),
    ..BITCOIN
};

const DOGECOIN: Chain = Chain {
    name: "dogecoin",
    title: "Dogecoin",
    symbol: "DOGE",
    magic: [0xc0; 4],
    p2p_port: 22556,
    rpc_port: 22555,
    protocol_version: 70_015,
    peer_version_min: 70_003,
    addrv2_version: None,
    block_bytes_max: 1_000_000,
    services_wanted: SERVICE_NETWORK,
    proof_of_work: HashKind::Scrypt,
    has_witness: false,
    auxpow_chain_id: Some(98),
    auxpow_strict: true,
    // Block 371,337 was the first that had to be of the new kind.
    legacy_versions_end_s: Some(1_410_464_577),
    compact_version: 1,
    takes_compact_unasked: true,
    // Its nodes ask those alone that have all blocks.
    services_to_be_asked: 0,
    block_inventory: 2,
    interval_s: 60,
    ping_deadline_s: 300,
    retargets_every_block: true,
    pow_limit_bits: 0x1e0f_ffff,
    dns_seeds: &["seed.multidoge.org", "seed2.multidoge.org"],
    genesis_hash: wire(b"1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691"),
    ..BITCOIN
};

const DASH: Chain = Chain {
    name: "dash",
    title: "Dash",
    symbol: "DASH",
    magic: [0xbf, 0x0c, 0x6b, 0xbd],
    p2p_port: 9999,
    rpc_port: 9998,
    protocol_version: 70_240,
    peer_version_min: 70_221,
    addrv2_version: Some(70_223),
    payload_bytes_max: 3_145_728,
    block_bytes_max: 2_000_000,
    services_wanted: 0,
    identity: HashKind::X11,
    proof_of_work: HashKind::X11,
    has_witness: false,
    has_special_transactions: true,
    has_locks: true,
    typed_coinbase_height: Some(1_028_160),
    compact_version: 1,
    takes_compact_unasked: true,
    services_to_be_asked: SERVICE_NETWORK_LIMITED,
    compact_inventory: 20,
    block_inventory: 2,
    interval_s: 150,
    // Peers were dropped in silence that only ping every 120 s: three of their pings.
    ping_deadline_s: 360,
    retargets_every_block: true,
    pow_limit_bits: 0x1e0f_ffff,
    dns_seeds: &["dnsseed.dash.org"],
    status_daemon: Some("dashd"),
    genesis_hash: wire(b"00000ffd590b1485b3caadc19b22e6379c733355108f107a430458cdf3407ab6"),
    ..BITCOIN
};

/// Turns a hash as people write it into wire order, while compiling.
const fn wire(display: &[u8; 64]) -> [u8; 32] {
    let mut hash = [0; 32];
    let mut at = 0;
    while at < 32 {
        hash[31 - at] = digit(display[2 * at]) << 4 | digit(display[2 * at + 1]);
        at += 1;
    }
    hash
}

/// The value of a lower-case hex digit.
const fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        _ => letter - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_and_network() {
        assert_eq!((all().count(), names().len()), (12, 4));
        for name in names() {
            for network in [Network::Main, Network::Test, Network::Regtest] {
                let chain = find(name, network).expect("a row for each");
                assert_eq!((chain.name, chain.network), (*name, network));
                assert_eq!(Network::parse(network.name()), Some(network));
                assert!(chain.block_bytes_max <= chain.payload_bytes_max);
                assert!(chain.block_bytes_max <= crate::limits::BLOCK_BYTES_MAX);
                let ping_ms = u64::from(chain.ping_deadline_s) * 1_000;
                assert!(2 * crate::limits::PING_INTERVAL_MS < ping_ms && ping_ms < 1_200_000);
            }
        }
        assert_eq!((find("doge", Network::Main), Network::parse("mainnet")), (None, None));
    }

    #[test]
    fn peers_need_blocks_and_every_wanted_bit() {
        let bare = find("bitcoin", Network::Main).expect("there");
        assert!(bare.serves_blocks(9) && bare.serves_blocks(1024 | 8));
        assert!(!bare.serves_blocks(8) && !bare.serves_blocks(1));
        let more = find("litecoin", Network::Main).expect("there");
        assert!(more.serves_blocks(0x100_0009) && !more.serves_blocks(9));
    }
}
