//! A block whose rest is known before it has come in.
//!
//! Header and coinbase prove that the block is made of a template that we hold: its other bytes can
//! only be those of the template. Where they take their time (a pool at the other end of a line needs
//! tens of milliseconds for them), the block is completed from the template and handed in as if by
//! another intake. When the pool's own bytes are all there, they are found to be a block that is known.
//! Where they never come, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tracing::info;

use super::walk::Foreseen;
use crate::edge::intake::desk::{Desk, HandOver};
use crate::limits::RECEPTION_EARLY_MS;
use crate::sys::clock::now_ns;

/// Less is left than this on a fast line: then completing it would only take a core from it.
const PATIENCE: Duration = Duration::from_millis(RECEPTION_EARLY_MS);

/// Hands the block in when it has not come in by itself for a moment. `is_there` tells that it has.
pub(super) fn foresee(
    desk: &Arc<Desk>,
    (chain_index, first_byte_ns): (u8, u64),
    foreseen: Foreseen,
    is_there: Arc<AtomicBool>,
) {
    let desk = Arc::clone(desk);
    desk.runtime.clone().spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        if is_there.load(Ordering::Relaxed) {
            return;
        }
        let last_byte_ns = now_ns();
        let Foreseen { front, staged } = foreseen;
        let raw = Bytes::from(staged.complete(&front));
        info!(
            bytes = raw.len(),
            came = front.len(),
            "the rest of a block is known before it has come in: handing it in from the template"
        );
        let block = HandOver { chain_index, raw, hex: None, first_byte_ns, last_byte_ns };
        let _answer_is_the_pools = desk.submit(block).await;
    });
}
