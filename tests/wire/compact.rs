//! Compact blocks, against encoders that share nothing with the code under test but the walker's
//! spans and ids, and against an independent implementation.

use bitcoin::bip152;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash as _, sha256, siphash24};
use broadside::limits::COMPACT_PAYLOAD_BYTES_MAX;
use broadside::wire::block::{Layout, Walker};
use broadside::wire::chain::Chain;
use broadside::wire::compact::{
    BlockTransactions, Compact, CompactBlock, CompactBuilder, RequestError, TransactionsRequest,
    encode_blocktxn, encode_getblocktxn,
};
use broadside::wire::hash::{sha256d, unhex};
use proptest::prelude::*;

use super::build::{Block, Tx, count, every_kind, regtest};

const NONCE: u64 = 0x0123_4567_89ab_cdef;

/// The compact form of `raw`, which comes in pieces, with `wishes` spoken at the start.
fn compacted(
    chain: &'static Chain,
    raw: &[u8],
    piece: usize,
    wishes: &[u32],
) -> (Layout, Option<Compact>) {
    let mut walker = Walker::new(chain).keeping_ids().compacting(CompactBuilder::new(chain, NONCE));
    let builder = walker.compact().expect("just given");
    wishes.iter().for_each(|index| builder.prefill(*index));
    for end in (0..raw.len()).step_by(piece) {
        walker.advance(&raw[..end]).expect("a good prefix");
    }
    let (layout, builder) = walker.finish_compact(raw).expect("a good block");
    let compact = builder.expect("asked for").finish(&layout, raw);
    (layout, compact)
}

/// `built_by_rules`: the payload, with the transactions at the places in `whole` in it.
pub(crate) fn by_the_rules(
    chain: &Chain,
    raw: &[u8],
    layout: &Layout,
    whole: &[usize],
    nonce: u64,
) -> Vec<u8> {
    let header = &raw[..layout.auxpow.as_ref().map_or(80, |proof| proof.end as usize)];
    let key = sha256::Hash::hash(&[header, &nonce.to_le_bytes()].concat()).to_byte_array();
    let word = |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().expect("eight"));
    let ids = layout.transactions.ids();
    let mut short_ids = Vec::new();
    for (_, ids) in ids.iter().enumerate().filter(|(index, _)| !whole.contains(index)) {
        let id = if chain.has_witness { ids.wtxid } else { ids.txid };
        let hash = siphash24::Hash::hash_to_u64_with_keys(word(0), word(8), &id);
        short_ids.extend_from_slice(&hash.to_le_bytes()[..6]);
    }
    let mut out = [header, &nonce.to_le_bytes()].concat();
    out.extend([count(short_ids.len() / 6), short_ids, count(whole.len())].concat());
    let mut next = 0;
    for index in whole {
        out.extend(count(index - next));
        out.extend(&raw[layout.transactions.get(*index).expect("there").range()]);
        next = index + 1;
    }
    match &layout.mweb {
        Some(range) => out.extend(&raw[range.start as usize..range.end as usize]),
        None if chain.has_mweb => out.push(0),
        None => {}
    }
    out
}

/// Whether `compact` is the compact form of `raw`: it puts together to it, byte for byte, also where a
/// peer has to ask for everything.
pub(crate) fn assert_rebuilds(chain: &'static Chain, raw: &[u8], layout: &Layout, payload: &[u8]) {
    let read = CompactBlock::decode(chain, payload).expect("readable");
    let at = |index: u32| &raw[layout.transactions.get(index as usize).expect("there").range()];
    assert_eq!(read.count(), layout.transactions.len());
    assert_eq!(read.rebuild(|index, _| Some(at(index))).as_deref(), Ok(raw));
    let missing = read.rebuild(|_, _| None).err().unwrap_or_default();
    assert_eq!(missing.len(), read.short_ids.len());
    let hash = chain.identity_hash(&layout.header).0;
    let asked = encode_getblocktxn(&hash, &missing);
    let asked = TransactionsRequest::decode(&asked).expect("ours");
    let asked: Vec<u32> = asked.indexes(read.count() as u32).expect("in range").collect();
    assert_eq!(asked, missing);
    let answer: Vec<&[u8]> = asked.into_iter().map(at).collect();
    let answer = encode_blocktxn(&hash, &answer);
    let answer = BlockTransactions::decode(chain, &answer).expect("ours");
    let mut answer = answer.transactions.into_iter();
    assert_eq!(read.rebuild(|_, _| answer.next()).as_deref(), Ok(raw));
}

/// Real or made up: built while it comes in pieces of any size, it is the one by the rules.
pub(crate) fn assert_good(what: &str, chain: &'static Chain, raw: &[u8]) {
    let (layout, compact) = compacted(chain, raw, raw.len().div_ceil(3), &[]);
    let Some(compact) = compact else {
        panic!("{what}: no compact form");
    };
    let last = layout.mweb.is_some().then(|| layout.transactions.len() - 1);
    let whole: Vec<usize> = [0].into_iter().chain(last).collect();
    let expected = by_the_rules(chain, raw, &layout, &whole, NONCE);
    assert_eq!(compact.payload, expected, "{what}");
    assert_eq!(compact.checksum, sha256d(&compact.payload)[..4], "{what}");
    assert_rebuilds(chain, raw, &layout, &compact.payload);
    for piece in [13, 1449, 65_537] {
        let again = compacted(chain, raw, piece.max(raw.len() / 1_000), &[]).1;
        assert_eq!(again.as_ref(), Some(&compact), "{what} in pieces of {piece}");
    }
}

/// Every kind but the one with the same transactions many times.
fn kinds() -> impl Iterator<Item = (&'static str, &'static Chain, Vec<u8>)> {
    every_kind().into_iter().filter(|(what, ..)| *what != "many")
}

#[test]
fn every_kind_is_built_by_the_rules() {
    for (what, chain, raw) in kinds() {
        assert_good(what, chain, &raw);
    }
    // Version 1 with witnesses: on a private network alone.
    let chain = regtest("dogecoin");
    let block = Block::new(chain, 9, [Tx::plain(1).with_witness(2), Tx::plain(2)]).committed();
    assert_good("witnesses", chain, &block.mine());
}

/// Nodes give up on a compact block with the same short id twice.
#[test]
fn equal_short_ids_are_not_sent() {
    let chain = regtest("bitcoin");
    let raw = Block::new(chain, 9, [1, 2, 1, 3, 2, 1].map(Tx::plain)).mine();
    let (layout, compact) = compacted(chain, &raw, 100, &[]);
    let compact = compact.expect("short");
    let expected = by_the_rules(chain, &raw, &layout, &[0, 3, 5, 6], NONCE);
    assert_eq!((compact.payload.as_slice(), compact.prefilled), (&expected[..], 4));
    assert_eq!(compact.checksum, sha256d(&compact.payload)[..4]);
    assert_rebuilds(chain, &raw, &layout, &compact.payload);
    // Where they don't fit there is none.
    let many = every_kind().into_iter().find(|(what, ..)| *what == "many").expect("there");
    assert_eq!(compacted(chain, &many.2, 10_000, &[]).1, None);
}

#[test]
fn wishes_are_met_whenever_they_are_spoken() {
    for (what, chain, raw) in kinds() {
        let (layout, _) = compacted(chain, &raw, 100, &[]);
        let last = layout.transactions.len() - 1;
        let wishes = [last as u32, 1, 0, 1, 60_000];
        let (_, early) = compacted(chain, &raw, 100, &wishes);
        let early = early.expect("short");
        let mut whole = vec![0, 1.min(last), last];
        whole.dedup();
        let expected = by_the_rules(chain, &raw, &layout, &whole, NONCE);
        assert_eq!(
            (early.payload.as_slice(), early.prefilled),
            (&expected[..], whole.len() as u32)
        );
        assert_eq!(early.checksum, sha256d(&early.payload)[..4], "{what}");
        assert_rebuilds(chain, &raw, &layout, &early.payload);
        let walker = Walker::new(chain).compacting(CompactBuilder::new(chain, NONCE));
        let (layout, builder) = walker.finish_compact(&raw).expect("good");
        let mut builder = builder.expect("asked for");
        wishes.iter().for_each(|index| builder.prefill(*index));
        assert_eq!(builder.finish(&layout, &raw), Some(early), "{what}");
    }
}

/// The vector that the crate `bitcoin` has from another implementation.
#[test]
fn a_vector_of_another_implementation_holds() {
    const BLOCK: &str = "000000206c750a364035aefd5f81508a08769975116d9195312ee4520dceac39e1fdc62c4dc67473b8e354358c1e610afeaff7410858bd45df43e2940f8a62bd3d5e3ac943c2975cffff7f200000000002020000000001010000000000000000000000000000000000000000000000000000000000000000ffffffff04016b0101ffffffff020006062a0100000001510000000000000000266a24aa21a9ed4a3d9f3343dafcc0d6f6d4310f2ee5ce273ed34edca6c75db3a73e7f368734200120000000000000000000000000000000000000000000000000000000000000000000000000020000000001021fc20ba2bd745507b8e00679e3b362558f9457db374ca28ffa5243f4c23a4d5f00000000171600147c9dea14ffbcaec4b575e03f05ceb7a81cd3fcbffdffffff915d689be87b43337f42e26033df59807b768223368f189a023d0242d837768900000000171600147c9dea14ffbcaec4b575e03f05ceb7a81cd3fcbffdffffff0200cdf5050000000017a9146803c72d9154a6a20f404bed6d3dcee07986235a8700e1f5050000000017a9144e6a4c7cb5b5562904843bdf816342f4db9f5797870247304402205e9bf6e70eb0e4b495bf483fd8e6e02da64900f290ef8aaa64bb32600d973c450220670896f5d0e5f33473e5f399ab680cc1d25c2d2afd15abd722f04978f28be887012103e4e4d9312b2261af508b367d8ba9be4f01b61d6d6e78bec499845b4f410bcf2702473044022045ac80596a6ac9c8c572f94708709adaf106677221122e08daf8b9741a04f66a022003ccd52a3b78f8fd08058fc04fc0cffa5f4c196c84eae9e37e2a85babe731b57012103e4e4d9312b2261af508b367d8ba9be4f01b61d6d6e78bec499845b4f410bcf276a000000";
    const COMPACT: &str = "000000206c750a364035aefd5f81508a08769975116d9195312ee4520dceac39e1fdc62c4dc67473b8e354358c1e610afeaff7410858bd45df43e2940f8a62bd3d5e3ac943c2975cffff7f2000000000a4df3c3744da89fa010a6979e971450100020000000001010000000000000000000000000000000000000000000000000000000000000000ffffffff04016b0101ffffffff020006062a0100000001510000000000000000266a24aa21a9ed4a3d9f3343dafcc0d6f6d4310f2ee5ce273ed34edca6c75db3a73e7f368734200120000000000000000000000000000000000000000000000000000000000000000000000000";
    let [raw, expected] = [BLOCK, COMPACT].map(|digits| {
        let mut bytes = vec![0; digits.len() / 2];
        unhex(digits.as_bytes(), &mut bytes).expect("digits");
        bytes
    });
    let chain = regtest("bitcoin");
    let builder = CompactBuilder::new(chain, 18_053_200_567_810_711_460);
    let (layout, builder) =
        Walker::new(chain).compacting(builder).finish_compact(&raw).expect("good");
    let compact = builder.and_then(|builder| builder.finish(&layout, &raw)).expect("short");
    assert_eq!(compact.payload, expected);
    let other: bip152::HeaderAndShortIds = deserialize(&compact.payload).expect("well formed");
    assert_eq!((other.short_ids.len(), other.prefilled_txs.len()), (1, 1));
}

#[test]
fn an_independent_implementation_builds_the_same() {
    for (what, chain, raw) in kinds().filter(|(_, chain, _)| chain.name == "bitcoin") {
        let block: bitcoin::Block = deserialize(&raw).expect("well formed");
        let last = block.txdata.len() - 1;
        for whole in [&[][..], &[last]] {
            let other = bip152::HeaderAndShortIds::from_block(&block, NONCE, 2, whole);
            let wishes: Vec<u32> = whole.iter().map(|index| *index as u32).collect();
            let ours = compacted(chain, &raw, 500, &wishes).1.expect("short");
            assert_eq!(ours.payload, serialize(&other.expect("good")), "{what}");
        }
    }
}

/// A block of the coin that hides the most, with `filler` bytes more in its second transaction.
fn padded(filler: usize) -> Vec<u8> {
    let mut tx = Tx::plain(2);
    tx.outputs[0].1 = vec![0x51; filler];
    Block::new(regtest("dash"), 9, [Tx::plain(1), tx]).mine()
}

#[test]
fn what_finds_no_room_is_not_made() {
    let chain = regtest("dash");
    let limit = COMPACT_PAYLOAD_BYTES_MAX as usize;
    // A wish that does not fit is passed over, whatever the size of the block.
    for filler in [limit / 2, limit, 10 * limit] {
        let raw = padded(filler);
        let (layout, compact) = compacted(chain, &raw, 10_000, &[2]);
        let compact = compact.expect("without it there is room");
        assert_eq!(compact.prefilled, if filler < limit { 2 } else { 1 });
        assert!(compact.payload.len() <= limit);
        assert_rebuilds(chain, &raw, &layout, &compact.payload);
    }
    let mut coinbase = Block::new(chain, 9, [Tx::plain(1)]);
    coinbase.txs[0].outputs[0].1 = vec![0x51; limit];
    assert_eq!(compacted(chain, &coinbase.mine(), 10_000, &[]).1, None);
    let many = |count: u32| {
        let each = (0..count).map(|number| {
            let mut tx = Tx::plain(0);
            tx.inputs[0].0[..4].copy_from_slice(&number.to_le_bytes());
            tx.outputs[1].1.clear();
            tx
        });
        compacted(chain, &Block::new(chain, 9, each).mine(), 100_000, &[]).1
    };
    assert!(many(8_000).is_some_and(|compact| compact.payload.len() > limit - 1_000));
    assert_eq!((many(8_180), many(9_000)), (None, None));
}

#[test]
fn malformed_compact_blocks_are_refused() {
    for (what, chain, raw) in kinds() {
        let payload = compacted(chain, &raw, 1_000, &[]).1.expect("short").payload;
        // The extension block is not read, and stands at the end: its first byte is.
        let read = CompactBlock::decode(chain, &payload).expect("whole");
        let end = payload.len() - read.extension.map_or(0, |extension| extension.len() - 1);
        for cut in (0..end).step_by(1 + end / 500) {
            assert!(CompactBlock::decode(chain, &payload[..cut]).is_err(), "{what} cut at {cut}");
        }
    }
    let chain = regtest("bitcoin");
    let with = |rest: &[&[u8]]| [&[7; 88][..], &rest.concat()].concat();
    let tx = Tx::plain(1).bytes();
    assert!(CompactBlock::decode(chain, &with(&[&[1], &[6; 6], &[1, 1], &tx])).is_ok());
    for wrong in [
        with(&[&[1], &[6; 6], &[1, 2], &tx]), // a place behind the end
        with(&[&[0, 2, 0], &tx, &[1], &tx]),  // the same by the second step
        with(&[&[0, 1, 0xff, 255, 255, 255, 255, 255, 255, 255, 255], &tx]),
        with(&[&[0xfe, 0, 0, 0, 2]]),    // a count without its short ids
        with(&[&[0, 0xfe, 0, 0, 0, 2]]), // and one without transactions
    ] {
        assert!(CompactBlock::decode(chain, &wrong).is_err());
    }
}

proptest! {
    /// Whatever a request says, what is made of it ascends and lies in the block, and another
    /// implementation reads the same.
    #[test]
    fn requests_are_read_as_others_read_them(
        mut indexes in proptest::collection::vec(0..u32::from(u16::MAX), 0..300),
        transactions in 0..70_000_u32,
    ) {
        indexes.sort_unstable();
        indexes.dedup();
        let payload = encode_getblocktxn(&[4; 32], &indexes);
        let other: bip152::BlockTransactionsRequest = deserialize(&payload).expect("well formed");
        prop_assert_eq!(&payload, &serialize(&other));
        let theirs: Vec<u32> = other.indexes.iter().map(|index| *index as u32).collect();
        let read = TransactionsRequest::decode(&payload).expect("well formed");
        match read.indexes(transactions) {
            Ok(ours) => prop_assert_eq!(ours.collect::<Vec<_>>(), theirs),
            Err(why) => {
                let index = *theirs.last().expect("one is out of range");
                prop_assert!(index >= transactions);
                prop_assert_eq!(why, RequestError::OutOfRange { index, transactions });
            }
        }
    }

    #[test]
    fn hostile_requests_stay_in_the_block(
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        transactions in any::<u32>(),
    ) {
        let payload = [&[4; 32], &rest[..]].concat();
        if let Ok(read) = TransactionsRequest::decode(&payload)
            && let Ok(indexes) = read.indexes(transactions)
        {
            let indexes: Vec<u32> = indexes.collect();
            prop_assert_eq!(indexes.len(), read.count() as usize);
            prop_assert!(indexes.is_sorted_by(|a, b| a < b));
            prop_assert!(indexes.iter().all(|index| *index < transactions));
        }
    }
}
