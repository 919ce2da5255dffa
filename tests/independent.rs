//! Dogecoin's and Dash's blocks as other people's libraries read them: hashes, proofs, special
//! transactions, and compact blocks byte for byte. tests/README.md says which libraries.
//!
//! `$BROADSIDE_VECTORS` names the folder of the real blocks, else it is `../shared/data`. Where these or
//! the libraries (installed by tests/run) are not there, the test says so and proves nothing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use broadside::wire::block::Walker;
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::check::parse_and_check;
use broadside::wire::compact::CompactBuilder;
use broadside::wire::hash::{BlockHash, hex};
use serde_json::{Value, json};

const NONCE: u64 = 0x0123_4567_89ab_cdef;
const BLOCKS: [(&str, &str); 7] = [
    ("dogecoin", "dogecoin-main-1.bin"),
    ("dogecoin", "dogecoin-main-250000.bin"),
    ("dogecoin", "dogecoin-main-371337.bin"),
    ("dogecoin", "dogecoin-main-748634.bin"),
    ("dogecoin", "dogecoin-main-894863.bin"),
    ("dash", "dash-main-providerregister.bin"),
    ("dash", "dash-main-providerupdate.bin"),
];

fn target() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(here, PathBuf::from)
}

/// What the others say of this block; `None`: they are not there.
fn theirs(coin: &str, file: &Path) -> Option<Value> {
    let libraries = target().join("independent/node_modules");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent/read.cjs");
    if !libraries.is_dir() {
        eprintln!("SKIPPED: no {}: tests/run installs the libraries", libraries.display());
        return None;
    }
    let told = Command::new("node")
        .env("NODE_PATH", &libraries)
        .arg(&script)
        .args([coin.as_ref(), file.as_os_str(), NONCE.to_string().as_ref()])
        .output();
    let Ok(told) = told else {
        eprintln!("SKIPPED: node is missing");
        return None;
    };
    assert!(told.status.success(), "{file:?}: {}", String::from_utf8_lossy(&told.stderr));
    Some(serde_json::from_slice(&told.stdout).expect("JSON"))
}

fn display(hash: [u8; 32]) -> String {
    BlockHash(hash).to_string()
}

fn compare(chain: &'static Chain, file: &Path, raw: &[u8], theirs: &Value) {
    let builder = CompactBuilder::new(chain, NONCE);
    let walker = Walker::new(chain).keeping_ids().compacting(builder);
    let (layout, builder) = walker.finish_compact(raw).expect("a good block");
    let header_bytes = layout.auxpow.as_ref().map_or(80, |proof| proof.end as usize);
    let checked = parse_and_check(chain, raw).expect("a good block").1;
    assert_eq!(theirs["hash"], checked.hash.to_string(), "{file:?}");
    assert_eq!((&theirs["rest"], &theirs["header_bytes"]), (&json!(0), &json!(header_bytes)));
    let ids: Vec<_> = layout.transactions.ids().iter().map(|ids| display(ids.txid)).collect();
    assert_eq!(theirs["transactions"], json!(ids), "{file:?}");
    let worked: &[u8; 80] = match &layout.auxpow {
        Some(proof) => raw[..proof.end as usize].last_chunk().expect("the parent's header"),
        None => &layout.header,
    };
    assert_eq!(theirs["work"], display(chain.work_hash(worked)), "{file:?}");
    let proof = &theirs["proof"];
    assert_eq!(proof.is_object(), layout.auxpow.is_some());
    if proof.is_object() {
        assert_eq!((&proof["holds"], &proof["committed"]), (&json!(true), &json!(true)), "{proof}");
    }
    let compact = builder.expect("asked for").finish(&layout, raw).expect("it fits");
    assert_eq!(theirs["compact"], hex(&compact.payload), "{file:?}");
    eprintln!(
        "{}: {} bytes, {} transactions, compact {} bytes: the same",
        file.file_name().unwrap_or_default().display(),
        raw.len(),
        ids.len(),
        compact.payload.len()
    );
}

#[test]
fn others_read_the_same_blocks_and_build_the_same_compact_ones() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BROADSIDE_VECTORS").map_or_else(beside, PathBuf::from);
    for (coin, name) in BLOCKS {
        let file = folder.join(name);
        let Ok(raw) = std::fs::read(&file) else {
            eprintln!("SKIPPED: {} is not there", file.display());
            continue;
        };
        let chain = find(coin, Network::Main).expect("a row");
        let Some(theirs) = theirs(coin, &file) else { return };
        compare(chain, &file, &raw, &theirs);
    }
}
