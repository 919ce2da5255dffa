//! Made-up blocks are as long as wanted and stand on each other.

use super::*;
use crate::wire::chain::{self, Network};
use crate::wire::check::parse_and_check;

fn regtest() -> impl Iterator<Item = &'static Chain> {
    chain::all().filter(|chain| chain.network == Network::Regtest)
}

#[test]
fn every_size_is_met_exactly() {
    for chain in regtest() {
        let mut maker = BlockMaker::new(chain, 1, 1_700_000_000);
        let least = match maker.next(0) {
            Err(PlanError::Size { least, .. }) => least,
            other => panic!("{other:?}"),
        };
        let around_gaps = (least..least + 800).step_by(1);
        for bytes in around_gaps.chain([20_000, 65_536, 300_000]) {
            let block = maker.next(bytes).unwrap();
            assert_eq!(block.raw.len() as u32, bytes, "{}", chain.name);
        }
    }
}

#[test]
fn blocks_stand_on_each_other_and_repeat_by_seed() {
    for chain in regtest() {
        let make = |seed| {
            let mut maker = BlockMaker::new(chain, seed, 1_700_000_000);
            [maker.next(5_000).unwrap(), maker.next(5_000).unwrap()]
        };
        let [first, second] = make(3);
        assert_eq!(first.raw[4..36], chain.genesis_hash);
        assert_eq!(second.raw[4..36], first.hash);
        assert_eq!((first.height, second.height), (1, 2));
        assert_eq!(make(3)[1].raw, second.raw);
        assert_ne!(make(4)[1].raw, second.raw);
    }
}

#[test]
fn a_chain_of_real_difficulty_is_given_up() {
    let main = chain::all().find(|chain| chain.network == Network::Main).unwrap();
    assert_eq!(BlockMaker::new(main, 1, 0).next(1_000).unwrap_err(), PlanError::Difficulty);
}

#[test]
fn heights_are_pushed_as_script_does() {
    assert_eq!(push_number(1), [0x51]);
    assert_eq!(push_number(16), [0x60]);
    assert_eq!(push_number(17), [1, 17]);
    assert_eq!(push_number(128), [2, 128, 0]);
    assert_eq!(push_number(1_000_000), [3, 0x40, 0x42, 0x0f]);
}

/// What the desk asks of a block, a made-up one fulfils: on every chain, small and of full size.
#[test]
fn the_checks_find_nothing_wrong() {
    for chain in regtest() {
        let mut maker = BlockMaker::new(chain, 5, 1_700_000_000);
        let Err(PlanError::Size { most, .. }) = maker.next(u32::MAX) else { panic!("any size") };
        for bytes in [2_000, 60_000, 1_500_000, 2_500_000, most] {
            let bytes = bytes.min(most);
            let block = maker.next(bytes).unwrap();
            let checked = parse_and_check(chain, &block.raw);
            let (_, checked) = checked.unwrap_or_else(|error| panic!("{}: {error}", chain.name));
            assert_eq!((checked.hash.0, checked.height), (block.hash, Some(block.height)));
        }
    }
}
