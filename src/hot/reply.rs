//! What peers say to a shard, and what they are answered.

use super::inflight::Stage;
use super::link::{Cause, Flood, Outcome, PeerId, Report};
use super::locks;
use super::requests::Request;
use super::shard::{ANNOUNCED_MAX, Shard};
use super::slot::State;
use crate::limits::{FRAME_HEADER_BYTES, INVENTORY_MAX, PING_FRAME_BYTES};
use crate::metrics::Counter;
use crate::sys::ring::Ring;
use crate::wire::frame::{self, FrameError};
use crate::wire::hash::sha256d;
use crate::wire::message::{self, InvKind, SendCompact, name};

/// What one message asks of the shard, taken out of the receive buffer.
#[derive(Clone, Copy, Debug)]
enum Said {
    Nothing,
    Ping(u64),
    Pong(u64),
    HighBandwidth {
        chosen: bool,
        version: u64,
    },
    /// Blocks were announced: handled where the message is read, as there may be many.
    Announced,
    /// Something is asked for, of which so much counts against the peer.
    Requested(Request, u64),
    BadChecksum,
    TooLongToKeep,
}

impl<R: Ring> Shard<R> {
    /// Reads received bytes into messages and acts on each. The buffer goes back to the ring.
    pub(super) fn received(&mut self, at: u16, buffer: u16, length: u32, now_ns: u64) {
        self.count(Counter::ReceivedBytes, u64::from(length));
        let mut offset = 0;
        while let Some((said, next)) = self.read_message(at, buffer, length, offset, now_ns) {
            offset = next;
            self.answer(at, said, now_ns);
            if offset >= length {
                break;
            }
        }
        self.ring.recycle(buffer);
    }

    /// One message from the bytes `offset..length` of the buffer, and where the next begins.
    fn read_message(
        &mut self,
        at: u16,
        buffer: u16,
        length: u32,
        offset: u32,
        now_ns: u64,
    ) -> Option<(Said, u32)> {
        let slot = self.slots.get_mut(usize::from(at)).filter(|slot| slot.state == State::Live)?;
        let octets = self.ring.octets(buffer, length);
        let mut rest = octets.get(offset as usize..).unwrap_or(&[]);
        if offset == 0 {
            slot.received_bytes += u64::from(length);
            let allowed = slot.allowance.as_mut().map(|it| it.bytes(length, now_ns));
            if let Some(Err(flood)) = allowed {
                self.end_flood(at, flood);
                return None;
            }
        }
        let cause = match slot.reader.push(&mut rest) {
            Ok(None) => return None,
            Ok(Some(message)) => {
                let said = interpret(&message);
                if let Some(allowance) = &mut slot.allowance {
                    let mut allowed = allowance.message(now_ns);
                    if let Said::Requested(_, count) = said {
                        allowed = allowed.and(allowance.items(count, now_ns));
                    }
                    if let Err(flood) = allowed {
                        self.end_flood(at, flood);
                        return None;
                    }
                }
                let next = length - rest.len() as u32;
                if locks::hear(&self.link, (at, slot.peer), &message, now_ns) {
                    // Nobody else's news are waited for.
                    self.reported_ns = 1;
                }
                if let Said::Requested(request, _) = said {
                    self.heard.clear();
                    self.heard.extend_from_slice(message.payload);
                    self.asked.clear();
                    if request == Request::Data {
                        let items = message::inv_items(message.payload);
                        self.asked.extend(items.take(ANNOUNCED_MAX));
                    }
                }
                if matches!(said, Said::Announced) {
                    let blocks = message::inv_items(message.payload)
                        .take(ANNOUNCED_MAX)
                        .filter(|item| item.about() == InvKind::Block);
                    self.announced.extend(blocks.map(|item| (slot.peer, item.hash)));
                    self.take_announcements(at, now_ns);
                }
                return Some((said, next));
            }
            Err(FrameError::Magic { .. }) => Cause::BadMagic,
            Err(FrameError::TooLong { announced, .. }) => Cause::Oversized(announced),
        };
        self.close(at, cause);
        None
    }

    /// Drops a peer that makes us do too much.
    #[cold]
    fn end_flood(&mut self, at: u16, flood: Flood) {
        let counter = match flood {
            Flood::Messages => Counter::FloodsOfMessages,
            Flood::Bytes => Counter::FloodsOfBytes,
            Flood::Requests => Counter::FloodsOfRequests,
        };
        self.count(counter, 1);
        self.close(at, Cause::Flood(flood));
    }

    /// The message just read answered a block of ours: it does not count against the peer.
    pub(super) fn give_message_back(&mut self, at: u16) {
        if let Some(allowance) = &mut self.slots[usize::from(at)].allowance {
            allowance.give_message_back();
        }
    }

    fn answer(&mut self, at: u16, said: Said, now_ns: u64) {
        let slot = &mut self.slots[usize::from(at)];
        let (peer, magic) = (slot.peer, slot.magic);
        match said {
            Said::Nothing | Said::Announced => {}
            Said::Requested(request, _) => self.requested(at, request),
            Said::Ping(nonce) => {
                self.queue_control(at, &nonce_frame(magic, "pong", nonce));
            }
            Said::Pong(nonce) => self.pong(at, nonce, now_ns),
            Said::HighBandwidth { chosen, version } => {
                slot.terms.heard(chosen, version);
                self.report(Report::HighBandwidth { peer, chosen, version });
            }
            Said::BadChecksum => self.count(Counter::BadChecksums, 1),
            Said::TooLongToKeep => self.count(Counter::SkippedMessages, 1),
        }
    }

    /// Queues a small message; dropped, counted and `false` when too many wait already.
    pub(super) fn queue_control(&mut self, at: u16, message: &[u8]) -> bool {
        let queued = self.slots[usize::from(at)].control.push(message);
        self.work |= queued;
        self.count(Counter::ControlDropped, u64::from(!queued));
        queued
    }

    /// A pong: the receipt of a block, or the answer to a ping of ours.
    fn pong(&mut self, at: u16, nonce: u64, now_ns: u64) {
        let slot = &mut self.slots[usize::from(at)];
        if slot.ping.awaited && slot.ping.nonce == nonce {
            slot.ping.awaited = false;
            let round_trip_us = (now_ns.saturating_sub(slot.ping.sent_ns) / 1_000) as u32;
            let peer = slot.peer;
            self.report(Report::RoundTrip { peer, round_trip_us });
            return;
        }
        if let Some((place, part)) = self.watch.by_nonce(nonce) {
            self.receipt_of(place, at, part, now_ns);
        }
    }

    /// The peer has these blocks: ours are echoes (or need not be sent any more), others are news.
    fn take_announcements(&mut self, at: u16, now_ns: u64) {
        for index in 0..self.announced.len() {
            let (peer, hash) = self.announced[index];
            match self.watch.by_hash(peer.chain(), &hash) {
                Some(place) => self.echoed(place, at, peer, now_ns),
                None => self.report(Report::Announced { peer, hash, at_ns: now_ns }),
            }
        }
        self.announced.clear();
    }

    fn echoed(&mut self, place: u8, at: u16, peer: PeerId, now_ns: u64) {
        let block = self.watch.get_mut(place);
        let image = block.image;
        let offer = &mut block.offers[usize::from(at)];
        let first = !std::mem::replace(&mut offer.echoed, true);
        let stage = offer.stage;
        let untouched = self.is_untouched(place, at);
        if first {
            self.give_message_back(at);
            let sent_before = stage != Stage::None && !untouched;
            self.report(Report::Echo { image, peer, at_ns: now_ns, sent_before });
        }
        let offer = self.watch.get(place).offers[usize::from(at)];
        if untouched {
            self.settle(place, at, Outcome::AlreadyHad, 0);
        } else if !offer.full_out && offer.compact_out && !self.strike_untouched(place, at) {
            // It has made the block of the compact form: nothing more is needed.
            self.next_image(at);
            self.settle_if_out(place, at, now_ns);
            self.receipt(place, at, now_ns);
        }
    }
}

/// What a message means to a shard. Messages with a wrong checksum are ignored, as nodes do.
fn interpret(message: &frame::Message<'_>) -> Said {
    if message.checksum_ok == Some(false) {
        return Said::BadChecksum;
    }
    let nonce = message.payload.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    match nonce {
        Some(nonce) if message.is("ping") && message.complete => Said::Ping(nonce),
        Some(nonce) if message.is("pong") && message.complete => Said::Pong(nonce),
        _ if message.is("inv") => Said::Announced,
        // A count that nodes refuse is a flood.
        _ if message.is(name::GETDATA) => Said::Requested(
            Request::Data,
            message::inv_count(message.payload).unwrap_or(INVENTORY_MAX),
        ),
        _ if message.is(name::GETBLOCKTXN) => {
            Said::Requested(Request::Transactions { complete: message.complete }, 1)
        }
        _ if message.is(name::GETHEADERS) && message.complete => {
            Said::Requested(Request::Headers, 1)
        }
        _ if message.is("getblocks") && message.complete => Said::Requested(Request::Blocks, 1),
        _ if message.is("sendcmpct") && message.complete => SendCompact::decode(message.payload)
            .map_or(Said::Nothing, |SendCompact { announce, version }| Said::HighBandwidth {
                chosen: announce,
                version,
            }),
        _ if !message.complete => Said::TooLongToKeep,
        _ => Said::Nothing,
    }
}

/// A `ping` or `pong` with `nonce`, complete with its header.
pub(super) fn nonce_frame(
    magic: [u8; 4],
    command: &str,
    nonce: u64,
) -> [u8; PING_FRAME_BYTES as usize] {
    let mut whole = [0; PING_FRAME_BYTES as usize];
    let payload = nonce.to_le_bytes();
    let [s0, s1, s2, s3, ..] = sha256d(&payload);
    if let Some((header, place)) = whole.split_first_chunk_mut::<{ FRAME_HEADER_BYTES as usize }>()
    {
        frame::write_header(header, magic, command, payload.len() as u32, [s0, s1, s2, s3]);
        place.copy_from_slice(&payload);
    }
    whole
}
