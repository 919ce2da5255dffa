//! One table of all counters of the hot side: index, Prometheus name, help.
//!
//! Each counter is raised in exactly one place.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($variant:ident $name:literal $help:literal,)+) => {
        /// A counter of one shard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $(#[doc = $help] $variant,)+ }

        impl Counter {
            /// All counters, in index order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name without prefix, as scripts see it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it counts.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }
        }
    };
}

counters! {
    KernelEntries "kernel_entries" "Times the shard entered the kernel.",
    BlocksTaken "blocks_taken" "Published blocks that the shard took up.",
    Offered "offers" "Block offers: one per block and connection.",
    Settled "offers_settled" "Offers that have ended, whatever the outcome.",
    SentBytes "sent_bytes" "Bytes that the kernel took for sending.",
    ReceivedBytes "received_bytes" "Bytes received from peers.",
    ZeroCopySends "zero_copy_sends" "Sends from the registered arena.",
    CopiedSends "zero_copy_sends_copied" "Zero-copy sends that the kernel copied after all.",
    CopyingSends "copying_sends" "Plain sends.",
    GovernedBytes "governed_bytes" "Bytes that were sent as the uplink's tokens allowed.",
    TokenWaitUs "token_wait_us" "Time that connections waited for tokens of the uplink.",
    WarmUpBytes "warm_up_bytes" "Bytes of blocks that were sent to open windows.",
    WholeBytes "whole_bytes" "Bytes of whole blocks.",
    CompactBytes "compact_bytes" "Bytes of compact blocks.",
    AnswerBytes "answer_bytes" "Bytes of transactions and headers that peers asked for.",
    WholeBlocksSent "whole_blocks_sent" "Whole blocks that went out to the last byte.",
    CompactBlocksSent "compact_blocks_sent" "Compact blocks that went out to the last byte.",
    AnswersSent "answers_sent" "Answers with transactions or headers that went out to the last byte.",
    HeadersOffered "headers_offered" "Blocks that were offered by their header alone.",
    WholeInstead "whole_instead" "Whole blocks sent because no receipt came for a shorter form, or because that did not do.",
    RequestsGranted "requests_granted" "Requests of peers for a block of ours, or a part of it, that were granted.",
    RequestsRefused "requests_refused" "Requests for a block of ours that were malformed, out of range or too many: ignored.",
    NotFound "not_found" "Items that peers asked for and we have not.",
    PartialSends "partial_sends" "Sends of which the kernel took only a part.",
    BlockedSends "blocked_sends" "Sends that found the socket full.",
    ControlDropped "control_dropped" "Small messages dropped because too many waited.",
    PushedMessages "pushed_messages" "Small messages pushed to all connections of a chain, one by one (locks, transactions).",
    LockNewsDropped "lock_news_dropped" "Locks and announcements of locks dropped because too many waited.",
    BadChecksums "bad_checksums" "Messages from peers with a wrong checksum, ignored.",
    SkippedMessages "skipped_messages" "Messages from peers that were longer than what is kept of them.",
    FloodsOfMessages "floods_of_messages" "Peers dropped for sending too many messages.",
    FloodsOfBytes "floods_of_bytes" "Peers dropped for sending too many bytes.",
    FloodsOfRequests "floods_of_requests" "Peers dropped for asking for too much.",
    ReportsDropped "reports_dropped" "Reports dropped because the cold side did not keep up.",
    ReceiveStarved "receive_starved" "Times the kernel found no receive buffer.",
    RingErrors "ring_errors" "Entries and requests that the kernel refused in a way that concerns no connection.",
}

/// The counters of one shard. Written by it alone, read by anyone.
#[derive(Debug)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// Raises `counter` by `by`.
    pub fn add(&self, counter: Counter, by: u64) {
        if let Some(cell) = self.0.get(counter as usize) {
            cell.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// The counter's value now.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }
}
