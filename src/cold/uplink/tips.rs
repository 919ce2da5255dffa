//! The newest block of a chain's own node, as bytes that may be sent.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::task::Event;
use crate::cold::node::NodeClient;
use crate::cold::node::tip::TipWatch;
use crate::limits::WARM_ASK_PAUSE_MS;
use crate::wire::chain::Chain;
use crate::wire::check::parse_and_check;
use crate::wire::hash::BlockHash;

/// Where a chain's tip is asked for.
pub(super) struct Source {
    pub(super) chain_index: u8,
    pub(super) chain: &'static Chain,
    pub(super) node: NodeClient,
    pub(super) tip: TipWatch,
}

/// Tells `inbox` of each new tip, with its bytes, while `wanted`; ends with the task behind `inbox`.
pub(super) async fn follow(
    source: Source,
    mut wanted: watch::Receiver<bool>,
    inbox: mpsc::WeakUnboundedSender<Event>,
) {
    let mut tips = source.tip.changes();
    let mut told = None;
    loop {
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
        let now = tips.borrow_and_update().filter(|tip| told != Some(*tip));
        if let Some(hash) = now {
            match fetch(&source, hash).await {
                Ok(raw) => {
                    told = Some(hash);
                    let Some(inbox) = inbox.upgrade() else { return };
                    let tip = Event::Tip { chain_index: source.chain_index, hash, raw };
                    let _ = inbox.send(tip);
                }
                Err(why) => {
                    tracing::debug!(chain = source.chain.name, "no block to warm with: {why}");
                    tokio::time::sleep(Duration::from_millis(WARM_ASK_PAUSE_MS)).await;
                }
            }
            continue;
        }
        tokio::select! {
            changed = tips.changed() => if changed.is_err() { return },
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// The bytes of `hash`, checked as any block is before a byte of it goes to a peer. A node that
/// tells nonsense must not get us banned.
async fn fetch(source: &Source, hash: BlockHash) -> Result<Bytes, String> {
    let answer = source.node.call("getblock", json!([hash.to_string(), 0])).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let chain = source.chain;
    let checked = tokio::task::spawn_blocking(move || {
        let Value::String(digits) = answer else {
            return Err("the node's answer to getblock is no text".to_owned());
        };
        let raw = hex_simd::decode_to_vec(&digits).map_err(|error| error.to_string())?;
        let (_, checked) = parse_and_check(chain, &raw).map_err(|error| error.to_string())?;
        if checked.hash != hash {
            return Err(format!("the node gave {} for {hash}", checked.hash));
        }
        Ok(Bytes::from(raw))
    });
    checked.await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cold::node::NodeAuth;
    use crate::cold::node::fake::FakeNode;
    use crate::sim::blocks::{BlockMaker, MadeBlock};
    use crate::wire::chain::{Network, find, names};

    fn source(node: &FakeNode) -> Source {
        let chain = find(names()[0], Network::Regtest).unwrap();
        let client = node.client(NodeAuth::None);
        let tip = TipWatch::spawn(client.clone());
        Source { chain_index: 3, chain, node: client, tip }
    }

    /// `block` is the node's tip now, and `getblock` answers `digits` for it.
    fn set_tip(node: &FakeNode, block: &MadeBlock, digits: Value) -> BlockHash {
        let (hash, parent) = (BlockHash(block.hash), BlockHash([0; 32]));
        let mut memory = node.memory();
        memory.blocks.insert(hash, (block.height, parent));
        memory.raw.insert(hash, digits);
        memory.best = hash;
        hash
    }

    fn digits(block: &MadeBlock) -> Value {
        json!(hex_simd::encode_to_string(&block.raw, hex_simd::AsciiCase::Lower))
    }

    async fn known(watched: TipWatch, hash: BlockHash) {
        watched.hint();
        watched.changes().wait_for(|tip| *tip == Some(hash)).await.unwrap();
    }

    #[tokio::test]
    async fn each_tip_is_told_once_while_it_is_wanted() {
        let node = FakeNode::start().await;
        let source = source(&node);
        let mut maker = BlockMaker::new(source.chain, 1, 1_700_000_000);
        let blocks = [1, 2, 3].map(|_| maker.next(2_000).unwrap());
        let (inbox, mut events) = mpsc::unbounded_channel();
        let (want, wanted) = watch::channel(false);
        let watched = source.tip.clone();
        let following = tokio::spawn(follow(source, wanted, inbox.downgrade()));
        let mut next = async || match events.recv().await.unwrap() {
            Event::Tip { chain_index: 3, hash, raw } => (hash, raw),
            other => panic!("{other:?}"),
        };
        // Nobody wants the first one.
        let first = set_tip(&node, &blocks[0], digits(&blocks[0]));
        known(watched.clone(), first).await;
        let second = set_tip(&node, &blocks[1], digits(&blocks[1]));
        known(watched.clone(), second).await;
        want.send_replace(true);
        assert_eq!(next().await, (second, Bytes::from(blocks[1].raw.clone())));
        want.send_replace(false);
        want.send_replace(true);
        let third = set_tip(&node, &blocks[2], digits(&blocks[2]));
        known(watched.clone(), third).await;
        assert_eq!(next().await, (third, Bytes::from(blocks[2].raw.clone())));
        assert_eq!(node.memory().asked_for_raw, 2, "each was asked for once");
        drop(want);
        following.await.unwrap();
    }

    /// What does not check is told to nobody: peers would ban us for it.
    #[tokio::test]
    async fn a_node_that_tells_nonsense_is_not_heeded() {
        let node = FakeNode::start().await;
        let source = source(&node);
        let mut maker = BlockMaker::new(source.chain, 1, 1_700_000_000);
        let (block, other) = (maker.next(2_000).unwrap(), maker.next(2_000).unwrap());
        let mut bad = block.raw.clone();
        *bad.last_mut().unwrap() ^= 1;
        let bad = json!(hex_simd::encode_to_string(&bad, hex_simd::AsciiCase::Lower));
        for nonsense in [json!(null), json!({"hash": "00"}), json!("0g"), json!(""), bad] {
            let hash = set_tip(&node, &block, nonsense.clone());
            known(source.tip.clone(), hash).await;
            assert!(fetch(&source, hash).await.is_err(), "{nonsense}");
        }
        let hash = set_tip(&node, &block, digits(&other));
        let why = fetch(&source, hash).await.unwrap_err();
        assert!(why.contains("the node gave"), "{why}");
        assert!(fetch(&source, BlockHash([9; 32])).await.is_err(), "not there");
        set_tip(&node, &block, digits(&block));
        assert_eq!(fetch(&source, hash).await.unwrap(), block.raw);
    }
}
