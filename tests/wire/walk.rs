//! The walker, cut everywhere.

use broadside::wire::block::{BlockError, Layout, Walker};
use broadside::wire::chain::Chain;
use broadside::wire::check::parse_and_check;

use super::build::{Block, Tx, built_by_rules_mweb_tail, count, every_kind, regtest};

/// What the walker makes of `raw` when it comes piece by piece.
fn streamed(chain: &'static Chain, raw: &[u8], cuts: impl Iterator<Item = usize>) -> Layout {
    let mut walker = Walker::new(chain);
    for cut in cuts {
        walker.advance(&raw[..cut]).expect("a good prefix");
        assert_eq!(walker.header().is_some(), cut >= 80);
        let walked = walker.transactions();
        assert!(walked.iter().all(|span| span.end as usize <= cut));
    }
    walker.finish(raw).expect("a good block")
}

#[test]
fn every_kind_is_whole_and_good() {
    for (what, chain, raw) in every_kind() {
        let (layout, checked) = parse_and_check(chain, &raw).unwrap_or_else(|why| {
            panic!("{what}: {why}");
        });
        assert_eq!(checked.has_mweb, what == "mweb");
        assert_eq!(layout.auxpow.is_some(), what == "merged");
        assert_eq!(layout.length as usize, raw.len());
        // Transactions stand one behind the other, and fill the block up to its tail.
        let starts = layout.transactions.iter().skip(1).map(|span| span.start);
        assert!(layout.transactions.iter().map(|span| span.end).zip(starts).all(|(a, b)| a == b));
        assert!(layout.transactions.ids().is_empty(), "nobody asked for them");
        let end = layout.transactions.last().expect("some").end;
        assert_eq!(layout.mweb.map_or(layout.length, |range| range.start), end);
    }
}

#[test]
fn ids_and_weight_agree_with_an_independent_decoder() {
    use bitcoin::consensus::encode::deserialize;
    use bitcoin::hashes::Hash;
    for (what, chain, raw) in every_kind().into_iter().filter(|(_, chain, _)| chain.has_witness) {
        // It knows neither proofs nor extension blocks.
        if ["mweb", "merged"].contains(&what) {
            continue;
        }
        let layout = Walker::new(chain).keeping_ids().finish(&raw).expect("good");
        let other: bitcoin::Block = deserialize(&raw).expect("well formed");
        assert_eq!(u64::from(layout.weight()), other.weight().to_wu(), "{what}");
        assert_eq!(layout.transactions.len(), other.txdata.len());
        for (ours, theirs) in layout.transactions.ids().iter().zip(&other.txdata) {
            assert_eq!(ours.txid, theirs.compute_txid().to_byte_array(), "{what}");
            assert_eq!(ours.wtxid, theirs.compute_wtxid().to_byte_array(), "{what}");
        }
    }
}

#[test]
fn every_cut_gives_the_same_layout() {
    for (what, chain, raw) in every_kind() {
        let whole = Walker::new(chain).finish(&raw).expect("good");
        assert_eq!(streamed(chain, &raw, 0..=raw.len()), whole, "{what}, byte by byte");
        for step in [2, 3, 7, 64, 1460] {
            let cuts = (0..raw.len()).step_by(step);
            assert_eq!(streamed(chain, &raw, cuts), whole, "{what} in steps of {step}");
        }
        if raw.len() < 5000 {
            for cut in 0..raw.len() {
                assert_eq!(streamed(chain, &raw, [cut].into_iter()), whole, "{what} at {cut}");
            }
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    for (what, chain, raw) in every_kind() {
        let step = if raw.len() < 5000 { 1 } else { 97 };
        for cut in (0..raw.len()).step_by(step) {
            let got = Walker::new(chain).finish(&raw[..cut]);
            assert!(got.is_err(), "{what} cut at {cut}");
            // Walked further than what is handed over in the end.
            let mut walker = Walker::new(chain);
            walker.advance(&raw).expect("good");
            assert!(walker.finish(&raw[..cut]).is_err(), "{what} shrunk to {cut}");
        }
        let longer = [&raw[..], &[0]].concat();
        let trailing = Err(BlockError::Trailing { bytes: 1 });
        assert_eq!(Walker::new(chain).finish(&longer), trailing, "{what}");
    }
}

#[test]
fn built_by_rules_mweb_states_are_told_apart() {
    let chain = regtest("litecoin");
    let hogex = Tx::hogex(&built_by_rules_mweb_tail(9));
    let mut block = Block::new(chain, 9, [Tx::plain(1), hogex.clone()]).committed();
    let finish = |block: &Block| Walker::new(chain).finish(&block.mine());
    assert_eq!(finish(&block), Err(BlockError::ExtensionCutOff));
    assert_eq!(BlockError::ExtensionCutOff.bip22(), None);
    block.tail = vec![0];
    assert_eq!(finish(&block), Err(BlockError::ExtensionMissing));
    assert_eq!(BlockError::ExtensionMissing.bip22(), Some("mweb-missing"));
    block.tail[0] = 2;
    assert_eq!(finish(&block), Err(BlockError::ExtensionMissing), "seen on a node");
    block.tail = vec![1, 9];
    assert!(matches!(finish(&block), Err(BlockError::Malformed { .. })));
    block.tail = built_by_rules_mweb_tail(9);
    let layout = Walker::new(block.chain).keeping_ids().finish(&block.mine()).expect("good");
    assert_eq!((layout.mweb_height, layout.facts.hogexes), (Some(9), 1));
    assert_eq!(layout.mweb.map(|range| range.len()), Some(block.tail.len()));
    // The transaction that carries the state has one id, without its marker.
    let last = layout.transactions.ids().last().expect("some");
    assert_eq!((last.txid, last.wtxid), (hogex.txid(), hogex.txid()));
    // On chains without extension blocks the flag is unknown.
    let other = Block { chain: regtest("bitcoin"), tail: vec![], ..block.clone() };
    assert!(matches!(
        Walker::new(other.chain).finish(&other.mine()),
        Err(BlockError::Malformed { what: "transaction flag", .. })
    ));
}

#[test]
fn a_transaction_with_extension_data_of_its_own_is_named() {
    let chain = regtest("litecoin");
    let mut raw = Block::new(chain, 9, [Tx::hogex(&[])]).mine();
    let at = raw.len() - 5;
    assert_eq!(raw[at], 0, "the marker before the lock time");
    raw[at] = 1;
    let error = Walker::new(chain).finish(&raw).expect_err("refused");
    assert!(matches!(error, BlockError::ExtensionInTransaction { .. }));
    assert_eq!(error.bip22(), Some("unexpected-mweb-data"));
}

#[test]
fn malformed_transactions_are_named() {
    let chain = regtest("bitcoin");
    let first = |tx: &Tx| {
        let raw = Block::new(chain, 9, [tx.clone()]).mine();
        Walker::new(chain).finish(&raw).expect_err("refused")
    };
    let mut tx = Tx::plain(1);
    tx.inputs.clear();
    assert_eq!(first(&tx).bip22(), None, "zero inputs and two outputs read as a flag");
    tx.outputs.clear();
    assert_eq!(first(&tx).bip22(), Some("bad-txns-vin-empty"));
    tx.inputs = Tx::plain(1).inputs;
    assert_eq!(first(&tx).bip22(), Some("bad-txns-vout-empty"));
    let superfluous = Tx::plain(1).with_witness(0);
    assert!(matches!(first(&superfluous), BlockError::Malformed { what: "empty witness", .. }));
}

/// A count costs nothing before its transactions are there.
#[test]
fn hostile_counts_end_the_walk_or_wait() {
    let chain = regtest("bitcoin");
    let header = Block::new(chain, 9, []).header(0);
    let walk = |behind: &[u8]| Walker::new(chain).finish(&[&header[..], behind].concat());
    let malformed = |got| matches!(got, Err(BlockError::Malformed { .. }));
    assert!(malformed(walk(&[0xff; 9])) && malformed(walk(&count(400_001))));
    assert!(matches!(walk(&count(399_999)), Err(BlockError::Truncated { .. })));
    assert_eq!(walk(&[0]), Err(BlockError::NoTransactions));
    let too_long = vec![1; chain.block_bytes_max as usize + 1];
    let limit = chain.block_bytes_max;
    assert_eq!(Walker::new(chain).advance(&too_long), Err(BlockError::TooLong { limit }));
}

#[test]
fn an_error_stays() {
    let (_, chain, raw) = every_kind().remove(1);
    let mut walker = Walker::new(chain);
    let spoilt = [&raw[..80], &[0]].concat();
    assert_eq!(walker.advance(&spoilt), Err(BlockError::NoTransactions));
    assert_eq!(walker.advance(&raw), Err(BlockError::NoTransactions));
    assert_eq!(walker.finish(&raw), Err(BlockError::NoTransactions));
}
