//! What each fuzz target does with its bytes. `tests/corpus.rs` replays the corpus through the same
//! functions, as a plain test.

use broadside::cold::gossip::judge;
use broadside::edge::intake::rpc::reads_as_whole;
use broadside::wire::auxpow as proof;
use broadside::wire::block::Walker;
use broadside::wire::chain::{Chain, Network, all, find};
use broadside::wire::check::parse_and_check;
use broadside::wire::compact::{
    BlockTransactions, CompactBlock, CompactBuilder, TransactionsRequest, encode_blocktxn,
    encode_getblocktxn,
};
use broadside::wire::frame::{FrameReader, read_header};
use broadside::wire::handshake::{Handshake, HandshakeSettings, Progress};
use broadside::wire::locks::{LockKind, read_lock};
use broadside::wire::message::{
    AddressRecord, GetHeaders, Reject, SendCompact, Version, addr_records, address_count,
    addrv2_records, command_text, encode_addr, encode_addrv2, fee_filter, header_items, inv_items,
    nonce, sanitised,
};
use bytes::Bytes;

/// The magic of the streams in the corpus.
const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// A target's name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. Each has a folder of its name in `corpus/`.
pub const TARGETS: [Target; 10] = [
    ("addresses", addresses),
    ("locks", locks),
    ("frame", frame),
    ("message", message),
    ("handshake", handshake),
    ("block", block),
    ("check", check),
    ("compact", compact),
    ("auxpow", auxpow),
    ("call", call),
];

/// Takes `[piece size][stream…]`: a stream reads the same whole and in pieces.
pub fn frame(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else {
        return;
    };
    let whole = messages(stream, stream.len().max(1));
    let pieces = messages(stream, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
    if let Ok(Some(header)) = read_header(stream, MAGIC, 1000) {
        assert!(header.length <= 1000);
        let _ = command_text(&header.command);
    }
}

/// Name, kept payload and checksum of each message, and whether the stream broke.
type Messages = (Vec<([u8; 12], Vec<u8>, Option<bool>)>, bool);

fn messages(stream: &[u8], piece: usize) -> Messages {
    let mut reader = FrameReader::<64>::new(MAGIC, 1000);
    let mut seen = Vec::new();
    for mut part in stream.chunks(piece) {
        loop {
            match reader.push(&mut part) {
                Ok(None) => break,
                Err(_) => return (seen, true),
                Ok(Some(it)) => {
                    assert!(it.payload.len() <= 64 && it.length <= 1000);
                    seen.push((*it.command, it.payload.to_vec(), it.checksum_ok));
                }
            }
        }
        assert!(part.is_empty());
    }
    (seen, false)
}

/// Takes a payload: every decoder takes anything, and what it makes reads back.
pub fn message(bytes: &[u8]) {
    if let Ok(version) = Version::decode(bytes) {
        assert_eq!(Version::decode(&version.encode()).as_ref(), Ok(&version));
        assert!(sanitised(&version.user_agent).is_ascii());
    }
    if let Ok(read) = GetHeaders::decode(bytes) {
        assert_eq!(GetHeaders::decode(&read.encode()), Ok(read));
    }
    let _ = (SendCompact::decode(bytes), Reject::decode(bytes), nonce(bytes), fee_filter(bytes));
    assert!(inv_items(bytes).count() <= bytes.len() / 36);
    assert!(addr_records(bytes).count() <= bytes.len() / 30);
    assert!(addrv2_records(bytes).count() <= bytes.len() / 9);
    for chain in all() {
        assert!(header_items(chain, bytes).count() <= bytes.len() / 81);
    }
}

/// Takes the payload of an `addr` and an `addrv2`: lists are bounded, what is read reads back, and
/// whatever is judged fit can be dialled.
pub fn addresses(bytes: &[u8]) {
    const NOW_S: u64 = 1_800_000_000;
    let old: Vec<AddressRecord> = addr_records(bytes).collect();
    assert!(addr_records(&encode_addr(&old)).eq(old.iter().copied()));
    let new: Vec<AddressRecord> = addrv2_records(bytes).collect();
    assert!(addrv2_records(&encode_addrv2(&new)).eq(new.iter().copied()));
    for records in [&old, &new] {
        assert!(records.len() as u64 <= address_count(bytes).unwrap_or(0));
        for (record, chain) in records.iter().flat_map(|it| all().map(move |chain| (it, chain))) {
            if let Ok(heard) = judge(record, ([8, 8, 8, 8], 1).into(), chain, NOW_S) {
                assert!(heard.address.port() != 0 && heard.last_seen_s <= NOW_S);
                let may_be_here = chain.network == Network::Regtest;
                assert!(may_be_here || !heard.address.ip().is_loopback());
            }
        }
    }
}

/// Takes `[flags and piece size][stream…]`: answers stay bounded whatever a peer says.
pub fn handshake(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else {
        return;
    };
    let Some(chain) = find("litecoin", Network::Regtest) else {
        return;
    };
    let mut handshake = Handshake::new(HandshakeSettings {
        chain,
        nonce: 1,
        now_s: 0,
        user_agent: "/fuzz/".to_owned(),
        start_height: 0,
        services: 0,
        relay: false,
        remote: ([127, 0, 0, 1], 1).into(),
        want_sendcmpct: Some((false, 2)),
        initiator: first & 0x80 != 0,
    });
    let mut sent = handshake.start().len();
    for part in stream.chunks(usize::from(first & 0x7f).max(1)) {
        let (Ok(Progress::NeedsMore { reply }) | Ok(Progress::Done { reply, .. })) =
            handshake.receive(part)
        else {
            return;
        };
        sent += reply.len();
        assert!(sent <= 500 + 2 * stream.len());
    }
}

/// The chain that the first byte names.
pub fn chain(first: u8) -> Option<&'static Chain> {
    all().nth(usize::from(first) % all().count())
}

/// Takes `[chain][piece size][block…]`: a block walks the same whole and in pieces, and its compact
/// form puts together to it.
pub fn block(bytes: &[u8]) {
    let [first, piece, raw @ ..] = bytes else {
        return;
    };
    let Some(chain) = chain(*first) else { return };
    let start = || {
        let mut builder = CompactBuilder::new(chain, u64::from(*piece));
        builder.prefill(u32::from(*piece));
        Walker::new(chain).compacting(builder)
    };
    let finish = |walker: Walker| {
        let (layout, builder) = walker.finish_compact(raw)?;
        let compact = builder.and_then(|builder| builder.finish(&layout, raw));
        Ok((layout, compact))
    };
    let whole = finish(start());
    if let Ok((layout, Some(compact))) = &whole {
        let read = CompactBlock::decode(chain, &compact.payload);
        let span = |index: u32| layout.transactions.get(index as usize);
        let find = |index, _| raw.get(span(index)?.range());
        assert_eq!(read.map(|read| read.rebuild(find)), Ok(Ok(raw.to_vec())));
    }
    let mut walker = start();
    let mut cuts = (0..=raw.len()).step_by(usize::from(*piece).max(1));
    let pieces = cuts.try_for_each(|cut| walker.advance(raw.get(..cut).unwrap_or_default()));
    match (pieces.and_then(|()| finish(walker)), whole) {
        (Ok(pieces), Ok(whole)) => assert_eq!(pieces, whole),
        (pieces, whole) => assert_eq!(pieces.is_ok(), whole.is_ok(), "{pieces:?} {whole:?}"),
    }
}

/// Takes `[chain][any][block…]`: the checks take anything that walks.
pub fn check(bytes: &[u8]) {
    let [first, _, raw @ ..] = bytes else { return };
    let Some(chain) = chain(*first) else { return };
    match parse_and_check(chain, raw) {
        Ok((layout, checked)) => {
            assert_eq!(layout.length as usize, raw.len());
            assert_eq!(layout.transactions.len(), checked.transactions as usize);
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

/// Takes `[chain][any][payload…]`: what is read of a compact block, of a request for its transactions
/// and of the answer is bounded by the payload, lies in the block, and reads back.
pub fn compact(bytes: &[u8]) {
    let [first, transactions, payload @ ..] = bytes else {
        return;
    };
    let Some(chain) = chain(*first) else { return };
    if let Ok(read) = CompactBlock::decode(chain, payload) {
        assert!(6 * read.short_ids.len() + 10 * read.prefilled.len() <= payload.len());
        let missing = read.rebuild(|_, _| None).err().unwrap_or_default();
        assert_eq!(missing.len(), read.short_ids.len());
        let asked = encode_getblocktxn(&[0; 32], &missing);
        let asked = TransactionsRequest::decode(&asked).map(|it| it.indexes(read.count() as u32));
        assert!(asked.is_ok_and(|it| it.is_ok_and(|indexes| indexes.eq(missing))));
    }
    if let Ok(read) = TransactionsRequest::decode(payload)
        && let Ok(indexes) = read.indexes(u32::from(*transactions))
    {
        let indexes: Vec<u32> = indexes.collect();
        assert_eq!(indexes.len(), read.count() as usize);
        assert!(indexes.is_sorted_by(|a, b| a < b));
        assert!(indexes.iter().all(|index| *index < u32::from(*transactions)));
        assert!(payload.starts_with(&encode_getblocktxn(read.hash(), &indexes)));
    }
    if let Ok(read) = BlockTransactions::decode(chain, payload) {
        assert!(payload.starts_with(&encode_blocktxn(read.hash, &read.transactions)));
    }
}

/// Takes a proof, or a header with one: reading and cutting agree.
pub fn auxpow(bytes: &[u8]) {
    let _ = proof::parse(bytes);
    let Some(chain) = find("dogecoin", Network::Regtest) else {
        return;
    };
    let (Some(header), Some(length)) = (bytes.first_chunk(), proof::header_bytes(chain, bytes))
    else {
        return;
    };
    let behind = bytes.get(80..length).unwrap_or_default();
    if proof::is_announced(chain, header) {
        let read = proof::parse(behind);
        let checked = read.map(|read| read.check(chain, header, &chain.identity_hash(header).0));
        assert!(checked.is_some(), "what was cut out can be read");
    } else {
        assert!(behind.is_empty());
    }
}

/// Takes `[piece size][body…]`: a request reads the same whole and in pieces.
pub fn call(bytes: &[u8]) {
    let Some((piece, body)) = bytes.split_first() else {
        return;
    };
    let whole = Bytes::copy_from_slice(body);
    let pieces = body.chunks(usize::from(*piece).max(1)).map(Bytes::copy_from_slice);
    let read = reads_as_whole(&whole, pieces);
    assert!(read.is_ok(), "{read:?}");
}

/// A lock of a block or a transaction: the first byte says which, the rest is its payload.
pub fn locks(bytes: &[u8]) {
    let Some((first, payload)) = bytes.split_first() else { return };
    let kind = if first & 1 == 0 { LockKind::Block } else { LockKind::Transaction };
    match read_lock(kind, payload) {
        Ok(lock) => {
            assert_eq!((lock.kind, lock.height.is_some()), (kind, kind == LockKind::Block));
            let shorter = payload.get(..payload.len() - 1).unwrap_or_default();
            assert!(read_lock(kind, shorter).is_err(), "it ends where its fields end");
        }
        Err(why) => assert!(!why.word().is_empty() && !why.to_string().is_empty()),
    }
}
