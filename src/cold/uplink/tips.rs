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
