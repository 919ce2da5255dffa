//! What a scout's peer says, and what it means to us. No socket here.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::flood::Patience;
use super::own::{OwnBlock, Wanted};
use crate::cold::gossip::{Allowance, Fate, HeardAddress, judge};
use crate::limits::{
    SCOUT_ANNOUNCED_MAX, SCOUT_ANSWERS_MAX, SCOUT_BLOCKS_REMEMBERED, SCOUT_MESSAGE_BYTES,
};
use crate::wire::chain::Chain;
use crate::wire::compact::TransactionsRequest;
use crate::wire::frame::{FrameReader, Message, frame};
use crate::wire::message::{
    AddressRecord, InvItem, InvKind, addr_records, address_count, addrv2_records, header_items,
    inv_items, name,
};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// One word.
    pub(super) word: &'static str,
    /// Whether it says something of the peer.
    pub(super) is_the_peers: bool,
    /// Whether trying again soon would end the same way.
    pub(super) is_lasting: bool,
}

impl End {
    /// The peer did what gets it sent away.
    pub(super) const fn fault(word: &'static str) -> Self {
        Self { word, is_the_peers: true, is_lasting: true }
    }

    /// The connection ended by itself.
    pub(super) const fn lost(word: &'static str) -> Self {
        Self { word, is_the_peers: true, is_lasting: false }
    }

    /// We ended it.
    pub(super) const fn ours(word: &'static str) -> Self {
        Self { word, is_the_peers: false, is_lasting: false }
    }
}

/// What came of some bytes.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Blocks that were announced for the first time, in wire order.
    pub(super) blocks: Vec<[u8; 32]>,
    /// Addresses fit to be tried.
    pub(super) addresses: Vec<HeardAddress>,
    /// How many were refused, and why.
    pub(super) refused: Vec<(Fate, u64)>,
    /// Addresses that were told of, fit or not.
    pub(super) told: u64,
    /// To be sent.
    pub(super) reply: Vec<u8>,
    /// What the peer wants of which block of ours.
    pub(super) wanted: Vec<(Arc<OwnBlock>, Wanted)>,
}

/// Reads one connection.
pub(super) struct Hearing {
    chain: &'static Chain,
    from: SocketAddr,
    reader: Box<FrameReader<SCOUT_MESSAGE_BYTES>>,
    patience: Patience,
    /// `None`: addresses are not listened to.
    allowance: Option<Allowance>,
    announced: VecDeque<[u8; 32]>,
    /// The newest block of ours that it was offered, and how often it may still ask.
    offered: Option<(Arc<OwnBlock>, u32)>,
}

impl Hearing {
    /// Of a connection to `from` that stands at a message boundary.
    pub(super) fn new(
        chain: &'static Chain,
        from: SocketAddr,
        wants_addresses: bool,
        now_ns: u64,
    ) -> Self {
        Self {
            chain,
            from,
            reader: Box::new(FrameReader::new(chain.magic, chain.payload_bytes_max)),
            patience: Patience::new(now_ns),
            allowance: wants_addresses.then(|| Allowance::new(now_ns)),
            announced: VecDeque::new(),
            offered: None,
        }
    }

    /// Whether the peer is to be offered `block`: not if it was heard to have it. What it asks of it is
    /// answered from here on, and what it says of it is no news.
    pub(super) fn offer(&mut self, block: &Arc<OwnBlock>) -> bool {
        if self.announced.contains(&block.hash) {
            return false;
        }
        remember(&mut self.announced, block.hash);
        self.offered = Some((Arc::clone(block), SCOUT_ANSWERS_MAX));
        true
    }

    /// We ask for addresses: what to send.
    pub(super) fn ask(&mut self) -> Vec<u8> {
        if let Some(allowance) = &mut self.allowance {
            allowance.asked();
        }
        frame(self.chain.magic, name::GETADDR, &[])
    }

    /// Takes in what came at `now_ns` (CLOCK_MONOTONIC) and `now_s` (epoch).
    ///
    /// # Errors
    /// The peer is to be sent away.
    pub(super) fn take(&mut self, mut input: &[u8], now_ns: u64, now_s: u64) -> Result<Heard, End> {
        let mut heard = Heard::default();
        if !self.patience.takes_bytes(input.len(), now_ns) {
            return Err(End::fault("flood"));
        }
        let Self { chain, from, reader, patience, allowance, announced, offered } = self;
        while let Some(message) = reader.push(&mut input).map_err(|_| End::fault("garbage"))? {
            if !patience.takes_message(now_ns) {
                return Err(End::fault("flood"));
            }
            if message.checksum_ok == Some(false) {
                if !patience.takes_bad_checksum() {
                    return Err(End::fault("garbage"));
                }
                continue;
            }
            if message.is(name::PING) {
                let nonce = message.payload.get(..8).unwrap_or_default();
                heard.reply.extend(frame(chain.magic, name::PONG, nonce));
            } else if message.is(name::ADDR) || message.is(name::ADDRV2) {
                let Some(allowance) = allowance else { continue };
                if address_count(message.payload).is_none() {
                    return Err(End::fault("flood"));
                }
                let judge = |record| judge(&record, *from, chain, now_s);
                take_addresses(&message, allowance, now_ns, judge, &mut heard);
            } else if message.is(name::GETBLOCKTXN) || message.is(name::GETDATA) {
                heard.wanted.extend(wanted(&message, offered));
            } else {
                for hash in blocks(&message, chain) {
                    if announced.contains(&hash) || !patience.takes_block(now_ns) {
                        continue;
                    }
                    remember(announced, hash);
                    heard.blocks.push(hash);
                }
            }
        }
        Ok(heard)
    }
}

fn take_addresses(
    message: &Message<'_>,
    allowance: &mut Allowance,
    now_ns: u64,
    judge: impl Fn(AddressRecord) -> Result<HeardAddress, Fate>,
    heard: &mut Heard,
) {
    let mut take = |record| {
        heard.told += 1;
        let judged = if allowance.take(now_ns) { judge(record) } else { Err(Fate::Allowance) };
        match judged {
            Ok(address) => heard.addresses.push(address),
            Err(fate) => match heard.refused.iter_mut().find(|(known, _)| *known == fate) {
                Some((_, count)) => *count += 1,
                None => heard.refused.push((fate, 1)),
            },
        }
    };
    if message.is(name::ADDR) {
        addr_records(message.payload).for_each(&mut take);
    } else {
        addrv2_records(message.payload).for_each(&mut take);
    }
}

fn remember(announced: &mut VecDeque<[u8; 32]>, hash: [u8; 32]) {
    if announced.len() >= SCOUT_BLOCKS_REMEMBERED {
        announced.pop_front();
    }
    announced.push_back(hash);
}

/// What a message asks for of the block that was offered. A request that can't be met is passed over.
fn wanted(
    message: &Message<'_>,
    offered: &mut Option<(Arc<OwnBlock>, u32)>,
) -> Option<(Arc<OwnBlock>, Wanted)> {
    let (block, left) = offered.as_mut().filter(|(_, left)| *left > 0)?;
    let wanted = if message.is(name::GETBLOCKTXN) {
        let request = TransactionsRequest::decode(message.payload).ok();
        let request = request.filter(|it| message.complete && *it.hash() == block.hash)?;
        Wanted::Transactions(request.indexes(block.count()).ok()?.collect())
    } else {
        let is_it = |item: InvItem| item.about() == InvKind::Block && item.hash == block.hash;
        inv_items(message.payload).any(is_it).then_some(Wanted::Block)?
    };
    *left -= 1;
    Some((Arc::clone(block), wanted))
}

/// The blocks that a message announces. A list of many headers is an answer, not an announcement.
fn blocks(message: &Message<'_>, chain: &'static Chain) -> Vec<[u8; 32]> {
    let identity = |header: &[u8]| header.first_chunk().map(|it| chain.identity_hash(it).0);
    if message.is(name::INV) {
        let items = inv_items(message.payload).filter(|item| item.about() == InvKind::Block);
        items.map(|item| item.hash).take(SCOUT_ANNOUNCED_MAX).collect()
    } else if message.is(name::HEADERS) {
        let some = header_items(chain, message.payload).take(SCOUT_ANNOUNCED_MAX + 1);
        let headers: Vec<_> = some.collect();
        let are_news = headers.len() <= SCOUT_ANNOUNCED_MAX;
        headers.into_iter().filter(|_| are_news).filter_map(identity).collect()
    } else if message.is(name::CMPCTBLOCK) || message.is(name::BLOCK) {
        identity(message.payload).into_iter().collect()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chain;
    use crate::wire::message::{NetworkAddress, encode_addrv2, encode_headers, encode_inv};

    const NOW_S: u64 = 1_800_000_000;

    fn row() -> &'static Chain {
        chain::all().next().unwrap()
    }

    fn fresh() -> Hearing {
        Hearing::new(row(), "8.8.8.8:8333".parse().unwrap(), true, 0)
    }

    fn inv(hashes: &[u8]) -> Vec<u8> {
        let items = hashes.iter().map(|it| InvItem { kind: InvItem::BLOCK, hash: [*it; 32] });
        frame(row().magic, name::INV, &encode_inv(&items.collect::<Vec<_>>()))
    }

    #[test]
    fn a_block_is_announced_once_in_whatever_form() {
        let mut hearing = fresh();
        let header = [5_u8; 80];
        let hash = row().identity_hash(&header).0;
        let headers = frame(row().magic, name::HEADERS, &encode_headers(&[&header]));
        let compact = frame(row().magic, name::CMPCTBLOCK, &[&header[..], &[0; 9]].concat());
        assert_eq!(hearing.take(&headers, 0, NOW_S).unwrap().blocks, [hash]);
        assert!(hearing.take(&compact, 0, NOW_S).unwrap().blocks.is_empty());
        assert_eq!(hearing.take(&inv(&[1, 2, 1]), 0, NOW_S).unwrap().blocks, [[1; 32], [2; 32]]);
        let many = vec![&header[..]; 9];
        let answer = frame(row().magic, name::HEADERS, &encode_headers(&many));
        let mut another = fresh();
        assert!(another.take(&answer, 0, NOW_S).unwrap().blocks.is_empty(), "no news");
        let cut = frame(row().magic, name::CMPCTBLOCK, &header[..79]);
        assert!(another.take(&cut, 0, NOW_S).unwrap().blocks.is_empty());
    }

    #[test]
    fn made_up_blocks_are_bounded() {
        let mut hearing = fresh();
        let mut heard = 0;
        for number in 0..=255 {
            heard += hearing.take(&inv(&[number]), 0, NOW_S).unwrap().blocks.len();
        }
        assert_eq!(heard, 64);
        let later_ns = 20_000_000_000;
        assert_eq!(hearing.take(&inv(&[255]), later_ns, NOW_S).unwrap().blocks.len(), 1);
    }

    #[test]
    fn a_full_answer_is_taken_whole_and_its_sequel_is_not() {
        let mut hearing = fresh();
        let record = |number: u32| AddressRecord {
            time_s: NOW_S as u32 - 100,
            services: 9,
            address: NetworkAddress::Ip((number.to_be_bytes(), 8_333).into()),
        };
        let list = |first: u32| {
            let records: Vec<_> = (first..first + 1_000).map(record).collect();
            frame(row().magic, name::ADDRV2, &encode_addrv2(&records))
        };
        hearing.ask();
        let first = hearing.take(&list(0x0909_0000), 0, NOW_S).unwrap();
        assert_eq!((first.addresses.len(), first.told), (1_000, 1_000));
        let second = hearing.take(&list(0x0a10_0000), 0, NOW_S).unwrap();
        assert_eq!((second.told, second.addresses.len()), (1_000, 0));
        let refused: u64 = second.refused.iter().map(|(_, count)| count).sum();
        assert_eq!(refused, 1_000, "each has one fate: {:?}", second.refused);
        assert!(second.refused.contains(&(Fate::Allowance, 999)));
        assert_eq!(
            hearing.take(&frame(row().magic, name::ADDRV2, &[]), 0, NOW_S).unwrap_err().word,
            "flood"
        );
    }

    #[test]
    fn more_bytes_than_any_node_sends_are_a_flood() {
        let mut hearing = fresh();
        let mut junk = vec![0; 100_000];
        let header = frame(row().magic, "blocktxn", &[0; 90_000]);
        junk[..header.len()].copy_from_slice(&header);
        junk.truncate(header.len());
        let ends = (0..200).find_map(|_| hearing.take(&junk, 0, NOW_S).err()).unwrap();
        assert_eq!(ends, End::fault("flood"));
    }
}
