//! Every reason for which a block must not go to a peer, with the word that a node has for it.

use broadside::wire::block::Walker;
use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::check::{CheckError, check, check_work, parse_and_check};

use super::build::{Block, Tx, built_by_rules_mweb_tail, merkle, mine, regtest};

/// The verdict on a block, and a node's word for it.
fn verdict(block: &Block) -> Result<(), (CheckError, Option<&'static str>)> {
    let result = parse_and_check(block.chain, &block.mine());
    result.map(drop).map_err(|why| (why, why.bip22()))
}

/// The word for a block that must be refused.
fn word(block: &Block) -> &'static str {
    verdict(block).expect_err("refused").1.expect("a node has a word for it")
}

fn segwit_block() -> Block {
    let txs = [Tx::plain(1), Tx::plain(2).with_witness(2)];
    Block::new(regtest("bitcoin"), 300, txs).committed()
}

#[test]
fn what_is_known_of_a_good_block() {
    let block = segwit_block();
    let (layout, checked) = parse_and_check(block.chain, &block.mine()).expect("good");
    assert_eq!((checked.height, checked.transactions), (Some(300), 3));
    assert_eq!((checked.bits, checked.time), (0x207f_ffff, 1_700_000_000));
    assert_eq!((checked.version, checked.parent.0), (0x2000_0000, [3; 32]));
    assert_eq!(checked.hash, block.chain.identity_hash(&layout.header));
    assert!(!checked.has_mweb);
}

#[test]
fn work_below_the_own_target_and_targets_over_the_limit() {
    let chain = regtest("bitcoin");
    let mut header = segwit_block().header(0);
    mine(chain, &mut header, chain.pow_limit_bits);
    assert!(check_work(chain, &header, None).is_ok());
    // One hash in 65,536 has this work: count on until one has not.
    header[72..76].copy_from_slice(&0x1f00_ffff_u32.to_le_bytes());
    let why = (0_u8..10).find_map(|nonce| {
        header[76] = nonce;
        check_work(chain, &header, None).err()
    });
    let why = why.expect("refused");
    assert!(matches!(why, CheckError::TooLittleWork { .. }) && why.bip22() == Some("high-hash"));
    for bits in [0, 0x2100_ffff, 0x2080_0001, 0x207f_ffff + 0x0100_0000] {
        header[72..76].copy_from_slice(&u32::to_le_bytes(bits));
        let got = check_work(chain, &header, None);
        assert_eq!(got, Err(CheckError::BitsOverLimit { bits }));
    }
    // The same work and bits are nothing on the main network.
    header[72..76].copy_from_slice(&0x207f_ffff_u32.to_le_bytes());
    let main = find("bitcoin", Network::Main).expect("there");
    let got = check_work(main, &header, None);
    assert_eq!(got, Err(CheckError::BitsOverLimit { bits: 0x207f_ffff }));
}

#[test]
fn transactions_that_do_not_fit_the_header() {
    let good = segwit_block();
    let mut swapped = good.clone();
    swapped.txs.swap(1, 2);
    let mut header = good.header(0);
    mine(good.chain, &mut header, good.bits);
    let raw = [&header[..], &swapped.body()].concat();
    let why = parse_and_check(good.chain, &raw).expect_err("refused");
    assert_eq!((why, why.bip22()), (CheckError::MerkleRootMismatch, Some("bad-txnmrklroot")));
}

#[test]
fn the_same_transactions_twice() {
    let chain = regtest("bitcoin");
    let mut block = Block::new(chain, 300, [Tx::plain(1), Tx::plain(2)]);
    let good = block.txs.iter().map(Tx::txid).collect::<Vec<_>>();
    block.txs.push(Tx::plain(2));
    let twice = block.txs.iter().map(Tx::txid).collect::<Vec<_>>();
    assert_eq!(merkle(&good), merkle(&twice), "that is the attack");
    assert_eq!(word(&block), "bad-txns-duplicate");
    // Apart, the tree can tell them: a node looks at their inputs later.
    let apart = [Tx::plain(2), Tx::plain(1), Tx::plain(3), Tx::plain(2)];
    assert_eq!(verdict(&Block::new(chain, 300, apart)), Ok(()));
}

#[test]
fn coinbases() {
    let mut block = segwit_block();
    block.txs.push(Tx::coinbase(301));
    assert_eq!(word(&block.committed()), "bad-cb-multiple");
    let mut block = Block::new(regtest("bitcoin"), 300, [Tx::plain(1)]);
    block.txs.swap(0, 1);
    assert_eq!(word(&block), "bad-cb-missing");
    for (length, good) in [(1, false), (2, true), (100, true), (101, false)] {
        let mut block = Block::new(regtest("bitcoin"), 300, []);
        block.txs[0].inputs[0].1 = vec![0x51; length];
        assert_eq!(verdict(&block).is_ok(), good, "{length} bytes");
        assert!(good || word(&block) == "bad-cb-length");
    }
}

#[test]
fn witnesses_and_their_commitment() {
    let good = segwit_block();
    assert_eq!(verdict(&good), Ok(()));
    let mut other = good.clone();
    other.txs[2].witness.as_mut().expect("set")[0][0][0] ^= 1;
    assert_eq!(word(&other), "bad-witness-merkle-match");
    // The node puts the coinbase's witness there by itself, peers do not.
    let mut without = good.clone();
    without.txs[0].witness = None;
    assert_eq!(word(&without), "bad-witness-nonce-size");
    let mut stripped = without.clone();
    stripped.txs[2].witness = None;
    assert_eq!(word(&stripped), "bad-witness-nonce-size");
    for stack in [vec![vec![5; 31]], vec![vec![5; 32], vec![]], vec![vec![5; 33]]] {
        let mut wrong = good.clone();
        wrong.txs[0].witness = Some(vec![stack]);
        assert_eq!(word(&wrong), "bad-witness-nonce-size");
    }
    let mut uncommitted = good.clone();
    uncommitted.txs[0] = Tx::coinbase(300);
    assert_eq!(word(&uncommitted), "unexpected-witness");
    // The last commitment counts.
    let mut two = good.clone();
    let (value, mut script) = two.txs[0].outputs[1].clone();
    script[20] ^= 1;
    two.txs[0].outputs.insert(1, (value, script.clone()));
    assert_eq!(verdict(&two), Ok(()));
    two.txs[0].outputs.push((value, script));
    assert_eq!(word(&two), "bad-witness-merkle-match");
    // Where the chain has no witnesses, a commitment does not help.
    let chain = find("dogecoin", Network::Main).expect("there");
    assert!(!chain.has_witness);
    let raw = Block { chain: regtest("dogecoin"), version: 0x0062_0004, ..good }.mine();
    let layout = Walker::new(regtest("dogecoin")).finish(&raw).expect("good");
    let row = Box::leak(Box::new(Chain { has_witness: false, ..regtest("dogecoin").clone() }));
    let got = check(row, &raw, &layout);
    assert_eq!(got, Err(CheckError::UnexpectedWitness { count: 2 }));
}

#[test]
fn weight_and_size() {
    let big = |script_bytes: usize, witness_bytes: usize| {
        let mut tx = Tx::plain(1);
        tx.outputs = vec![(1, vec![0x6a; script_bytes])];
        tx.witness = Some(vec![vec![vec![9; witness_bytes]]]);
        Block::new(regtest("bitcoin"), 300, [tx]).committed()
    };
    assert_eq!(verdict(&big(500_000, 1_900_000)), Ok(()));
    assert_eq!(word(&big(500_000, 2_000_000)), "bad-blk-weight");
    assert_eq!(word(&big(998_000, 10_000)), "bad-blk-weight");
    assert_eq!(word(&big(1_000_000, 10)), "bad-blk-length");
    assert_eq!(word(&big(900_000, 3_200_000)), "bad-blk-length");
    let mut tx = Tx::plain(1);
    tx.outputs = vec![(1, vec![0x6a; 1_999_000])];
    let mut block = Block::new(regtest("dash"), 300, [tx]);
    assert_eq!(verdict(&block), Ok(()));
    block.txs[1].outputs[0].1.resize(2_000_000, 0);
    assert_eq!(word(&block), "bad-blk-length");
}

#[test]
fn built_by_rules_extension_blocks() {
    let chain = regtest("litecoin");
    let of_height = |height, hogex: Tx| Block {
        tail: built_by_rules_mweb_tail(height),
        ..Block::new(chain, 9, [Tx::plain(1), hogex])
    };
    let hogex = |height| Tx::hogex(&built_by_rules_mweb_tail(height));
    let good = of_height(9, hogex(9));
    let (_, checked) = parse_and_check(chain, &good.mine()).expect("good");
    assert!(checked.has_mweb);
    assert_eq!(word(&of_height(8, hogex(8))), "mweb-height-mismatch");
    assert_eq!(word(&of_height(9, hogex(8))), "mweb-hash-mismatch");
    let mut unnamed = good.clone();
    unnamed.txs[2].outputs[0].1[0] = 0x57;
    assert_eq!(word(&unnamed), "bad-hogex");
    let mut two = good.clone();
    two.txs[1].hogex = true;
    assert_eq!(word(&two), "bad-hogex-position");
    let mut first = Block { tail: vec![], ..good.clone() };
    first.txs.swap(1, 2);
    assert_eq!(word(&first), "bad-hogex-position");
    let mut alone = Block::new(chain, 9, []);
    alone.txs[0].hogex = true;
    assert_eq!(word(&alone), "bad-hogex-position");
    // Without any of it: fine where nothing is known of the height, not on the main network.
    let none = Block::new(chain, 2_257_920, [Tx::plain(1)]);
    assert_eq!(verdict(&none), Ok(()));
    let raw = none.mine();
    let layout = Walker::new(chain).finish(&raw).expect("good");
    let from = |mweb_height| {
        let row = Box::leak(Box::new(Chain { mweb_height, ..chain.clone() }));
        check(row, &raw, &layout).map(drop).map_err(|why| why.bip22())
    };
    let main = find("litecoin", Network::Main).expect("there");
    assert_eq!(from(main.mweb_height), Err(Some("mweb-missing")));
    assert_eq!(from(Some(2_257_921)), Ok(()));
}

#[test]
fn typed_coinbases() {
    let chain = regtest("dash");
    let mut block = Block::new(chain, 300, [Tx::plain(1)]);
    assert_eq!(verdict(&block), Ok(()), "before types");
    let row = Chain { typed_coinbase_height: Some(300), ..chain.clone() };
    let typed = Block { chain: Box::leak(Box::new(row)), ..block.clone() };
    assert_eq!(word(&typed), "bad-cbtx-type");
    block.txs[0].version = 5 << 16 | 3;
    let payload = |height: i32| Some([&[3, 0], &height.to_le_bytes()[..], &[1; 64]].concat());
    block.txs[0].payload = payload(300);
    assert_eq!(verdict(&Block { chain: typed.chain, ..block.clone() }), Ok(()));
    block.txs[0].payload = payload(299);
    assert_eq!(word(&block), "bad-cbtx-height");
    block.txs[0].payload = Some(vec![3, 0, 1]);
    assert_eq!(word(&block), "bad-cbtx-payload");
}

/// Versions of before merged mining were fine then.
#[test]
fn legacy_versions_end_where_merged_mining_began() {
    let main = find("dogecoin", Network::Main).expect("there");
    let row = Chain { pow_limit_bits: 0x207f_ffff, ..main.clone() };
    let chain: &'static Chain = Box::leak(Box::new(row));
    let begin_s = main.legacy_versions_end_s.expect("known");
    let at = |time_s| Block { time_s, version: 2, ..Block::new(chain, 300, []) };
    assert_eq!(verdict(&at(begin_s - 1)), Ok(()));
    assert_eq!(word(&at(begin_s)), "late-legacy-block");
}

#[test]
fn a_layout_of_other_bytes_is_not_taken() {
    let (one, other) = (segwit_block().mine(), Block::new(regtest("bitcoin"), 9, []).mine());
    let layout = Walker::new(regtest("bitcoin")).finish(&one).expect("good");
    for raw in [&other[..], &one[..one.len() - 1], &[]] {
        assert_eq!(check(regtest("bitcoin"), raw, &layout), Err(CheckError::OtherBytes));
    }
}
