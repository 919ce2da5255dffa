//! Side by side or one after the other, whole or while they arrive: ids come out the same.

use std::sync::LazyLock;

use broadside::limits::HASH_WHOLE_BYTES_MAX;
use broadside::sim::blocks::BlockMaker;
use broadside::sys::sha;
use broadside::wire::block::{Layout, Walker};
use broadside::wire::chain::{Chain, Network, all};
use broadside::wire::hash::Lanes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::build::{Block, Tx, built_by_rules_mweb_tail, every_kind, regtest};

/// Blocks of all kinds, built and simulated, on all chains. Made once for all cases.
static BLOCKS: LazyLock<Vec<(&'static Chain, Vec<u8>)>> = LazyLock::new(|| {
    let built = every_kind().into_iter().map(|(_, chain, raw)| (chain, raw));
    let private = all().filter(|chain| chain.network == Network::Regtest);
    let simulated = private.flat_map(|chain| {
        let mut maker = BlockMaker::new(chain, 5, 1_700_000_000);
        [3_000, 40_000, 300_000].map(|bytes| (chain, maker.next(bytes).expect("a size").raw))
    });
    built.chain(simulated).chain(long().map(|block| (block.chain, block.mine()))).collect()
});

/// Blocks with transactions that are hashed while they arrive, each for another reason.
fn long() -> impl Iterator<Item = Block> {
    let much = 3 * HASH_WHOLE_BYTES_MAX;
    let mut inputs = Tx::plain(1).with_witness(1);
    inputs.inputs = vec![inputs.inputs[0].clone(); much / 42];
    inputs.witness = Some(vec![vec![vec![7; 30]]; much / 42]);
    let mut script = Tx::plain(2).with_witness(1);
    script.outputs.push((3, vec![8; much]));
    let mut item = Tx::plain(3).with_witness(1);
    item.witness = Some(vec![vec![vec![9; 3], vec![10; much], vec![11; 3]]]);
    let mut bare = Tx::plain(4);
    bare.outputs = vec![(5, vec![12; 70]); much / 80];
    let segwit = [inputs, Tx::plain(9).with_witness(2), script, Tx::plain(5), item, bare.clone()];
    let tail = built_by_rules_mweb_tail(9);
    let mut state = Tx::hogex(&tail);
    state.outputs.push((6, vec![13; much]));
    let extended = [state.clone(), state.with_witness(4_000)].map(move |state| {
        let mut block = Block::new(regtest("litecoin"), 9, [Tx::plain(6), state]);
        block.tail.clone_from(&tail);
        block
    });
    let mut special = bare;
    (special.version, special.payload) = (6 << 16 | 3, Some(vec![14; much]));
    let special = Block::new(regtest("dash"), 9, [Tx::plain(7), special, Tx::plain(8)]);
    [Block::new(regtest("bitcoin"), 9, segwit), special].into_iter().chain(extended)
}

/// What comes of `raw` in pieces that end at `cuts`, hashed by `lanes`.
fn walked(chain: &'static Chain, raw: &[u8], cuts: &[usize], lanes: Lanes) -> Layout {
    let mut walker = Walker::with_lanes(chain, lanes).keeping_ids();
    for cut in cuts {
        walker.advance(&raw[..*cut]).expect("a good prefix");
    }
    walker.finish(raw).expect("a good block")
}

/// The ids against those of encoders that share no code with the walker.
#[test]
fn long_transactions_have_their_ids_however_they_arrive() {
    for block in long() {
        let (chain, raw) = (block.chain, block.mine());
        let expected: Vec<_> = block.txs.iter().map(|tx| (tx.txid(), tx.wtxid())).collect();
        for step in [1_460, 65_536, raw.len() / 2 + 1, raw.len() + 1] {
            let cuts: Vec<_> = (0..raw.len()).step_by(step).collect();
            for lanes in [Lanes::PORTABLE, sha::lanes()] {
                let layout = walked(chain, &raw, &cuts, lanes);
                let ids = layout.transactions.ids().iter().map(|of| (of.txid, of.wtxid));
                assert!(ids.eq(expected.iter().copied()), "{} in steps of {step}", chain.name);
            }
        }
    }
}

/// What is whole has its ids when the call returns, not only in the end.
#[test]
fn ids_are_there_as_soon_as_the_bytes_are() {
    let (chain, raw) = &BLOCKS[4];
    let whole = Walker::new(chain).keeping_ids().finish(raw).expect("good");
    let mut walker = Walker::with_lanes(chain, sha::lanes()).keeping_ids();
    for cut in 0..=raw.len() {
        walker.advance(&raw[..cut]).expect("good");
        let there = whole.transactions.iter().take_while(|span| span.end as usize <= cut).count();
        let walked = walker.transactions();
        assert!(walked.iter().eq(whole.transactions.iter().take(there)), "cut at {cut}");
        assert_eq!(walked.ids(), &whole.transactions.ids()[..there], "cut at {cut}");
    }
    assert!(whole.transactions.len() > 2 * broadside::limits::HASH_BATCH_MAX);
}

proptest! {
    #[test]
    fn both_ways_lay_out_the_same(which in any::<Index>(), cuts in vec(any::<Index>(), 0..12)) {
        let (chain, raw) = which.get(&BLOCKS);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(raw.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = walked(chain, raw, &[], Lanes::PORTABLE);
        prop_assert_eq!(&walked(chain, raw, &cuts, Lanes::PORTABLE), &whole);
        prop_assert_eq!(&walked(chain, raw, &[], sha::lanes()), &whole);
        prop_assert_eq!(&walked(chain, raw, &cuts, sha::lanes()), &whole);
    }
}
