//! A header that is known already, with other bytes behind it.
//!
//! A header's hash does not tell how much of the block came with it: a pool that cuts its second
//! hand-over short must not hear that it was accepted.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::course::examine;
use super::entry::{Entry, Progress};
use super::{Answer, Desk, Fault, HandOver, reply_without_node};
use crate::cold::node::leg::hex_of;
use crate::cold::node::verdict::Verdict;
use crate::wire::chain::Chain;

impl Entry {
    /// What is wrong with `raw`, where this block's own bytes are right. `None`: it is that block,
    /// as no other bytes pass the checks under the same header.
    pub(super) async fn fault_of_others(
        &self,
        chain: &'static Chain,
        raw: &Bytes,
    ) -> Option<Fault> {
        let is_sound = {
            let progress = self.progress.borrow();
            progress.decided && progress.fault.is_none()
        };
        if !is_sound {
            // Compared byte by byte when it came in.
            return None;
        }
        let raw = raw.clone();
        let examined = spawn_blocking(move || examine(chain, &raw)).await;
        examined.unwrap_or_else(|_| Err(Fault::internal())).err()
    }
}

impl Desk {
    /// The answer to bytes that are not the known block's: the node's word, or ours where it says
    /// none. They go to no peer and into no spool.
    pub(super) async fn answer_apart(
        &self,
        entry: &Entry,
        block: HandOver,
        fault: Fault,
    ) -> Answer {
        tracing::warn!(block = %entry.hash, reason = %fault.why,
            "other bytes under the header of a block that is known: not sent to peers");
        let asked = async {
            let digits = block.hex.unwrap_or_else(|| hex_of(&block.raw));
            self.node(entry.chain_index)?.submit_block(digits).await.ok()
        };
        let verdict = tokio::time::timeout(self.answer_deadline, asked).await.ok().flatten();
        let reply = verdict.as_ref().map_or_else(
            || reply_without_node(&Progress { fault: Some(fault.clone()), ..Progress::default() }),
            Verdict::answer,
        );
        Answer { hash: Some(entry.hash), reply, verdict, published: None, fault: Some(fault) }
    }
}
