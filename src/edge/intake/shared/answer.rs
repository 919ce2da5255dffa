//! What became of a block, written where the pool reads it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::mpsc;

use super::layout::{self, Code, put_text};
use super::session::Session;
use crate::cold::node::verdict::RpcAnswer;
use crate::edge::intake::desk::Answer;
use crate::edge::intake::unix::accepted;
use crate::sys::clock::now_ns;

/// A result that is due.
pub(super) struct Answering {
    /// A pool that is gone needs no result, and its memory is not kept for one.
    session: Weak<Session>,
    sequence: u32,
    /// Our own count of the block.
    number: u64,
    /// First byte, last byte, taken.
    pub(super) times_ns: [u64; 3],
    _alive: mpsc::Sender<()>,
}

/// The words of a result.
#[derive(Default)]
struct Said {
    hash: String,
    word: String,
    message: String,
    published_ns: u64,
    image: u64,
}

impl Answering {
    pub(super) fn new(
        session: &Arc<Session>,
        sequence: u32,
        number: u64,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let session = Arc::downgrade(session);
        Self { session, sequence, number, times_ns: [0; 3], _alive: alive }
    }

    /// The desk has answered.
    pub(super) fn answer(&self, answer: &Answer) {
        let code = match accepted(answer) {
            Some(true) => Code::Accepted,
            Some(false) => Code::Refused,
            // Without a node, being published is all there is to it.
            None if matches!(answer.reply, RpcAnswer::Result(None)) => Code::Accepted,
            None => Code::Unjudged,
        };
        let (reply_word, error) = match &answer.reply {
            RpcAnswer::Result(word) => (word.as_deref(), None),
            RpcAnswer::Error { message, .. } => (None, Some(message.as_str())),
        };
        let verdict_word = answer.verdict.as_ref().map(|verdict| verdict.word());
        let fault = answer.fault.as_ref().map(|fault| fault.why.as_str());
        let said = Said {
            hash: answer.hash.map(|hash| hash.to_string()).unwrap_or_default(),
            word: verdict_word.or(reply_word).unwrap_or_default().to_owned(),
            message: fault.or(error).unwrap_or_default().to_owned(),
            published_ns: answer.published.map_or(0, |published| published.published_ns),
            image: answer.published.map_or(0, |published| published.image.0),
        };
        self.put(code, &said);
    }

    /// The hand-over failed.
    pub(super) fn lost(&self, why: &str) {
        self.put(Code::Lost, &Said { message: why.to_owned(), ..Said::default() });
    }

    fn put(&self, code: Code, said: &Said) {
        let Some(session) = self.session.upgrade() else { return };
        let mut youngest = session.answered.lock().unwrap_or_else(PoisonError::into_inner);
        // A pool that went on to its next block no longer waits for this one's result.
        if *youngest > self.number {
            return;
        }
        *youngest = self.number;
        let memory = &session.memory;
        put_text(memory, layout::HASH_AT, layout::HASH_BYTES, &said.hash);
        put_text(memory, layout::WORD_AT, layout::WORD_BYTES, &said.word);
        put_text(memory, layout::MESSAGE_AT, layout::MESSAGE_BYTES, &said.message);
        let [first_byte_ns, last_byte_ns, taken_ns] = self.times_ns;
        let numbers = [
            (layout::FIRST_BYTE_NS_AT, first_byte_ns),
            (layout::LAST_BYTE_NS_AT, last_byte_ns),
            (layout::TAKEN_NS_AT, taken_ns),
            (layout::PUBLISHED_NS_AT, said.published_ns),
            (layout::ANSWERED_NS_AT, now_ns()),
            (layout::IMAGE_AT, said.image),
        ];
        for (at, value) in numbers {
            memory.store_u64(at, value, Ordering::Relaxed);
        }
        memory.store_u32(layout::VERDICT_AT, code as u32, Ordering::Relaxed);
        // Last, and not before all of it: whoever sees the number sees the result.
        memory.store_u32(layout::ANSWERED_SEQUENCE_AT, self.sequence, Ordering::Release);
        drop(youngest);
        session.bell.ring();
    }
}
