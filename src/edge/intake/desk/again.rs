//! A header that is known already, with other bytes behind it.
//!
//! A header's hash does not tell how much of the block came with it: a pool that cuts its second
//! hand-over short must not hear that it was accepted.

use bytes::Bytes;

use super::entry::{Entry, Progress};
use super::legs::Forward;
use super::{Answer, Desk, Fault, reply_without_node};
use crate::cold::node::leg::hex_of;
use crate::cold::node::verdict::Verdict;

impl Desk {
    /// The answer to bytes that are not the known block's: the node's word, or ours where it says
    /// none. They go to no peer and into no spool.
    pub(super) async fn answer_apart(
        &self,
        entry: &Entry,
        raw: &Bytes,
        forward: Forward,
        fault: Fault,
    ) -> Answer {
        tracing::warn!(block = %entry.hash, reason = %fault.why,
            "other bytes under the header of a block that is known: not sent to peers");
        let asked = async {
            if let Some(mut streamed) = forward.streamed
                && let Ok(verdict) = streamed.verdict().await
            {
                return Some(verdict);
            }
            let digits = forward.hex.unwrap_or_else(|| hex_of(raw));
            self.node(entry.chain_index)?.submit_block(digits).await.ok()
        };
        let verdict = tokio::time::timeout(self.answer_deadline, asked).await.ok().flatten();
        let reply = verdict.as_ref().map_or_else(
            || reply_without_node(&Progress { fault: Some(fault.clone()), ..Progress::default() }),
            Verdict::answer,
        );
        Answer {
            hash: Some(entry.hash),
            reply,
            verdict,
            published: None,
            fault: Some(fault),
            legs: entry.legs(),
        }
    }
}
