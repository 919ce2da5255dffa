//! What a node says of one block's place in its chain.

use serde_json::{Value, json};

use crate::cold::node::{NodeClient, NodeError};
use crate::cold::stats::Fate;
use crate::limits::CONFIRM_DEPTH;
use crate::wire::hash::BlockHash;

/// What was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) fate: Fate,
    /// 0 where the node does not have the block.
    pub(super) height: u32,
}

/// Asks for the fate of `hash`.
///
/// # Errors
/// The node did not answer, or made no sense.
pub(super) async fn ask(node: &NodeClient, hash: &BlockHash) -> Result<Found, NodeError> {
    let Some(Place { height, depth }) = place(node, hash).await? else {
        return Ok(Found { fate: Fate::Pending, height: 0 });
    };
    if depth > 0 {
        let fate = if depth >= CONFIRM_DEPTH { Fate::Confirmed } else { Fate::InChain(depth) };
        return Ok(Found { fate, height });
    }
    let fate = match at_height(node, height).await? {
        // The chain has become shorter, or has changed in between.
        None => Fate::Pending,
        Some(rival) if rival == *hash => Fate::Pending,
        Some(rival) => match place(node, &rival).await? {
            Some(Place { depth, .. }) if depth >= CONFIRM_DEPTH => Fate::Stale(rival),
            Some(Place { depth: 1.., .. }) => Fate::Behind(rival),
            _ => Fate::Pending,
        },
    };
    Ok(Found { fate, height })
}

/// Where a block stands.
struct Place {
    height: u32,
    /// In the node's chain, the tip 1; 0: not in it.
    depth: u32,
}

/// `getblockheader`: `confirmations` is -1 off the chain. `None`: the node does not have it.
async fn place(node: &NodeClient, hash: &BlockHash) -> Result<Option<Place>, NodeError> {
    let answer = match node.call("getblockheader", json!([hash.to_string()])).await {
        Ok(answer) => answer,
        // -5: "Block not found".
        Err(NodeError::Rpc { code: -5, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let bad = || NodeError::BadAnswer { url: node.url().to_owned(), status: 200 };
    let height = answer.get("height").and_then(Value::as_u64);
    let height = height.and_then(|height| u32::try_from(height).ok()).ok_or_else(bad)?;
    let depth = answer.get("confirmations").and_then(Value::as_i64).ok_or_else(bad)?;
    Ok(Some(Place { height, depth: u32::try_from(depth).unwrap_or(0) }))
}

/// `getblockhash`. `None`: the chain is not that long.
async fn at_height(node: &NodeClient, height: u32) -> Result<Option<BlockHash>, NodeError> {
    match node.call("getblockhash", json!([height])).await {
        Ok(answer) => Ok(answer.as_str().and_then(BlockHash::from_hex)),
        // -8: "Block height out of range".
        Err(NodeError::Rpc { code: -8, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
