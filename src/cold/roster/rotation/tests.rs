//! Laws of a round, and a few rounds by hand.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::cold::store::Netgroup;

fn address(number: u16) -> SocketAddr {
    let [a, b] = number.to_be_bytes();
    SocketAddr::from(([20, a, b, 1], 9_333))
}

fn kin(group: u8) -> Kin {
    let netgroup = (group > 0).then_some(Netgroup::V4([20, group]));
    Kin { netgroup, as_number: None, region: None }
}

fn member(number: u16, value: f64) -> Member {
    Member { address: address(number), kin: kin(0), value, is_settled: true }
}

fn wanted(number: u16, value: f64, by: ChosenBy) -> Wanted {
    Wanted { address: address(number), value, by, kin: kin(0) }
}

fn scene<'a>(
    members: &'a [Member],
    wanted: &'a [Wanted],
    taken: &'a HashSet<SocketAddr>,
) -> Scene<'a> {
    let (seats, free_places, is_block_under_way) = (members.len(), 10, false);
    Scene { members, wanted, taken, seats, kept: 1, min: 1, free_places, is_block_under_way }
}

fn moves(scene: &Scene<'_>) -> Vec<Move> {
    plan(scene, &mut Chance::seeded(1))
}

#[test]
fn the_worst_goes_for_somebody_clearly_better() {
    let members = [member(1, 500.0), member(2, 100.0), member(3, 300.0)];
    let score = ChosenBy::Score;
    let none = HashSet::new();
    let better = |value| {
        [
            wanted(9, value, score),
            wanted(1, 500.0, score),
            wanted(3, 300.0, score),
            wanted(2, 100.0, score),
        ]
    };
    let swap = Move::Swap { out: address(2), into: address(9) };
    let clear = better(900.0);
    assert_eq!(moves(&scene(&members, &clear, &none)), [swap]);
    assert_eq!(moves(&scene(&members, &better(110.0), &none)), [], "hardly better");
    let under_way = Scene { is_block_under_way: true, ..scene(&members, &clear, &none) };
    assert_eq!(moves(&under_way), []);
    let with_room = Scene { seats: 4, ..scene(&members, &clear, &none) };
    assert_eq!(moves(&with_room), [], "an empty seat is filled, nobody goes");
    let full = Scene { free_places: 0, ..scene(&members, &clear, &none) };
    assert_eq!(moves(&full), [Move::Drop { out: address(2) }]);
    let at_min = Scene { min: 4, ..full };
    assert_eq!(moves(&at_min), [], "nothing to spare and no place");
    assert_eq!(moves(&Scene { min: 4, ..scene(&members, &clear, &none) }), [swap], "made first");
    let taken = HashSet::from([address(9)]);
    assert_eq!(moves(&scene(&members, &clear, &taken)), []);
    let mut young = members;
    young[1].is_settled = false;
    assert_eq!(moves(&scene(&young, &clear, &none)), []);
}

#[test]
fn the_covering_rule_does_not_change_its_mind_over_one_place() {
    let members: Vec<_> = (0..8).map(|number| member(number, 100.0)).collect();
    let cover = |number| wanted(number, 0.0, ChosenBy::Cover);
    let none = HashSet::new();
    // One newcomer in front pushes member 7 one place out: it stays.
    let near: Vec<_> = [9].into_iter().chain(0..8).map(cover).collect();
    assert_eq!(moves(&scene(&members, &near, &none)), []);
    let far: Vec<_> = [9, 10, 11].into_iter().chain(0..8).map(cover).collect();
    let found = moves(&scene(&members, &far, &none));
    assert!(matches!(found[..], [Move::Swap { out, .. }] if out == address(7)), "{found:?}");
}

#[test]
fn fewer_seats_end_the_worst_down_to_min() {
    let members: Vec<_> = (0..8).map(|number| member(number, f64::from(number))).collect();
    let none = HashSet::new();
    let few = Scene { seats: 3, ..scene(&members, &[], &none) };
    let drops = [Move::Drop { out: address(0) }, Move::Drop { out: address(1) }];
    assert_eq!(moves(&few), drops);
    assert_eq!(moves(&Scene { min: 8, ..few }), drops[..1]);
    let few = Scene { seats: 3, min: 9, ..scene(&members, &[], &none) };
    assert_eq!(moves(&few), []);
}

#[test]
fn a_full_group_gives_way_to_its_own_alone() {
    let of = |number, group, value| Member { kin: kin(group), ..member(number, value) };
    let members = [of(1, 7, 50.0), of(2, 7, 900.0), of(3, 8, 40.0)];
    let newcomer = Wanted { kin: kin(7), ..wanted(9, 950.0, ChosenBy::Score) };
    let list = [newcomer, wanted(2, 900.0, ChosenBy::Score)];
    let none = HashSet::new();
    let found = moves(&scene(&members, &list, &none));
    assert_eq!(found, [Move::Swap { out: address(1), into: address(9) }]);
}

#[test]
fn a_block_is_under_way_until_all_shards_have_ended_or_too_long() {
    let (now, mut under_way) = (Instant::now(), UnderWay::default());
    assert!(!under_way.is_any(now));
    under_way.begin(ImageId(1), 0, now);
    under_way.begin(ImageId(1), 1, now);
    under_way.end(ImageId(1), 0);
    assert!(under_way.is_any(now));
    under_way.end(ImageId(1), 1);
    assert!(!under_way.is_any(now));
    under_way.begin(ImageId(2), 0, now);
    assert!(!under_way.is_any(now + Duration::from_millis(BLOCK_UNDER_WAY_MS_MAX)));
    (0..1_000).for_each(|image| under_way.begin(ImageId(image), 0, now));
    assert_eq!(under_way.0.len(), BLOCKS_UNDER_WAY_MAX);
}

fn any_by() -> impl Strategy<Value = ChosenBy> {
    prop_oneof![Just(ChosenBy::Cover), Just(ChosenBy::Lot), Just(ChosenBy::Score)]
}

fn any_members() -> impl Strategy<Value = Vec<Member>> {
    let one = (0..60_u16, 0..5_u8, 0.0..1_000.0, any::<bool>());
    proptest::collection::vec(one, 0..12).prop_map(|all| {
        let mut seen = HashSet::new();
        let fresh = all.into_iter().filter(|it| seen.insert(it.0));
        let made = |(number, group, value, is_settled)| Member {
            address: address(number),
            kin: kin(group),
            value,
            is_settled,
        };
        fresh.map(made).collect()
    })
}

fn any_wanted() -> impl Strategy<Value = Vec<Wanted>> {
    let one = (0..60_u16, 0..5_u8, 0.0..1_000.0, any_by());
    proptest::collection::vec(one, 0..30).prop_map(|all| {
        let mut seen = HashSet::new();
        let fresh = all.into_iter().filter(|it| seen.insert(it.0));
        let made =
            |(number, group, value, by)| Wanted { kin: kin(group), ..wanted(number, value, by) };
        fresh.map(made).collect()
    })
}

proptest! {
    /// Whatever the scene: few moves, nobody twice, nobody young, never below min, never more of one
    /// hand than before or than allowed, nothing while a block is under way.
    #[test]
    fn laws(
        members in any_members(),
        list in any_wanted(),
        (seats, kept, min, free_places) in (0..12_usize, 0..3_usize, 0..12_usize, 0..4_usize),
        is_block_under_way in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let taken: HashSet<_> = list.iter().take(2).map(|it| it.address).collect();
        let (members, list, taken) = (&members[..], &list[..], &taken);
        let scene =
            Scene { members, wanted: list, taken, seats, kept, min, free_places, is_block_under_way };
        let moves = plan(&scene, &mut Chance::seeded(seed));
        prop_assert!(moves.len() <= ROTATED_AT_ONCE_MAX);
        prop_assert!(!is_block_under_way || moves.is_empty());
        let mut left: HashMap<SocketAddr, Kin> =
            members.iter().map(|it| (it.address, it.kin)).collect();
        let before = left.len();
        let mut swaps = 0;
        for step in &moves {
            let (Move::Swap { out, .. } | Move::Drop { out }) = step;
            prop_assert!(left.remove(out).is_some(), "nobody goes twice, and only members do");
            let was = members.iter().find(|it| it.address == *out).unwrap();
            if let Move::Swap { into, .. } = step {
                swaps += 1;
                prop_assert!(was.is_settled && members.len() == seats);
                let it = list.iter().find(|it| it.address == *into).unwrap();
                prop_assert!(!taken.contains(into) && list.iter().position(|of| of == it) < Some(seats));
                let others = members.iter().filter(|other| other.address != *out);
                prop_assert!(Crowd::of(others.map(|other| other.kin)).is_full_for(it.kin).is_none());
                prop_assert!(left.insert(*into, it.kin).is_none(), "nobody comes twice");
            }
        }
        prop_assert!(swaps <= free_places);
        prop_assert!(left.len() == before || kept + left.len() >= min);
        prop_assert!(left.len() >= seats.min(before) || free_places == 0);
    }
}
