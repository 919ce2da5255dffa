//! A request's body on its way in. A submission's digits go to the desk, and its bytes to the chain's
//! node, while they arrive; everything else is collected.
//!
//! Nothing here waits but for the next piece, and that no longer than the body's deadlines. A body
//! that breaks off, or turns out to be something else, has had no effect: the desk forgets what it
//! was given, and the node sees a request that is never completed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::call::Call;
use super::route::{Route, VERSION_DIGITS};
use super::stream::{CallStream, Ended};
use crate::cold::node::{Streamed, StreamingBody};
use crate::edge::intake::desk::{Answer, Desk, Reception, ReceptionError};
use crate::limits::{
    RPC_BODY_BYTES_MAX, RPC_BODY_DEADLINE_MS, RPC_BODY_WHOLE_DEADLINE_MS, RPC_DISCARD_BYTES_MAX,
    RPC_STREAM_BYTES_MIN, RPC_STREAMS_LIVE_MAX,
};
use crate::sys::clock::now_ns;
use crate::wire::hash::unhex;

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without any progress.
    pub(super) piece: Duration,
    /// Altogether.
    pub(super) whole: Duration,
}

impl Patience {
    pub(super) const USUAL: Self = Self {
        piece: Duration::from_millis(RPC_BODY_DEADLINE_MS),
        whole: Duration::from_millis(RPC_BODY_WHOLE_DEADLINE_MS),
    };
}

/// Where bodies come in.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) desk: Arc<Desk>,
    /// Places for submissions that are read while they come in.
    streams: Arc<Semaphore>,
    patience: Patience,
}

/// A body, as far as it came.
pub(super) enum Body {
    /// All of it, to be read now. When its last byte came (CLOCK_MONOTONIC, ns).
    Whole(Bytes, u64),
    /// A submission; its block has been read.
    Block(Box<Submission>),
    /// More than is read.
    TooLong,
    /// It ended early, or not in time.
    Broken,
}

/// A block that has come in, piece by piece.
pub(super) struct Submission {
    /// The request, without the block.
    pub(super) call: Call,
    /// Which chain it is for.
    pub(super) chain_index: u8,
    reception: Reception,
    leg: Option<Streamed>,
    last_byte_ns: u64,
}

impl Submission {
    /// Every leg starts; that to the chain's node may have started long ago.
    pub(super) async fn finish(self) -> (Call, Answer) {
        let answer = self.reception.finish(self.last_byte_ns, None, self.leg).await;
        (self.call, answer)
    }
}

impl Door {
    pub(super) fn new(desk: Arc<Desk>, patience: Patience) -> Self {
        let streams = Arc::new(Semaphore::new(RPC_STREAMS_LIVE_MAX as usize));
        Self { desk, streams, patience }
    }

    /// Takes a body in. `announced` is its length in bytes, where that is known.
    pub(super) async fn take<B>(
        &self,
        route: Route,
        first_byte_ns: u64,
        announced: Option<u64>,
        mut body: B,
    ) -> Body
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
    {
        let sized = RPC_STREAM_BYTES_MIN..=u64::from(RPC_BODY_BYTES_MAX);
        let worth = announced.is_none_or(|bytes| sized.contains(&bytes));
        let mut taking = Taking {
            door: self,
            route,
            early: Bytes::new(),
            first_byte_ns,
            announced,
            last_byte_ns: first_byte_ns,
            stream: CallStream::new(worth),
            coming: None,
            given_up: None,
            discarded: 0,
        };
        let end = Instant::now() + self.patience.whole;
        while !body.is_end_stream() {
            let by = end.min(Instant::now() + self.patience.piece);
            let frame = match timeout_at(by, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => return Body::Broken,
            };
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            if !taking.push(&piece) {
                return Body::TooLong;
            }
        }
        taking.end().await
    }
}

/// A block that is being received.
struct Coming {
    chain_index: u8,
    reception: Reception,
    /// The same request on its way to the node.
    node: Option<(StreamingBody, Streamed)>,
    _place: OwnedSemaphorePermit,
}

impl Coming {
    fn push(&mut self, digits: Bytes) -> Result<(), ReceptionError> {
        if let Some((node, _)) = &self.node {
            node.push(digits.clone());
        }
        self.reception.push_hex(&digits)
    }
}

/// One body that is being taken in.
struct Taking<'a> {
    door: &'a Door,
    route: Route,
    /// First digits of a block, too few to tell its chain.
    early: Bytes,
    first_byte_ns: u64,
    announced: Option<u64>,
    last_byte_ns: u64,
    stream: CallStream,
    coming: Option<Coming>,
    /// What the desk has of a block that it can't use.
    given_up: Option<Reception>,
    /// Bytes thrown away of a body that is too long.
    discarded: usize,
}

impl Taking<'_> {
    /// Takes a piece. False: the body is far too long.
    fn push(&mut self, piece: &Bytes) -> bool {
        self.last_byte_ns = now_ns();
        if self.discarded > 0 || self.stream.len() + piece.len() > RPC_BODY_BYTES_MAX as usize {
            (self.coming, self.given_up) = (None, None);
            self.stream = CallStream::new(false);
            self.discarded = self.discarded.saturating_add(piece.len());
            return self.discarded <= RPC_DISCARD_BYTES_MAX as usize;
        }
        if let Some(digits) = self.stream.push(piece) {
            let Some(digits) = self.gather(digits) else {
                return true;
            };
            if self.coming.is_none() {
                self.coming = self.begin(&digits);
            }
            let pushed = self.coming.as_mut().map(|coming| coming.push(digits.clone()));
            match pushed {
                Some(Ok(())) => self.stream.forget(&digits),
                // The whole body tells what is wrong, or waits for a place.
                _ => {
                    self.given_up = self.coming.take().map(|coming| coming.reception);
                    self.stream.give_up();
                }
            }
        }
        true
    }

    /// The digits that can be dealt with: none while it can't be told for which chain they are. A
    /// request that ends before that is read whole.
    fn gather(&mut self, digits: Bytes) -> Option<Bytes> {
        if self.coming.is_some() {
            return Some(digits);
        }
        let digits = match self.early.is_empty() {
            true => digits,
            false => Bytes::from([&self.early[..], &digits].concat()),
        };
        if digits.len() < self.route.digits_needed(&self.door.desk) {
            self.early = digits;
            return None;
        }
        self.early = Bytes::new();
        Some(digits)
    }

    /// It is clear that a block follows, and for which chain. `None`: too many come in at once, or
    /// it begins with what is no hex.
    fn begin(&self, digits: &[u8]) -> Option<Coming> {
        let chain_index = match digits.get(..self.route.digits_needed(&self.door.desk)) {
            None | Some([]) => self.route.chain_index(),
            Some(first) => {
                let mut version = [0; VERSION_DIGITS / 2];
                unhex(first, &mut version)?;
                self.route.of_block(&self.door.desk, &version)
            }
        };
        let place = Arc::clone(&self.door.streams).try_acquire_owned().ok()?;
        let head = self.stream.head();
        // What closes the request is a few bytes: a good upper bound.
        let digits = self.announced.map(|bytes| bytes.saturating_sub(head.len() as u64));
        let raw_bytes = digits.and_then(|digits| u32::try_from(digits / 2).ok());
        let desk = &self.door.desk;
        let reception = desk.receive(chain_index, self.first_byte_ns, raw_bytes)?;
        let node = desk.node(chain_index).zip(self.announced).map(|(node, bytes)| {
            let (body, streamed) = node.stream(bytes);
            body.push(head);
            (body, streamed)
        });
        Some(Coming { chain_index, reception, node, _place: place })
    }

    async fn end(self) -> Body {
        if self.discarded > 0 {
            return Body::TooLong;
        }
        match (self.stream.end(), self.coming) {
            (Ended::Block { call, tail }, Some(Coming { chain_index, reception, node, .. })) => {
                let leg = node.and_then(|(body, streamed)| {
                    // A node that speaks 2.0 does what a notification asks and does not say how it
                    // went: it gets a request of ours.
                    if call.says_two && call.id.is_none() {
                        return None;
                    }
                    // Only now: a request that is not complete has no effect.
                    body.push(tail);
                    Some(streamed)
                });
                let last_byte_ns = self.last_byte_ns;
                let call = *call;
                let block = Submission { call, chain_index, reception, leg, last_byte_ns };
                Body::Block(Box::new(block))
            }
            (Ended::Whole(kept), coming) => {
                let reception = self.given_up.or(coming.map(|coming| coming.reception));
                let block = match reception.filter(|_| kept.forgotten > 0) {
                    Some(reception) => reception.give_back().await,
                    None => Bytes::new(),
                };
                // A block that can't be given back is one whose walk has failed.
                kept.join(&block).map_or(Body::Broken, |body| Body::Whole(body, self.last_byte_ns))
            }
            // Digits that nobody took are given up on at once.
            (Ended::Block { .. }, None) => Body::Broken,
        }
    }
}

#[cfg(test)]
mod tests;
