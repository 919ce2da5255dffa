//! Every kind, on made-up situations.

use super::*;
use crate::cold::alert::situation::{
    BlockNow, EngineNow, Pace, PeersNow, PlaceNow, Situation, SpoolNow, UnsentNow,
};
use crate::cold::stats::Fate;
use crate::limits::{
    ALERT_BLOCK_STANDS_MS, ALERT_CLOCK_RAISE_MS, ALERT_CLOCK_STANDS_MS, ALERT_REPORTS_STANDS_MS,
};
use crate::wire::hash::BlockHash;

const UNIX_MS: u64 = 1_700_000_000_000;

fn at(ms: u64) -> Moment {
    Moment { clock_ms: 5_000 + ms, unix_ms: UNIX_MS + ms }
}

/// All that is seen when nothing is wrong.
fn well() -> Situation {
    let place = |url: &str| PlaceNow { url: url.to_owned(), trouble: None };
    let chain = ChainNow {
        chain: "x",
        node: Some(place("http://n:1")),
        node_p2p: Some(true),
        peers: Some(PeersNow { connected: 20, min: 5 }),
        endpoints: vec![place("http://e:1"), place("http://e:2")],
        ..ChainNow::default()
    };
    let engine = EngineNow {
        shards: 2,
        is_clock_synchronised: Some(true),
        waited_percent: vec![0, 9],
        ..EngineNow::default()
    };
    Situation { chains: vec![chain], engine }
}

fn block(image: u64, fate: Fate, verdict: &str) -> BlockNow {
    BlockNow {
        image,
        hash: BlockHash([image as u8; 32]),
        height: Some(100 + image as u32),
        published_ms: 5_000,
        fate,
        verdict: Some(verdict.to_owned()),
        is_accepted: verdict == "accepted",
        offers: 20,
        pace: None,
    }
}

/// What one look at `change`d circumstances finds.
fn found(change: impl FnOnce(&mut Situation)) -> Vec<Finding> {
    let mut situation = well();
    change(&mut situation);
    Judge::new(3.0).look(&situation, at(0))
}

/// Kind, subject and severity of the only finding.
fn only(change: impl FnOnce(&mut Situation)) -> (Kind, String, Severity, String) {
    let mut all = found(change);
    assert_eq!(all.len(), 1, "{all:?}");
    let one = all.remove(0);
    assert!(!one.over.is_empty() && one.text.contains(' '));
    (one.kind, one.subject, one.severity, one.text)
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    assert_eq!(found(|_| ()), []);
    assert_eq!(Judge::new(3.0).look(&Situation::default(), at(0)), []);
}

#[test]
fn the_node_is_lost_by_either_way() {
    let (kind, subject, severity, text) =
        only(|now| now.chains[0].node.as_mut().unwrap().trouble = Some("refused".to_owned()));
    assert_eq!((kind, &subject[..], severity), (Kind::NodeLost, "rpc", Severity::Critical));
    assert!(text.contains("http://n:1 is away: refused"), "{text}");
    let (kind, subject, ..) = only(|now| now.chains[0].node_p2p = Some(false));
    assert_eq!((kind, &subject[..]), (Kind::NodeLost, "p2p"));
    assert_eq!(found(|now| (now.chains[0].node, now.chains[0].node_p2p) = (None, None)), []);
}

#[test]
fn few_peers_are_a_warning_and_none_are_worse() {
    let peers = |connected, min| {
        move |now: &mut Situation| now.chains[0].peers = Some(PeersNow { connected, min })
    };
    let (kind, _, severity, text) = only(peers(4, 5));
    assert_eq!((kind, severity), (Kind::FewPeers, Severity::Warning));
    assert!(text.starts_with("only 4 peers are connected, at least 5"), "{text}");
    assert_eq!(only(peers(0, 0)).2, Severity::Critical);
    assert_eq!(found(peers(5, 5)), []);
    assert_eq!(found(|now| now.chains[0].peers = None), [], "blocks don't go to peers there");
}

#[test]
fn a_refused_block_stands_until_the_next_is_accepted_or_it_is_old() {
    let mut judge = Judge::new(3.0);
    let mut situation = well();
    let refused = block(2, Fate::Refused, "bad-cb-amount");
    situation.chains[0].blocks = vec![block(1, Fate::Pending, "accepted"), refused.clone()];
    let all = judge.look(&situation, at(0));
    assert_eq!(
        (all.len(), all[0].kind, all[0].severity),
        (1, Kind::BlockRefused, Severity::Critical)
    );
    assert_eq!((&all[0].subject, all[0].chain), (&refused.hash.to_string(), Some("x")));
    assert!(all[0].text.contains("(height 102): bad-cb-amount. It was offered to 20 peers"));
    assert_eq!(Judge::new(3.0).look(&situation, at(ALERT_BLOCK_STANDS_MS - 1)).len(), 1);
    assert_eq!(Judge::new(3.0).look(&situation, at(ALERT_BLOCK_STANDS_MS)), []);
    situation.chains[0].blocks.push(block(3, Fate::Refused, "bad-cb-amount"));
    assert_eq!(judge.look(&situation, at(1)).len(), 2, "one for each block");
    situation.chains[0].blocks.push(block(4, Fate::Pending, "accepted"));
    assert_eq!(judge.look(&situation, at(2)), []);
}

#[test]
fn a_refused_block_that_did_not_go_out_is_told_as_well() {
    let mut situation = well();
    let hash = BlockHash([7; 32]);
    let unsent = UnsentNow { hash, word: "bad-txnmrklroot".to_owned(), at_ms: 6_000 };
    situation.chains[0].unsent.push(unsent);
    situation.chains[0].blocks = vec![block(1, Fate::Pending, "accepted")];
    let look = |situation: &Situation, ms| Judge::new(3.0).look(situation, at(ms));
    let all = look(&situation, 2_000);
    assert_eq!(
        (all.len(), all[0].kind, &all[0].subject),
        (1, Kind::BlockRefused, &hash.to_string())
    );
    assert!(all[0].text.contains("bad-txnmrklroot. It had not gone to peers"), "{}", all[0].text);
    assert_eq!(look(&situation, 1_000 + ALERT_BLOCK_STANDS_MS), []);
    let later = BlockNow { published_ms: 6_001, ..block(2, Fate::Pending, "accepted") };
    situation.chains[0].blocks.push(later);
    assert_eq!(look(&situation, 2_000), []);
}

#[test]
fn a_stale_block_is_told_from_when_it_is_known() {
    let mut judge = Judge::new(3.0);
    let mut situation = well();
    let rival = BlockHash([9; 32]);
    situation.chains[0].blocks = vec![block(1, Fate::Behind(rival), "accepted")];
    assert_eq!(judge.look(&situation, at(0)), [], "the next blocks will decide");
    situation.chains[0].blocks = vec![block(1, Fate::Stale(rival), "accepted")];
    let late = 9 * ALERT_BLOCK_STANDS_MS;
    let all = judge.look(&situation, at(late));
    assert_eq!((all.len(), all[0].kind, all[0].severity), (1, Kind::BlockStale, Severity::Warning));
    assert!(all[0].text.contains(&rival.to_string()));
    assert_eq!(judge.look(&situation, at(late + ALERT_BLOCK_STANDS_MS)), []);
    situation.chains[0].blocks.clear();
    judge.look(&situation, at(late));
    assert!(judge.blocks[0].stale.is_empty(), "what is not remembered elsewhere is forgotten");
}

#[test]
fn a_spool_that_does_not_drain_is_told_by_age_or_count() {
    let spool = |waiting, oldest_ms| {
        move |now: &mut Situation| now.chains[0].spool = SpoolNow { waiting, oldest_ms }
    };
    let (kind, _, severity, text) = only(spool(2, 180_000));
    assert_eq!((kind, severity), (Kind::SpoolNotDraining, Severity::Critical));
    assert!(text.contains("2 blocks wait") && text.contains("the oldest for 3 min"), "{text}");
    assert_eq!(only(spool(10, 5_000)).0, Kind::SpoolNotDraining);
    assert_eq!(found(spool(9, 59_999)), []);
}

#[test]
fn a_slow_block_stands_until_a_fast_one() {
    let mut judge = Judge::new(3.0);
    let mut situation = well();
    let paced = |image, half_us| BlockNow {
        pace: Some(Pace { size_bytes: 1_000_000, half_us, last_us: 2 * half_us }),
        ..block(image, Fate::Pending, "accepted")
    };
    for image in 1..=12 {
        situation.chains[0].blocks.push(paced(image, 30_000));
    }
    assert_eq!(judge.look(&situation, at(0)), []);
    situation.chains[0].blocks.push(paced(13, 300_000));
    let all = judge.look(&situation, at(1));
    assert_eq!((all.len(), all[0].kind, all[0].severity), (1, Kind::SlowFanOut, Severity::Warning));
    assert!(all[0].text.contains("half of the receipts took 300 ms, usual are 30 ms (of 12"));
    situation.chains[0].blocks.push(BlockNow { pace: None, ..paced(14, 0) });
    assert_eq!(judge.look(&situation, at(2)).len(), 1, "of this one nothing is known");
    situation.chains[0].blocks.push(paced(15, 31_000));
    assert_eq!(judge.look(&situation, at(3)), []);
    situation.chains[0].blocks.push(paced(16, 300_000));
    assert_eq!(judge.look(&situation, at(4)).len(), 1);
    assert_eq!(judge.look(&situation, at(4 + ALERT_BLOCK_STANDS_MS)), []);
}

#[test]
fn a_clock_that_is_set_or_not_synchronised_is_told() {
    let all = found(|now| now.engine.is_clock_synchronised = Some(false));
    assert_eq!((all[0].kind, all[0].severity), (Kind::Clock, Severity::Info));
    assert_eq!(all[0].hold_ms.0, ALERT_CLOCK_RAISE_MS, "not at every start");
    assert_eq!(found(|now| now.engine.is_clock_synchronised = None), []);
    for (by_ms, word) in [(-1_500_i64, "back by 1.5 s"), (3_600_000, "forward by 3600.0 s")] {
        let mut judge = Judge::new(3.0);
        let moved = |ms| Moment { unix_ms: at(ms).unix_ms.wrapping_add_signed(by_ms), ..at(ms) };
        assert_eq!(judge.look(&well(), at(0)), []);
        let all = judge.look(&well(), moved(1_000));
        assert_eq!((all[0].kind, &all[0].subject[..]), (Kind::Clock, "set"));
        assert!(all[0].text.contains(word), "{}", all[0].text);
        assert_eq!(judge.look(&well(), moved(1_000 + ALERT_CLOCK_STANDS_MS)), []);
    }
    let mut judge = Judge::new(3.0);
    let slewed = |ms: u64| Moment { unix_ms: at(ms).unix_ms + ms / 1_000, ..at(ms) };
    (0..5_000).for_each(|second| assert_eq!(judge.look(&well(), slewed(second * 1_000)), []));
}

#[test]
fn shards_that_wait_or_end_are_told() {
    let (kind, subject, severity, text) = only(|now| now.engine.waited_percent = vec![3, 10]);
    assert_eq!((kind, &subject[..], severity), (Kind::Cpu, "shard-1", Severity::Warning));
    assert!(text.contains("10 % of the time"));
    let (kind, _, severity, text) = only(|now| now.engine.shards_ended = 1);
    assert_eq!((kind, severity), (Kind::ShardEnded, Severity::Critical));
    assert!(text.starts_with("1 of 2 shards"));
}

#[test]
fn endpoints_proxy_and_history_are_told() {
    let (kind, subject, severity, _) =
        only(|now| now.chains[0].endpoints[1].trouble = Some("refused".to_owned()));
    assert_eq!(
        (kind, &subject[..], severity),
        (Kind::EndpointAway, "http://e:2", Severity::Warning)
    );
    assert_eq!(only(|now| now.chains[0].proxy_trouble = Some("no".to_owned())).0, Kind::ProxyAway);
    let (kind, ..) = only(|now| now.engine.history_trouble = Some("disk full".to_owned()));
    assert_eq!(kind, Kind::History);
}

#[test]
fn dropped_reports_stand_for_some_minutes() {
    let mut judge = Judge::new(3.0);
    let mut situation = well();
    (situation.engine.reports_dropped, situation.chains[0].reports_dropped) = (2, 1);
    let all = judge.look(&situation, at(0));
    assert_eq!((all.len(), all[0].kind), (1, Kind::ReportsDropped));
    assert!(all[0].text.starts_with("3 reports"));
    situation.engine.reports_dropped = 3;
    let later = ALERT_REPORTS_STANDS_MS - 1;
    assert_eq!(judge.look(&situation, at(later)).len(), 1, "there are more");
    assert_eq!(judge.look(&situation, at(later + ALERT_REPORTS_STANDS_MS - 1)).len(), 1);
    assert_eq!(judge.look(&situation, at(later + ALERT_REPORTS_STANDS_MS)), []);
}
