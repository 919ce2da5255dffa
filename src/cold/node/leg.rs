//! A block's way to one node: asked again until there is a verdict.

use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, warn};

use super::verdict::Verdict;
use super::{NodeClient, NodeError, Streamed};
use crate::limits::{LEG_RETRY_MAX_MS, LEG_RETRY_MIN_MS};
use crate::wire::hash::hex;

const BACKOFF_MIN: Duration = Duration::from_millis(LEG_RETRY_MIN_MS);
const BACKOFF_MAX: Duration = Duration::from_millis(LEG_RETRY_MAX_MS);

/// Hex digits of `raw`, ready for [`NodeClient::submit_block`].
#[must_use]
pub fn hex_of(raw: &[u8]) -> Bytes {
    Bytes::from(hex(raw))
}

/// Hands the block to the node until it gives a verdict: a node that is down, starting, over its
/// queue or locked out of its cookie is asked again after 50 ms, doubling to 2 s, with jitter.
///
/// `hex` is what the pool sent, for the first try; later tries encode `raw` again, so that only the
/// block itself is held while a node is away. Never returns without a verdict: bound it outside.
pub async fn until_verdict(
    node: &NodeClient,
    hash: &str,
    raw: &Bytes,
    hex: Option<Bytes>,
) -> Verdict {
    try_on(node, hash, raw, hex, false).await
}

/// As [`until_verdict`], where the pool's own request went to the node while it came in: that was
/// the first try.
pub async fn until_verdict_after(
    mut streamed: Streamed,
    node: &NodeClient,
    hash: &str,
    raw: &Bytes,
) -> Verdict {
    match streamed.verdict().await {
        Ok(verdict) => confirm(node, hash, verdict).await,
        Err(error) => {
            debug!(block = hash, %error, "the request that went along gave no verdict; trying on");
            try_on(node, hash, raw, None, streamed.last_byte_ns().is_some()).await
        }
    }
}

/// `maybe_seen`: the node may have the block from an earlier try.
async fn try_on(
    node: &NodeClient,
    hash: &str,
    raw: &Bytes,
    hex: Option<Bytes>,
    maybe_seen: bool,
) -> Verdict {
    let mut hex = hex;
    let mut backoff = BACKOFF_MIN;
    let mut tries: u32 = 0;
    let mut maybe_seen = maybe_seen;
    let mut told = false;
    loop {
        tries = tries.saturating_add(1);
        let digits = hex.take().unwrap_or_else(|| hex_of(raw));
        match node.submit_block(digits).await {
            // Our own earlier try went through, only its answer was lost.
            Ok(Verdict::Duplicate) if maybe_seen => return Verdict::Accepted,
            Ok(verdict) => return confirm(node, hash, verdict).await,
            Err(NodeError::QueueFull { .. }) => backoff = BACKOFF_MIN,
            // Most likely an idle connection that the node closed at this very moment.
            Err(NodeError::Broken { .. }) if tries == 1 => {
                maybe_seen = true;
                continue;
            }
            Err(error) => {
                maybe_seen |=
                    matches!(error, NodeError::Broken { .. } | NodeError::TimedOut { .. });
                // One line per block, not one per try: the tip watch tells of the node's absence.
                if !told {
                    told = true;
                    warn!(block = hash, %error, "the node has not taken the block yet; trying on");
                }
            }
        }
        tokio::time::sleep(jittered(backoff)).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// A node that knew the header before the call may answer `duplicate-inconclusive` though this very
/// call made the block its tip: its best hash tells (wire.md 10.2).
pub(super) async fn confirm(node: &NodeClient, hash: &str, verdict: Verdict) -> Verdict {
    if verdict != Verdict::DuplicateInconclusive {
        return verdict;
    }
    match node.call("getbestblockhash", serde_json::json!([])).await {
        Ok(best) if best.as_str() == Some(hash) => Verdict::Accepted,
        _ => verdict,
    }
}

/// Between half of `pause` and all of it, so that legs that failed together don't return together.
pub fn jittered(pause: Duration) -> Duration {
    let dice = getrandom::u32().unwrap_or(u32::MAX);
    pause.mul_f64(0.5 + 0.5 * f64::from(dice) / f64::from(u32::MAX))
}
