use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::cold::spool::{Spool, SpoolState};
use crate::cold::template::TemplateMode;
use crate::edge::intake::desk::testing::*;
use crate::edge::intake::desk::{ANSWER_DEADLINE, DeskChain};
use crate::sim::blocks::{BlockMaker, MadeBlock, Unproven};
use crate::wire::chain::{self, Network};
use crate::wire::hash::hex;

const TIME_S: u32 = 1_700_000_000;

/// The private network of a merged chain, and that of one which it is merged into.
pub(crate) fn chains() -> (&'static Chain, &'static Chain) {
    let regtest = || chain::all().filter(|chain| chain.network == Network::Regtest);
    let aux = regtest().find(|chain| chain.auxpow_chain_id.is_some()).expect("there is one");
    let fits = |chain: &&Chain| {
        chain.proof_of_work == aux.proof_of_work && chain.auxpow_chain_id.is_none()
    };
    (aux, regtest().find(fits).expect("there is one"))
}

/// One share that is a block of both chains.
pub(crate) struct Share {
    pub(crate) parent: MadeBlock,
    pub(crate) aux: MadeBlock,
    pub(crate) unproven: Unproven,
    pub(crate) proof: Vec<u8>,
}

pub(crate) fn share(seed: u64) -> Share {
    let (aux, parent) = chains();
    let unproven = BlockMaker::new(aux, seed, TIME_S + seed as u32).next_unproven().expect("made");
    let mut maker = BlockMaker::new(parent, seed, TIME_S + seed as u32);
    maker.hold(&unproven.commitment());
    let found = maker.next(5_000).expect("made");
    let proof = unproven.proof(parent, &found.raw).expect("a proof");
    Share { parent: found, aux: unproven.proven(&proof), unproven, proof }
}

impl Share {
    pub(crate) fn hash(&self) -> BlockHash {
        BlockHash(self.aux.hash)
    }

    /// `submitauxblock` as a pool writes it.
    pub(crate) fn submitauxblock(&self) -> String {
        let (hash, proof) = (self.hash(), hex(&self.proof));
        format!(r#"{{"id":"aux","method":"submitauxblock","params":["{hash}","{proof}"]}}"#)
    }
}

/// A desk for both chains: the parent's first, each with a node.
pub(crate) fn bench(parent: &FakeNode, aux: &FakeNode, more: Vec<NodeClient>) -> Bench {
    let (aux_chain, parent_chain) = chains();
    let row = |chain, node: &FakeNode, more: Vec<NodeClient>| DeskChain {
        chain,
        node: Some(node.client(NodeAuth::None)),
        more: more.into_iter().map(Endpoint::of).collect(),
        template: TemplateMode::Off,
    };
    let rows = vec![row(parent_chain, parent, Vec::new()), row(aux_chain, aux, more)];
    Bench::of(rows, None, ANSWER_DEADLINE)
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

fn handed(share: &Share) -> HandedProof {
    let (body, hash) = (Bytes::from(share.submitauxblock()), share.hash());
    HandedProof { chain_index: 1, node_path: "/".to_owned(), body, hash, first_byte_ns: 1 }
}

fn know(node: &FakeNode, share: &Share) {
    node.memory().made.insert(share.hash(), (chains().0, share.unproven.raw()));
}

async fn hand_in(bench: &Bench, share: &Share) -> Value {
    let answer = bench.desk.hand_in_proof(handed(share)).await.expect("there is a node");
    let (_, answer) = answer.expect("it answers");
    serde_json::from_slice(&answer).expect("JSON")
}

#[tokio::test]
async fn the_block_of_an_accepted_proof_is_fetched_and_goes_everywhere() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let more = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("tempdir");
    let spool = Arc::new(Spool::open(folder.path()).expect("opens"));
    let mut rows = vec![];
    for (chain, node) in [(chains().1, &parent), (chains().0, &node)] {
        let more = vec![Endpoint::of(more.client(NodeAuth::None))];
        let (node, template) = (Some(node.client(NodeAuth::None)), TemplateMode::Off);
        rows.push(DeskChain { chain, node, more, template });
    }
    let bench = Bench::of(rows, Some(Arc::clone(&spool)), ANSWER_DEADLINE);
    let share = share(1);
    know(&node, &share);
    assert_eq!(hand_in(&bench, &share).await["result"], true);
    until(|| bench.notes.hashes() == [share.hash()]).await;
    let published = bench.notes.published.lock().expect("whole").clone();
    assert_eq!(published[0].1, share.aux.raw, "whole, with the proof inside");
    until(|| more.memory().submitted == [share.hash()]).await;
    until(|| spool.list(chains().0, SpoolState::Accepted).len() == 1).await;
    assert!(node.memory().submitted.is_empty(), "its own node has it");
    assert_eq!(bench.desk.log().totals(1).verdicts.accepted, 1);

    // Once more: the node says what it likes, and nothing goes out twice.
    hand_in(&bench, &share).await;
    until(|| bench.desk.aux_counts(1).expect("merged").to_json()["known"] == 1).await;
    let counts = bench.desk.aux_counts(1).expect("merged").to_json();
    let expected = json!({"accepted": 2, "refused": 0, "unanswered": 0,
                          "fetched": 1, "known": 1, "lost": 0});
    assert_eq!((counts, node.memory().asked_for_raw), (expected, 1));
    assert_eq!(bench.notes.hashes().len(), 1);
    assert!(bench.desk.aux_counts(0).is_none());
}

#[tokio::test]
async fn a_proof_that_the_node_does_not_take_has_no_effect() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let bench = bench(&parent, &node, Vec::new());
    let (good, unknown) = (share(1), share(2));
    know(&node, &good);
    assert_eq!(hand_in(&bench, &unknown).await["error"]["code"], -8);
    let wrong = Share { proof: unknown.proof.clone(), ..share(1) };
    assert_eq!(hand_in(&bench, &wrong).await["result"], false);
    // What it gives out is not the block that it took: that goes nowhere.
    assert_eq!(hand_in(&bench, &good).await["result"], true);
    until(|| bench.notes.hashes() == [good.hash()]).await;
    let third = share(3);
    know(&node, &third);
    let first_answer = {
        let proof = handed(&third);
        bench.desk.hand_in_proof(proof).await
    };
    assert!(first_answer.is_some());
    until(|| bench.notes.hashes().len() == 2).await;
    let counts = bench.desk.aux_counts(1).expect("merged").to_json();
    assert_eq!((&counts["refused"], &counts["fetched"]), (&json!(2), &json!(2)));

    let down = node.kill().await;
    assert!(bench.desk.hand_in_proof(handed(&good)).await.expect("a node").is_err());
    assert_eq!(bench.desk.aux_counts(1).expect("merged").to_json()["unanswered"], 1);
    drop(FakeNode::restart(down).await);
}

#[tokio::test]
async fn a_node_that_gives_another_block_is_not_believed() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let bench = bench(&parent, &node, Vec::new());
    let chain = chains().0;
    let other = share(2).aux.raw;
    for (answer, fine) in [(hex(&other), false), ("zz".to_owned(), false), (String::new(), false)] {
        assert_eq!(read(chain, &json!(answer), share(1).hash()).is_some(), fine);
    }
    assert!(read(chain, &json!(hex(&share(1).aux.raw)), share(1).hash()).is_some());
    assert!(read(chain, &json!(7), share(1).hash()).is_none());
    assert!(bench.notes.hashes().is_empty());
}

/// Fast way: the whole block, proof inside, is a block as any other.
#[tokio::test]
async fn a_whole_merged_block_needs_no_node_to_be_fetched_from() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let bench = bench(&parent, &node, Vec::new());
    let share = share(1);
    let block = |chain_index, raw: &[u8]| HandOver {
        chain_index,
        raw: Bytes::copy_from_slice(raw),
        hex: None,
        first_byte_ns: 1,
        last_byte_ns: 2,
    };
    let both = tokio::join!(
        bench.desk.submit(block(0, &share.parent.raw)),
        bench.desk.submit(block(1, &share.aux.raw)),
    );
    assert!(both.0.published.is_some() && both.1.published.is_some(), "{both:?}");
    assert_eq!(node.memory().submitted, [share.hash()]);
    assert_eq!(node.memory().asked_for_raw, 0);
    assert_eq!(both.1.legs.len(), 1);
    assert_eq!(both.1.legs[0].to_json()["verdict"], "accepted");
}

#[tokio::test]
async fn calls_and_blocks_find_the_merged_chain() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let desk = bench(&parent, &node, Vec::new()).desk;
    let share = share(1);
    assert_eq!((desk.chain_of_aux_call(0), desk.chain_of_aux_call(1)), (1, 1));
    assert_eq!(desk.chain_of_block(0, &share.parent.raw), 0);
    assert_eq!(desk.chain_of_block(0, &share.aux.raw), 1);
    assert_eq!(desk.chain_of_block(1, &share.parent.raw), 1, "the first is the merged one");
    assert_eq!(desk.chain_of_block(0, &[1, 2, 3]), 0);
    // Any version that a parent chain's rules allow, whatever its miner rolls.
    for rolled in 0..=0xffff_u32 {
        let version = 0x2000_0000 | rolled << 13;
        assert_eq!(desk.chain_of_block(0, &version.to_le_bytes()), 0, "{version:x}");
    }
    let alone = Bench::new(None, None).desk;
    assert!(!alone.has_merged_behind(0) && alone.chain_of_aux_call(0) == 0);
    assert!(alone.endpoints(0).is_empty() && alone.endpoints(9).is_empty());
}

/// Goal: a merged block whose proof does not hold goes to no peer, and it is counted why.
#[tokio::test]
async fn a_merged_block_whose_proof_does_not_hold_goes_to_no_peer() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let bench = bench(&parent, &node, Vec::new());
    let (good, other) = (share(1), share(2));
    let with_proof = |proof: &[u8]| good.unproven.proven(proof).raw;
    let mut other_chain = good.aux.raw.clone();
    other_chain[2] ^= 3;
    let mut spoilt = good.proof.clone();
    spoilt[50] ^= 1;
    let cut = &good.aux.raw[..good.aux.raw.len() - 1];
    let none = good.unproven.raw();
    let cases = [with_proof(&other.proof), other_chain, with_proof(&spoilt), none, cut.to_vec()];
    for (at, raw) in cases.iter().enumerate() {
        let header = raw.first_chunk().expect("a header");
        node.memory().words.insert(chains().0.identity_hash(header), "high-hash");
        let block = HandOver {
            chain_index: 1,
            raw: Bytes::from(raw.clone()),
            hex: None,
            first_byte_ns: 1,
            last_byte_ns: 2,
        };
        let answer = bench.desk.submit(block).await;
        assert!(answer.published.is_none() && answer.fault.is_some(), "{at}: {answer:?}");
    }
    assert!(bench.notes.hashes().is_empty());
    let held_back = bench.desk.log().totals(1).held_back;
    assert_eq!(held_back.values().sum::<u64>(), cases.len() as u64, "{held_back:?}");
    assert!(held_back.get("high-hash") >= Some(&3), "{held_back:?}");
}

#[tokio::test]
async fn a_block_is_fetched_also_where_the_answer_to_its_proof_was_lost() {
    let (parent, node) = (FakeNode::start().await, FakeNode::start().await);
    let bench = bench(&parent, &node, Vec::new());
    let share = share(1);
    know(&node, &share);
    node.memory().tears_next = true;
    let answer = bench.desk.hand_in_proof(handed(&share)).await.expect("a node");
    assert!(matches!(answer, Err(NodeError::Broken { .. })), "{answer:?}");
    until(|| bench.notes.hashes() == [share.hash()]).await;
    let counts = bench.desk.aux_counts(1).expect("merged").to_json();
    assert_eq!((&counts["unanswered"], &counts["fetched"]), (&json!(1), &json!(1)));
}
