//! Answers that are too long for a small message: spans of an image slot with a few bytes in front.
//! There is room for so many at a time in a shard; whoever finds none is served otherwise.

use std::ops::Range;

use super::due::{Item, Part};
use super::publish::Parts;
use super::sending::Piece;
use crate::limits::{
    ANSWER_BYTES_MAX, ANSWER_SPANS_MAX, ANSWERS_LIVE_MAX, FRAME_HEADER_BYTES, PING_FRAME_BYTES,
};
use crate::wire::compact::{AnswerFront, TransactionsRequest};
use crate::wire::frame::write_header;
use crate::wire::hash::Checksum;
use crate::wire::image::ImageLayout;
use crate::wire::message::name;

/// Frame header, hash, and a count of at most five bytes.
const FRONT_BYTES_MAX: usize = FRAME_HEADER_BYTES as usize + 32 + 5;
/// A byte of every image slot that is zero: the last of the `block` frame's command.
const ZERO: Range<u32> = 15..16;

/// Why no answer was made. The peer may get the whole block instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The request is not one that nodes make.
    Bad,
    /// It is for more than is answered in this way, or all places are taken.
    TooMuch,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    /// For whom, and as which item; `None`: the place is free.
    of: Option<(u16, Item)>,
    front: [u8; FRONT_BYTES_MAX],
    front_bytes: u8,
    spans: [(u32, u32); ANSWER_SPANS_MAX],
    count: u16,
    total_bytes: u32,
    sent_bytes: u32,
}

impl Answer {
    const FREE: Self = Self {
        of: None,
        front: [0; FRONT_BYTES_MAX],
        front_bytes: 0,
        spans: [(0, 0); ANSWER_SPANS_MAX],
        count: 0,
        total_bytes: 0,
        sent_bytes: 0,
    };

    fn spans(&self) -> &[(u32, u32)] {
        self.spans.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// Adds a span, to the last one where they touch.
    fn add(&mut self, span: Range<u32>) -> Result<(), NoAnswer> {
        let count = usize::from(self.count);
        self.total_bytes = self.total_bytes.saturating_add(span.len() as u32);
        match self.spans.get_mut(..count).and_then(|spans| spans.last_mut()) {
            Some((_, end)) if *end == span.start => *end = span.end,
            _ => {
                *self.spans.get_mut(count).ok_or(NoAnswer::TooMuch)? = (span.start, span.end);
                self.count += 1;
            }
        }
        if self.total_bytes > ANSWER_BYTES_MAX { Err(NoAnswer::TooMuch) } else { Ok(()) }
    }

    /// Puts the frame header and `fields` in front of the spans, which with them are the payload.
    fn close(&mut self, magic: [u8; 4], command: &str, fields: &[u8], slot: &[u8]) -> Option<()> {
        let mut sum = Checksum::new();
        sum.push(fields);
        let mut length = fields.len() as u32;
        for (start, end) in self.spans() {
            sum.push(slot.get(*start as usize..*end as usize)?);
            length += end - start;
        }
        let [c0, c1, c2, c3, ..] = sum.finish();
        let (header, behind) = self.front.split_first_chunk_mut()?;
        write_header(header, magic, command, length, [c0, c1, c2, c3]);
        behind.get_mut(..fields.len())?.copy_from_slice(fields);
        self.front_bytes = (FRAME_HEADER_BYTES as usize + fields.len()) as u8;
        self.total_bytes = length + FRAME_HEADER_BYTES;
        Some(())
    }

    /// What comes next.
    fn piece(&self) -> Option<Piece> {
        let front = u32::from(self.front_bytes);
        if self.sent_bytes < front {
            return Some(Piece::Front(self.sent_bytes as usize));
        }
        let mut passed = self.sent_bytes - front;
        for (start, end) in self.spans() {
            let bytes = end - start;
            if passed < bytes {
                return Some(Piece::Span(start + passed..*end));
            }
            passed -= bytes;
        }
        None
    }
}

/// All answers of a shard that are under way.
#[derive(Debug)]
pub(super) struct Answers(Box<[Answer]>);

impl Answers {
    pub(super) fn new() -> Self {
        Self(vec![Answer::FREE; ANSWERS_LIVE_MAX as usize].into())
    }

    fn of(&self, at: u16, item: Item) -> Option<&Answer> {
        self.0.iter().find(|answer| is_of(answer, at, item))
    }

    fn begin(&mut self, at: u16, item: Item) -> Result<&mut Answer, NoAnswer> {
        let free = self.0.iter_mut().find(|answer| answer.of.is_none());
        let answer = free.ok_or(NoAnswer::TooMuch)?;
        // Not all of it: the spans behind `count` are nobody's.
        (answer.front_bytes, answer.count) = (0, 0);
        (answer.total_bytes, answer.sent_bytes) = (0, 0);
        answer.of = Some((at, item));
        Ok(answer)
    }

    /// Makes a `blocktxn` of the transactions that connection `at` has asked for.
    pub(super) fn transactions(
        &mut self,
        (at, place): (u16, u8),
        magic: [u8; 4],
        (hash, slot, parts): (&[u8; 32], &[u8], &Parts),
        request: &TransactionsRequest<'_>,
    ) -> Result<(), NoAnswer> {
        let item = Item::new(place, Part::Transactions);
        let answer = self.begin(at, item)?;
        let made = fill(answer, magic, (hash, slot, parts), request);
        if made.is_err() {
            answer.of = None;
        }
        made
    }

    /// Makes a `headers` message of the block's header with its proof.
    pub(super) fn headers(
        &mut self,
        (at, place): (u16, u8),
        magic: [u8; 4],
        (slot, parts): (&[u8], &Parts),
    ) -> Result<(), NoAnswer> {
        let answer = self.begin(at, Item::new(place, Part::Headers))?;
        let start = ImageLayout::BLOCK_START as u32;
        let made = answer
            .add(start..start + parts.header_bytes)
            .and_then(|()| answer.add(ZERO))
            .and_then(|()| answer.close(magic, name::HEADERS, &[1], slot).ok_or(NoAnswer::Bad));
        if made.is_err() {
            answer.of = None;
        }
        made
    }

    pub(super) fn free(&mut self, at: u16, item: Item) {
        if let Some(answer) = self.0.iter_mut().find(|answer| is_of(answer, at, item)) {
            answer.of = None;
        }
    }

    pub(super) fn rest_bytes(&self, at: u16, item: Item) -> u32 {
        self.of(at, item).map_or(0, |answer| answer.total_bytes.saturating_sub(answer.sent_bytes))
    }

    /// What goes next of an answer.
    pub(super) fn piece(&self, at: u16, item: Item) -> Option<Piece> {
        self.of(at, item)?.piece()
    }

    /// The bytes in front of its spans.
    pub(super) fn front(&self, at: u16, item: Item) -> &[u8] {
        let front = |answer: &'_ Answer| usize::from(answer.front_bytes);
        self.of(at, item).and_then(|it| it.front.get(..front(it))).unwrap_or(&[])
    }

    /// So many bytes of an answer are out.
    pub(super) fn advance(&mut self, at: u16, item: Item, bytes: u32) {
        if let Some(answer) = self.0.iter_mut().find(|answer| is_of(answer, at, item)) {
            answer.sent_bytes = answer.sent_bytes.saturating_add(bytes);
        }
    }
}

fn is_of(answer: &Answer, at: u16, item: Item) -> bool {
    answer.of.is_some_and(|(slot, of)| slot == at && of.is(item.place, item.part))
}

/// Fills in a `blocktxn`, with the compact form's receipt ping behind it.
///
/// # Shape
///
/// `hash [32] · count [compact] · transactions`
fn fill(
    answer: &mut Answer,
    magic: [u8; 4],
    (hash, slot, parts): (&[u8; 32], &[u8], &Parts),
    request: &TransactionsRequest<'_>,
) -> Result<(), NoAnswer> {
    let start = ImageLayout::BLOCK_START as u32;
    for index in request.indexes(parts.transactions).map_err(|_| NoAnswer::Bad)? {
        let span = parts.transaction(slot, index).ok_or(NoAnswer::TooMuch)?;
        answer.add(start + span.start..start + span.end)?;
    }
    let front = AnswerFront::new(hash, request.count());
    answer.close(magic, name::BLOCKTXN, front.as_bytes(), slot).ok_or(NoAnswer::Bad)?;
    if let Some(compact) = parts.compact {
        // Behind the payload, so not in its length.
        let (end, total_bytes) = (compact.start + compact.total_bytes, answer.total_bytes);
        answer.add(end - PING_FRAME_BYTES..end)?;
        answer.total_bytes = total_bytes + PING_FRAME_BYTES;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::publish::CompactPart;
    use crate::wire::compact::encode_getblocktxn;
    use crate::wire::frame::frame;

    const MAGIC: [u8; 4] = [1, 2, 3, 4];

    /// A slot with a block of three transactions at 81..100, 100..150, 150..200, and its parts.
    fn slot() -> (Vec<u8>, Parts) {
        let mut slot: Vec<u8> = (0..1_000).map(|at| (at * 7) as u8).collect();
        slot[15] = 0;
        for (at, end) in [100_u32, 150, 200].into_iter().enumerate() {
            slot[400 + 4 * at..][..4].copy_from_slice(&end.to_le_bytes());
        }
        let compact = Some(CompactPart { start: 500, total_bytes: 200, nonce: 1 });
        let parts = Parts {
            header_bytes: 80,
            transactions_start: 81,
            transactions: 3,
            ends_start: 400,
            compact,
        };
        (slot, parts)
    }

    /// The bytes of an answer, taken in pieces of `step`.
    fn bytes(answers: &mut Answers, item: Item, slot: &[u8], step: u32) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(piece) = answers.piece(7, item) {
            let piece = match piece {
                Piece::Front(from) => answers.front(7, item)[from..].to_vec(),
                Piece::Span(span) => slot[span.start as usize..span.end as usize].to_vec(),
            };
            let taken = piece.len().min(step as usize);
            out.extend_from_slice(&piece[..taken]);
            answers.advance(7, item, taken as u32);
        }
        assert_eq!(answers.rest_bytes(7, item), 0);
        answers.free(7, item);
        out
    }

    #[test]
    fn transactions_are_the_reference_message_however_they_are_cut() {
        let (slot, parts) = slot();
        let item = Item::new(2, Part::Transactions);
        for (wanted, spans) in
            [(&[0, 2][..], &[(81, 100), (150, 200)][..]), (&[0, 1, 2], &[(81, 200)])]
        {
            let mut payload = [[9; 32].to_vec(), vec![wanted.len() as u8]].concat();
            spans.iter().for_each(|(start, end)| payload.extend(&slot[24 + start..24 + end]));
            let reference = [frame(MAGIC, "blocktxn", &payload), slot[668..700].to_vec()].concat();
            for step in [1, 7, 1_000] {
                let mut answers = Answers::new();
                let block = (&[9; 32], &slot[..], &parts);
                let asked = encode_getblocktxn(&[9; 32], wanted);
                let asked = TransactionsRequest::decode(&asked).unwrap();
                answers.transactions((7, 2), MAGIC, block, &asked).unwrap();
                assert_eq!(bytes(&mut answers, item, &slot, step), reference);
            }
        }
    }

    #[test]
    fn headers_are_the_reference_message() {
        let (slot, parts) = slot();
        let mut answers = Answers::new();
        answers.headers((7, 2), MAGIC, (&slot, &parts)).unwrap();
        let payload = [&[1], &slot[24..104], &[0]].concat();
        let made = bytes(&mut answers, Item::new(2, Part::Headers), &slot, 50);
        assert_eq!(made, frame(MAGIC, "headers", &payload));
    }

    #[test]
    fn bad_and_long_requests_take_no_place() {
        let (mut slot, mut parts) = slot();
        let mut answers = Answers::new();
        let mut ask = |at, slot: &[u8], parts: &Parts, wanted: &[u32]| {
            let asked = encode_getblocktxn(&[9; 32], wanted);
            let asked = TransactionsRequest::decode(&asked).unwrap();
            answers.transactions((at, 2), MAGIC, (&[9; 32], slot, parts), &asked)
        };
        assert_eq!(ask(7, &slot, &parts, &[0, 3]), Err(NoAnswer::Bad));
        for at in 0..ANSWERS_LIVE_MAX as u16 {
            assert_eq!(ask(at, &slot, &parts, &[1]), Ok(()));
        }
        assert_eq!(ask(99, &slot, &parts, &[1]), Err(NoAnswer::TooMuch), "no place is left");
        // Every second one of many: more pieces than an answer has.
        let count = 4 * ANSWER_SPANS_MAX as u32;
        slot.resize(20_000, 0);
        (parts.transactions, parts.ends_start) = (count, 8_000);
        for at in 0..count {
            slot[8_000 + 4 * at as usize..][..4].copy_from_slice(&(82 + at).to_le_bytes());
        }
        let wanted: Vec<_> = (0..count).step_by(2).collect();
        answers = Answers::new();
        let asked = encode_getblocktxn(&[9; 32], &wanted);
        let asked = TransactionsRequest::decode(&asked).unwrap();
        let made = answers.transactions((7, 2), MAGIC, (&[9; 32], &slot, &parts), &asked);
        assert_eq!(made, Err(NoAnswer::TooMuch));
        assert_eq!(answers.piece(7, Item::new(2, Part::Transactions)), None);
    }
}
