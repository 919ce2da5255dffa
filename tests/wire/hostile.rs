//! Random and spoilt bytes: nothing panics, and pieces never say anything else than the whole.

use std::sync::LazyLock;

use broadside::wire::auxpow;
use broadside::wire::block::Walker;
use broadside::wire::chain::{Chain, all};
use broadside::wire::check::parse_and_check;
use broadside::wire::frame::{FrameReader, frame, read_header};
use broadside::wire::handshake::{Handshake, HandshakeSettings, Progress};
use broadside::wire::message::{
    GetHeaders, Reject, SendCompact, Version, addr_records, addrv2_records, command_text,
    header_items, inv_items, nonce,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::build::{every_kind, regtest};

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// Mined once for all cases.
static KINDS: LazyLock<Vec<(&'static str, &'static Chain, Vec<u8>)>> = LazyLock::new(every_kind);

/// Spoils `bytes`: flips, cuts, and repeats as told.
fn spoil(bytes: &mut Vec<u8>, faults: &[(u8, Index, u8)]) {
    for (kind, place, value) in faults {
        if bytes.is_empty() {
            return;
        }
        let at = place.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] ^= value | 1,
            1 => bytes[at] = 0xff,
            2 => bytes.truncate(at),
            _ => {
                let part =
                    bytes[at..].iter().take(usize::from(*value)).copied().collect::<Vec<_>>();
                bytes.splice(at..at, part);
            }
        }
    }
}

fn faults() -> impl Strategy<Value = Vec<(u8, Index, u8)>> {
    vec((any::<u8>(), any::<Index>(), any::<u8>()), 1..6)
}

/// Walks in pieces and whole; both must say the same.
fn walk(chain: &'static Chain, raw: &[u8], piece: usize) {
    let whole = Walker::new(chain).finish(raw);
    let mut walker = Walker::new(chain);
    let advanced = (0..=raw.len()).step_by(piece).try_for_each(|cut| walker.advance(&raw[..cut]));
    let pieces = advanced.and_then(|()| walker.finish(raw));
    assert_eq!(pieces.is_ok(), whole.is_ok(), "{pieces:?} {whole:?}");
    if let (Ok(pieces), Ok(whole)) = (pieces, whole) {
        assert_eq!(pieces, whole);
    }
}

proptest! {
    #[test]
    fn decoders_take_anything(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = Version::decode(&bytes);
        let _ = SendCompact::decode(&bytes);
        let _ = Reject::decode(&bytes);
        let _ = GetHeaders::decode(&bytes);
        let _ = nonce(&bytes);
        let _ = bytes.first_chunk().map(command_text);
        let _ = read_header(&bytes, MAGIC, 4_000_000);
        prop_assert!(inv_items(&bytes).count() <= bytes.len() / 36);
        prop_assert!(addr_records(&bytes).count() <= bytes.len() / 30);
        prop_assert!(addrv2_records(&bytes).count() <= bytes.len() / 9);
        let _ = auxpow::parse(&bytes);
        for chain in all() {
            prop_assert!(header_items(chain, &bytes).count() <= bytes.len() / 81);
            let _ = parse_and_check(chain, &bytes);
        }
    }

    #[test]
    fn random_bytes_behind_a_header_walk_alike(
        header in vec(any::<u8>(), 80),
        bytes in vec(prop_oneof![4 => 0_u8..4, 1 => any::<u8>()], 0..1500),
        piece in 1_usize..200,
    ) {
        for name in ["bitcoin", "litecoin", "dogecoin", "dash"] {
            walk(regtest(name), &[&header[..], &bytes].concat(), piece);
        }
    }

    #[test]
    fn spoilt_blocks_are_refused_or_others(
        kind in any::<Index>(),
        faults in faults(),
        piece in 1_usize..3000,
    ) {
        let (what, chain, raw) = &KINDS[kind.index(KINDS.len())];
        let mut spoilt = raw.clone();
        spoil(&mut spoilt, &faults);
        walk(chain, &spoilt, piece);
        if let (Ok((_, other)), true) = (parse_and_check(chain, &spoilt), &spoilt != raw) {
            let (layout, good) = parse_and_check(chain, raw).expect("good");
            // Two places that no rule binds to the header: the inside of the made-up extension
            // block, and the parent's hash in a proof.
            let front = layout.mweb.map_or(raw.len(), |range| range.start as usize);
            let same_front = spoilt.get(..front) == raw.get(..front);
            let loose = (*what == "mweb" && same_front) || *what == "merged";
            prop_assert!(loose || other.hash != good.hash, "{what}");
        }
    }

    #[test]
    fn streams_read_the_same_at_random_cuts(
        messages in vec((0_usize..3, vec(any::<u8>(), 0..300), any::<bool>()), 0..20),
        cuts in vec(1_usize..400, 1..50),
    ) {
        let names = ["ping", "inv", "sendaddrv2xx"];
        let mut stream = Vec::new();
        for (name, payload, spoilt) in &messages {
            let mut message = frame(MAGIC, names[*name], payload);
            message[20] ^= u8::from(*spoilt);
            stream.extend(message);
        }
        let mut reader = FrameReader::<128>::new(MAGIC, 300);
        let (mut rest, mut seen, mut cuts) = (stream.as_slice(), 0, cuts.iter().cycle());
        while !rest.is_empty() {
            let cut = cuts.next().copied().unwrap_or(1).min(rest.len());
            let (mut piece, behind) = rest.split_at(cut);
            while let Some(message) = reader.push(&mut piece).expect("a good stream") {
                let (name, payload, spoilt) = &messages[seen];
                let kept = payload.len().min(128);
                prop_assert!(message.is(names[*name]));
                prop_assert_eq!(message.payload, &payload[..kept]);
                prop_assert_eq!(message.length as usize, payload.len());
                let sum = message.complete.then_some(!spoilt);
                prop_assert_eq!(message.checksum_ok, sum);
                seen += 1;
            }
            rest = behind;
        }
        prop_assert_eq!(seen, messages.len());
        prop_assert!(reader.at_boundary());
    }

    #[test]
    fn hostile_streams_end_or_go_on(bytes in vec(any::<u8>(), 0..500), cut in 1_usize..50) {
        let mut reader = FrameReader::<16>::new(MAGIC, 1000);
        let stream = [frame(MAGIC, "ping", &[1; 8]), bytes].concat();
        let mut messages = 0;
        'stream: for mut piece in stream.chunks(cut) {
            loop {
                match reader.push(&mut piece) {
                    Ok(Some(_)) => messages += 1,
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
            prop_assert!(piece.is_empty());
        }
        prop_assert!(messages >= 1);
    }

    #[test]
    fn handshakes_take_anything(
        faults in faults(),
        tail in vec(any::<u8>(), 0..300),
        cut in 1_usize..300,
        initiator in any::<bool>(),
    ) {
        let settings = |initiator| HandshakeSettings {
            chain: regtest("litecoin"),
            nonce: u64::from(initiator) + 1,
            now_s: 0,
            user_agent: "/test/".to_owned(),
            start_height: 0,
            services: 0,
            relay: false,
            remote: "127.0.0.1:1".parse().expect("an address"),
            want_sendcmpct: Some((false, 2)),
            initiator,
        };
        let mut stream = Handshake::new(settings(!initiator)).start();
        stream.extend(Handshake::new(settings(true)).start());
        stream.extend([frame(MAGIC, "verack", b""), tail].concat());
        spoil(&mut stream, &faults);
        let mut handshake = Handshake::new(settings(initiator));
        let mut sent = handshake.start().len();
        for piece in stream.chunks(cut) {
            match handshake.receive(piece) {
                Ok(Progress::NeedsMore { reply } | Progress::Done { reply, .. }) => {
                    sent += reply.len();
                }
                Err(_) => break,
            }
        }
        prop_assert!(sent <= 400 + 2 * stream.len(), "an answer is no longer than what it answers");
    }
}
