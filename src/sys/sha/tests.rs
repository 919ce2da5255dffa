//! The lanes against the library, on messages of all lengths in all kinds of pieces.

use proptest::collection::vec;
use proptest::prelude::*;

use super::lanes;
use crate::wire::hash::{Lanes, Message, sha256d, sha256d_pair};

/// Lengths around the places where padding changes, in bytes.
const EDGES: [usize; 14] = [0, 1, 54, 55, 56, 57, 63, 64, 65, 118, 119, 120, 127, 128];

/// Bytes, and three places to cut them at.
fn message() -> impl Strategy<Value = (Vec<u8>, [usize; 3])> {
    let length = prop_oneof![3 => (0..EDGES.len()).prop_map(|at| EDGES[at]), 2 => 0..2_000_usize];
    let bytes = length.prop_flat_map(|length| vec(any::<u8>(), length));
    let cut = || prop_oneof![(0..EDGES.len()).prop_map(|at| EDGES[at]), 0..2_000_usize];
    (bytes, [cut(), cut(), cut()])
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize; 3]) -> Message<'a> {
    let mut cuts = cuts.map(|cut| cut.min(bytes.len()));
    cuts.sort_unstable();
    let [a, b, c] = cuts;
    [&bytes[..a], &bytes[a..b], &bytes[b..c], &bytes[c..]]
}

/// Hashes the messages by `lanes`, and checks each against the library's hash of the whole.
fn check(lanes: Lanes, messages: &[(Vec<u8>, [usize; 3])]) {
    let cut: Vec<_> = messages.iter().map(|(bytes, cuts)| pieces(bytes, cuts)).collect();
    let mut hashes = vec![[0xee; 32]; messages.len() + 1];
    lanes.hash(&cut, &mut hashes);
    for (at, ((bytes, cuts), hash)) in messages.iter().zip(&hashes).enumerate() {
        assert_eq!(*hash, sha256d(bytes), "message {at}, {} bytes cut at {cuts:?}", bytes.len());
    }
    assert_eq!(hashes.last(), Some(&[0xee; 32]), "no message, no hash");
}

#[test]
fn every_two_lengths_side_by_side() {
    for one in EDGES {
        for other in EDGES {
            let messages = [one, other].map(|length| (vec![length as u8; length], [4, 60, 64]));
            check(lanes(), &messages);
            check(Lanes::PORTABLE, &messages);
        }
    }
}

proptest! {
    #[test]
    fn lanes_hash_like_the_library(messages in vec(message(), 0..9)) {
        check(lanes(), &messages);
        check(Lanes::PORTABLE, &messages);
    }

    #[test]
    fn pairs_hash_like_the_library(pairs in any::<[[[u8; 32]; 2]; 2]>()) {
        let expected = pairs.map(|[left, right]| sha256d_pair(&left, &right));
        prop_assert_eq!(lanes().hash_pairs(&pairs), expected);
        prop_assert_eq!(Lanes::PORTABLE.hash_pairs(&pairs), expected);
    }
}

/// Fewer places than messages, and the other way round: what has a place is hashed.
#[test]
fn places_may_be_few() {
    for lanes in [lanes(), Lanes::PORTABLE] {
        let mut hashes = [[0; 32]; 3];
        lanes.hash(&[[b"a".as_slice(), b"b", b"", b"c"]; 5], &mut hashes);
        assert_eq!(hashes, [sha256d(b"abc"); 3]);
        lanes.hash(&[], &mut hashes);
        assert_eq!(hashes, [sha256d(b"abc"); 3]);
    }
}
