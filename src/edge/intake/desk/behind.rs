//! What goes into the image slot behind a block: where its transactions end, and its compact form.

use super::judge::Claims;
use crate::hot::publish::Attachment;
use crate::sys::clock::now_ns;
use crate::sys::sha;
use crate::wire::block::{Layout, Walker};
use crate::wire::chain::Chain;
use crate::wire::check::{Checked, check};
use crate::wire::compact::{Compact, CompactBuilder};

/// What a walk leaves behind for the shards. Holds the layout, so that giving its memory back is not
/// waited for.
pub(super) struct Behind {
    layout: Layout,
    compact: Option<Compact>,
}

impl Behind {
    /// Ends the compact form of `raw`, which was walked all the way.
    pub(super) fn new(layout: Layout, builder: Option<CompactBuilder>, raw: &[u8]) -> Self {
        let compact = builder.and_then(|builder| builder.finish(&layout, raw));
        Self { layout, compact }
    }

    /// Whether there is a compact form.
    pub(super) const fn is_compact(&self) -> bool {
        self.compact.is_some()
    }

    /// The same for the image's writer.
    pub(super) fn attachment(&self) -> Attachment<'_> {
        let transactions = &self.layout.transactions;
        let header_bytes = self.layout.auxpow.as_ref().map_or(80, |proof| proof.end);
        Attachment {
            header_bytes,
            transactions_start: transactions.first().map_or(header_bytes, |first| first.start),
            ends: transactions.ends(),
            compact: self.compact.as_ref().map(|it| (it.payload.as_slice(), it.checksum)),
        }
    }
}

/// A walker of a block on its way to peers.
pub(super) fn walker(chain: &'static Chain) -> Walker {
    // Without randomness the clock must do: who would foresee it must also mine the block.
    let nonce = getrandom::u64().unwrap_or_else(|_| now_ns());
    Walker::with_lanes(chain, sha::lanes()).compacting(CompactBuilder::new(chain, nonce))
}

/// What a block says of itself, for one that the node has accepted, and what goes behind it where it
/// can be read.
pub(super) fn describe(chain: &'static Chain, raw: &[u8]) -> Option<(Checked, Option<Behind>)> {
    let header: &[u8; 80] = raw.first_chunk()?;
    let walked = walker(chain).finish_compact(raw).ok();
    let checked = walked.as_ref().and_then(|(layout, _)| check(chain, raw, layout).ok());
    let checked = checked.unwrap_or_else(|| {
        let claims = Claims::of(header);
        Checked {
            hash: chain.identity_hash(header),
            parent: claims.parent,
            bits: claims.bits,
            time: 0,
            version: 0,
            height: None,
            transactions: 0,
            has_mweb: false,
        }
    });
    Some((checked, walked.map(|(layout, builder)| Behind::new(layout, builder, raw))))
}
