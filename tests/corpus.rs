//! Replays the fuzz corpus as a plain test: through the fuzz targets' own functions, each file as it
//! is, cut, and with bits flipped. A crash found by the fuzzer goes into `fuzz/corpus/` and stays.

use std::path::Path;

use broadside::wire::check::parse_and_check;
use broadside::wire::compact::{BlockTransactions, CompactBlock};

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own to the fuzzer")]
mod targets;

/// Every n-th place of a file is cut and flipped, so that a long file takes no longer.
const PLACES: usize = 200;

#[test]
fn every_file_of_the_corpus_passes() {
    for (name, target) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files = std::fs::read_dir(&folder).expect("every target has a folder");
        let mut count = 0;
        for file in files {
            let bytes = std::fs::read(file.expect("readable").path()).expect("readable");
            count += 1;
            target(&bytes);
            for at in (0..bytes.len()).step_by(1 + bytes.len() / PLACES) {
                target(&bytes[..at]);
                let mut spoilt = bytes.clone();
                spoilt[at] ^= 1 << (at % 8);
                target(&spoilt);
            }
        }
        assert!(count > 0, "{} is empty", folder.display());
    }
}

/// The payloads of compact blocks in it are whole: what is flipped and cut starts from good ones.
#[test]
fn the_compact_blocks_of_the_corpus_are_readable() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/compact");
    let (mut blocks, mut answers) = (0, 0);
    for file in std::fs::read_dir(folder).expect("there") {
        let path = file.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(path).expect("readable");
        let chain = targets::chain(bytes[0]).expect("a row");
        if name.ends_with("-cmpctblock") {
            blocks += 1;
            assert!(CompactBlock::decode(chain, &bytes[2..]).is_ok(), "{name}");
        } else if name.ends_with("-blocktxn") {
            answers += 1;
            assert!(BlockTransactions::decode(chain, &bytes[2..]).is_ok(), "{name}");
        }
    }
    assert!(blocks >= 11 && answers >= 3, "{blocks} and {answers}");
}

/// Blocks that a real litecoind made (before and with MWEB, empty, with a peg-out), and blocks
/// built by the rules. The first two bytes are the target's.
#[test]
fn what_is_good_in_the_corpus_passes_the_checks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/check");
    let (mut by_node, mut by_rules) = (0, 0);
    for file in std::fs::read_dir(folder).expect("there") {
        let path = file.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        by_node += u32::from(name.starts_with("litecoind-regtest-"));
        by_rules += u32::from(name.starts_with("built-by-rules-"));
        if !name.contains("-regtest-") && !name.contains("-by-rules-") {
            continue;
        }
        let bytes = std::fs::read(path).expect("readable");
        let chain = targets::chain(bytes[0]).expect("a row");
        let checked = parse_and_check(chain, &bytes[2..]);
        assert!(checked.is_ok(), "{name}: {checked:?}");
        if let Some(height) = name.strip_prefix("litecoind-regtest-") {
            let (_, checked) = checked.expect("good");
            assert_eq!(checked.height, height.parse().ok());
            assert_eq!(checked.has_mweb, checked.height >= Some(432));
        }
    }
    assert!(by_node >= 4 && by_rules >= 9, "{by_node} and {by_rules}");
}
