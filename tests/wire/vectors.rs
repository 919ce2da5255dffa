//! Real main-net blocks. They are not part of the project: `$BROADSIDE_VECTORS` names their
//! folder, else it is `../shared/data` beside the checkout. Where they are not there, the tests
//! say so and prove nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use broadside::wire::auxpow;
use broadside::wire::block::Walker;
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::check::{check, parse_and_check};
use broadside::wire::hash::{BlockHash, meets_target, target_from_bits};

/// A real block: its file, its coin, its identity, its height where the coinbase says one, and how
/// many transactions it has.
type Vector = (&'static str, &'static str, &'static str, Option<u32>, u32);

const VECTORS: [Vector; 9] = [
    (
        "bitcoin-main-0c835b2a.bin",
        "bitcoin",
        "000000000000000000000c835b2adcaedc20fdf6ee440009c249452c726dafae",
        Some(702_861),
        2500,
    ),
    (
        "litecoin-main-1.bin",
        "litecoin",
        "80ca095ed10b02e53d769eb6eaf92cd04e9e0759e5be4a8477b42911ba49c78f",
        None,
        1,
    ),
    (
        "dogecoin-main-1.bin",
        "dogecoin",
        "82bc68038f6034c0596b6e313729793a887fded6e92a31fbdf70863f89d9bea2",
        None,
        1,
    ),
    (
        "dogecoin-main-250000.bin",
        "dogecoin",
        "0e4bcfe8d970979f7e30e2809ab51908d435677998cf759169407824d4f36460",
        Some(250_000),
        6,
    ),
    (
        "dogecoin-main-371337.bin",
        "dogecoin",
        "60323982f9c5ff1b5a954eac9dc1269352835f47c2c5222691d80f0d50dcf053",
        Some(371_337),
        6,
    ),
    (
        "dogecoin-main-748634.bin",
        "dogecoin",
        "bd98a06391115285265c04984e8505229739f6ffa5d498929a91fbe7c281ea7b",
        Some(748_634),
        8,
    ),
    (
        "dogecoin-main-894863.bin",
        "dogecoin",
        "93a207e6d227f4d60ee64fad584b47255f654b0b6378d78e774123dd66f4fef9",
        Some(894_863),
        7,
    ),
    (
        "dash-main-providerregister.bin",
        "dash",
        "000000000000002016c49d804e7b5d6ca84663ed032222e9061b2efec302edc3",
        Some(2_045_354),
        30,
    ),
    (
        "dash-main-providerupdate.bin",
        "dash",
        "000000000000002b22765c44677e7378ae129ef13bce9b715914e5f5f584d054",
        Some(2_282_696),
        21,
    ),
];

/// The folder with the real blocks.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BROADSIDE_VECTORS").map_or_else(beside, PathBuf::from);
    if folder.join(VECTORS[0].0).is_file() {
        return Some(folder);
    }
    // Straight to stderr: what a passing test prints with a macro is not shown.
    let _ = writeln!(
        std::io::stderr(),
        "\n*** NO REAL BLOCKS: nothing in {}. These tests prove NOTHING. Set BROADSIDE_VECTORS to \
         the folder that holds them. ***\n",
        folder.display()
    );
    None
}

/// Every real block with what is known of it.
fn blocks() -> impl Iterator<Item = (Vector, &'static Chain, Vec<u8>)> {
    folder().into_iter().flat_map(|folder| {
        VECTORS.into_iter().map(move |vector| {
            let raw = std::fs::read(folder.join(vector.0)).expect("all files are there");
            let chain = find(vector.1, Network::Main).expect("a row");
            (vector, chain, raw)
        })
    })
}

#[test]
fn real_blocks_pass_whole_and_in_pieces() {
    for ((file, _, hash, height, transactions), chain, raw) in blocks() {
        let (layout, checked) = parse_and_check(chain, &raw).unwrap_or_else(|why| {
            panic!("{file}: {why}");
        });
        assert_eq!(Some(checked.hash), BlockHash::from_hex(hash), "{file}");
        assert_eq!((checked.height, checked.transactions), (height, transactions), "{file}");
        let merged = ["371337", "748634", "894863"].iter().any(|number| file.contains(number));
        assert_eq!(layout.auxpow.is_some(), merged, "{file}");
        // Steps that are no multiple of anything in a block.
        for step in [13, 1449, 65_537] {
            let mut walker = Walker::new(chain);
            let mut cuts = (0..raw.len()).step_by(step.max(raw.len() / 10_000));
            assert!(cuts.all(|cut| walker.advance(&raw[..cut]).is_ok()), "{file}");
            assert_eq!(walker.finish(&raw).as_ref(), Ok(&layout), "{file} in steps of {step}");
        }
    }
}

#[test]
fn ids_agree_with_an_independent_decoder() {
    use bitcoin::consensus::encode::deserialize;
    use bitcoin::hashes::Hash;
    for ((file, ..), chain, raw) in blocks().filter(|(_, chain, _)| chain.has_witness) {
        let other: bitcoin::Block = deserialize(&raw).expect("well formed");
        let layout = Walker::new(chain).keeping_ids().finish(&raw).expect("good");
        assert_eq!(u64::from(layout.weight()), other.weight().to_wu(), "{file}");
        for (ours, theirs) in layout.transactions.ids().iter().zip(&other.txdata) {
            assert_eq!(ours.txid, theirs.compute_txid().to_byte_array());
            assert_eq!(ours.wtxid, theirs.compute_wtxid().to_byte_array());
        }
    }
}

#[test]
fn real_blocks_have_their_compact_forms() {
    for ((file, ..), chain, raw) in blocks() {
        super::compact::assert_good(file, chain, &raw);
    }
}

/// A header with its proof alone, of 2024.
#[test]
fn a_real_proof_holds() {
    let Some(folder) = folder() else { return };
    let bytes = std::fs::read(folder.join("dogecoin-main-5462519-header.bin")).expect("there");
    let chain = find("dogecoin", Network::Main).expect("a row");
    assert_eq!(auxpow::header_bytes(chain, &bytes), Some(bytes.len()));
    let (header, proof) = bytes.split_first_chunk::<80>().expect("a header");
    let hash = broadside::wire::check::check_work(chain, header, Some(proof)).expect("holds");
    let known = "26e1a3ef7e6e34ece7bb9e09324dca34678af1bcfcdb7a810e53cb12249c0a6a";
    assert_eq!(Some(hash), BlockHash::from_hex(known));
    let proof = auxpow::parse(proof).expect("readable");
    assert_eq!(proof.chain_branch.len(), 3);
    let bits = u32::from_le_bytes(header[72..76].try_into().expect("four"));
    let target = target_from_bits(bits).expect("a target");
    assert!(meets_target(&chain.work_hash(proof.parent), &target));
}

/// Goal: no spoilt copy of a real block goes out. Method: flip one bit, at places all over the
/// block; what is accepted must be another block (it never is: that would take work).
#[test]
fn one_wrong_bit_is_never_accepted() {
    for ((file, ..), chain, raw) in blocks() {
        let (layout, checked) = parse_and_check(chain, &raw).expect("good");
        // The parent's block hash in a proof: nobody looks at it, no node either.
        let free = layout.auxpow.as_ref().map(|range| {
            let proof = &raw[range.start as usize..range.end as usize];
            let read = auxpow::parse(proof).expect("readable");
            let behind = 32 * (read.branch.len() + read.chain_branch.len()) + 2 + 8 + 80;
            let end = range.end as usize - behind;
            end - 32..end
        });
        let step = 1 + raw.len() / 600;
        for at in (0..raw.len()).step_by(step) {
            let mut spoilt = raw.clone();
            spoilt[at] ^= 1 << (at % 8);
            match parse_and_check(chain, &spoilt) {
                Err(_) => {}
                Ok((_, other)) => {
                    let nobody_looks = free.as_ref().is_some_and(|free| free.contains(&at));
                    assert!(nobody_looks || other.hash != checked.hash, "{file}: bit at {at}");
                }
            }
            assert!(nobody_is_fooled(chain, &spoilt, &layout), "{file}: old layout, bit at {at}");
        }
    }
}

/// A layout of before must not vouch for what its header no longer matches.
fn nobody_is_fooled(
    chain: &'static Chain,
    spoilt: &[u8],
    layout: &broadside::wire::block::Layout,
) -> bool {
    spoilt[..80] == layout.header || check(chain, spoilt, layout).is_err()
}
