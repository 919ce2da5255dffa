//! Both ends of the handshake against each other, and against hostile ones.

use super::*;
use crate::wire::chain::{Network, all, find};

fn settings(chain: &'static Chain, initiator: bool) -> HandshakeSettings {
    HandshakeSettings {
        chain,
        nonce: if initiator { 1 } else { 2 },
        now_s: 1_700_000_000,
        user_agent: "/broadside:0.1.0/".to_owned(),
        start_height: 7,
        services: 9,
        relay: false,
        remote: "127.0.0.1:19444".parse().expect("an address"),
        want_sendcmpct: initiator.then_some((false, 2)),
        initiator,
    }
}

fn chain() -> &'static Chain {
    find("litecoin", Network::Regtest).expect("there")
}

/// Gives `bytes` to `to` in pieces of `piece` bytes; what it answered, and the facts if done.
fn give(to: &mut Handshake, bytes: &[u8], piece: usize) -> (Vec<u8>, Option<PeerFacts>) {
    let (mut all, mut facts) = (Vec::new(), None);
    for part in bytes.chunks(piece) {
        match to.receive(part).expect("a good peer") {
            Progress::NeedsMore { reply } => all.extend(reply),
            Progress::Done { reply, peer } => {
                all.extend(reply);
                facts = Some(peer);
            }
        }
    }
    (all, facts)
}

/// The names of the messages in `bytes`.
fn names(chain: &Chain, mut bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(header) = read_header(bytes, chain.magic, u32::MAX).expect("frames") {
        names.push(String::from_utf8_lossy(&header.command).trim_end_matches('\0').to_owned());
        bytes = &bytes[HEADER_BYTES + header.length as usize..];
    }
    assert!(bytes.is_empty());
    names
}

#[test]
fn both_ends_come_to_terms_on_every_chain_in_pieces_of_every_size() {
    for chain in all() {
        for piece in [1, 7, 24, 25, 4096] {
            let mut dialler = Handshake::new(settings(chain, true));
            let mut listener = Handshake::new(settings(chain, false));
            assert!(listener.start().is_empty());
            let (first, none) = give(&mut listener, &dialler.start(), piece);
            assert_eq!(none, None);
            let (second, of_listener) = give(&mut dialler, &first, piece);
            let (third, of_dialler) = give(&mut listener, &second, piece);
            assert!(third.is_empty());
            let addrv2 = chain.addrv2_version.is_some();
            let extra: &[&str] = if addrv2 { &["sendaddrv2"] } else { &[] };
            let expected = [&["version"], extra, &["verack"]].concat();
            assert_eq!(names(chain, &first), expected, "{} listener", chain.name);
            let expected = [extra, &["verack", "sendcmpct"]].concat();
            assert_eq!(names(chain, &second), expected, "{} dialler", chain.name);
            let (of_listener, of_dialler) = (of_listener.expect("done"), of_dialler.expect("done"));
            assert_eq!(of_listener.wants_addrv2, addrv2);
            assert_eq!((of_listener.services, of_listener.start_height), (9, 7));
            assert_eq!(of_dialler.user_agent, "/broadside:0.1.0/");
            assert_eq!((of_dialler.compact, of_dialler.relay), (vec![(false, 2)], false));
        }
    }
}

/// A version of a peer with these fields, as a frame.
fn their_version(version: i32, nonce: u64) -> Vec<u8> {
    let theirs = Version {
        version,
        services: 9,
        time_s: 0,
        receiver: "127.0.0.1:1".parse().expect("an address"),
        nonce,
        user_agent: b"/x\x07y/".to_vec(),
        start_height: -1,
        relay: true,
    };
    frame(chain().magic, "version", &theirs.encode())
}

#[test]
fn what_comes_behind_verack_is_taken_until_a_message_boundary() {
    let magic = chain().magic;
    let mut dialler = Handshake::new(settings(chain(), true));
    let tail = [
        frame(magic, "wtxidrelay", b""),
        frame(magic, "verack", b""),
        frame(magic, "sendheaders", b""),
        frame(magic, "sendcmpct", &[0, 3, 0, 0, 0, 0, 0, 0, 0]),
        frame(magic, "sendcmpct", &[0, 2, 0, 0, 0, 0, 0, 0, 0]),
        frame(magic, "ping", b"12345678"),
        frame(magic, "feefilter", &1000_u64.to_le_bytes()),
        frame(magic, "unheard-of", &[1; 100]),
    ]
    .concat();
    let bytes = [their_version(70016, 3), tail].concat();
    let (front, back) = bytes.split_at(bytes.len() - 1);
    let Ok(Progress::NeedsMore { reply }) = dialler.receive(front) else {
        panic!("a message is only half there")
    };
    assert_eq!(names(chain(), &reply), ["sendaddrv2", "verack", "sendcmpct", "pong"]);
    assert!(reply.ends_with(b"12345678"));
    let Ok(Progress::Done { reply, peer }) = dialler.receive(back) else {
        panic!("all messages are whole")
    };
    assert!(reply.is_empty());
    assert_eq!(peer.compact, [(false, 3), (false, 2)]);
    assert_eq!((peer.fee_filter, peer.user_agent.as_str()), (Some(1000), "/xy/"));
    assert!(peer.wants_wtxid && peer.wants_headers && !peer.wants_addrv2 && peer.relay);
}

#[test]
fn useless_and_hostile_peers_are_named() {
    let fails = |bytes: &[u8]| Handshake::new(settings(chain(), true)).receive(bytes).unwrap_err();
    assert_eq!(fails(&their_version(70016, 1)), HandshakeError::SelfConnection);
    let old = HandshakeError::TooOld { version: 31799, least: 31800 };
    assert_eq!(fails(&their_version(31799, 3)), old);
    assert!(matches!(fails(&[0; 24]), HandshakeError::Frame(FrameError::Magic { .. })));
    let short = frame(chain().magic, "version", &[0; 45]);
    assert!(matches!(fails(&short), HandshakeError::Version(_)));
    // Announcing a long message is enough: it is not waited for.
    let mut long = frame(chain().magic, "block", b"");
    long[16..20].copy_from_slice(&HANDSHAKE_BYTES_MAX.to_le_bytes());
    assert_eq!(fails(&long), HandshakeError::TooMuch);
    long[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(fails(&long), HandshakeError::Frame(FrameError::TooLong { .. })));
    // So is sending many short ones.
    let mut dialler = Handshake::new(settings(chain(), true));
    let one = frame(chain().magic, "inv", &[0; 1000]);
    let refused = (0..).find_map(|count| dialler.receive(&one).err().map(|why| (count, why)));
    let (count, why) = refused.expect("refused in the end");
    assert_eq!((count, why), (HANDSHAKE_BYTES_MAX as usize / one.len(), HandshakeError::TooMuch));
}

#[test]
fn what_nodes_ignore_is_ignored() {
    let magic = chain().magic;
    let mut dialler = Handshake::new(settings(chain(), true));
    let mut spoilt = their_version(31799, 3);
    spoilt[20] ^= 1;
    let early = [frame(magic, "verack", b""), frame(magic, "ping", b"12345678"), spoilt].concat();
    assert_eq!(dialler.receive(&early), Ok(Progress::NeedsMore { reply: vec![] }));
    let (reply, _) = give(&mut dialler, &their_version(70015, 3), 4096);
    assert_eq!(names(chain(), &reply), ["verack"], "too old for addrv2");
    // A second version is no second chance.
    let (reply, _) = give(&mut dialler, &their_version(70016, 1), 4096);
    assert!(reply.is_empty());
    let flood = frame(magic, "sendcmpct", &[1; 9]).repeat(100);
    let (_, none) = give(&mut dialler, &flood, 4096);
    assert_eq!(none, None);
    let (_, facts) = give(&mut dialler, &frame(magic, "verack", b""), 4096);
    let facts = facts.expect("done");
    assert_eq!((facts.version, facts.compact.len()), (70015, COMPACT_VERSIONS_MAX));
}
